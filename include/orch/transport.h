/**
 * @file transport.h
 * @brief Transports of the host's own: how an orchestrator and engines of other processes reach each other, where gRPC is not what is wanted.
 *
 * A transport carries channels between two ends: an orchestrator opens one for each execution that it hands over, an engine accepts it. What
 * goes over a channel are messages, which are bytes to the transport (those of proto/orch/v1/engine.proto). It has these duties:
 *
 * - Messages of a channel arrive whole, each once, in the order in which they were sent; or the channel ends. A transport that has lost something
 *   ends the channel: both sides then open another one and say again what was not acknowledged.
 * - What was sent before a channel was closed with 0 arrives before its end is told.
 * - Each end is told once of the channel's end: orch_channel_closed with 0 where the other side closed it with 0, and with a code where it broke.
 * - A peer that is gone without a word (a machine without power) is noticed within some seconds. Until then its executions stand still.
 * - What cannot go on is not kept in endless queues: `send` may say so, and orch_channel_received does.
 *
 * The functions of a transport are called by one thread of the library, one after the other. They must not block and must not call functions of
 * this library other than the four below. Those may be called by any thread, also inside the functions of the transport; they never
 * block and call nothing back.
 *
 * orch_testing_transport (testing.h) tells whether a transport does its duties. docs/transports.md shows how to write one, and
 * examples/transport-pipe is one.
 */
#ifndef ORCH_TRANSPORT_H
#define ORCH_TRANSPORT_H

#include <orch/error.h>
#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A registered transport, as the library knows it. There until `stop` returns. */
typedef struct orch_transport orch_transport;

/** The library's end of a channel. There until orch_channel_closed was called for it, or `stop` returned. */
typedef struct orch_channel orch_channel;

/**
 * @brief What a transport does. `state` is the transport's own: of its end of a channel.
 * Functions that fail return an ORCH_E_ code and may put a reason, as text of at most `why_size` bytes with its NUL, into `why`.
 */
typedef struct orch_transport_ops {
    /** sizeof(orch_transport_ops) */
    uint32_t size;
    /** The longest message that it takes, in bytes: 4,096 to 16,777,216; 0 = 1,048,576. What is longer is sent in parts. */
    uint32_t max_message_bytes;
    /**
     * @brief Open a channel. It may be that its connection comes about later, or not at all, which orch_channel_closed tells.
     * @param user_data as registered
     * @param address where the engine is: what stands behind `NAME:` in its endpoint
     * @param channel the library's end
     * @param out_state the transport's end
     * @param why where to put a reason
     * @param why_size bytes of room there
     * @return ORCH_OK; ORCH_E_NOT_FOUND if nobody listens there, or else a code: then `channel` is gone
     * NULL: it cannot open channels; for engines it need not.
     */
    int32_t (*open)(void *user_data, const char *address, orch_channel *channel, void **out_state,
                    char *why, size_t why_size);
    /**
     * @brief Accept channels: from now on orch_transport_accepted is called for each that an orchestrator opens to this address.
     * @param user_data as registered
     * @param transport for those calls
     * @param address where: what stands behind `NAME:` in the endpoint that the engine listens at
     * @param why where to put a reason
     * @param why_size bytes of room there
     * @return ORCH_OK; ORCH_E_UNAVAILABLE if the address cannot be had, or another code
     * NULL: it cannot; for orchestrators it need not.
     */
    int32_t (*listen)(void *user_data, orch_transport *transport, const char *address, char *why,
                      size_t why_size);
    /**
     * @brief Accept no more at this address. Channels that were accepted stay. A call of orch_transport_accepted that crosses this one is
     *        answered NULL. NULL if `listen` is.
     * @param user_data as registered
     * @param address as `listen` had it
     */
    void (*unlisten)(void *user_data, const char *address);
    /**
     * @brief Send a message. Not called before `open` or orch_transport_accepted has returned.
     * @param state the transport's end of the channel
     * @param data the message; borrowed for the call
     * @param len its length in bytes, 1 to max_message_bytes
     * @return ORCH_OK: it is on its way; ORCH_E_RESOURCE_EXHAUSTED: not now, orch_channel_ready will be called, and the message comes again;
     *         any other code: the channel is broken, `close` follows
     */
    int32_t (*send)(void *state, const void *data, size_t len);
    /**
     * @brief Go on after orch_channel_received has answered ORCH_E_RESOURCE_EXHAUSTED: there is room again.
     * @param state the transport's end of the channel
     */
    void (*resume)(void *state);
    /**
     * @brief The library is done with a channel. Called exactly once for each, also after orch_channel_closed was; `state` is not used after it,
     *        and the transport's to free. The transport calls orch_channel_closed, if it has not, when it is done with the channel too;
     *        it may do so at once.
     * @param state the transport's end of the channel
     * @param code 0: in order, what was sent before still arrives; else: as if the connection had broken
     */
    void (*close)(void *state, int32_t code);
    /**
     * @brief The end, once everything was unlistened and closed: deliver what is still under way, within a second or so, and return when no call of
     *        the four functions below is under way or will come. The one function that may block. NULL: there is nothing to end.
     * @param user_data as registered, freed after it
     */
    void (*stop)(void *user_data);
} orch_transport_ops;

/**
 * @brief A channel came to an address where the transport listens.
 * @param transport as handed to `listen`; not NULL
 * @param address as handed to `listen`; not NULL
 * @param state the transport's end of the channel; may be NULL
 * @return the library's end; NULL: nobody listens there any more, or there is no memory: end the channel as one that broke
 * Any thread; does not block. Messages may be handed over at once.
 */
ORCH_API orch_channel *orch_transport_accepted(orch_transport *transport, const char *address,
                                               void *state);
/**
 * @brief A message came.
 * @param channel the library's end; not NULL
 * @param data the message, copied
 * @param len its length in bytes, at least 1
 * @return ORCH_OK; ORCH_E_RESOURCE_EXHAUSTED: it was not taken, `resume` will be called, then hand it over again (64 wait
 *         already); ORCH_E_CANCELLED: the library has closed the channel, or does so now for want of memory, and takes no more;
 *         ORCH_E_INVALID_ARGUMENT: longer than max_message_bytes, or empty: the library ends the channel
 * Any thread, one at a time for one channel; does not block.
 */
ORCH_API int32_t orch_channel_received(orch_channel *channel, const void *data, size_t len);
/**
 * @brief There is room again, after `send` has answered ORCH_E_RESOURCE_EXHAUSTED.
 * @param channel the library's end; not NULL
 * Any thread; does not block. Harmless where nothing waits.
 */
ORCH_API void orch_channel_ready(orch_channel *channel);
/**
 * @brief The channel has ended, and the transport is done with it: exactly once for each channel, and the last call for it.
 * @param channel the library's end, gone with this call; not NULL
 * @param code 0: the other side closed it with 0, and all it had sent was handed over, or the library has closed it before;
 *        ORCH_E_NOT_FOUND: it never came about, and nothing that was sent has left; any other ORCH_E_ code, ORCH_E_UNAVAILABLE mostly: it broke
 * Any thread; does not block.
 */
ORCH_API void orch_channel_closed(orch_channel *channel, int32_t code);

#ifdef __cplusplus
}
#endif
#endif

/**
 * @file codec.h
 * @brief Codecs: payloads leave a process only encoded, so that who stores or carries them cannot read them.
 *
 * What is encoded: inputs, outputs, the data of errors, payloads of signals, details of heartbeats, and the inputs of child
 * executions. Codes and messages of errors, names, ids, times, attributes and the correlations of signals are not. Whoever reads a
 * payload (engines, and the functions that hand one to the host) needs the same codec; orchestrators and stores never look inside.
 * What was stored before there was a codec stays readable. In between, an encoded payload is the JSON object
 * {"$encoded":"base64"}: that key is reserved.
 */
#ifndef ORCH_CODEC_H
#define ORCH_CODEC_H

#include <orch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief A codec: encryption, compression, or both.
 * Its functions are called by several threads at the same time, also by the thread that all executions of a process share: they must
 * be quick and must not block. They return ORCH_OK or an ORCH_E_ code. ORCH_E_UNAVAILABLE and ORCH_E_RESOURCE_EXHAUSTED of `decode`
 * mean that it may work another time or elsewhere, such as a key that has not arrived yet: the execution is tried again. With
 * any other code of `decode`, and any of `encode`, the execution fails. They may not call functions of this library.
 */
typedef struct orch_codec {
    /** sizeof(orch_codec) */
    uint32_t size;
    /** For error messages; not NULL; outlives the codec's use. */
    const char *name;
    /**
     * @brief Encode.
     * @param user_data as set
     * @param plain JSON text; borrowed, not NUL-terminated
     * @param len its length in bytes, at least 1
     * @param out_data any bytes, to be given back to `release`; unchanged on failure
     * @param out_len how many, at least 1 and less than 2^30
     */
    int32_t (*encode)(void *user_data, const void *plain, size_t len, void **out_data,
                      size_t *out_len);
    /** @brief The reverse: gives what `encode` was given. Parameters as there. */
    int32_t (*decode)(void *user_data, const void *encoded, size_t len, void **out_data,
                      size_t *out_len);
    /** @brief Free what `encode` or `decode` gave; may be NULL if there is nothing to free. */
    void (*release)(void *user_data, void *data);
} orch_codec;

#ifdef __cplusplus
}
#endif
#endif

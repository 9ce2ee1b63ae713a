/**
 * @file testing.h
 * @brief Tests of workflows: an orchestrator whose time is virtual and skips every sleep, executors replaced by mocks, and histories of real
 *        executions replayed against a changed definition.
 *
 * docs/testing-workflows.md shows how. Nothing of it is for production.
 */
#ifndef ORCH_TESTING_H
#define ORCH_TESTING_H

#include <orch/config.h>
#include <orch/engine.h>
#include <orch/error.h>
#include <orch/transport.h>
#include <orch/types.h>
#include <orch/v2.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Make an orchestrator with virtual time. It stands still while anything runs. While a thread waits for what is to come
 *        (orch_v2_execute_workflow, orch_execution_wait, orch_engine_next_task) and all is quiet, it jumps to what is next: the end of a wait, the
 *        next attempt, a deadline, a delayed start. Random numbers (jitter) are the same each time.
 * @param config the configuration, copied; NULL = the defaults. STORE_URL need not be set: memory:
 * @param start_ms when time begins, UTC in milliseconds since 1970, 1 to 4,000,000,000,000; 0 = now
 * @param err where to put an error; may be NULL
 * @return the orchestrator, for all of v2.h, ended by orch_v2_free; NULL on failure, as orch_v2_new
 * The timeouts of functions that block (orch_execution_wait, orch_v2_stop) are real time, and so is what built-in executors do.
 */
ORCH_API orch_v2 *orch_testing_new(const orch_config *config, int64_t start_ms, orch_error **err);
/**
 * @brief Get the time.
 * @param orch the orchestrator
 * @return UTC in milliseconds since 1970; -1 for NULL, and if its time is not virtual
 */
ORCH_API int64_t orch_testing_now(const orch_v2 *orch);
/**
 * @brief Let time pass, step by step, with all that is due on the way; then wait until all is quiet. A task that was taken and not completed
 *        does not hold it up: that is how timeouts are tested.
 * @param orch the orchestrator; not NULL, of orch_testing_new
 * @param ms how much, 0 to 100 years; 0 = only wait until all is quiet
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_CANCELLED if the orchestrator is stopped meanwhile; ORCH_E_FAILED_PRECONDITION if its time
 *         is not virtual, after stop, in a forked child, in a callback, an executor or a log callback
 * Blocks. A mock that blocks its thread holds it up: one that takes its time should keep the task, and complete it later.
 */
ORCH_API int32_t orch_testing_advance(orch_v2 *orch, int64_t ms, orch_error **err);
/**
 * @brief Put a function in the place of an executor: of one that is registered, of one that is not, or of a built-in one. (`wait` and `workflow` are
 *        no executors: time is virtual, and a child is mocked by registering another workflow in its place.)
 * @param orch the orchestrator; not NULL, of orch_testing_new
 * @param name the executor's name
 * @param fn the mock; not NULL; which step it is for, orch_task_workflow and orch_task_step tell
 * @param user_data handed to each call; may be NULL
 * @param free_fn ends user_data once no call can come any more, also if this call fails; may be NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK; ORCH_E_INVALID_ARGUMENT; ORCH_E_FAILED_PRECONDITION if its time is not virtual, while steps run, if the executor is pulled, after
 *         stop, in a forked child or in a log callback; ORCH_E_RESOURCE_EXHAUSTED
 * Any thread. The mock is called as an orch_task_fn is.
 */
ORCH_API int32_t orch_testing_mock(orch_v2 *orch, const char *name, orch_task_fn fn,
                                   void *user_data, orch_free_fn free_fn, orch_error **err);

/**
 * @brief A transport that orch_testing_transport looks at. Its functions are called by the thread that calls that.
 */
typedef struct orch_transport_subject {
    /** sizeof(orch_transport_subject) */
    uint32_t size;
    /** Its name, as for orch_v2_register_transport. */
    const char *name;
    /** What it does. */
    const orch_transport_ops *ops;
    /** An address where it can listen. */
    const char *address;
    /** An address where nobody listens. */
    const char *nobody;
    /** Handed to the functions below; may be NULL. */
    void *user_data;
    /**
     * @brief Make the user_data of `ops` for one registration.
     * @param user_data of the subject
     * @param is_engine 1: it will listen; 0: it will open channels
     * @return NULL: it cannot be made
     */
    void *(*begin)(void *user_data, int32_t is_engine);
    /** Ends what `begin` made; may be NULL. */
    orch_free_fn end;
    /** @brief Break all connections, as a network would; NULL: it cannot be done, and what should follow is not looked at. */
    void (*cut)(void *user_data);
    /**
     * @brief Told of each rule.
     * @param user_data of the subject
     * @param rule the rule, in words
     * @param why why it does not hold; "" = it holds; NULL = it was not looked at
     * May be NULL.
     */
    void (*report)(void *user_data, const char *rule, const char *why);
} orch_transport_subject;

/**
 * @brief Look whether a transport does its duties (transport.h): with ends that do what orchestrators and engines may do, and with an orchestrator
 *        and an engine that run workflows over it.
 * @param subject the transport; not NULL
 * @param err where to put an error; may be NULL
 * @return ORCH_OK if every rule holds that was looked at; ORCH_E_FAILED_PRECONDITION, with the first one that does not;
 *         ORCH_E_INVALID_ARGUMENT
 * Blocks for some seconds; for half a minute more with each rule where the transport lets it wait in vain. Nothing is sent to anybody else.
 */
ORCH_API int32_t orch_testing_transport(const orch_transport_subject *subject, orch_error **err);

/** What a replay found. */
typedef struct orch_replay orch_replay;

/**
 * @brief Replay the newest run of an exported execution against a definition, as it would go on with it after a fork: whether what it has done so
 *        far can have happened so, and whether it would come to the same end. Nothing is executed, and no expression evaluated.
 * @param config whose codec decodes the payloads; NULL = none
 * @param export_text the export (orch_v2_export_execution); of an execution that has ended or not
 * @param export_len its length in bytes
 * @param definition_text the definition, JSON or YAML
 * @param definition_len its length in bytes
 * @param out_replay what was found, freed by orch_replay_free; unchanged on failure
 * @param err where to put an error; may be NULL
 * @return ORCH_OK, also if there are differences; ORCH_E_INVALID_ARGUMENT (the export, with its line; the definition, with the place);
 *         ORCH_E_UNAVAILABLE, ORCH_E_DATA_LOSS (payloads that cannot be decoded); ORCH_E_UNIMPLEMENTED (YAML); ORCH_E_RESOURCE_EXHAUSTED
 * Any thread; needs no orchestrator.
 */
ORCH_API int32_t orch_testing_replay(const orch_config *config, const char *export_text,
                                     size_t export_len, const char *definition_text,
                                     size_t definition_len, orch_replay **out_replay,
                                     orch_error **err);
/**
 * @brief Get the number of differences; 0 is the verdict that the execution would be the same.
 * @param replay the replay; NULL reads as 0
 * @return how many; at most 1,000 are kept
 */
ORCH_API size_t orch_replay_count(const orch_replay *replay);
/**
 * @brief Get a difference in words.
 * @param replay the replay
 * @param i 0 to count - 1
 * @return text owned by the replay; "" beyond the end
 */
ORCH_API const char *orch_replay_message(const orch_replay *replay, size_t i);
/**
 * @brief Get the step that a difference is about.
 * @param replay the replay
 * @param i 0 to count - 1
 * @return its id, owned by the replay; "" if it is about the execution, and beyond the end
 */
ORCH_API const char *orch_replay_step(const orch_replay *replay, size_t i);
/**
 * @brief Get where in the history a difference is.
 * @param replay the replay
 * @param i 0 to count - 1
 * @return the sequence number of the entry; 0 if it is behind its end, and beyond the end
 */
ORCH_API uint64_t orch_replay_seq(const orch_replay *replay, size_t i);
/**
 * @brief Free a replay.
 * @param replay the replay; NULL is harmless
 */
ORCH_API void orch_replay_free(orch_replay *replay);

#ifdef __cplusplus
}
#endif
#endif

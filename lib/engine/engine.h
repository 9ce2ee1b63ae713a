/* The engine core: runs executions in slots, drives `run`, asks executors. Deterministic: it does no I/O, reads no
 * clock, starts no thread; what it needs comes through ports. Everything is called on the loop thread unless it
 * says otherwise. It never calls back into the one who calls it: what it has to say goes out as messages, and
 * engine_pump does the work. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/work.h"
#include "executor/executor.h"
#include "monitor/events.h"
#include "transport/transport.h"
#include "workflow/run.h"

typedef struct engine engine;

typedef struct engine_ports {
    void *ctx;
    int64_t (*now_ms)(void *ctx); /* UTC */
    /* A clock that does not jump, from any moment on. Only of engines that other processes reach. */
    int64_t (*steady_ms)(void *ctx);
    void (*set_timer)(
        void *ctx,
        int64_t
            at_ms); /* call engine_pump at that time; INT64_MAX = never. One timer: a new call replaces it */
    uint64_t (*random)(void *ctx);
    void (*wake)(void *ctx); /* any thread: call engine_pump soon */
    /* A secret's value, as scope.secret has it. Pool thread; may block. NULL = none are configured. */
    json_t *(*secret)(void *ctx, const char *name, orch_error **err);
    work_pool pool; /* for Lua */
    logger *log;
    events *events; /* NULL: nobody listens */
} engine_ports;

typedef struct engine_options {
    const char *name;
    uint64_t instance; /* of this process: another number after each start */
    uint32_t capacity; /* executions at a time; 0 = 10 */
    uint32_t credit;   /* checkpoints of one execution that await storing; 0 = 4096 */
    int64_t
        suspend_after_ms; /* a run that will only wait for this long or longer is put down; 0 = 10,000 */
    int64_t quiet_ms;        /* … after it has been quiet for so long; 0 = 1000 */
    int64_t detach_grace_ms; /* how long running steps go on without an orchestrator; 0 = 10,000 */
    int64_t
        executor_wait_ms; /* how long steps wait for an executor that is not registered yet; 0 = 30,000 */
    uint64_t lua_instructions, lua_memory_bytes; /* 0 = the sandbox's defaults */
    codec codec; /* of what goes to the orchestrator and comes from there; outlives the engine */
} engine_options;

int32_t engine_new(const engine_options *o, const engine_ports *p, engine **out, orch_error **err);
/* Every attempt has ended before (engine_is_idle after engine_stop), or its executor detaches from it. */
void engine_free(engine *e);

/* Add an executor under ops->name or `name`; takes it over, also on failure. ALREADY_EXISTS. */
int32_t engine_add_executor(engine *e, const char *name, executor x, orch_error **err);
/* The same in the place of one that may be there already. FAILED_PRECONDITION while an attempt is under way. */
int32_t engine_put_executor(engine *e, const char *name, executor x, orch_error **err);
executor *engine_find_executor(engine *e, const char *name); /* borrowed; NULL */

/* A transport's `accepted` callback; ctx is the engine. */
void engine_accept(void *ctx, channel *c);

/* Work: completions of attempts, what has become ready, timers. `budget` bounds the actions taken for one execution, and in all to
 * less than twice as many; true if there is more to do now. */
bool engine_pump(engine *e, uint32_t budget);

/* Tell all attempts to stop and start nothing any more; nothing is reported for what they answer (the executions go on elsewhere, or
 * after the next start). */
void engine_stop(engine *e);
bool engine_is_idle(const engine *e); /* no attempt is under way */
/* Take nothing more, start no attempt more. What runs may end; then, and once that is stored, executions are handed back: they go on elsewhere. */
void engine_drain(engine *e);
/* Names of executors, borrowed, at most so many; returns how many. */
size_t engine_executor_names(const engine *e, const char **out, size_t max);
uint32_t engine_active(const engine *e); /* executions that are on it */
/* Forget a hand-over of this epoch or an older one; nobody is told. False: there is none. */
bool engine_forget(engine *e, uint64_t execution_key, epoch ep);
/* One of the steps that are still running, for an error message: "execution/step"; "" if none. */
const char *engine_first_running(const engine *e, char *buffer, size_t size);

typedef struct engine_progress {
    run_counts counts;
    uint64_t items, items_ended; /* of for_each steps that have begun */
} engine_progress;
/* Whether an attempt or child of a step, or of an item of it, is out now; INDEX_NONE: the step. */
bool engine_is_running(const engine *e, uint64_t execution_key, uint32_t step, uint32_t index);
/* Where an attempt is that has not been completed. False if its hand-over is over: what it does is nobody's any more. */
bool engine_place_of(const attempt *a, attempt_place *out);
bool engine_get_progress(const engine *e, uint64_t execution_key, engine_progress *out);

#endif

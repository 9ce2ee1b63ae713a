#include "executor/task_impl.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "workflow/run.h"

/* ---- Sets ------------------------------------------------------------------------------------------ */

static int init_condition(pthread_cond_t *c)
{
    pthread_condattr_t attributes;
    int rc = pthread_condattr_init(&attributes);

    if (rc)
        return rc;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    rc = pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
    return rc;
}

int32_t task_set_new(const executor_env *env, task_set **out, orch_error **err)
{
    task_set *s = mem_zalloc(sizeof *s);

    if (!s)
        return error_no_memory(err);
    if (init_condition(&s->stopping)) {
        mem_free(s);
        return error_no_memory(err);
    }
    if (init_condition(&s->queued)) {
        pthread_cond_destroy(&s->stopping);
        mem_free(s);
        return error_no_memory(err);
    }
    pthread_mutex_init(&s->lock, NULL); /* cannot fail on Linux without attributes */
    atomic_init(&s->refs, 1);
    s->pid = getpid();
    s->loop = env->loop;
    s->max_output_bytes = env->max_output_bytes ? env->max_output_bytes : DEFAULT_MAX_OUTPUT_BYTES;
    list_init(&s->open);
    *out = s;
    return 0;
}

void task_set_unref(task_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_cond_destroy(&s->stopping);
    pthread_cond_destroy(&s->queued);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* Under the lock. */
static attempt *release_attempt(orch_task *t)
{
    attempt *a = t->attempt;

    if (a) {
        a->state = NULL;
        t->attempt = NULL;
        list_remove(&t->open);
    }
    return a;
}

static attempt *take_next(task_set *s)
{
    attempt *a = NULL;

    pthread_mutex_lock(&s->lock);
    if (!list_empty(&s->open)) {
        orch_task *t = LIST_ENTRY(s->open.next, orch_task, open);

        atomic_store(&t->stop, ORCH_E_CANCELLED);
        a = release_attempt(t);
    }
    pthread_cond_broadcast(&s->stopping);
    pthread_mutex_unlock(&s->lock);
    return a;
}

/* The engine stops: what tasks have said meanwhile is nobody's. */
void task_set_detach(task_set *s)
{
    attempt *a;

    while ((a = take_next(s)))
        attempt_fail(a, ORCH_E_CANCELLED, false,
                     "the engine stopped before the task was completed");
}

/* ---- Tasks ----------------------------------------------------------------------------------------- */

static char *put_text(const char **field, char *at, const char *s)
{
    size_t size = strlen(s) + 1;

    memcpy(at, s, size);
    *field = at;
    return at + size;
}

orch_task *task_new(task_set *s, attempt *a)
{
    size_t room = strlen(a->execution) + strlen(a->workflow) + strlen(a->step) +
                  strlen(a->idempotency_key) + 4;
    orch_task *t = mem_zalloc(sizeof *t + room);
    char *at;

    if (!t)
        return NULL;
    at = put_text(&t->execution, t->text, a->execution);
    at = put_text(&t->workflow, at, a->workflow);
    at = put_text(&t->step, at, a->step);
    put_text(&t->key, at, a->idempotency_key);
    t->index = a->index;
    t->number = a->number;
    t->role = a->role;
    t->before = bytes_ref(a->details);
    t->with = json_incref(a->with);
    t->set = s;
    atomic_init(&t->refs, 1);
    atomic_init(&t->stop, 0);
    atomic_init(&t->said, NULL);
    atomic_init(&t->beating, false);
    atomic_fetch_add(&s->refs, 1);
    list_init(&t->queued);
    pthread_mutex_lock(&s->lock);
    t->attempt = a;
    a->state = t;
    list_push(&s->open, &t->open);
    pthread_mutex_unlock(&s->lock);
    return t;
}

void task_ref(orch_task *t)
{
    atomic_fetch_add(&t->refs, 1);
}

bool task_is_of(const orch_task *t, const uv_loop_t *loop)
{
    return t->set->loop == loop && t->set->pid == getpid();
}

/* Who completes it meanwhile only hands the attempt to the loop, where it stays until the caller is done. */
attempt *task_attempt(const orch_task *t)
{
    attempt *a;

    pthread_mutex_lock(&t->set->lock);
    a = t->attempt;
    pthread_mutex_unlock(&t->set->lock);
    return a;
}

void task_unref(orch_task *t)
{
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    task_set_unref(t->set);
    json_decref(t->with);
    bytes_unref(t->input);
    bytes_unref(t->before);
    bytes_unref(atomic_load(&t->said));
    mem_free(t);
}

orch_task *task_tell_stop(task_set *s, attempt *a)
{
    orch_task *t = a->state;

    if (t) {
        atomic_store(&t->stop, atomic_load(&a->stop));
        pthread_cond_broadcast(&s->stopping);
    }
    return t;
}

/* What is said after the exchange finds `beating` false, and tells the engine anew. */
bytes *task_take_beat(task_set *s, attempt *a)
{
    bytes *said = NULL;
    orch_task *t;

    pthread_mutex_lock(&s->lock);
    t = a->state;
    if (t) {
        atomic_store(&t->beating, false);
        said = atomic_exchange(&t->said, NULL);
    }
    pthread_mutex_unlock(&s->lock);
    return said;
}

attempt *task_take_attempt(orch_task *t)
{
    attempt *a;

    pthread_mutex_lock(&t->set->lock);
    a = release_attempt(t);
    pthread_mutex_unlock(&t->set->lock);
    return a;
}

/* The attempt is completed under the lock, so that task_set_detach, which takes it too, leaves none half completed. */
void task_finish(orch_task *t, attempt_result r)
{
    attempt *a;

    pthread_mutex_lock(&t->set->lock);
    a = release_attempt(t);
    if (a) {
        r.details = atomic_exchange(&t->said, NULL); /* they are for the next attempt */
        attempt_complete(a, r);
    }
    pthread_mutex_unlock(&t->set->lock);
    if (!a)
        result_clear(&r);
    task_unref(t);
}

int32_t task_make_input(orch_task *t)
{
    if (t->with && !t->input) {
        t->input = output_of_json(t->with);
        if (!t->input)
            return ORCH_E_RESOURCE_EXHAUSTED;
    }
    return 0;
}

void task_deadline(int32_t timeout_ms, struct timespec *out)
{
    clock_gettime(CLOCK_MONOTONIC, out);
    out->tv_sec += timeout_ms / 1000;
    out->tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_sec++;
        out->tv_nsec -= 1000000000;
    }
}

/* ---- What the host calls --------------------------------------------------------------------------- */

const char *orch_task_step(const orch_task *task)
{
    return task ? task->step : "";
}

const char *orch_task_execution(const orch_task *task)
{
    return task ? task->execution : "";
}

const char *orch_task_workflow(const orch_task *task)
{
    return task ? task->workflow : "";
}

int64_t orch_task_index(const orch_task *task)
{
    return task && task->index != INDEX_NONE ? (int64_t)task->index : -1;
}

int32_t orch_task_attempt(const orch_task *task)
{
    return task ? (int32_t)task->number : 0;
}

int32_t orch_task_role(const orch_task *task)
{
    static const int32_t roles[] = {[ROLE_STEP] = ORCH_TASK_STEP,
                                    [ROLE_COMPENSATE] = ORCH_TASK_COMPENSATION,
                                    [ROLE_ON_FAILURE] = ORCH_TASK_ON_FAILURE};

    return task ? roles[task->role] : ORCH_TASK_STEP;
}

const char *orch_task_idempotency_key(const orch_task *task)
{
    return task ? task->key : "";
}

const char *orch_task_input(const orch_task *task, size_t *out_len)
{
    const bytes *input = task ? task->input : NULL;

    if (out_len)
        *out_len = input ? input->len : 4;
    return input ? input->data : "null";
}

int32_t orch_task_stopping(const orch_task *task)
{
    return task ? atomic_load(&task->stop) : 0;
}

int32_t orch_task_wait_stopping(const orch_task *task, int32_t timeout_ms)
{
    task_set *s = task ? task->set : NULL;
    struct timespec until;
    int rc = 0;

    if (!task || timeout_ms == 0 || orch_task_stopping(task) || s->pid != getpid())
        return orch_task_stopping(task);
    if (timeout_ms > 0)
        task_deadline(timeout_ms, &until);
    pthread_mutex_lock(&s->lock);
    while (rc != ETIMEDOUT && !orch_task_stopping(task)) {
        if (timeout_ms > 0)
            rc = pthread_cond_timedwait(&s->stopping, &s->lock, &until);
        else
            pthread_cond_wait(&s->stopping, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return orch_task_stopping(task);
}

/* In a forked child the handle is a copy whose lock nobody may ever release: it is left alone. */
static int32_t check_process(const orch_task *task, orch_error **err)
{
    if (task->set->pid == getpid())
        return 0;
    return error_set(err, ORCH_E_FAILED_PRECONDITION, task->step,
                     "a forked child cannot complete a task of its parent (step %s)", task->step);
}

static const char *name_of(const orch_task *task)
{
    return task->role == ROLE_ON_FAILURE ? "on_failure" : task->step;
}

/* JSON from the host: 0 and a copy, NULL for NULL; INVALID_ARGUMENT leaves the task to the caller. */
static int32_t take_json(const orch_task *task, const char *parameter, const char *what,
                         const char *text, size_t len, bytes **out, orch_error **err)
{
    int32_t rc;

    if (!text)
        return 0;
    if (len > task->set->max_output_bytes)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, task->step,
                         "%s of step %s has %zu bytes; %u are allowed", what, name_of(task), len,
                         task->set->max_output_bytes);
    rc = output_check_json(parameter, text, len, err);
    if (rc)
        return rc;
    *out = bytes_new(text, len);
    return *out ? 0 : error_no_memory(err);
}

static int32_t check_task(const orch_task *task, orch_error **err)
{
    if (!task)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "task", "task must not be NULL");
    return check_process(task, err);
}

const char *orch_task_heartbeat_details(const orch_task *task, size_t *out_len)
{
    const bytes *before = task ? task->before : NULL;

    if (out_len)
        *out_len = before ? before->len : 0;
    return before ? before->data : NULL;
}

/* Under the lock, so that the attempt is not completed meanwhile. */
static void tell_engine(orch_task *task)
{
    pthread_mutex_lock(&task->set->lock);
    if (task->attempt)
        task->attempt->beat(task->attempt);
    pthread_mutex_unlock(&task->set->lock);
}

int32_t orch_task_heartbeat(orch_task *task, const char *details_json, size_t len, orch_error **err)
{
    bytes *details = NULL;
    int32_t rc = check_task(task, err);

    if (!rc)
        rc = take_json(task, "details_json", "the heartbeat text", details_json, len, &details,
                       err);
    if (rc)
        return rc;
    if (details)
        bytes_unref(atomic_exchange(&task->said, details));
    if (!atomic_exchange(&task->beating, true))
        tell_engine(task);
    return 0;
}

int32_t orch_task_complete(orch_task *task, const char *output_json, size_t len, orch_error **err)
{
    attempt_result r = {0};
    int32_t rc = check_task(task, err);

    if (rc)
        return rc;
    rc = take_json(task, "output_json", "the output", output_json, len, &r.output, err);
    if (rc == ORCH_E_INVALID_ARGUMENT)
        return rc;
    task_finish(task, rc ? result_no_memory() : r);
    return rc;
}

static int32_t known_code(int32_t code)
{
    return code < 0 && code >= ORCH_E_UNAUTHENTICATED ? code : ORCH_E_UNKNOWN;
}

int32_t orch_task_fail(orch_task *task, int32_t code, int32_t retryable, const char *message)
{
    int32_t rc = check_task(task, NULL);
    int32_t known = known_code(code);

    if (rc)
        return rc;
    task_finish(task, (attempt_result){.code = known,
                                       .no_retry = !retryable,
                                       .error = error_json(known, message, NULL)});
    return known == code ? 0 : ORCH_E_INVALID_ARGUMENT;
}

int32_t orch_task_fail_data(orch_task *task, int32_t code, int32_t retryable, const char *message,
                            const char *data_json, size_t len, orch_error **err)
{
    int32_t rc = check_task(task, err);
    bytes *data = NULL;
    bytes *error;

    if (rc)
        return rc;
    if (known_code(code) != code)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "code",
                         "code is %d; it must be one of ORCH_E_…, %d to %d", code, ORCH_E_CANCELLED,
                         ORCH_E_UNAUTHENTICATED);
    rc = take_json(task, "data_json", "the error data", data_json, len, &data, err);
    if (rc == ORCH_E_INVALID_ARGUMENT)
        return rc;
    error = rc ? NULL : error_json_text(code, message, data);
    bytes_unref(data);
    if (!rc && !error)
        rc = error_no_memory(err);
    task_finish(task, (attempt_result){.code = code, .no_retry = !retryable, .error = error});
    return rc;
}

/* The crash test's load: compensation, on_failure, going on after a failure, deadlines, heartbeats. */
#include "support/crash_load.h"

#include <string.h>
#include <uthash.h>

static const load_kind kinds[] = {
    {.name = "saga",
     .end = ORCH_EXECUTION_FAILED,
     .definition =
         "{'id':'saga','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'},'compensate':{'executor':'undo',"
         "'with':{'to':'${steps.a.output}'}}},"
         "{'id':'b','executor':'add','depends_on':['a'],'with':{'to':'${steps.a.output}'},"
         "'compensate':{'executor':'undo','with':{'to':'${steps.b.output}'}}},"
         "{'id':'c','executor':'broken','depends_on':['b']},"
         "{'id':'d','executor':'add','depends_on':['c'],'with':{'to':0},"
         "'compensate':{'executor':'undo','with':{'to':0}}}]}"},
    {.name = "handled",
     .end = ORCH_EXECUTION_FAILED,
     .definition = "{'id':'handled','version':'1.0.0','steps':["
                   "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
                   "{'id':'b','executor':'broken','depends_on':['a']}],"
                   "'on_failure':{'executor':'undo','with':{'to':'${steps.a.output}'}}}"},
    {.name = "continued",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 2,
     .definition =
         "{'id':'continued','version':'1.0.0','steps':["
         "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
         "{'id':'b','executor':'broken','depends_on':['a'],'continue_on_failure':true},"
         "{'id':'c','executor':'add','depends_on':['b'],'with':{'to':'${steps.a.output}'}}],"
         "'output':'${steps.c.output}'}"},
    {.name = "late",
     .end = ORCH_EXECUTION_TIMED_OUT,
     .definition = "{'id':'late','version':'1.0.0','timeout':'30ms','steps':["
                   "{'id':'a','executor':'add','with':{'to':'${input.n}'}},"
                   "{'id':'w','executor':'wait','depends_on':['a'],'with':{'duration':'1h'}}]}"},
    {.name = "beating",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 1,
     .definition =
         "{'id':'beating','version':'1.0.0','steps':["
         "{'id':'a','executor':'beats','heartbeat_timeout':'10s','with':{'to':'${input.n}'},"
         "'retry':{'max_attempts':5,'initial_interval':'2ms','jitter':0}}],"
         "'output':'${steps.a.output}'}"},
};

/* ---- executors ------------------------------------------------------------------------------------------- */

static void broken(void *user_data, orch_task *task)
{
    (void)user_data;
    load_say_start(task);
    orch_task_fail(task, ORCH_E_INTERNAL, 0, "as it should");
}

/* Each attempt says its number; the next one has that, or its own if it ran before the kill. */
static void beats(void *user_data, orch_task *task)
{
    long attempt = orch_task_attempt(task), last;
    const char *details = orch_task_heartbeat_details(task, NULL);
    char text[16];
    int n = snprintf(text, sizeof text, "%ld", attempt);

    (void)user_data;
    load_say_start(task);
    last = details ? strtol(details, NULL, 10) : 0;
    CHECK(last == attempt - 1 || last == attempt, "%s: attempt %ld has the details of %ld",
          orch_task_execution(task), attempt, last);
    CHECK(orch_task_heartbeat(task, text, (size_t)n, NULL) == 0, "heartbeat");
    if (attempt < 3)
        orch_task_fail(task, ORCH_E_UNAVAILABLE, 1, "not yet");
    else
        load_succeed(task);
}

static void define(orch_v2 *orch)
{
    load_executor(orch, "undo", load_add, NULL); /* the keys tell them apart */
    load_executor(orch, "broken", broken, NULL);
    load_executor(orch, "beats", beats, NULL);
}

/* ---- the verdict: what had to be done after a failure was done --------------------------------------------- */

typedef struct failed {
    UT_hash_handle hh;
    char id[LOAD_ID_ROOM];
    char undone;  /* of a saga the last step that was: 'b', then 'a' */
    bool handled; /* on_failure was started */
    const char *kind;
} failed;

static failed *failures;

static failed *failure_of(const char *id, size_t len)
{
    failed *f;

    HASH_FIND(hh, failures, id, len, f);
    if (f)
        return f;
    f = calloc(1, sizeof *f);
    CHECK(f && len < sizeof f->id, "memory");
    memcpy(f->id, id, len);
    HASH_ADD_KEYPTR(hh, failures, f->id, len, f);
    return f;
}

/* Compensations may be started again after a kill, until they are stored, but never out of order. */
static void note_undo(failed *f, const char *key, const char *place)
{
    char step = place[3];

    CHECK(!strncmp(place, "/1/", 3) && (step == 'a' || step == 'b'), "%s was never done", key);
    CHECK(f->undone || step == 'b', "%s was undone before what came after it", key);
    CHECK(f->undone != 'a' || step == 'a', "%s was undone after what came before it", key);
    f->undone = step;
}

static void line(orch_v2 *orch, const char *word, const char *key, long number)
{
    const char *place = strchr(key, '/');

    (void)orch;
    (void)number;
    if (!strcmp(word, "saga") || !strcmp(word, "handled"))
        failure_of(key, strlen(key))->kind = *word == 's' ? "saga" : "handled";
    else if (!strcmp(word, "start") && place && strstr(place, "/compensate"))
        note_undo(failure_of(key, (size_t)(place - key)), key, place);
    else if (!strcmp(word, "start") && place && !strcmp(place, "/1/on_failure"))
        failure_of(key, (size_t)(place - key))->handled = true;
}

static void over(orch_v2 *orch)
{
    (void)orch;
    for (failed *f = failures; f; f = f->hh.next) {
        if (!f->kind)
            continue; /* killed before it was known as accepted */
        CHECK(*f->kind != 's' || f->undone == 'a', "%s was not undone to its beginning", f->id);
        CHECK(*f->kind != 'h' || f->handled, "%s: its on_failure never started", f->id);
    }
}

const load_family load_failures = {
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof *kinds,
    .define = define,
    .line = line,
    .over = over,
};

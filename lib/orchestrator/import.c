/* Executions from elsewhere: ended, with all that was stored of them, in one unit. */
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define CLOCKS_DIFFER_MS 60000 /* of two machines, at most */

typedef struct import_job {
    unit_job job; /* first */
    import_request *request;
} import_job;

static void imported(unit_job *j)
{
    import_request *r = ((import_job *)j)->request;

    r->code = j->unit.result;
    mem_free(j);
    if (r->code == ORCH_E_RESOURCE_EXHAUSTED)
        error_set(&r->error, r->code, NULL, "the store is full");
    else if (r->code)
        error_set(&r->error, r->code, NULL, "the import could not be recorded: %s",
                  orch_code_name(r->code));
    r->done(r);
}

static int32_t check(const orchestrator *o, import_request *r)
{
    int64_t latest_ms = o->now_ms + CLOCKS_DIFFER_MS;

    if (o->stopping)
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, NULL,
                         "the orchestrator is stopped");
    if (o->fenced)
        return error_set(&r->error, ORCH_E_UNAVAILABLE, NULL,
                         "another orchestrator has taken the store over");
    if (execution_key_ms(r->row.key) > latest_ms || r->row.ended_ms > latest_ms)
        return error_set(&r->error, ORCH_E_FAILED_PRECONDITION, NULL,
                         "the execution is of a time that this machine's clock has not reached");
    return 0;
}

/* Keys that are still to be given must be free: they are of later times. */
static void give_later_keys(orchestrator *o, int64_t key_ms)
{
    if (key_ms < o->last_ms)
        return;
    o->last_ms = key_ms + 1;
    memset(o->sequences, 0, sizeof o->sequences);
}

void orchestrator_import(orchestrator *o, import_request *r)
{
    import_job *i;
    int32_t rc;

    look_at_clock(o);
    list_init(&r->link);
    rc = check(o, r);
    i = rc ? NULL : mem_zalloc(sizeof *i);
    if (!rc && !i)
        rc = error_no_memory(&r->error);
    if (rc) {
        r->code = rc;
        list_push(&o->answered_imports, &r->link);
        return;
    }
    give_later_keys(o, execution_key_ms(r->row.key));
    i->request = r;
    unit_init(&i->job, o, r->row.key, imported);
    i->job.unit.accept = &r->row;
    i->job.unit.past = &r->past;
    unit_submit(&i->job);
}

void imports_answer_all(orchestrator *o)
{
    list *node;

    while ((node = list_pop(&o->answered_imports))) {
        import_request *r = LIST_ENTRY(node, import_request, link);

        r->done(r);
    }
}

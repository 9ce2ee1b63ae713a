/* Control over all that a filter lets pass: a page at a time, whose controls are under way together and share commits. */
#include <string.h>

#include "api/api_impl.h"
#include "base/text.h"

#define BATCH 64

typedef struct bulk bulk;

typedef struct bulk_call {
    command command; /* first */
    control_request request;
    bulk *bulk;
} bulk_call;

struct bulk {
    orch_v2 *orch;
    control_request pattern; /* borrows its texts; without an id */
    orch_filter filter;      /* likewise */
    uint64_t done, refused;
    sem_t answered;
    bulk_call calls[BATCH];
};

/* ---- what is to be done ---------------------------------------------------------------------------------- */

static int32_t take_step(control_request *r, const char *argument, orch_error **err)
{
    int32_t rc = check_name(argument, "argument", err);

    r->step = text_lent(argument); /* until the call returns */
    return rc;
}

static int32_t take_priority(control_request *r, const char *argument, orch_error **err)
{
    int32_t rc = check_not_null(argument, "argument", err);

    if (rc)
        return rc;
    if (argument[0] < '0' || argument[0] > '9' || argument[1])
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "argument",
                         "argument is '%.60s'; it must be a priority, 0 to %d", argument,
                         PRIORITIES - 1);
    r->priority = (uint8_t)(argument[0] - '0');
    return 0;
}

static int32_t take_none(control_request *r, const char *argument, orch_error **err)
{
    (void)r;
    return argument
               ? error_set(err, ORCH_E_INVALID_ARGUMENT, "argument",
                           "argument is '%.60s'; this action has none: it must be NULL", argument)
               : 0;
}

static int32_t take_action(control_request *r, const char *action, const char *argument,
                           orch_error **err)
{
    static const struct {
        const char *name;
        enum control_action action;
        int32_t (*take)(control_request *r, const char *argument, orch_error **err);
    } actions[] = {
        {"cancel", CONTROL_CANCEL, take_none},
        {"terminate", CONTROL_TERMINATE, take_none},
        {"pause", CONTROL_PAUSE, take_none},
        {"resume", CONTROL_RESUME, take_none},
        {"retry", CONTROL_RETRY, take_none},
        {"rerun", CONTROL_RERUN, take_step},
        {"set_priority", CONTROL_PRIORITY, take_priority},
    };

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(action, actions[i].name) != 0)
            continue;
        r->action = (uint8_t)actions[i].action;
        return actions[i].take(r, argument, err);
    }
    return error_set(err, ORCH_E_INVALID_ARGUMENT, "action",
                     "action is '%.60s'; it must be cancel, terminate, pause, resume, retry, rerun "
                     "or set_priority",
                     action);
}

static int32_t check_filter(const orch_filter *f, orch_error **err)
{
    if (f && (f->everything || filter_narrows(f)))
        return 0;
    return error_set(err, ORCH_E_INVALID_ARGUMENT, "filter",
                     "the filter lets every execution pass; if that is meant, set its "
                     "\"everything\" to \"true\"");
}

/* ---- a page ---------------------------------------------------------------------------------------------- */

static void on_answer(control_request *r)
{
    sem_post(&LIST_ENTRY(r, bulk_call, request)->bulk->answered);
}

static void run_command(command *c, runtime *rt)
{
    orchestrator_control(runtime_orchestrator(rt), &((bulk_call *)c)->request);
}

static int32_t post(bulk *b, bulk_call *c, const char *id, orch_error **err)
{
    int32_t rc;

    c->bulk = b;
    c->command.run = run_command;
    c->request = b->pattern;
    c->request.done = on_answer;
    c->request.id = mem_strdup(id);
    if (!c->request.id)
        return error_no_memory(err);
    rc = runtime_post(b->orch->rt, &c->command, err);
    if (rc)
        mem_free(c->request.id);
    return rc;
}

/* Of that one execution, not of all. */
static bool is_refusal(int32_t code)
{
    return code == ORCH_E_FAILED_PRECONDITION || code == ORCH_E_NOT_FOUND;
}

/* The first that is not a refusal is the error. */
static int32_t count(bulk *b, bulk_call *c, orch_error **err)
{
    int32_t rc = c->request.code;

    mem_free(c->request.id);
    if (!rc)
        b->done++;
    else if (is_refusal(rc) && !runtime_is_stopped(b->orch->rt))
        b->refused++;
    else
        return pass_error(rc, c->request.error, err);
    orch_error_free(c->request.error);
    return 0;
}

static int32_t control_each(bulk *b, const orch_execution_list *page, orch_error **err)
{
    size_t posted = 0, wanted = orch_execution_list_count(page);
    int32_t rc = 0;

    while (!rc && posted < wanted) {
        rc = post(b, &b->calls[posted], orch_response_id(orch_execution_list_get(page, posted)),
                  err);
        posted += !rc;
    }
    for (size_t i = 0; i < posted; i++)
        while (sem_wait(&b->answered))
            ;
    for (size_t i = 0; i < posted; i++) {
        int32_t code = count(b, &b->calls[i], rc ? NULL : err);

        rc = rc ? rc : code;
    }
    return rc;
}

/* In the order of acceptance, so that what changes meanwhile is neither met twice nor passed over. */
static int32_t control_all(bulk *b, orch_error **err)
{
    bool more = true;
    int32_t rc = 0;

    while (!rc && more) {
        orch_execution_list *page = NULL;

        rc = orch_v2_list_executions(b->orch, &b->filter, &page, err);
        if (!rc)
            rc = control_each(b, page, err);
        more = orch_execution_list_next(page) != NULL;
        if (more)
            execution_id_parse(orch_execution_list_next(page), &b->filter.filter.after_key);
        orch_execution_list_free(page);
    }
    return rc;
}

static int32_t control_counted(bulk *b, orch_error **err)
{
    int32_t rc;

    orch_ref(b->orch);
    sem_init(&b->answered, 0, 0);
    rc = control_all(b, err);
    sem_destroy(&b->answered);
    orch_unref(b->orch);
    if (rc)
        error_prefix(err, "after %llu that were done and %llu that refused: ",
                     (unsigned long long)b->done, (unsigned long long)b->refused);
    return rc;
}

int32_t orch_v2_control_matching(orch_v2 *orch, const orch_filter *filter, const char *action,
                                 const char *argument, const orch_control *control,
                                 uint64_t *out_done, uint64_t *out_refused, orch_error **err)
{
    bulk *b;
    int32_t rc = check_running(orch, err);

    if (!rc)
        rc = check_filter(filter, err);
    if (!rc)
        rc = check_not_null(action, "action", err);
    if (!rc)
        rc = check_may_block(orch, err);
    if (rc)
        return rc;
    b = mem_zalloc(sizeof *b);
    if (!b)
        return error_no_memory(err);
    b->orch = orch;
    b->filter = *filter;
    b->filter.filter.limit = BATCH;
    b->filter.filter.payloads = b->filter.filter.ascending = false;
    b->filter.filter.after_key = 0;
    control_borrow(control, &b->pattern.who, &b->pattern.why);
    rc = take_action(&b->pattern, action, argument, err);
    if (!rc)
        rc = control_counted(b, err);
    if (!rc && out_done)
        *out_done = b->done;
    if (!rc && out_refused)
        *out_refused = b->refused;
    mem_free(b);
    return rc;
}

/* What was done to executions from outside. */
#include "api/api_impl.h"

#define PAGE_DEFAULT 10000
#define PAGE_MAX     100000

struct orch_controls {
    control_page page;
};

static int32_t check(const orch_v2 *o, const char *id, uint32_t limit, const void *out,
                     orch_error **err)
{
    int32_t rc = check_orch(o, err);

    if (!rc && id)
        rc = check_execution_id(id, err);
    if (!rc)
        rc = check_not_null(out, "out_controls", err);
    if (!rc)
        rc = check_limit(limit, PAGE_MAX, err);
    return rc ? rc : check_may_ask(o, err);
}

/* Of one that does not exist there would be nothing, as of one to which nothing was done. */
static int32_t find(orch_v2 *o, const char *id, uint64_t *out, orch_error **err)
{
    execution_row row = {0};
    int32_t rc = query_row(o, id, &row, err);

    *out = row.key;
    execution_row_clear(&row);
    return rc;
}

int32_t orch_v2_get_controls(orch_v2 *orch, const char *execution_id, uint64_t after_seq,
                             uint32_t limit, orch_controls **out_controls, orch_error **err)
{
    uint64_t key = 0;
    orch_controls *c;
    store *s;
    int32_t rc = check(orch, execution_id, limit, out_controls, err);

    if (!rc && execution_id)
        rc = find(orch, execution_id, &key, err);
    if (rc)
        return rc;
    c = mem_zalloc(sizeof *c);
    if (!c)
        return error_no_memory(err);
    s = runtime_store(orch->rt);
    rc = s->ops->load_controls(s->self, key, after_seq, limit ? limit : PAGE_DEFAULT, &c->page,
                               err);
    if (rc)
        orch_controls_free(c);
    else
        *out_controls = c;
    return rc;
}

void orch_controls_free(orch_controls *controls)
{
    if (!controls)
        return;
    control_page_clear(&controls->page);
    mem_free(controls);
}

size_t orch_controls_count(const orch_controls *controls)
{
    return controls ? controls->page.count : 0;
}

/* NULL beyond the end. */
static const control_row *entry(const orch_controls *controls, size_t i)
{
    return controls && i < controls->page.count ? &controls->page.rows[i] : NULL;
}

uint64_t orch_controls_seq(const orch_controls *controls, size_t i)
{
    const control_row *c = entry(controls, i);

    return c ? c->seq : 0;
}

int64_t orch_controls_at_ms(const orch_controls *controls, size_t i)
{
    const control_row *c = entry(controls, i);

    return c ? c->at_ms : 0;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

const char *orch_controls_action(const orch_controls *controls, size_t i)
{
    const control_row *c = entry(controls, i);

    return c ? or_empty(c->action) : "";
}

const char *orch_controls_who(const orch_controls *controls, size_t i)
{
    const control_row *c = entry(controls, i);

    return c ? or_empty(c->who) : "";
}

const char *orch_controls_why(const orch_controls *controls, size_t i)
{
    const control_row *c = entry(controls, i);

    return c ? or_empty(c->why) : "";
}

const char *orch_controls_detail(const orch_controls *controls, size_t i)
{
    const control_row *c = entry(controls, i);

    return c ? or_empty(c->detail) : "";
}

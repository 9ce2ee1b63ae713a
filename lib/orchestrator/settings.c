/* What holds for many executions: limits of keys, workflows that are paused. Durable, and in force once answered. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define LIMIT_PREFIX "limit/"
#define PAUSE_PREFIX "pause/"

typedef struct setting_job {
    unit_job job; /* first */
    setting_request *request;
    version_entry *version; /* that is deleted */
    setting_row row;
    control_row control;
} setting_job;

/* ---- paused workflows ------------------------------------------------------------------------------------ */

static paused_entry *find_paused(const orchestrator *o, const char *workflow)
{
    paused_entry *e;

    HASH_FIND_STR(o->paused, workflow, e);
    return e;
}

bool settings_paused(const orchestrator *o, const char *workflow)
{
    return o->all_paused || (o->paused && find_paused(o, workflow));
}

bool orchestrator_is_paused(const orchestrator *o, const char *workflow)
{
    return workflow ? settings_paused(o, workflow) : o->all_paused;
}

static int32_t add_paused(orchestrator *o, const char *workflow, orch_error **err)
{
    size_t len = strlen(workflow);
    paused_entry *e;

    if (find_paused(o, workflow))
        return 0;
    e = mem_zalloc(sizeof *e + len + 1);
    if (e) {
        memcpy(e->workflow, workflow, len + 1);
        HASH_ADD_STR(o->paused, workflow, e);
    }
    if (e && map_added(e->hh))
        return 0;
    mem_free(e);
    return error_no_memory(err);
}

static void remove_paused(orchestrator *o, paused_entry *e)
{
    if (!e)
        return;
    HASH_DEL(o->paused, e);
    mem_free(e);
}

void settings_free(orchestrator *o)
{
    paused_entry *e, *next;

    HASH_ITER(hh, o->paused, e, next)
    {
        remove_paused(o, e);
    }
}

/* `workflow` "": everything. What waits in the store is looked for again once it may run. */
static int32_t set_paused(orchestrator *o, const char *workflow, bool paused, orch_error **err)
{
    live *l, *next;
    int32_t rc = 0;

    if (!*workflow)
        o->all_paused = paused;
    else if (paused)
        rc = add_paused(o, workflow, err);
    else
        remove_paused(o, find_paused(o, workflow));
    if (rc)
        return rc;
    HASH_ITER(hh, o->lives, l, next)
    {
        if (!*workflow || !strcmp(workflow, l->version->workflow))
            live_tell_pause(l);
    }
    if (!paused)
        queue_overflow_any(o, 1);
    return 0;
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

static bytes *write_limit(const limit *l)
{
    char text[160];
    int len = snprintf(text, sizeof text,
                       "{\"burst\":%u,\"concurrency\":%u,\"per_ms\":%lld,\"rate\":%u}", l->burst,
                       l->concurrency, (long long)l->per_ms, l->rate);

    return bytes_new(text, (size_t)len);
}

static uint32_t number(const json_t *tree, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(tree, name));

    return n > 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static int32_t read_limit(orchestrator *o, const setting_row *row, orch_error **err)
{
    const char *key = row->name + strlen(LIMIT_PREFIX);
    json_t *tree = row->value ? json_loadb(row->value->data, row->value->len, 0, NULL) : NULL;
    limit l = {
        .concurrency = number(tree, "concurrency"),
        .rate = number(tree, "rate"),
        .per_ms = json_integer_value(json_object_get(tree, "per_ms")),
        .burst = number(tree, "burst"),
    };
    bool good = json_is_object(tree) && (!l.rate || l.per_ms > 0);

    json_decref(tree);
    if (!good)
        return error_set(err, ORCH_E_DATA_LOSS, key, "the limit of '%s' cannot be read", key);
    return limit_set(o, key, &l, err);
}

int32_t settings_load(orchestrator *o, orch_error **err)
{
    const store_ops *ops = o->ports.store.ops;
    setting_page page = {0};
    int32_t rc = ops->load_settings(o->ports.store.self, LIMIT_PREFIX, &page, err);

    for (size_t i = 0; !rc && i < page.count; i++)
        rc = read_limit(o, &page.rows[i], err);
    setting_page_clear(&page);
    if (!rc)
        rc = ops->load_settings(o->ports.store.self, PAUSE_PREFIX, &page, err);
    for (size_t i = 0; !rc && i < page.count; i++)
        rc = set_paused(o, page.rows[i].name + strlen(PAUSE_PREFIX), true, err);
    setting_page_clear(&page);
    return rc;
}

/* ---- requests -------------------------------------------------------------------------------------------- */

static void setting_done(unit_job *j)
{
    setting_job *s = (setting_job *)j;
    setting_request *r = s->request;
    orchestrator *o = j->o;
    int32_t code = j->unit.result;

    if (code)
        error_set(&r->error, code, s->row.name, "the setting could not be recorded: %s",
                  orch_code_name(code));
    else if (r->limit_key)
        code = limit_set(o, r->limit_key, &r->limit, &r->error);
    else if (r->version)
        s->version->deleted = true;
    else
        code = set_paused(o, r->workflow ? r->workflow : "", r->paused, &r->error);
    setting_row_clear(&s->row);
    mem_free(s);
    r->code = code;
    r->done(r);
}

static char *name_of(const setting_request *r)
{
    const char *prefix = r->limit_key ? LIMIT_PREFIX : PAUSE_PREFIX;
    const char *rest = r->limit_key ? r->limit_key : r->workflow ? r->workflow : "";
    size_t size = strlen(prefix) + strlen(rest) + 1;
    char *name;

    if (r->version)
        return orchestrator_deleted_name(r->workflow, r->version);
    name = mem_alloc(size);
    if (name)
        snprintf(name, size, "%s%s", prefix, rest);
    return name;
}

/* NULL deletes the setting: nothing is limited or paused any more. */
static bool make_value(const setting_request *r, bytes **out)
{
    bool holds = r->limit_key ? r->limit.concurrency || r->limit.rate : r->version || r->paused;

    *out = NULL;
    if (!holds)
        return true;
    *out = r->limit_key ? write_limit(&r->limit) : bytes_new("true", 4);
    return *out != NULL;
}

static const char *action_of(const setting_request *r)
{
    if (r->limit_key)
        return "set_limit";
    if (r->version)
        return "delete_workflow";
    return r->paused ? "pause" : "resume";
}

static int32_t submit(orchestrator *o, setting_request *r)
{
    version_entry *v = NULL;
    int32_t rc = r->version ? registry_find(o, r->workflow, r->version, &v, &r->error) : 0;
    setting_job *s;

    if (rc)
        return rc;
    s = mem_zalloc(sizeof *s);
    if (!s)
        return error_no_memory(&r->error);
    s->request = r;
    s->version = v;
    s->row.name = name_of(r);
    if (!s->row.name || !make_value(r, &s->row.value)) {
        setting_row_clear(&s->row);
        mem_free(s);
        return error_no_memory(&r->error);
    }
    s->control = control_record(o, action_of(r), r->who, r->why,
                                r->limit_key ? r->limit_key
                                : r->version ? s->row.name + strlen(DELETED_PREFIX)
                                             : r->workflow);
    unit_init(&s->job, o, 0, setting_done);
    s->job.unit.put_setting = &s->row;
    s->job.unit.control = &s->control;
    unit_submit(&s->job);
    return 0;
}

void orchestrator_set(orchestrator *o, setting_request *r)
{
    int32_t code;

    look_at_clock(o);
    list_init(&r->link);
    if (o->stopping)
        code = error_set(&r->error, ORCH_E_FAILED_PRECONDITION, NULL,
                         "the orchestrator is stopped");
    else
        code = submit(o, r);
    if (!code)
        return;
    r->code = code;
    list_push(&o->answered_settings, &r->link);
}

void settings_answer_all(orchestrator *o)
{
    list *node;

    while ((node = list_pop(&o->answered_settings))) {
        setting_request *r = LIST_ENTRY(node, setting_request, link);

        r->done(r);
    }
}

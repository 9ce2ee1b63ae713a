/* The workflow manager: which workflows and versions there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

/* One that is not stored yet may never be: another orchestrator that took the store may have given its key away. */
version_entry *registry_by_key(orchestrator *o, uint64_t key)
{
    version_entry *v;

    HASH_FIND(hh_key, o->by_key, &key, sizeof key, v);
    return v && v->stored ? v : NULL;
}

static workflow_entry *workflow_find(const orchestrator *o, const char *id)
{
    workflow_entry *w;

    HASH_FIND_STR(o->workflows, id, w);
    return w;
}

static workflow_entry *workflow_get(orchestrator *o, const char *id)
{
    workflow_entry *w = workflow_find(o, id);
    size_t len = strlen(id);

    if (w)
        return w;
    w = mem_zalloc(sizeof *w + len + 1);
    if (!w)
        return NULL;
    memcpy(w->id, id, len + 1);
    HASH_ADD_STR(o->workflows, id, w);
    if (!map_added(w->hh)) {
        mem_free(w);
        return NULL;
    }
    return w;
}

static void version_free(version_entry *v)
{
    list_remove(&v->unread);
    definition_unref(v->definition);
    mem_free(v->workflow);
    mem_free(v->version);
    mem_free(v);
}

static void version_remove(orchestrator *o, version_entry *v)
{
    workflow_entry *w = workflow_find(o, v->workflow);

    for (size_t i = 0; w && i < w->count; i++) {
        if (w->versions[i] != v)
            continue;
        memmove(&w->versions[i], &w->versions[i + 1], (--w->count - i) * sizeof(*w->versions));
        break;
    }
    if (map_added(v->hh_key))
        HASH_DELETE(hh_key, o->by_key, v);
    version_free(v);
}

/* Two workflows of the same text cannot be: the text names workflow and version. */
static bool version_index(orchestrator *o, version_entry *v)
{
    workflow_entry *w = workflow_get(o, v->workflow);
    version_entry **grown;
    size_t at;

    if (!w)
        return false;
    grown = mem_grow(w->versions, &w->capacity, w->count + 1, sizeof(*grown));
    if (!grown)
        return false;
    w->versions = grown;
    HASH_ADD(hh_key, o->by_key, key, sizeof v->key, v);
    if (!map_added(v->hh_key))
        return false;
    for (at = w->count; at > 0 && semver_compare(&w->versions[at - 1]->semver, &v->semver) > 0;
         at--)
        w->versions[at] = w->versions[at - 1];
    w->versions[at] = v;
    w->count++;
    return true;
}

static version_entry *version_new(orchestrator *o, uint64_t key, const char *workflow,
                                  const char *version, const digest *d, const semver *sv)
{
    version_entry *v = mem_zalloc(sizeof *v);

    if (!v)
        return NULL;
    v->key = key;
    v->digest = *d;
    v->semver = *sv;
    list_init(&v->registering);
    list_init(&v->needing);
    list_init(&v->starting);
    list_init(&v->unread);
    v->workflow = mem_strdup(workflow);
    v->version = mem_strdup(version);
    if (!v->workflow || !v->version) {
        version_free(v);
        return NULL;
    }
    if (!version_index(o, v)) {
        version_remove(o, v);
        return NULL;
    }
    return v;
}

char *orchestrator_deleted_name(const char *workflow, const char *version)
{
    size_t size = sizeof DELETED_PREFIX + strlen(workflow) + 1 + strlen(version);
    char *name = mem_alloc(size);

    if (name)
        snprintf(name, size, DELETED_PREFIX "%s %s", workflow, version);
    return name;
}

static version_entry *version_find(const orchestrator *o, const char *workflow, const char *version)
{
    workflow_entry *w = workflow_find(o, workflow);

    for (size_t i = 0; w && i < w->count; i++)
        if (!strcmp(w->versions[i]->version, version))
            return w->versions[i];
    return NULL;
}

static int32_t load_deleted(orchestrator *o, orch_error **err)
{
    setting_page page = {0};
    int32_t rc = o->ports.store.ops->load_settings(o->ports.store.self, DELETED_PREFIX, &page, err);

    for (size_t i = 0; !rc && i < page.count; i++) {
        char *workflow = page.rows[i].name + strlen(DELETED_PREFIX);
        char *space = strrchr(workflow, ' ');
        version_entry *v;

        if (!space)
            continue;
        *space = '\0';
        v = version_find(o, workflow, space + 1);
        if (v)
            v->deleted = true;
    }
    setting_page_clear(&page);
    return rc;
}

int32_t registry_load(orchestrator *o, orch_error **err)
{
    definition_page page = {0};
    int32_t rc = o->ports.store.ops->load_definitions(o->ports.store.self, 0, false, &page, err);

    for (size_t i = 0; !rc && i < page.count; i++) {
        definition_row *row = &page.rows[i];
        version_entry *v = NULL;
        semver sv;
        digest d;

        memcpy(&d, row->digest, sizeof d);
        rc = semver_parse(row->version, &sv, err);
        if (rc) {
            error_prefix(err, "workflow '%s' in the store: ", row->workflow);
            break;
        }
        v = version_new(o, row->key, row->workflow, row->version, &d, &sv);
        if (!v)
            rc = error_no_memory(err);
        else
            v->stored = true;
    }
    definition_page_clear(&page);
    return rc ? rc : load_deleted(o, err);
}

void registry_free(orchestrator *o)
{
    workflow_entry *w, *next;

    HASH_CLEAR(hh_key, o->by_key);
    HASH_ITER(hh, o->workflows, w, next)
    {
        HASH_DEL(o->workflows, w);
        for (size_t i = 0; i < w->count; i++)
            version_free(w->versions[i]);
        mem_free(w->versions);
        mem_free(w);
    }
}

static bool is_listed(const version_entry *v)
{
    return v->stored && !v->deleted;
}

int32_t registry_find(orchestrator *o, const char *workflow, const char *version,
                      version_entry **out, orch_error **err)
{
    version_entry *v = version_find(o, workflow, version);

    if (!v || !is_listed(v))
        return error_set(err, ORCH_E_NOT_FOUND, workflow, "no workflow '%s' %s is registered",
                         workflow, version);
    *out = v;
    return 0;
}

static int32_t none_found(const workflow_entry *w, const char *workflow, orch_error **err)
{
    for (size_t i = w ? w->count : 0; i-- > 0;)
        if (is_listed(w->versions[i]))
            return error_set(err, ORCH_E_NOT_FOUND, workflow,
                             "workflow '%s' has no version in the wanted range; its newest is %s",
                             workflow, w->versions[i]->version);
    return error_set(err, ORCH_E_NOT_FOUND, workflow, "no workflow '%s' is registered", workflow);
}

/* Pre-releases are taken where nothing else is there, or the range asks for them. */
int32_t registry_resolve(orchestrator *o, const char *workflow, const semver_range *range,
                         version_entry **out, orch_error **err)
{
    workflow_entry *w = workflow_find(o, workflow);
    version_entry *found = NULL;

    for (size_t i = w ? w->count : 0; i-- > 0;) {
        version_entry *v = w->versions[i];

        if (!is_listed(v) || (range && !semver_range_has(range, &v->semver)))
            continue;
        if (!found)
            found = v;
        if (range || !v->semver.pre[0]) {
            found = v;
            break;
        }
    }
    if (!found)
        return none_found(w, workflow, err);
    *out = found;
    return 0;
}

/* ---- registration ---------------------------------------------------------------------------------------- */

typedef struct register_job {
    unit_job job; /* first */
    definition_row row;
    version_entry *version;
} register_job;

static void answer_registering(orchestrator *o, version_entry *v, int32_t code)
{
    list *node;

    while ((node = list_pop(&v->registering))) {
        register_request *r = LIST_ENTRY(node, register_request, link);

        r->code = code;
        if (code)
            error_set(&r->error, code, v->workflow, "workflow '%s' %s could not be stored: %s",
                      v->workflow, v->version, orch_code_name(code));
        r->done(r);
    }
    (void)o;
}

static void register_done(unit_job *j)
{
    register_job *rj = (register_job *)j;
    orchestrator *o = j->o;
    version_entry *v = rj->version;
    int32_t code = j->unit.result;

    definition_row_clear(&rj->row);
    mem_free(rj);
    v->stored = code == 0;
    answer_registering(o, v, code);
    if (code)
        version_remove(o, v);
}

static bool row_fill(definition_row *row, const register_request *r, uint64_t key, int64_t now_ms)
{
    const definition *d = r->definition;

    row->key = key;
    row->workflow = mem_strdup(d->id);
    row->version = mem_strdup(d->version);
    memcpy(row->digest, &d->digest, sizeof row->digest);
    row->text = bytes_ref(d->text);
    row->metadata = bytes_ref(r->metadata);
    row->registered_ms = now_ms;
    return row->workflow && row->version;
}

static int32_t register_new(orchestrator *o, register_request *r)
{
    const definition *d = r->definition;
    register_job *rj = mem_zalloc(sizeof *rj);
    version_entry *v;

    if (!rj)
        return error_no_memory(&r->error);
    v = row_fill(&rj->row, r, o->last_definition + 1, o->now_ms)
            ? version_new(o, rj->row.key, d->id, d->version, &d->digest, &d->semver)
            : NULL;
    if (!v) {
        definition_row_clear(&rj->row);
        mem_free(rj);
        return error_no_memory(&r->error);
    }
    o->last_definition++;
    v->definition = definition_ref(r->definition);
    list_push(&v->registering, &r->link);
    unit_init(&rj->job, o, 0, register_done);
    rj->job.unit.definition = &rj->row;
    rj->version = v;
    unit_submit(&rj->job);
    return 0;
}

/* 1: the same is there; 0: it is new; else why not. */
static int32_t compare_with_stored(orchestrator *o, register_request *r, version_entry **out)
{
    const definition *d = r->definition;
    workflow_entry *w = workflow_find(o, d->id);
    version_entry *newest = NULL;

    for (size_t i = 0; w && i < w->count; i++) {
        version_entry *v = w->versions[i];

        if (!v->deleted)
            newest = v;
        if (semver_compare(&v->semver, &d->semver) != 0)
            continue;
        if (memcmp(&v->digest, &d->digest, sizeof d->digest) != 0)
            return error_set(&r->error, ORCH_E_ALREADY_EXISTS, d->id,
                             "workflow '%s' %s %s with another definition; a registered version "
                             "never changes",
                             d->id, v->version,
                             v->deleted ? "was registered, and deleted," : "is registered already");
        *out = v;
        return 1;
    }
    if (newest && semver_compare(&newest->semver, &d->semver) > 0)
        return error_set(
            &r->error, ORCH_E_FAILED_PRECONDITION, d->id,
            "workflow '%s': version %s is not newer than %s, the newest one registered", d->id,
            d->version, newest->version);
    return 0;
}

typedef struct revive_job {
    unit_job job; /* first */
    setting_row row;
    version_entry *version;
} revive_job;

static void revived(unit_job *j)
{
    revive_job *rj = (revive_job *)j;
    version_entry *v = rj->version;
    int32_t code = j->unit.result;
    orchestrator *o = j->o;

    setting_row_clear(&rj->row);
    mem_free(rj);
    if (!code)
        v->deleted = false;
    answer_registering(o, v, code);
}

/* What was deleted is registered again, as it was. */
static int32_t revive(orchestrator *o, version_entry *v, register_request *r)
{
    bool on_its_way = !list_empty(&v->registering);
    revive_job *rj = on_its_way ? NULL : mem_zalloc(sizeof *rj);

    if (rj)
        rj->row.name = orchestrator_deleted_name(v->workflow, v->version);
    if (!on_its_way && (!rj || !rj->row.name)) {
        mem_free(rj);
        return error_no_memory(&r->error);
    }
    list_push(&v->registering, &r->link);
    if (on_its_way)
        return 0;
    rj->version = v;
    unit_init(&rj->job, o, 0, revived);
    rj->job.unit.put_setting = &rj->row;
    unit_submit(&rj->job);
    return 0;
}

void orchestrator_register(orchestrator *o, register_request *r)
{
    version_entry *v = NULL;
    int32_t rc;

    look_at_clock(o);
    list_init(&r->link);
    if (o->stopping)
        rc = error_set(&r->error, ORCH_E_FAILED_PRECONDITION, NULL, "the orchestrator is stopped");
    else
        rc = compare_with_stored(o, r, &v);
    if (rc == 1 && !v->stored) {
        list_push(&v->registering, &r->link); /* somebody else's is on its way */
        return;
    }
    if (rc == 1) {
        if (!v->definition)
            v->definition = definition_ref(r->definition);
        rc = v->deleted ? revive(o, v, r) : 0;
        if (!rc && v->deleted)
            return;
    } else if (rc == 0) {
        rc = register_new(o, r);
        if (!rc)
            return;
    }
    r->code = rc;
    list_push(&o->answered_registers, &r->link);
}

void registry_answer_all(orchestrator *o)
{
    list *node;

    while ((node = list_pop(&o->answered_registers))) {
        register_request *r = LIST_ENTRY(node, register_request, link);

        r->done(r);
    }
}

#include "service/dependents.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "service/listed.h"
#include "workflow/semver.h"

typedef struct question {
    const char *workflow, *version;
    bool strict;
} question;

/* A range with an expression in it is not known before it runs. */
static bool still_holds(const char *text, const char *version)
{
    semver_range *range = NULL;
    semver v;
    bool holds = !text || (!semver_range_parse(text, &range, NULL) &&
                           !semver_parse(version, &v, NULL) && semver_range_has(range, &v));

    semver_range_free(range);
    return holds;
}

/* Whether `is` holds of a call of that workflow in the definition; it is told the call's version range, NULL if it has none. */
static bool calls(const definition_row *row, const char *workflow,
                  bool (*is)(const char *range, const void *arg), const void *arg)
{
    json_t *d = json_loadb(row->text->data, row->text->len, 0, NULL), *step;
    bool found = false;
    size_t i;

    json_array_foreach(json_object_get(d, "steps"), i, step)
    {
        const json_t *with = json_object_get(step, "with");
        const char *executor = json_string_value(json_object_get(step, "executor"));
        const char *called = json_string_value(json_object_get(with, "workflow"));

        if (executor && !strcmp(executor, "workflow") && called && !strcmp(called, workflow))
            found |= is(json_string_value(json_object_get(with, "version")), arg);
    }
    json_decref(d);
    return found;
}

static bool objects(const char *range, const void *arg)
{
    const question *q = arg;

    return q->strict || !still_holds(range, q->version);
}

static bool is_newer(const definition_row *a, const definition_row *b)
{
    semver x, y;

    return !semver_parse(a->version, &x, NULL) && !semver_parse(b->version, &y, NULL) &&
           semver_compare(&x, &y) > 0;
}

static bool is_newest(const definition_page *p, const definition_row *row)
{
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->rows[i].workflow, row->workflow) && is_newer(&p->rows[i], row))
            return false;
    return true;
}

int32_t dependents_check(store *s, const char *workflow, const char *version, bool strict,
                         orch_error **err)
{
    const question q = {workflow, version, strict};
    definition_page p = {0};
    bool known = false;
    int32_t rc = listed_load(s, true, &p, err);

    for (size_t i = 0; i < p.count && !rc; i++) {
        const definition_row *row = &p.rows[i];

        if (!strcmp(row->workflow, workflow))
            known = true;
        else if (version && calls(row, workflow, objects, &q) && is_newest(&p, row))
            rc = error_set(err, ORCH_E_FAILED_PRECONDITION, row->workflow,
                           "workflow '%s' %s calls '%s'%s", row->workflow, row->version, workflow,
                           strict ? "; the policy COMPATIBLE looks at its version range"
                                  : " with a version range that does not have the new one");
    }
    definition_page_clear(&p);
    if (!rc && !known)
        rc = error_set(err, ORCH_E_NOT_FOUND, workflow, "there is no workflow '%s' to be updated",
                       workflow);
    return rc;
}

/* ---- deleting -------------------------------------------------------------------------------------------- */

typedef struct leaving {
    const definition_page *page;
    const char *workflow, *version;
} leaving;

/* The range has the version that leaves, and none that stays. */
static bool needs(const char *range, const void *arg)
{
    const leaving *l = arg;

    if (!still_holds(range, l->version))
        return false;
    for (size_t i = 0; i < l->page->count; i++) {
        const definition_row *row = &l->page->rows[i];

        if (!strcmp(row->workflow, l->workflow) && strcmp(row->version, l->version) != 0 &&
            still_holds(range, row->version))
            return false;
    }
    return true;
}

int32_t dependents_check_delete(store *s, const char *workflow, const char *version,
                                orch_error **err)
{
    definition_page p = {0};
    const leaving l = {&p, workflow, version};
    int32_t rc = listed_load(s, true, &p, err);

    for (size_t i = 0; i < p.count && !rc; i++) {
        const definition_row *row = &p.rows[i];

        if (strcmp(row->workflow, workflow) != 0 && is_newest(&p, row) &&
            calls(row, workflow, needs, &l))
            rc = error_set(err, ORCH_E_FAILED_PRECONDITION, row->workflow,
                           "workflow '%s' %s calls '%s', and has no other version than %s of it",
                           row->workflow, row->version, workflow, version);
    }
    definition_page_clear(&p);
    return rc;
}

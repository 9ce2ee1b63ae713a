#include "service/dependents.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"
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

/* Whether the definition stands against it. */
static bool objects(const definition_row *row, const question *q)
{
    json_t *d = json_loadb(row->text->data, row->text->len, 0, NULL), *step;
    bool found = false;
    size_t i;

    json_array_foreach(json_object_get(d, "steps"), i, step)
    {
        const json_t *with = json_object_get(step, "with");
        const char *executor = json_string_value(json_object_get(step, "executor"));
        const char *called = json_string_value(json_object_get(with, "workflow"));

        if (!executor || strcmp(executor, "workflow") != 0 || !called ||
            strcmp(called, q->workflow) != 0)
            continue;
        if (q->strict ||
            !still_holds(json_string_value(json_object_get(with, "version")), q->version))
            found = true;
    }
    json_decref(d);
    return found;
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
    int32_t rc = s->ops->load_definitions(s->self, 0, true, &p, err);

    for (size_t i = 0; i < p.count && !rc; i++) {
        const definition_row *row = &p.rows[i];

        if (!strcmp(row->workflow, workflow))
            known = true;
        else if (version && objects(row, &q) && is_newest(&p, row))
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

#include "service/listed.h"

#include <string.h>

#include "orchestrator/orchestrator.h"

static bool is_of(const setting_row *deleted, const definition_row *row)
{
    const char *name = deleted->name + strlen(DELETED_PREFIX);
    size_t len = strlen(row->workflow);

    return !strncmp(name, row->workflow, len) && name[len] == ' ' &&
           !strcmp(name + len + 1, row->version);
}

static bool is_deleted(const definition_row *row, const setting_page *deleted)
{
    for (size_t i = 0; i < deleted->count; i++)
        if (is_of(&deleted->rows[i], row))
            return true;
    return false;
}

/* The rows of those are cleared, the others keep their order. */
static void leave_out(definition_page *p, const setting_page *deleted)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        definition_row row = p->rows[i];

        if (is_deleted(&row, deleted))
            definition_row_clear(&row);
        else
            p->rows[kept++] = row;
    }
    p->count = kept;
}

int32_t listed_load(store *s, bool with_texts, definition_page *out, orch_error **err)
{
    setting_page deleted = {0};
    int32_t rc = s->ops->load_definitions(s->self, 0, with_texts, out, err);

    if (!rc)
        rc = s->ops->load_settings(s->self, DELETED_PREFIX, &deleted, err);
    if (!rc && deleted.count)
        leave_out(out, &deleted);
    setting_page_clear(&deleted);
    return rc;
}

#include "service/listed.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "orchestrator/orchestrator.h"

static bool is_deleted(const definition_row *row, const setting_page *deleted, bool *failed)
{
    char *name = orchestrator_deleted_name(row->workflow, row->version);
    bool is = false;

    *failed |= !name;
    for (size_t i = 0; name && i < deleted->count && !is; i++)
        is = !strcmp(deleted->rows[i].name, name);
    mem_free(name);
    return is;
}

/* The rows of those are cleared, the others keep their order. */
static bool leave_out(definition_page *p, const setting_page *deleted)
{
    size_t kept = 0;
    bool failed = false;

    for (size_t i = 0; i < p->count; i++) {
        definition_row row = p->rows[i];

        if (is_deleted(&row, deleted, &failed)) {
            definition_row_clear(&row);
            continue;
        }
        p->rows[kept++] = row;
    }
    p->count = kept;
    return !failed;
}

int32_t listed_load(store *s, bool with_texts, definition_page *out, orch_error **err)
{
    setting_page deleted = {0};
    int32_t rc = s->ops->load_definitions(s->self, 0, with_texts, out, err);

    if (!rc)
        rc = s->ops->load_settings(s->self, DELETED_PREFIX, &deleted, err);
    if (!rc && deleted.count && !leave_out(out, &deleted))
        rc = error_no_memory(err);
    setting_page_clear(&deleted);
    return rc;
}

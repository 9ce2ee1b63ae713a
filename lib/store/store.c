#include "store/store.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/memory/memory.h"

void definition_row_clear(definition_row *row)
{
    mem_free(row->workflow);
    mem_free(row->version);
    bytes_unref(row->text);
    bytes_unref(row->metadata);
    memset(row, 0, sizeof *row);
}

void execution_row_clear(execution_row *row)
{
    mem_free(row->id);
    bytes_unref(row->input);
    bytes_unref(row->output);
    bytes_unref(row->error);
    memset(row, 0, sizeof *row);
}

void inbox_item_clear(inbox_item *item)
{
    bytes_unref(item->payload);
    memset(item, 0, sizeof *item);
}

void execution_page_clear(execution_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        execution_row_clear(&p->rows[i]);
    mem_free(p->rows);
    memset(p, 0, sizeof *p);
}

void checkpoint_page_clear(checkpoint_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        checkpoint_clear(&p->rows[i]);
    mem_free(p->rows);
    memset(p, 0, sizeof *p);
}

void inbox_page_clear(inbox_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        inbox_item_clear(&p->rows[i]);
    mem_free(p->rows);
    memset(p, 0, sizeof *p);
}

void definition_page_clear(definition_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        definition_row_clear(&p->rows[i]);
    mem_free(p->rows);
    memset(p, 0, sizeof *p);
}

int32_t store_open(const store_options *o, store *out, orch_error **err)
{
    const char *url = o->url ? o->url : "";

    if (!strcmp(url, "memory:"))
        return memory_store_open(o, out, err);
    return error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                     "STORE_URL '%s' is not known; allowed are memory: and sqlite:PATH", url);
}

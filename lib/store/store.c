#include "store/store.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/memory/memory.h"
#include "store/sqlite/sqlite.h"
#include "store/url_impl.h"

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
    mem_free(row->limit_key);
    mem_free(row->affinity);
    bytes_unref(row->attributes);
    bytes_unref(row->input);
    bytes_unref(row->output);
    bytes_unref(row->error);
    memset(row, 0, sizeof *row);
}

void inbox_item_clear(inbox_item *item)
{
    mem_free(item->name);
    bytes_unref(item->correlation);
    bytes_unref(item->payload);
    memset(item, 0, sizeof *item);
}

void control_row_clear(control_row *row)
{
    mem_free(row->action);
    mem_free(row->who);
    mem_free(row->why);
    mem_free(row->detail);
    memset(row, 0, sizeof *row);
}

void run_row_clear(run_row *row)
{
    bytes_unref(row->output);
    bytes_unref(row->error);
    memset(row, 0, sizeof *row);
}

void setting_row_clear(setting_row *row)
{
    mem_free(row->name);
    bytes_unref(row->value);
    memset(row, 0, sizeof *row);
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

void control_page_clear(control_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        control_row_clear(&p->rows[i]);
    mem_free(p->rows);
    memset(p, 0, sizeof *p);
}

void run_page_clear(run_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        run_row_clear(&p->rows[i]);
    mem_free(p->rows);
    memset(p, 0, sizeof *p);
}

void setting_page_clear(setting_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        setting_row_clear(&p->rows[i]);
    mem_free(p->rows);
    memset(p, 0, sizeof *p);
}

static int32_t parse_sync(const char *word, enum store_sync *out, orch_error **err)
{
    static const char *const words[] = {"off", "normal", "full"};

    for (int i = 0; i <= STORE_SYNC_FULL; i++) {
        if (!strcmp(word, words[i])) {
            *out = (enum store_sync)i;
            return 0;
        }
    }
    return error_set(err, ORCH_E_INVALID_ARGUMENT, "synchronous",
                     "synchronous is '%s'; allowed are full, normal and off", word);
}

static int32_t check_path(const char *path, orch_error **err)
{
    if (!*path)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                         "STORE_URL sqlite: has no path; write sqlite:PATH");
    if (!strcmp(path, ":memory:"))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                         "STORE_URL sqlite::memory: is not a file; for a store in memory write "
                         "memory:");
    if (path[0] == '/' && path[1] == '/' && path[2] != '/')
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                         "STORE_URL sqlite:%s names a host; write sqlite:/absolute/path or "
                         "sqlite:relative/path",
                         path);
    return 0;
}

static int32_t open_sqlite(const store_options *o, const store_url *url, store *out,
                           orch_error **err)
{
    sqlite_options options = {.path = url->path,
                              .sync = STORE_SYNC_FULL,
                              .wake = o->wake,
                              .wake_ctx = o->wake_ctx,
                              .log = o->log};
    int32_t rc = check_path(url->path, err);

    for (int i = 0; i < url->param_count && rc == 0; i++) {
        if (!strcmp(url->params[i].name, "synchronous"))
            rc = parse_sync(url->params[i].value, &options.sync, err);
        else if (!strcmp(url->params[i].name, "vfs"))
            options.vfs = url->params[i].value;
        else
            rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                           "STORE_URL has an option '%s'; allowed are synchronous and vfs",
                           url->params[i].name);
    }
    if (rc == 0 && o->synchronous)
        rc = parse_sync(o->synchronous, &options.sync, err);
    return rc == 0 ? sqlite_store_open(&options, out, err) : rc;
}

int32_t store_open(const store_options *o, store *out, orch_error **err)
{
    store_url url;
    int32_t rc;

    if (!o->url || !*o->url)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                         "STORE_URL is not set: it decides what survives; allowed are memory: and "
                         "sqlite:PATH");
    rc = store_url_parse(o->url, &url, err);
    if (rc != 0)
        return rc;
    if (!strcmp(url.scheme, "sqlite"))
        rc = open_sqlite(o, &url, out, err);
    else if (strcmp(url.scheme, "memory") != 0)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                       "STORE_URL has the scheme '%s'; allowed are memory: and sqlite:PATH",
                       url.scheme);
    else if (*url.path || url.param_count)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, "STORE_URL",
                       "STORE_URL memory: takes neither path nor options");
    else
        rc = memory_store_open(o, out, err);
    store_url_clear(&url);
    return rc;
}

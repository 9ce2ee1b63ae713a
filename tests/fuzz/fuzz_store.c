/* Store files with bytes that are other ones: patches of four bytes (which page, where in it, the new byte; page numbers and places
 * wrap). Whatever they did, each call answers, and the file is closed in good order. */
#include <orch/orch.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

#define FOLDER_ROOM 64
#define PAGE        4096

static char folder[FOLDER_ROOM], path[FOLDER_ROOM + 16], url[FOLDER_ROOM + 24];
static uint8_t *image;
static size_t image_size;

static void clean(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock", "-journal"};
    char file[sizeof path + 16];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
}

static void leave(void)
{
    clean();
    rmdir(folder);
}

static orch_v2 *open_store(orch_error **err)
{
    orch_config *config = orch_config_new();
    orch_v2 *orch;

    HOLDS(config && orch_config_set(config, "STORE_URL", url, NULL) == 0);
    HOLDS(orch_config_set(config, "STORE_SYNCHRONOUS", "off", NULL) == 0);
    orch = orch_v2_new(config, err);
    orch_config_free(config);
    return orch;
}

/* Its last handle takes the WAL into the file. */
static void close_store(orch_v2 *orch)
{
    orch_v2_stop(orch, 5000, NULL);
    orch_v2_free(orch);
}

static void fill(orch_v2 *orch)
{
    static const char text[] =
        "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":["
        "{\"id\":\"a\",\"executor\":\"lua\",\"with\":{\"code\":\"return {1,2}\"}},"
        "{\"id\":\"e\",\"executor\":\"lua\",\"depends_on\":[\"a\"],\"for_each\":\"${steps.a.output}\","
        "\"with\":{\"code\":\"return item\"}}],\"output\":\"${steps.e.output}\"}";
    static const char waits[] =
        "{\"id\":\"s\",\"version\":\"1.0.0\",\"steps\":["
        "{\"id\":\"w\",\"executor\":\"wait\",\"with\":{\"signal\":\"go\"}}]}";
    orch_start_options *o = orch_start_options_new();
    orch_response *r = NULL;

    HOLDS(o && orch_v2_register_definition(orch, text, strlen(text), NULL) == 0);
    HOLDS(orch_v2_register_definition(orch, waits, strlen(waits), NULL) == 0);
    HOLDS(orch_start_options_set_id(o, "done") == 0);
    HOLDS(orch_start_options_set_start_key(o, "key", ORCH_START_KEY_RETURN, 0) == 0);
    HOLDS(orch_start_options_set_attributes(o, "{\"k\":1}", 7, NULL) == 0);
    HOLDS(orch_v2_execute_workflow(orch, "w", "{\"n\":1}", 7, o, &r, NULL) == 0);
    HOLDS(orch_response_state(r) == ORCH_EXECUTION_SUCCEEDED);
    orch_response_free(r);
    orch_start_options_free(o);
    HOLDS(orch_v2_start_workflow(orch, "s", NULL, 0, NULL, NULL, NULL) == 0);
    HOLDS(orch_v2_pause_workflow(orch, "s", NULL, NULL) == 0);
}

static void prepare(void)
{
    FILE *f;
    orch_v2 *orch;

    snprintf(folder, sizeof folder, "%s", "/tmp/orch-fuzz-XXXXXX");
    HOLDS(mkdtemp(folder));
    atexit(leave);
    snprintf(path, sizeof path, "%s/f.db", folder);
    snprintf(url, sizeof url, "sqlite:%s", path);
    orch = open_store(NULL);
    HOLDS(orch);
    fill(orch);
    close_store(orch);
    f = fopen(path, "rb");
    HOLDS(f && fseek(f, 0, SEEK_END) == 0);
    image_size = (size_t)ftell(f);
    image = malloc(image_size);
    rewind(f);
    HOLDS(image && fread(image, 1, image_size, f) == image_size);
    fclose(f);
}

static void write_patched(const uint8_t *data, size_t size)
{
    uint8_t *other = malloc(image_size);
    FILE *f = fopen(path, "wb");

    HOLDS(other && f);
    memcpy(other, image, image_size);
    for (size_t at = 0; at + 4 <= size && at < 64; at += 4) {
        size_t page = data[at] % (image_size / PAGE),
               place = (data[at + 1] << 8 | data[at + 2]) % PAGE;

        other[page * PAGE + place] = data[at + 3];
    }
    HOLDS(fwrite(other, 1, image_size, f) == image_size);
    HOLDS(fclose(f) == 0);
    free(other);
}

static void look(orch_v2 *orch)
{
    orch_filter *filter = orch_filter_new();
    orch_execution_list *list = NULL;
    orch_error *error = NULL;

    HOLDS(filter && orch_filter_set(filter, "payloads", "true", NULL) == 0);
    if (orch_v2_list_executions(orch, filter, &list, &error))
        HOLDS(error);
    for (size_t i = 0; list && i < orch_execution_list_count(list); i++) {
        const orch_response *r = orch_execution_list_get(list, i);
        orch_history *h = NULL;

        orch_error_free(error);
        error = NULL;
        if (orch_v2_get_history(orch, orch_response_id(r), 0, 100, &h, &error))
            HOLDS(error);
        orch_history_free(h);
    }
    orch_error_free(error);
    orch_execution_list_free(list);
    orch_filter_free(filter);
    orch_v2_signal(orch, "done", "go", NULL, 0, NULL, NULL, NULL);
    orch_v2_get_workflow_paused(orch, "s", &(int32_t){0}, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    orch_error *error = NULL;
    orch_v2 *orch;

    if (!image)
        prepare();
    clean();
    write_patched(data, size);
    orch = open_store(&error);
    HOLDS((orch != NULL) == (error == NULL));
    orch_error_free(error);
    if (orch) {
        look(orch);
        close_store(orch);
    }
    return 0;
}

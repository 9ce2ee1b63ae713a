/* The crash test's load: payloads too large for a row, a codec for all of them, and copies of histories in another store. */
#include "support/crash_load.h"

#include <string.h>

#define LARGE 30000

static void large_prepare(orch_start_options *o, long n, char *input)
{
    int head = snprintf(input, LOAD_INPUT_ROOM, "{\"n\":%ld,\"pad\":\"", n);

    (void)o;
    memset(input + head, 'p', LARGE);
    strcpy(input + head + LARGE, "\"}");
}

/* It has each byte that went in and out. */
static const load_kind kinds[] = {
    {.name = "large",
     .end = ORCH_EXECUTION_SUCCEEDED,
     .factor = 1,
     .plus = 2 * LARGE,
     .prepare = large_prepare,
     .definition = "{'id':'large','version':'1.0.0','steps':["
                   "{'id':'a','executor':'big','with':{'to':'${input.n}'}},"
                   "{'id':'b','executor':'lua','depends_on':['a'],"
                   "'with':{'code':'return #steps.a.output + #input.pad'}}],"
                   "'output':'${steps.b.output}'}"},
};

static void big(void *user_data, orch_task *task)
{
    long n = load_number_after(orch_task_input(task, NULL), "\"to\":");
    size_t len = (size_t)(LARGE + n);
    char *text = malloc(len + 2);

    (void)user_data;
    load_say_start(task);
    CHECK(text, "memory");
    memset(text, 'q', len + 2);
    text[0] = text[len + 1] = '"';
    CHECK(orch_task_complete(task, text, len + 2, NULL) == ORCH_OK, "complete");
    free(text);
}

static void define(orch_v2 *orch)
{
    load_executor(orch, "big", big, NULL);
}

/* ---- the codec: other bytes, one more of them --------------------------------------------------------------- */

static int32_t code(const unsigned char *from, size_t len, bool encode, void **out_data,
                    size_t *out_len)
{
    unsigned char *to;

    if (!encode && (len < 2 || from[0] != 0xc0))
        return ORCH_E_DATA_LOSS;
    to = malloc(len + 1);
    if (!to)
        return ORCH_E_RESOURCE_EXHAUSTED;
    if (encode)
        to[0] = 0xc0;
    for (size_t i = 0; i + !encode < len; i++)
        to[i + encode] = from[i + !encode] ^ 0x5a;
    *out_data = to;
    *out_len = encode ? len + 1 : len - 1;
    return 0;
}

static int32_t encode(void *user_data, const void *plain, size_t len, void **out_data,
                      size_t *out_len)
{
    (void)user_data;
    return code(plain, len, true, out_data, out_len);
}

static int32_t decode(void *user_data, const void *encoded, size_t len, void **out_data,
                      size_t *out_len)
{
    (void)user_data;
    return code(encoded, len, false, out_data, out_len);
}

static void release(void *user_data, void *data)
{
    (void)user_data;
    free(data);
}

static const orch_codec codec = {
    .size = sizeof codec,
    .name = "crash",
    .encode = encode,
    .decode = decode,
    .release = release,
};

orch_v2 *load_open(const char *file, const char *setting, const char *value)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    orch_v2 *orch;
    char url[8192];

    snprintf(url, sizeof url, "sqlite:%s/%s", load_dir(), file);
    CHECK(orch_config_set(config, "STORE_URL", url, &error) == 0, "%s", orch_error_message(error));
    CHECK(orch_config_set(config, "TASK_THREADS", "6", &error) == 0, "%s",
          orch_error_message(error)); /* more than a limit allows */
    if (setting)
        CHECK(orch_config_set(config, setting, value, &error) == 0, "%s",
              orch_error_message(error));
    CHECK(orch_config_set_codec(config, &codec, NULL, NULL, &error) == 0, "%s",
          orch_error_message(error));
    orch = orch_v2_new(config, &error);
    CHECK(orch, "%s", orch_error_message(error));
    orch_config_free(config);
    return orch;
}

/* ---- copies ---------------------------------------------------------------------------------------------- */

typedef struct text {
    char *data;
    size_t len, room;
} text;

static int32_t append(void *user_data, const char *data, size_t len)
{
    text *t = user_data;

    if (t->len + len > t->room) {
        t->room = 2 * (t->len + len);
        t->data = realloc(t->data, t->room);
        CHECK(t->data, "memory");
    }
    memcpy(t->data + t->len, data, len);
    t->len += len;
    return 0;
}

static orch_v2 *copies;

static void copy(orch_v2 *orch, const orch_response *r)
{
    text t = {0};
    orch_error *error = NULL;
    const char *id = orch_response_id(r);
    int32_t rc;

    CHECK(orch_v2_export_execution(orch, id, append, &t, &error) == 0, "export of %s: %s", id,
          orch_error_message(error));
    rc = orch_v2_import_execution(copies, t.data, t.len, &error);
    CHECK(rc == 0 || rc == ORCH_E_ALREADY_EXISTS, "import of %s: %s", id,
          orch_error_message(error));
    load_say("copy", id, (long)t.len); /* it was there before the kill, or is now */
    free(t.data);
    orch_error_free(error);
}

static void open_copies(void)
{
    if (copies)
        return;
    copies = load_open("copies.db", NULL, NULL);
    load_register(copies, kinds[0].definition);
}

static void help(orch_v2 *orch, bool all)
{
    if (all || rand() % 4)
        return;
    open_copies();
    load_apply(orch, "large", "succeeded", false, copy);
}

/* A copy that was acknowledged is there, and says the same when it is exported again. */
static void line(orch_v2 *orch, const char *word, const char *key, long number)
{
    text t = {0}, again = {0};
    orch_error *error = NULL;

    (void)number;
    if (strcmp(word, "copy") != 0)
        return;
    open_copies();
    CHECK(orch_v2_export_execution(orch, key, append, &t, &error) == 0, "%s",
          orch_error_message(error));
    CHECK(orch_v2_export_execution(copies, key, append, &again, &error) == 0,
          "the copy of %s is lost: %s", key, orch_error_message(error));
    CHECK(t.len == again.len && !memcmp(t.data, again.data, t.len), "the copy of %s is another",
          key);
    free(t.data);
    free(again.data);
}

static void over(orch_v2 *orch)
{
    (void)orch;
    if (copies) {
        CHECK(orch_v2_stop(copies, 10000, NULL) == ORCH_OK, "stop");
        orch_v2_free(copies);
    }
}

const load_family load_payloads = {
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof *kinds,
    .define = define,
    .help = help,
    .line = line,
    .over = over,
};

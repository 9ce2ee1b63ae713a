/* Stored histories: rows of eight bytes (kind, step, index, attempt, due, which output, which error, unused). A run believes
 * them, or calls them lost data; and goes on from what it believed. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "workflow/run.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char text[] =
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":["
    "{\"id\":\"task\",\"executor\":\"noop\",\"compensate\":{\"executor\":\"noop\"}},"
    "{\"id\":\"gated\",\"executor\":\"noop\",\"when\":\"input.x\"},"
    "{\"id\":\"each\",\"executor\":\"noop\",\"for_each\":\"${input.l}\",\"compensate\":{\"executor\":\"noop\","
    "\"retry\":{\"max_attempts\":2}},\"retry\":{\"max_attempts\":3,\"initial_interval\":\"1s\"}},"
    "{\"id\":\"wait\",\"executor\":\"wait\",\"with\":{\"signal\":\"s\",\"timeout\":\"1s\"}},"
    "{\"id\":\"retried\",\"executor\":\"host\",\"heartbeat_timeout\":\"1s\",\"retry\":{\"max_attempts\":3}},"
    "{\"id\":\"child\",\"executor\":\"workflow\",\"with\":{\"workflow\":\"x\"},\"retry\":{\"max_attempts\":3}},"
    "{\"id\":\"last\",\"executor\":\"noop\",\"depends_on\":[\"task\",\"each\"],\"run_if\":\"any_failed\"}],"
    "\"on_failure\":{\"executor\":\"noop\",\"retry\":{\"max_attempts\":2}},\"output\":\"${steps.task.output}\"}";

static const char *const texts[] = {
    NULL,
    "{\"count\":2,\"digest\":\"" HEX64 "\"}",
    "{\"count\":0,\"digest\":\"" HEX64 "\"}",
    "{\"count\":4000000000,\"digest\":\"" HEX64 "\"}",
    "{\"signal\":\"s\"}",
    "{\"signal\":\"s\",\"correlation\":1}",
    "{\"workflow\":\"x\"}",
    "{\"workflow\":\"x\",\"version\":\"^1\",\"on_cancel\":\"abandon\"}",
    "{\"code\":\"ABORTED\",\"message\":\"m\"}",
    "{\"code\":7}",
    "[",
    "7",
    "{}",
    "\"text\"",
};

static definition *parsed;

static uint64_t random_of(void *ctx)
{
    (void)ctx;
    return 7;
}

static bytes *text_of(uint8_t number)
{
    const char *t = texts[number % (sizeof texts / sizeof *texts)];

    return t ? bytes_new(t, strlen(t)) : NULL;
}

static int32_t restore(run *r, uint64_t seq, const uint8_t *row)
{
    checkpoint c = {.seq = seq,
                    .kind = row[0],
                    .step = row[1] == 255 ? STEP_NONE : row[1],
                    .index = row[2] == 255 ? INDEX_NONE : row[2],
                    .attempt = row[3],
                    .due_ms = row[4] * INT64_C(100),
                    .output = text_of(row[5]),
                    .error = text_of(row[6])};
    orch_error *error = NULL;
    int32_t rc = run_restore(r, &c, &error);

    HOLDS(rc == 0 || rc == ORCH_E_DATA_LOSS);
    HOLDS((rc != 0) == (error != NULL));
    orch_error_free(error);
    checkpoint_clear(&c);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run_options options = {.random = random_of, .deadline_ms = 100000};
    orch_error *error = NULL;
    uint64_t seq = 0;
    int32_t rc = 0;
    run_action a;
    run *r;

    if (!parsed)
        HOLDS(definition_parse(text, strlen(text), NULL, &parsed, NULL) == 0);
    r = run_new(parsed, &options);
    HOLDS(r);
    for (size_t at = 0; !rc && at + 8 <= size && seq < 200; at += 8)
        rc = restore(r, ++seq, data + at);
    if (!rc)
        rc = run_start(r, 5000, &error);
    HOLDS(rc == 0 || rc == ORCH_E_DATA_LOSS);
    orch_error_free(error);
    for (int i = 0; !rc && i < 1000 && run_next(r, 5000 + i * 100, &a); i++) {
        if (a.kind == RUN_CHECKPOINT) {
            HOLDS(a.checkpoint.seq > seq); /* what was stored is not made again */
            checkpoint_clear(&a.checkpoint);
        }
        if (a.kind == RUN_END) {
            bytes_unref(a.output);
            bytes_unref(a.error);
        }
    }
    run_free(r);
    return 0;
}

/* What a good definition becomes: its fields and defaults, its graph, its canonical text and
 * digest; limits; and that neither a cut document nor a lack of memory does harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above before it. */
#include <cmocka.h>

#include <glob.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <orch/version.h>

#include "base/buf.h"
#include "base/mem.h"
#include "support/file.h"
#include "support/locale.h"
#include "workflow/definition.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define SAMPLES  "tests/data/definitions/"

/* ---- Helpers --------------------------------------------------------------------------------- */

static definition *parsed(const char *text, size_t len, const definition_limits *limits)
{
    definition *d = NULL;
    orch_error *err = NULL;

    if (definition_parse(text, len, limits, &d, &err))
        fail_msg("%.200s: %s", text, orch_error_message(err));
    return d;
}

static definition *sample(const char *name)
{
    char path[256];
    size_t len;
    char *text;
    definition *d;

    snprintf(path, sizeof path, SAMPLES "%s", name);
    text = file_text(path, &len);
    d = parsed(text, len, NULL);
    free(text);
    return d;
}

/* The message of a refusal; the caller frees it. */
static char *refused(const char *text, size_t len, const definition_limits *limits)
{
    definition *d = NULL;
    orch_error *err = NULL;
    char *message;

    if (definition_parse(text, len, limits, &d, &err) != ORCH_E_INVALID_ARGUMENT)
        fail_msg("not refused: %.200s", text);
    assert_null(d);
    message = strdup(orch_error_message(err));
    orch_error_free(err);
    return message;
}

static void assert_refused(const char *text, const definition_limits *limits, const char *message)
{
    char *got = refused(text, strlen(text), limits);

    assert_string_equal(got, message);
    free(got);
}

static const step *step_of(const definition *d, const char *id)
{
    uint32_t i = UINT32_MAX;

    if (!definition_find_step(d, id, strlen(id), &i))
        fail_msg("no step %s", id);
    assert_string_equal(d->steps[i].id, id);
    return &d->steps[i];
}

static void assert_steps(const definition *d, uint32_t from, uint32_t count, const char *ids)
{
    char got[256] = "";

    for (uint32_t i = 0; i < count; i++) {
        strcat(got, i ? " " : "");
        strcat(got, d->steps[d->edges[from + i]].id);
    }
    assert_string_equal(got, ids);
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static void test_fields(void **state)
{
    definition *d = sample("order-fulfilment.json");
    const step *s = step_of(d, "reserve");
    const retry_policy *p = &s->extra->retry;

    (void)state;
    assert_string_equal(d->id, "order-fulfilment");
    assert_string_equal(d->version, "1.2.0");
    assert_int_equal(d->semver.minor, 2);
    assert_int_equal(d->timeout_ms, 600000);
    assert_non_null(d->output);
    assert_int_equal(d->step_count, 5);
    assert_string_equal(d->executors[s->executor], "http");
    assert_int_equal(s->extra->timeout_ms, 5000);
    assert_int_equal(p->max_attempts, 5);
    assert_int_equal(p->initial_interval_ms, 200);
    assert_int_equal(p->max_interval_ms, 10000);
    assert_int_equal(p->max_elapsed_ms, 0);
    assert_int_equal(p->backoff_milli, 2000);
    assert_int_equal(p->jitter_milli, 200);
    assert_int_equal(p->non_retryable, 1U << 3);
    assert_non_null(step_of(d, "score")->extra->when);
    assert_null(step_of(d, "score")->extra->for_each);
    assert_non_null(step_of(d, "pack")->extra->for_each);
    assert_int_equal(step_of(d, "pack")->extra->max_parallel, 8);
    assert_int_equal(step_of(d, "pack")->kind, STEP_WORKFLOW);
    assert_int_equal(step_of(d, "approve")->kind, STEP_WAIT);
    assert_string_equal(d->executors[s->extra->compensate->executor], "http");
    assert_int_equal(step_of(d, "ship")->kind, STEP_TASK);
    assert_int_equal(step_of(d, "ship")->run_if, RUN_IF_ALL_SUCCEEDED);
    definition_unref(d);
}

static void test_every_key(void **state)
{
    definition *d = sample("every-key.json");
    const retry_policy *p = &step_of(d, "b.c-d")->extra->retry;

    (void)state;
    assert_int_equal(d->timeout_ms, 93784005);
    assert_string_equal(d->semver.pre, "rc.1");
    assert_false(step_of(d, "first")->checkpoint);
    assert_true(step_of(d, "each")->checkpoint);
    assert_int_equal(step_of(d, "b.c-d")->run_if, RUN_IF_ALL_DONE);
    assert_int_equal(step_of(d, "each")->run_if, RUN_IF_ANY_SUCCEEDED);
    assert_int_equal(step_of(d, "open")->run_if, RUN_IF_ANY_FAILED);
    assert_int_equal(p->max_attempts, 1000000);
    assert_int_equal(p->initial_interval_ms, 0);
    assert_int_equal(p->backoff_milli, 1000);
    assert_int_equal(p->jitter_milli, 0);
    assert_int_equal(p->max_elapsed_ms, 1);
    assert_int_equal(p->non_retryable, 0x1fffe);
    assert_int_equal(step_of(d, "each")->extra->max_parallel, 1000000);
    definition_unref(d);
}

static void test_defaults(void **state)
{
    definition *d = sample("every-key.json");
    const retry_policy *p = &step_of(d, "each")->extra->retry; /* "retry": {} */

    (void)state;
    assert_int_equal(p->max_attempts, 3);
    assert_int_equal(p->initial_interval_ms, 1000);
    assert_int_equal(p->backoff_milli, 2000);
    assert_int_equal(p->max_interval_ms, 60000);
    assert_int_equal(p->max_elapsed_ms, 0);
    assert_int_equal(p->jitter_milli, 200);
    assert_int_equal(p->non_retryable, 0);
    assert_null(step_of(d, "open")->extra);
    definition_unref(d);
    d = sample("minimal.json");
    assert_int_equal(d->timeout_ms, 0);
    assert_null(d->output);
    assert_null(d->steps[0].extra);
    assert_null(d->steps[0].with);
    assert_true(d->steps[0].checkpoint);
    definition_unref(d);
}

#define ONE_STEP(fields)                                                                         \
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"," fields \
    "}]}"

static void test_retry_where_it_is_subtle(void **state)
{
    static const char long_first[] = ONE_STEP("\"retry\":{\"initial_interval\":\"5m\"}");
    static const char only_timeout[] = ONE_STEP("\"timeout\":\"1s\"");
    static const char rounded[] = ONE_STEP("\"retry\":{\"backoff\":1.0015,\"jitter\":0.9996}");
    definition *d = parsed(long_first, strlen(long_first), NULL);

    (void)state;
    assert_int_equal(d->steps[0].extra->retry.max_interval_ms, 300000); /* the default gives way */
    definition_unref(d);
    d = parsed(only_timeout, strlen(only_timeout), NULL);
    assert_int_equal(d->steps[0].extra->retry.max_attempts, 1);
    definition_unref(d);
    d = parsed(rounded, strlen(rounded), NULL);
    assert_in_range(d->steps[0].extra->retry.backoff_milli, 1001, 1002);
    assert_int_equal(d->steps[0].extra->retry.jitter_milli, 1000);
    definition_unref(d);
}

static void test_extras_that_are_alike_are_one(void **state)
{
    static const char text[] =
        "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":["
        "{\"id\":\"a\",\"executor\":\"x\",\"timeout\":\"1s\",\"retry\":{\"max_attempts\":2}},"
        "{\"id\":\"b\",\"executor\":\"x\",\"retry\":{\"max_attempts\":2},\"timeout\":\"1000ms\"},"
        "{\"id\":\"c\",\"executor\":\"x\",\"timeout\":\"2s\",\"retry\":{\"max_attempts\":2}},"
        "{\"id\":\"d\",\"executor\":\"x\",\"timeout\":\"2s\",\"retry\":{\"max_attempts\":2},"
        "\"when\":\"input.x\"}]}";
    definition *d = parsed(text, strlen(text), NULL);

    (void)state;
    assert_ptr_equal(d->steps[0].extra, d->steps[1].extra);
    assert_ptr_not_equal(d->steps[1].extra, d->steps[2].extra);
    assert_ptr_not_equal(d->steps[2].extra, d->steps[3].extra);
    assert_null(d->steps[2].extra->when);
    definition_unref(d);
}

static void test_executors_are_listed_once(void **state)
{
    definition *d = sample("every-key.json");

    (void)state;
    assert_int_equal(d->executor_count, 9);
    for (uint32_t i = 0; i < d->executor_count; i++)
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(d->executors[i], d->executors[j]);
    assert_string_equal(d->executors[step_of(d, "run")->executor], "exec");
    definition_unref(d);
}

static void test_templates_are_compiled(void **state)
{
    definition *d = sample("shapes.json");
    size_t count;
    bool all;
    const uint32_t *refs = template_steps(step_of(d, "right")->extra->when, &count, &all);

    (void)state;
    assert_int_equal(count, 2);
    assert_string_equal(d->steps[refs[0]].id, "top");
    assert_string_equal(d->steps[refs[1]].id, "further");
    assert_null(template_constant(step_of(d, "end")->with));
    definition_unref(d);
}

static void test_code_is_not_a_template(void **state)
{
    definition *d = sample("texts.json");
    json_t *with = template_constant(step_of(d, "code")->with);

    (void)state;
    assert_non_null(with);
    assert_string_equal(json_string_value(json_object_get(with, "code")),
                        "-- \"${\" is nothing in code, and \"$${\" neither\n"
                        "return \"${input.x}\" .. '$${y}' .. \"$\"\n");
    with = template_constant(step_of(d, "t")->with);
    assert_string_equal(json_string_value(json_object_get(with, "dollars")),
                        "${not a template} $ {x} $$ }");
    definition_unref(d);
}

/* ---- The graph ------------------------------------------------------------------------------- */

static void test_edges(void **state)
{
    definition *d = sample("shapes.json");
    const step *s = step_of(d, "right");

    (void)state;
    assert_int_equal(d->edge_count, 6);
    assert_steps(d, s->dependencies, s->dependency_count, "top far");
    assert_steps(d, s->dependents, s->dependent_count, "end");
    s = step_of(d, "top");
    assert_int_equal(s->dependency_count, 0);
    assert_steps(d, s->dependents, s->dependent_count, "left right");
    s = step_of(d, "end");
    assert_steps(d, s->dependencies, s->dependency_count, "left right");
    assert_int_equal(s->dependent_count, 0);
    s = step_of(d, "island");
    assert_int_equal(s->dependency_count + s->dependent_count, 0);
    definition_unref(d);
}

static void test_find_step(void **state)
{
    definition *d = sample("every-key.json");
    char longer[400];
    uint32_t i = 77;

    (void)state;
    assert_true(definition_find_step(d, "b.c-d and more", 5, &i));
    assert_int_equal(i, 1);
    i = 77;
    memset(longer, 'a', sizeof longer);
    assert_false(definition_find_step(d, longer, sizeof longer, &i));
    assert_false(definition_find_step(d, "b.c-", 4, &i));
    assert_false(definition_find_step(d, "b.c-dd", 6, &i));
    assert_false(definition_find_step(d, "", 0, &i));
    assert_false(definition_find_step(d, "a\0b", 3, &i));
    assert_int_equal(i, 77);
    definition_unref(d);
}

enum shape { CHAIN, CHAIN_BACKWARDS, FAN, LAYERS };

static void add_step(buf *b, uint32_t i, const char *rest)
{
    buf_printf(b, "%s{\"id\":\"s%u\",\"executor\":\"mine\"%s",
               b->data[b->len - 1] == '[' ? "" : ",", i, rest);
}

/* The dependencies of a step of LAYERS. */
static void layer_parents(uint32_t i, uint32_t out[3])
{
    for (uint32_t k = 0; k < 3; k++)
        out[k] = (i / 100 - 1) * 100 + 33 * k + i * (7 + 4 * k) % 33;
}

/* n steps; `rest` stands in each of them. */
static buf graph_text(enum shape shape, uint32_t n, const char *rest)
{
    buf b = BUF_INIT;

    buf_puts(&b, "{\"id\":\"big\",\"version\":\"1.0.0\",\"steps\":[");
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = shape == CHAIN_BACKWARDS ? n - 1 - k : k;

        add_step(&b, i, rest);
        if (shape == LAYERS && i >= 100) {
            uint32_t p[3];

            layer_parents(i, p);
            buf_printf(&b, ",\"depends_on\":[\"s%u\",\"s%u\",\"s%u\"]", p[0], p[1], p[2]);
        } else if (shape != LAYERS && i) {
            buf_printf(&b, ",\"depends_on\":[\"s%u\"]", shape == FAN ? 0 : i - 1);
        }
        buf_putc(&b, '}');
    }
    buf_puts(&b, "]}");
    assert_false(b.failed);
    return b;
}

/* Allocations are the work that can be counted: they must not grow faster than the document. */
static void test_large_graphs_take_work_in_proportion(void **state)
{
    static const enum shape shapes[] = {CHAIN, CHAIN_BACKWARDS, FAN, LAYERS};

    (void)state;
    for (size_t k = 0; k < COUNT(shapes); k++) {
        const uint32_t sizes[] = {2000, shapes[k] == CHAIN ? 100000 : 20000};
        long allocations[2];

        for (int big = 0; big < 2; big++) {
            buf b = graph_text(shapes[k], sizes[big], "");
            definition *d;

            mem_fail_at(0, 0);
            d = parsed(b.data, b.len, NULL);
            allocations[big] = mem_count();
            assert_int_equal(d->step_count, sizes[big]);
            assert_string_equal(step_of(d, "s1999")->id, "s1999");
            definition_unref(d);
            buf_free(&b);
        }
        assert_true(allocations[1] <= allocations[0] * (long)(sizes[1] / sizes[0] + 1));
    }
}

static void test_every_step_may_refer_to_the_first(void **state)
{
    static const enum shape shapes[] = {CHAIN, CHAIN_BACKWARDS, FAN};

    (void)state;
    for (size_t k = 0; k < COUNT(shapes); k++) {
        buf b = graph_text(shapes[k], 5000, ",\"with\":\"${steps.s0.output}\"");
        char *at = strstr(b.data, "\"s0\",\"executor\":\"mine\",\"with\":\"${steps.s0.output}\"");
        definition *d;

        assert_non_null(at);
        memset(at + strlen("\"s0\",\"executor\":\"mine\",\"with\":\""), 'x',
               strlen("${steps.s0.output}"));
        d = parsed(b.data, b.len, NULL);
        assert_int_equal(d->step_count, 5000);
        definition_unref(d);
        buf_free(&b);
    }
}

/* In layers a spanning tree shows few of the steps above; the others are found by searching. */
static void test_references_are_searched_for_upwards(void **state)
{
    enum { N = 2000 };
    static bool above[N];
    buf b = graph_text(LAYERS, N, "");
    int found = 0;

    (void)state;
    above[N - 1] = true;
    for (uint32_t i = N - 1, parents[3]; i >= 100; i--)
        for (int k = 0; k < 3 && above[i]; k++) {
            layer_parents(i, parents);
            above[parents[k]] = true;
        }
    b.len -= strlen("]}");
    for (uint32_t i = 0; i < N; i += 37) {
        definition *d = NULL;
        orch_error *err = NULL;
        buf one = BUF_INIT;
        int32_t rc;

        buf_add(&one, b.data, b.len);
        buf_printf(&one,
                   ",{\"id\":\"z\",\"executor\":\"x\",\"depends_on\":[\"s%d\"],\"with\":\"${steps."
                   "s%u}\"}]}",
                   N - 1, i);
        rc = definition_parse(one.data, one.len, NULL, &d, &err);
        if ((rc == 0) != above[i])
            fail_msg("%u: %s", i, orch_error_message(err));
        found += rc == 0;
        definition_unref(d);
        orch_error_free(err);
        buf_free(&one);
    }
    assert_in_range(found, 5, N / 37 - 5);
    buf_free(&b);
}

/* Steps that ask for `target`, which stands behind `right`, while behind `wrong` there is a
 * thicket to be searched first. */
static void test_search_upwards_has_a_budget(void **state)
{
    buf b = BUF_INIT;
    char *message;

    (void)state;
    buf_puts(&b,
             "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"target\",\"executor\":\"x\"}"
             ",{\"id\":\"other\",\"executor\":\"x\"}"
             ",{\"id\":\"right\",\"executor\":\"x\",\"depends_on\":[\"target\",\"other\"]}");
    for (int layer = 0; layer < 60; layer++)
        for (int i = 0; i < 60; i++) {
            buf_printf(&b, ",{\"id\":\"l%d_%d\",\"executor\":\"x\",\"depends_on\":[", layer, i);
            for (int j = 0; layer && j < 60; j++)
                buf_printf(&b, "%s\"l%d_%d\"", j ? "," : "", layer - 1, j);
            buf_puts(&b, "]}");
        }
    for (int i = 0; i < 200; i++)
        buf_printf(&b,
                   ",{\"id\":\"ask%d\",\"executor\":\"x\",\"depends_on\":[\"right\",\"l59_1\"],"
                   "\"with\":\"${steps.target}\"}",
                   i);
    buf_puts(&b, "]}");
    message = refused(b.data, b.len, NULL);
    assert_non_null(strstr(
        message,
        "refers to step 'target'; whether it comes before this one takes too long to find out; "
        "add it to depends_on"));
    free(message);
    buf_free(&b);
}

/* ---- Canonical text and digest --------------------------------------------------------------- */

static void test_canonical_text(void **state)
{
    static const char text[] =
        " {\n\"version\" : \"1.0.0\" , \"steps\": [ {\"executor\":\"noop\",\"with\":"
        "{\"b\":1E2,\"a\":[1,-0,0.10,\"\\u00e9\\u0001\\/\",{}],\"\":null,\"B\":true,\"aa\":1.5e300}"
        ",\"id\":\"a\"}],\"id\":\"w\"}\r\n";
    definition *d = parsed(text, strlen(text), NULL);

    (void)state;
    assert_string_equal(d->text->data,
                        "{\"id\":\"w\",\"steps\":[{\"executor\":\"noop\",\"id\":\"a\",\"with\":{"
                        "\"\":null,\"B\":true,"
                        "\"a\":[1,0,0.1,\"\xc3\xa9\\u0001/"
                        "\",{}],\"aa\":1.5e300,\"b\":100.0}}],\"version\":\"1.0.0\"}");
    definition_unref(d);
}

static void test_digest_is_known(void **state)
{
    definition *d = sample("minimal.json");
    char hex[DIGEST_HEX_SIZE];

    (void)state;
    assert_string_equal(d->text->data, "{\"id\":\"minimal\",\"steps\":[{\"executor\":\"noop\","
                                       "\"id\":\"only\"}],\"version\":\"0.0.1\"}");
    digest_hex(&d->digest, hex); /* sha256sum of that */
    assert_string_equal(hex, "3853067ede59cec268a50ed65d6c7c27ddcfc26b2b651611ae2218b133ac966b");
    definition_unref(d);
}

static void test_canonical_text_is_a_definition_of_the_same_digest(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob(SAMPLES "*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t len;
        char *text = file_text(found.gl_pathv[i], &len);
        definition *a = parsed(text, len, NULL), *b = parsed(a->text->data, a->text->len, NULL);

        assert_string_equal(a->text->data, b->text->data);
        assert_memory_equal(&a->digest, &b->digest, sizeof a->digest);
        definition_unref(a);
        definition_unref(b);
        free(text);
    }
    globfree(&found);
}

static void test_digest_covers_what_was_written(void **state)
{
    static const char *const texts[] = {
        ONE_STEP("\"retry\":{}"),       ONE_STEP("\"retry\":{\"max_attempts\":3}"),
        ONE_STEP("\"timeout\":\"1s\""), ONE_STEP("\"timeout\":\"1000ms\""),
        ONE_STEP("\"with\":1"),         ONE_STEP("\"with\":1.0"),
        ONE_STEP("\"with\":[1,2]"),     ONE_STEP("\"with\":[2,1]"),
        ONE_STEP("\"with\":null"),      ONE_STEP("\"description\":\"x\""),
    };
    digest digests[COUNT(texts)];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        definition *d = parsed(texts[i], strlen(texts[i]), NULL);

        digests[i] = d->digest;
        definition_unref(d);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&digests[i], &digests[j], sizeof *digests);
    }
}

static void test_numbers_are_short_and_exact(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-2.5, "-2.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {100.0, "100.0"},
        {123456.75, "123456.75"},
        {1e16, "10000000000000000.0"},
        {1e17, "1e17"},
        {1.25e-5, "0.0000125"},
        {1.25e-6, "1.25e-6"},
        {9007199254740993.0, "9007199254740992.0"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
    };
    bytes *b;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *j = json_real(cases[i].value);

        b = canonical_json(j);
        assert_string_equal(b->data, cases[i].text);
        bytes_unref(b);
        json_decref(j);
    }
    for (uint64_t i = 0, bits = 1; i < 20000; i++) { /* any bits at all read back the same */
        json_t *j, *again;
        double value;

        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &bits, sizeof value);
        j = json_real(value);
        if (!j)
            continue; /* no number */
        b = canonical_json(j);
        again = json_loadb(b->data, b->len, JSON_DECODE_ANY, NULL);
        assert_true(json_is_real(again) && json_real_value(again) == value);
        bytes_unref(b);
        json_decref(again);
        json_decref(j);
    }
}

static void test_locale_does_not_show(void **state)
{
    const char text[] = ONE_STEP("\"with\":[0.5,1e-7,123.25],\"retry\":{\"backoff\":1.5}");
    definition *plain = parsed(text, strlen(text), NULL), *local;

    (void)state;
    locale_contrary();
    local = parsed(text, strlen(text), NULL);
    setlocale(LC_ALL, "C");
    assert_string_equal(plain->text->data, local->text->data);
    assert_int_equal(local->steps[0].extra->retry.backoff_milli, 1500);
    definition_unref(plain);
    definition_unref(local);
}

static void test_many_keys_are_sorted(void **state)
{
    json_t *j = json_object();
    bytes *b;

    (void)state;
    for (int i = 0; i < 200; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%03d", i * 77 % 200);
        json_object_set_new(j, key, json_integer(i));
    }
    b = canonical_json(j);
    for (int i = 1; i < 200; i++) {
        char before[16], after[16];

        snprintf(before, sizeof before, "\"k%03d\"", i - 1);
        snprintf(after, sizeof after, "\"k%03d\"", i);
        assert_true(strstr(b->data, before) < strstr(b->data, after));
    }
    bytes_unref(b);
    json_decref(j);
}

/* ---- Trees ----------------------------------------------------------------------------------- */

static void test_tree_and_text_are_the_same(void **state)
{
    size_t len;
    char *text = file_text(SAMPLES "order-fulfilment.json", &len);
    json_t *tree = json_loadb(text, len, 0, NULL);
    definition *a = parsed(text, len, NULL), *b = NULL;

    (void)state;
    assert_int_equal(definition_from_json(tree, NULL, &b, NULL), 0);
    assert_memory_equal(&a->digest, &b->digest, sizeof a->digest);
    json_decref(tree); /* was only borrowed, and is not needed any more */
    assert_non_null(template_constant(step_of(b, "score")->with));
    definition_unref(a);
    definition_unref(b);
    free(text);
}

static void assert_tree_refused(json_t *tree, const char *message)
{
    definition *d = NULL;
    orch_error *err = NULL;

    assert_int_equal(definition_from_json(tree, NULL, &d, &err), ORCH_E_INVALID_ARGUMENT);
    assert_string_equal(orch_error_message(err), message);
    orch_error_free(err);
    json_decref(tree);
}

static void test_trees_that_no_parser_makes(void **state)
{
    json_t *deep = json_integer(1), *bad = json_object();

    (void)state;
    assert_tree_refused(
        json_integer(1),
        "must be a definition: an object with id, version and steps, not an integer");
    for (int i = 0; i < 3000; i++)
        deep = json_pack("[o]", deep);
    assert_tree_refused(json_pack("{so}", "id", deep),
                        "/id/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/"
                        "0/0/0/0/0/0/0/0/0/"
                        "0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: lists and objects are nested "
                        "deeper than the limit of 64");
    assert_tree_refused(json_pack("{so}", "id", json_string_nocheck("a\xff")),
                        "/id: is not UTF-8; its length in bytes: 2");
    json_object_set_new_nocheck(bad, "\xc3", json_null());
    assert_tree_refused(bad, "holds a key that is not UTF-8, member 0");
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void test_limits(void **state)
{
    definition_limits l = {0};
    buf b = graph_text(CHAIN, 11, "");
    char *message;

    (void)state;
    l.max_steps = 10;
    assert_refused(b.data, &l, "/steps: holds 11 steps; at most 10 are allowed");
    l = (definition_limits){.max_edges = 9};
    assert_refused(b.data, &l,
                   "/steps/10/depends_on: step 's10': passes the limit of 9 dependencies in all");
    l = (definition_limits){.max_bytes = 100};
    message = refused(b.data, b.len, &l);
    assert_non_null(strstr(message, "bytes long; at most 100 are allowed"));
    free(message);
    l = (definition_limits){.max_nesting = 3};
    assert_refused(b.data, &l,
                   "/steps/1/depends_on: lists and objects are nested deeper than the limit of 3");
    l = (definition_limits){.max_steps = 11, .max_edges = 10, .max_bytes = b.len, .max_nesting = 4};
    definition_unref(parsed(b.data, b.len, &l));
    buf_free(&b);
}

/* Short in the file, long in its canonical form. */
static void test_size_counts_in_canonical_form_too(void **state)
{
    static const char text[] = ONE_STEP("\"with\":[1e16,1e16,1e16,1e16]");
    definition_limits l = {.max_bytes = sizeof text - 1};

    (void)state;
    assert_refused(
        text, &l,
        "/steps/0/with/3: the document passes here the largest size allowed, in bytes: 96");
}

static void test_nothing_to_parse(void **state)
{
    static const char *const texts[] = {"", " ", "\n\t\r\n ", "\xef\xbb\xbf"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_refused(
            texts[i], NULL,
            "line 1 column 1: the definition is empty; it is a JSON object or a YAML mapping");
    free(refused(NULL, 0, NULL));
}

static void test_byte_order_mark(void **state)
{
    char text[] = "\xef\xbb\xbf" ONE_STEP("\"with\":1");

    (void)state;
    definition_unref(parsed(text, strlen(text), NULL));
}

/* ---- Harm ------------------------------------------------------------------------------------ */

static void test_cut_at_every_byte(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob(SAMPLES "*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t len;
        char *text = file_text(found.gl_pathv[i], &len);

        while (text[len - 1] != '}')
            len--;
        while (len-- > 0) {
            char *exact = malloc(len ? len : 1); /* so that a byte read too far is seen */

            memcpy(exact, text, len);
            free(refused(exact, len, NULL));
            free(exact);
        }
        free(text);
    }
    globfree(&found);
}

/* Any byte changed: refused or not, but in order. Without its first brace it is YAML. */
static void test_every_byte_changed(void **state)
{
    const int32_t first = orch_has_feature("yaml") ? ORCH_E_INVALID_ARGUMENT : ORCH_E_UNIMPLEMENTED;
    size_t len;
    char *text = file_text(SAMPLES "every-key.json", &len);

    (void)state;
    for (size_t i = 0; i < len; i++)
        for (const char *other = "\"{\xff"; *other; other++) {
            char kept = text[i];
            definition *d = NULL;
            orch_error *err = NULL;
            int32_t rc;

            text[i] = *other;
            rc = definition_parse(text, len, NULL, &d, &err);
            assert_true(rc == 0 || rc == (i ? ORCH_E_INVALID_ARGUMENT : first));
            assert_true((rc == 0) == (d != NULL) && (rc != 0) == (err != NULL));
            definition_unref(d);
            orch_error_free(err);
            text[i] = kept;
        }
    free(text);
}

/* Not until it succeeds: Lua gets over some failures. jansson cannot always tell one from a
 * wrong token. */
static void lack_memory(const char *text, size_t len, int sticky, bool jansson_too)
{
    long n = 0, asked_for;

    do {
        definition *d = NULL;
        orch_error *err = NULL;
        int32_t rc;

        mem_fail_at(++n, sticky);
        rc = definition_parse(text, len, NULL, &d, &err);
        asked_for = mem_count();
        mem_fail_at(0, 0);
        if (rc && rc != ORCH_E_RESOURCE_EXHAUSTED && !jansson_too)
            fail_msg("allocation %ld: %d %s", n, rc, orch_error_message(err));
        assert_true((rc == 0) == (d != NULL) && (rc != 0) == (err != NULL));
        assert_true(rc == 0 || asked_for >= n);
        definition_unref(d);
        orch_error_free(err);
    } while (asked_for >= n);
    assert_true(n > 20);
}

static void no_memory_for(const char *name, bool jansson_too)
{
    char path[256];
    size_t len;
    char *text;

    snprintf(path, sizeof path, SAMPLES "%s", name);
    text = file_text(path, &len);
    lack_memory(text, len, 0, jansson_too);
    lack_memory(text, len, 1, jansson_too);
    free(text);
}

static void test_no_memory(void **state)
{
    static const char *const names[] = {"order-fulfilment.json", "shapes.json", "texts.json",
                                        "every-key.json"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        no_memory_for(names[i], false);
    json_set_alloc_funcs(mem_alloc, mem_free);
    for (size_t i = 0; i < COUNT(names); i++)
        no_memory_for(names[i], true);
    json_set_alloc_funcs(malloc, free);
}

static void test_references_are_counted(void **state)
{
    definition *d = sample("minimal.json");

    (void)state;
    assert_ptr_equal(definition_ref(d), d);
    definition_unref(d);
    assert_string_equal(d->id, "minimal");
    definition_unref(d);
    definition_unref(NULL);
    assert_null(definition_ref(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_retry_where_it_is_subtle),
        cmocka_unit_test(test_extras_that_are_alike_are_one),
        cmocka_unit_test(test_executors_are_listed_once),
        cmocka_unit_test(test_templates_are_compiled),
        cmocka_unit_test(test_code_is_not_a_template),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_find_step),
        cmocka_unit_test(test_large_graphs_take_work_in_proportion),
        cmocka_unit_test(test_every_step_may_refer_to_the_first),
        cmocka_unit_test(test_references_are_searched_for_upwards),
        cmocka_unit_test(test_search_upwards_has_a_budget),
        cmocka_unit_test(test_canonical_text),
        cmocka_unit_test(test_digest_is_known),
        cmocka_unit_test(test_canonical_text_is_a_definition_of_the_same_digest),
        cmocka_unit_test(test_digest_covers_what_was_written),
        cmocka_unit_test(test_numbers_are_short_and_exact),
        cmocka_unit_test(test_locale_does_not_show),
        cmocka_unit_test(test_many_keys_are_sorted),
        cmocka_unit_test(test_tree_and_text_are_the_same),
        cmocka_unit_test(test_trees_that_no_parser_makes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_size_counts_in_canonical_form_too),
        cmocka_unit_test(test_nothing_to_parse),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_byte_changed),
        cmocka_unit_test(test_references_are_counted),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

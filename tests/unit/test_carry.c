/* Goal: a new run takes over what stands and nothing else, whatever the old one's history was and however the definition has
 * changed since; and a run can be restored from what was taken over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "workflow/carry.h"
#include "workflow/run.h"

static definition *parse(const char *text)
{
    definition *d = NULL;
    orch_error *err = NULL;

    if (definition_parse(text, strlen(text), NULL, &d, &err))
        fail_msg("%s", orch_error_message(err));
    return d;
}

static checkpoint row(uint32_t step, uint32_t index, uint8_t kind)
{
    return (checkpoint){.step = step, .index = index, .kind = kind, .attempt = 1};
}

static uint64_t no_random(void *ctx)
{
    (void)ctx;
    return 0;
}

/* A run that is restored from it accepts every row. */
static void assert_restores(definition *d, const carried *c)
{
    run_options options = {.random = no_random};
    run *r = run_new(d, &options);
    orch_error *err = NULL;

    assert_non_null(r);
    for (uint32_t i = 0; i < c->count; i++)
        if (run_restore(r, &c->rows[i], &err))
            fail_msg("row %u: %s", i, orch_error_message(err));
    assert_int_equal(run_start(r, 1, &err), 0);
    run_free(r);
}

/* Carry the rows over and compare with "step[.index]=kind …" in the order of seq. */
static void carries(const char *from_text, const checkpoint *rows, size_t count,
                    const char *onto_text, const char *step, const char *expected)
{
    definition *from = parse(from_text),
               *onto = onto_text ? parse(onto_text) : definition_ref(from);
    checkpoint numbered[32];
    carried c = {0};
    orch_error *err = NULL;
    char text[512] = "";

    for (size_t i = 0; i < count; i++) {
        numbered[i] = rows[i];
        numbered[i].seq = i + 1;
    }
    if (carry_over(from, numbered, (uint32_t)count, onto, step, &c, &err))
        fail_msg("%s", orch_error_message(err));
    for (uint32_t i = 0; i < c.count; i++) {
        size_t len = strlen(text);

        assert_int_equal(c.rows[i].seq, i + 1);
        snprintf(text + len, sizeof text - len, "%s%s", len ? " " : "",
                 onto->steps[c.rows[i].step].id);
        len = strlen(text);
        if (c.rows[i].index != INDEX_NONE)
            snprintf(text + len, sizeof text - len, ".%u", c.rows[i].index);
        len = strlen(text);
        snprintf(text + len, sizeof text - len, "=%u", c.rows[i].kind);
    }
    assert_string_equal(text, expected);
    assert_restores(onto, &c);
    carried_clear(&c);
    definition_unref(from);
    definition_unref(onto);
}

#define HEAD  "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":["
#define HEAD2 "{\"id\":\"w\",\"version\":\"2.0.0\",\"steps\":["
#define CHAIN                                                           \
    HEAD "{\"id\":\"a\",\"executor\":\"noop\"},"                        \
         "{\"id\":\"b\",\"executor\":\"noop\",\"depends_on\":[\"a\"]}," \
         "{\"id\":\"c\",\"executor\":\"noop\",\"depends_on\":[\"b\"]}]}"

static const checkpoint chain_failed[] = {
    {.step = 0, .index = INDEX_NONE, .kind = CHECKPOINT_SUCCEEDED, .attempt = 1},
    {.step = 1, .index = INDEX_NONE, .kind = CHECKPOINT_FAILED, .attempt = 1},
};
static const checkpoint chain_done[] = {
    {.step = 0, .index = INDEX_NONE, .kind = CHECKPOINT_SUCCEEDED, .attempt = 1},
    {.step = 1, .index = INDEX_NONE, .kind = CHECKPOINT_SUCCEEDED, .attempt = 1},
    {.step = 2, .index = INDEX_NONE, .kind = CHECKPOINT_SUCCEEDED, .attempt = 1},
};

static void what_failed_is_done_again(void **state)
{
    (void)state;
    carries(CHAIN, chain_failed, 2, NULL, NULL, "a=5");
}

static void a_chosen_step_and_all_behind_it_is_done_again(void **state)
{
    (void)state;
    carries(CHAIN, chain_done, 3, NULL, "b", "a=5");
    carries(CHAIN, chain_done, 3, NULL, "a", "");
    carries(CHAIN, chain_done, 3, NULL, "c", "a=5 b=5");
    carries(CHAIN, chain_done, 3, NULL, NULL, "a=5 b=5 c=5");
}

static void items_that_succeeded_are_kept(void **state)
{
    static const char each[] = HEAD
        "{\"id\":\"e\",\"executor\":\"noop\",\"for_each\":\"${input.list}\"},"
        "{\"id\":\"z\",\"executor\":\"noop\",\"depends_on\":[\"e\"]}]}";
    static const char expansion[] = "{\"count\":3,\"digest\":\"000102030405060708090a0b0c0d0e0f"
                                    "101112131415161718191a1b1c1d1e1f\"}";
    bytes *list = bytes_new(expansion, sizeof expansion - 1);
    checkpoint rows[] = {
        row(0, INDEX_NONE, CHECKPOINT_EXPANDED),
        row(0, 0, CHECKPOINT_SUCCEEDED),
        row(0, 2, CHECKPOINT_RETRYING),
        row(0, 1, CHECKPOINT_SUCCEEDED),
        row(0, 2, CHECKPOINT_FAILED),
        row(0, INDEX_NONE, CHECKPOINT_FAILED),
    };
    checkpoint undone[] = {rows[0],
                           rows[1],
                           rows[3],
                           rows[4],
                           rows[5],
                           row(0, 1, CHECKPOINT_UNDONE),
                           row(0, 0, CHECKPOINT_UNDO_FAILED)};

    (void)state;
    rows[0].output = undone[0].output = list;
    carries(each, rows, 6, NULL, NULL, "e=2 e.0=5 e.1=5");
    carries(each, rows, 6, NULL, "e", "");
    carries(each, undone, 6, NULL, NULL, "e=2 e.0=5");
    carries(each, undone, 7, NULL, NULL, "e=2");
    bytes_unref(list);
}

/* Another list has other items, and a run that is restored refuses it: there all are done again. */
static void items_are_kept_only_where_the_list_is_made_the_same_way(void **state)
{
#define EACH(head, list, with)                                                           \
    head "{\"id\":\"e\",\"executor\":\"noop\",\"for_each\":" list ",\"with\":" with "}," \
         "{\"id\":\"z\",\"executor\":\"noop\",\"depends_on\":[\"e\"]}]}"
    static const char from[] = EACH(HEAD, "\"${input.list}\"", "1");
    static const char expansion[] = "{\"count\":2,\"digest\":\"000102030405060708090a0b0c0d0e0f"
                                    "101112131415161718191a1b1c1d1e1f\"}";
    bytes *list = bytes_new(expansion, sizeof expansion - 1);
    checkpoint rows[] = {
        row(0, INDEX_NONE, CHECKPOINT_EXPANDED),
        row(0, 0, CHECKPOINT_SUCCEEDED),
        row(0, 1, CHECKPOINT_FAILED),
        row(0, INDEX_NONE, CHECKPOINT_FAILED),
    };
    checkpoint done[] = {rows[0], rows[1], row(0, 1, CHECKPOINT_SUCCEEDED),
                         row(0, INDEX_NONE, CHECKPOINT_SUCCEEDED)};

    (void)state;
    rows[0].output = done[0].output = list;
    carries(from, rows, 4, EACH(HEAD2, "\"${input.list}\"", "2"), NULL, "e=2 e.0=5");
    carries(from, rows, 4, EACH(HEAD2, "\"${input.other}\"", "1"), NULL, "");
    carries(from, rows, 4, EACH(HEAD2, "[1,2]", "1"), NULL, "");
    /* One that is done needs no list. */
    carries(from, done, 4, EACH(HEAD2, "[1,2]", "1"), NULL, "e=2 e.0=5 e.1=5 e=5");
    bytes_unref(list);
}

static void what_was_compensated_does_not_stand(void **state)
{
    checkpoint rows[] = {
        row(0, INDEX_NONE, CHECKPOINT_SUCCEEDED),
        row(1, INDEX_NONE, CHECKPOINT_FAILED),
        row(0, INDEX_NONE, CHECKPOINT_UNDONE),
    };

    (void)state;
    carries(CHAIN, rows, 2, NULL, NULL, "a=5");
    carries(CHAIN, rows, 3, NULL, NULL, "");
}

/* A handler that had no reason to run leaves no row; what depends on it stands all the same. */
static void what_was_skipped_without_a_word_stands(void **state)
{
    static const char handled[] = HEAD
        "{\"id\":\"a\",\"executor\":\"noop\"},"
        "{\"id\":\"h\",\"executor\":\"noop\",\"depends_on\":[\"a\"],\"run_if\":\"any_failed\"},"
        "{\"id\":\"d\",\"executor\":\"noop\",\"depends_on\":[\"h\"],\"run_if\":\"all_done\"},"
        "{\"id\":\"f\",\"executor\":\"noop\",\"depends_on\":[\"d\"]}]}";
    checkpoint rows[] = {
        row(0, INDEX_NONE, CHECKPOINT_SUCCEEDED),
        row(2, INDEX_NONE, CHECKPOINT_SUCCEEDED),
        row(3, INDEX_NONE, CHECKPOINT_FAILED),
    };

    (void)state;
    carries(handled, rows, 3, NULL, NULL, "a=5 d=5");
}

static void a_step_without_checkpoints_holds_nothing_back(void **state)
{
    static const char quick[] = HEAD
        "{\"id\":\"a\",\"executor\":\"noop\",\"checkpoint\":false},"
        "{\"id\":\"b\",\"executor\":\"noop\",\"depends_on\":[\"a\"]},"
        "{\"id\":\"c\",\"executor\":\"noop\",\"depends_on\":[\"b\"]}]}";
    checkpoint rows[] = {row(1, INDEX_NONE, CHECKPOINT_SUCCEEDED),
                         row(2, INDEX_NONE, CHECKPOINT_FAILED)};

    (void)state;
    carries(quick, rows, 2, NULL, NULL, "b=5");
    carries(quick, rows, 2, NULL, "a", "");
}

static void decisions_follow_the_definition(void **state)
{
    static const char with_when[] = HEAD2
        "{\"id\":\"b\",\"executor\":\"noop\",\"when\":\"input.x\",\"depends_on\":[\"a\"]},"
        "{\"id\":\"a\",\"executor\":\"noop\"},"
        "{\"id\":\"n\",\"executor\":\"noop\",\"depends_on\":[\"b\"]}]}";
    checkpoint decided[] = {row(1, INDEX_NONE, CHECKPOINT_SUCCEEDED),
                            row(0, INDEX_NONE, CHECKPOINT_DECIDED),
                            row(0, INDEX_NONE, CHECKPOINT_SUCCEEDED)};
    checkpoint skipped[] = {row(1, INDEX_NONE, CHECKPOINT_SUCCEEDED),
                            row(0, INDEX_NONE, CHECKPOINT_SKIPPED)};

    (void)state;
    carries(CHAIN, chain_done, 3, with_when, NULL, "a=5 b=1 b=5");
    carries(with_when, decided, 3, CHAIN, NULL, "a=5 b=5");
    carries(with_when, decided, 3, NULL, NULL, "a=5 b=1 b=5");
    carries(with_when, skipped, 2, NULL, NULL, "a=5 b=7");
    carries(with_when, skipped, 2, CHAIN, NULL, "a=5"); /* it is not skipped there */
}

static void a_new_dependency_is_done_first(void **state)
{
    static const char more[] = HEAD2
        "{\"id\":\"a\",\"executor\":\"noop\"},{\"id\":\"new\",\"executor\":\"noop\"},"
        "{\"id\":\"b\",\"executor\":\"noop\",\"depends_on\":[\"a\",\"new\"]}]}";

    (void)state;
    carries(CHAIN, chain_done, 3, more, NULL, "a=5");
}

static void a_step_that_is_not_there_is_named(void **state)
{
    static const char less[] = HEAD2 "{\"id\":\"a\",\"executor\":\"noop\"}]}";
    definition *from = parse(CHAIN), *onto = parse(less);
    carried c = {0};
    orch_error *err = NULL;

    (void)state;
    assert_int_equal(carry_over(from, NULL, 0, onto, "b", &c, &err), ORCH_E_NOT_FOUND);
    assert_non_null(strstr(orch_error_message(err), "version 2.0.0 of workflow 'w' lacks"));
    orch_error_free(err);
    err = NULL;
    assert_int_equal(carry_over(from, NULL, 0, from, "x", &c, &err), ORCH_E_NOT_FOUND);
    assert_non_null(strstr(orch_error_message(err), "no step 'x'"));
    orch_error_free(err);
    definition_unref(from);
    definition_unref(onto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_failed_is_done_again),
        cmocka_unit_test(a_chosen_step_and_all_behind_it_is_done_again),
        cmocka_unit_test(items_that_succeeded_are_kept),
        cmocka_unit_test(items_are_kept_only_where_the_list_is_made_the_same_way),
        cmocka_unit_test(what_was_compensated_does_not_stand),
        cmocka_unit_test(what_was_skipped_without_a_word_stands),
        cmocka_unit_test(a_step_without_checkpoints_holds_nothing_back),
        cmocka_unit_test(decisions_follow_the_definition),
        cmocka_unit_test(a_new_dependency_is_done_first),
        cmocka_unit_test(a_step_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

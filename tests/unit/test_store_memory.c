/* Goal: the memory adapter does what the port asks, and its parts hold at sizes the suite does
 * not reach. Ids and URLs are here too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "support/store_conformance.h"

static void ids_sort_as_their_keys(void **state)
{
    uint64_t last = 0, key;
    char id[EXECUTION_ID_LEN + 1], last_id[EXECUTION_ID_LEN + 1] = "";

    (void)state;
    for (int64_t ms = 1; ms < INT64_C(1) << 42; ms *= 3) {
        for (uint32_t shard = 0; shard < STORE_SHARDS; shard += 21) {
            uint64_t made = execution_key_make(ms, shard, 32767 - shard);

            assert_true(made > last && made <= INT64_MAX);
            assert_int_equal(execution_key_ms(made), ms);
            assert_int_equal(execution_key_shard(made), shard);
            execution_id_format(made, id);
            assert_int_equal(strlen(id), EXECUTION_ID_LEN);
            assert_true(strcmp(id, last_id) > 0);
            assert_true(execution_id_parse(id, &key));
            assert_int_equal(key, made);
            last = made;
            strcpy(last_id, id);
        }
    }
}

static void a_callers_id_is_checked(void **state)
{
    static const char *const good[] = {"a",     "order/17:x",    "_x",           "0123456789abcdef",
                                       "A.b-c", "8123456789abc", "ordernumber12"};
    static const char *const bad[] = {
        "", "/a", "-a", "a b", "a\n", "\xc3\xa4", "0123456789abc", "7zzzzzzzzzzzz"};
    char long_id[EXECUTION_ID_MAX + 2];
    uint64_t key;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(execution_id_check(good[i], NULL), 0);
        assert_false(execution_id_parse(good[i], &key));
        assert_true(execution_id_shard(good[i]) < STORE_SHARDS);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        orch_error *err = NULL;

        assert_int_equal(execution_id_check(bad[i], &err), ORCH_E_INVALID_ARGUMENT);
        assert_non_null(strstr(orch_error_message(err), "execution id"));
        orch_error_free(err);
    }
    assert_int_equal(execution_id_check("a/1/s~2", NULL), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(execution_id_check_any("a/1/s~2", NULL), 0); /* of a child */
    assert_int_equal(execution_id_check_any("~2f", NULL), 0);
    assert_int_equal(execution_id_check_any("0123456789abc", NULL), 0);
    assert_int_equal(execution_id_check_any("", NULL), ORCH_E_INVALID_ARGUMENT);
    assert_int_equal(execution_id_check_any("a b", NULL), ORCH_E_INVALID_ARGUMENT);
    memset(long_id, 'a', sizeof long_id);
    long_id[EXECUTION_ID_MAX + 1] = '\0';
    assert_int_equal(execution_id_check(long_id, NULL), ORCH_E_INVALID_ARGUMENT);
    long_id[EXECUTION_ID_MAX] = '\0';
    assert_int_equal(execution_id_check(long_id, NULL), 0);
}

static void a_wrong_url_says_what_is_allowed(void **state)
{
    static const struct {
        const char *url, *word;
    } bad[] = {
        {NULL, "not set"},
        {"", "not set"},
        {"orders.db", "no scheme"},
        {"mysql:x", "mysql"},
        {"memory:x", "neither path"},
        {"memory:?a=b", "neither path"},
        {"sqlite:", "no path"},
        {"sqlite::memory:", "memory:"},
        {"sqlite://host/x.db", "host"},
        {"sqlite:x.db?synchronous=maybe", "full, normal and off"},
        {"sqlite:x.db?sync=full", "'sync'"},
        {"sqlite:x.db?synchronous", "name=value"},
        {"sqlite:100%.db", "%25"},
        {"sqlite:a%00b", "%00"},
        {"sqlite:x.db?vfs=nowhere", "nowhere"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        store_options o = {.url = bad[i].url};
        orch_error *err = NULL;
        store s;

        assert_int_equal(store_open(&o, &s, &err), ORCH_E_INVALID_ARGUMENT);
        if (!strstr(orch_error_message(err), bad[i].word))
            fail_msg("%s: %s", bad[i].url ? bad[i].url : "NULL", orch_error_message(err));
        orch_error_free(err);
    }
}

static void a_store_in_memory_has_no_backup(void **state)
{
    store_fixture f;

    (void)state;
    fixture_open(&f, "memory:");
    assert_int_equal(f.s.ops->backup(f.s.self, "/nonexistent/x", NULL), ORCH_E_UNIMPLEMENTED);
    fixture_close(&f);
}

/* Many executions with ids: both maps grow, and the order holds though keys come out of it. */
static void it_grows(void **state)
{
    enum { ROWS = 20000 };
    store_fixture f;
    execution_filter filter = {.ascending = true, .limit = 1000};
    execution_page page;
    uint64_t last = 0;
    size_t count = 0;

    (void)state;
    fixture_open(&f, "memory:");
    for (uint32_t i = 0; i < ROWS; i++) {
        execution_row row = fixture_row(63 - i % 64, i);
        char id[] = "id-000000", digits[] = "0123456789";

        for (uint32_t n = i, at = 8; n; n /= 10)
            id[at--] = digits[n % 10];
        row.id = id;
        assert_int_equal(fixture_accept(&f, &row), 0);
    }
    do {
        assert_int_equal(f.s.ops->list_executions(f.s.self, &filter, &page, NULL), 0);
        for (size_t i = 0; i < page.count; i++, count++) {
            execution_row row;

            assert_true(page.rows[i].key > last);
            last = page.rows[i].key;
            assert_int_equal(f.s.ops->load_execution(f.s.self, 0, page.rows[i].id, &row, NULL), 0);
            assert_int_equal(row.key, last);
            execution_row_clear(&row);
        }
        filter.after_key = page.next_after;
        execution_page_clear(&page);
    } while (filter.after_key);
    assert_int_equal(count, ROWS);
    fixture_close(&f);
}

int main(void)
{
    static const conformance_target memory = {.name = "store: memory", .url = "memory:"};
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_sort_as_their_keys),
        cmocka_unit_test(a_callers_id_is_checked),
        cmocka_unit_test(a_wrong_url_says_what_is_allowed),
        cmocka_unit_test(a_store_in_memory_has_no_backup),
        cmocka_unit_test(it_grows),
    };
    int failed = store_conformance(&memory);

    return failed + cmocka_run_group_tests_name("store: ids, URLs, memory", tests, NULL, NULL);
}

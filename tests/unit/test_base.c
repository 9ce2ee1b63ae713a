/* Goal: the ground floor holds: text, buffers, bytes, heap, list, queue, errors, log. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mpsc.h"
#include "base/text.h"

/* ---- text ------------------------------------------------------------------------------------------------ */

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        {"0", 0},           {"200ms", 200},
        {"5s", 5000},       {"10m", 600000},
        {"72h", 259200000}, {"3d", 259200000},
        {"1h30m", 5400000}, {"1m1ms", 60001},
        {"", -1},           {"5", -1},
        {"s", -1},          {"5 s", -1},
        {"-5s", -1},        {"1.5s", -1},
        {"5S", -1},         {"36600d", 3162240000000},
        {"36601d", -1},     {"99999999999999999999s", -1},
        {"5sx", -1},        {"0x5s", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = -7;
        bool ok = text_duration_ms(rows[i].text, &ms);

        assert_int_equal(ok, rows[i].ms >= 0);
        assert_int_equal(ms, ok ? rows[i].ms : -7);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2024-02-29T12:30:45Z", 1709209845000},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2023-11-14T22:13:20+00:00", 1700000000000},
        {"2023-11-14T22:13:20-00:00", 1700000000000}, /* of a place that is not told */
        {"2023-11-15T00:13:20+02:00", 1700000000000},
        {"2023-11-14T16:43:20-05:30", 1700000000000},
        {"2023-11-14t22:13:20.25z", 1700000000250},
        {"2023-11-14T22:13:20.123999999999Z", 1700000000123},
        {"1990-12-31T23:59:60Z", 662688000000}, /* the three of RFC 3339, section 5.8 */
        {"1990-12-31T15:59:60-08:00", 662688000000},
        {"1937-01-01T12:00:27.87+00:20", -1041337172130},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"0001-01-01T00:00:00Z", -62135596800000},
    };
    static const char *const bad[] = {
        "",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14 22:13:20Z",
        "2023-11-14T22:13Z",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20,5Z",
        "2023-11-14T22:13:20Z ",
        " 2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20+01",
        "2023-11-14T22:13:20+0100",
        "2023-11-14T22:13:20+24:00",
        "2023-11-14T22:13:20+01:60",
        "2023-11-14T24:00:00Z",
        "2023-11-14T22:60:00Z",
        "2023-11-14T22:13:60Z", /* no leap second there */
        "1990-12-31T23:59:60-08:00",
        "2023-11-14T22:13:61Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2023-04-31T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-00-01T00:00:00Z",
        "2023-01-00T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "23-11-14T22:13:20Z",
        "12023-11-14T22:13:20Z",
        "-023-11-14T22:13:20Z",
        "2023-1-14T22:13:20Z",
        "20231114T221320Z",
        "1700000000000",
        "tomorrow",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = -7;

        if (!text_time_ms(good[i].text, &ms) || ms != good[i].ms)
            fail_msg("%s: %lld", good[i].text, (long long)ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = -7;

        if (text_time_ms(bad[i], &ms) || ms != -7)
            fail_msg("'%s' was taken", bad[i]);
    }
}

/* Every day of four centuries, which is where the calendar begins anew, follows the one before. */
static void test_times_follow_the_calendar(void **state)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t expected = 946684800000; /* 2000-01-01 */

    (void)state;
    for (int year = 2000; year < 2400; year++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= days[month - 1] + (leap && month == 2); day++) {
                char text[64]; /* what gcc thinks that three ints may need */
                int64_t ms = -1;

                snprintf(text, sizeof text, "%04d-%02d-%02dT00:00:00Z", year, month, day);
                assert_true(text_time_ms(text, &ms));
                assert_int_equal(ms, expected);
                expected += 86400000;
            }
        }
    }
}

static void test_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      "a\xc3(",
                                      "\xf8\x88\x80\x80\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void test_names(void **state)
{
    (void)state;
    assert_true(text_is_name("a.b-c_9", 128));
    assert_true(text_is_name("_x", 128));
    assert_false(text_is_name("", 128));
    assert_false(text_is_name("-a", 128));
    assert_false(text_is_name(".a", 128));
    assert_false(text_is_name("a b", 128));
    assert_false(text_is_name("a/b", 128));
    assert_true(text_is_name("abc", 3));
    assert_false(text_is_name("abcd", 3));
}

static void test_hash_spreads_its_low_bits(void **state)
{
    int buckets[64] = {0};
    char key[16];

    (void)state;
    for (int i = 0; i < 6400; i++) {
        int n = snprintf(key, sizeof key, "order-%d", i);

        buckets[text_hash(key, (size_t)n) % 64]++;
    }
    for (int i = 0; i < 64; i++)
        assert_in_range(buckets[i], 50, 150);
}

/* ---- buffers and bytes ----------------------------------------------------------------------------------- */

static void test_json_strings(void **state)
{
    buf b = BUF_INIT;
    char *text;

    (void)state;
    buf_json_string(&b, "a\"b\\c\n\r\t\b\f\v\x01\xc3\xa9", 14);
    text = buf_take(&b);
    assert_string_equal(text, "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u000b\\u0001\xc3\xa9\"");
    mem_free(text);
}

static void test_a_buffer_remembers_its_failure(void **state)
{
    buf b = BUF_INIT;

    (void)state;
    buf_puts(&b, "x");
    mem_fail_at(1, 1);
    buf_printf(&b, "%0200d", 7);
    mem_fail_at(0, 0);
    buf_puts(&b, "y");
    assert_true(b.failed);
    assert_null(buf_bytes(&b));
    assert_int_equal(b.cap, 0);
}

static void test_bytes_are_shared(void **state)
{
    bytes *b = bytes_new("abc", 3);

    (void)state;
    assert_int_equal(b->len, 3);
    assert_string_equal(b->data, "abc");
    assert_ptr_equal(bytes_ref(b), b);
    bytes_unref(b);
    assert_string_equal(b->data, "abc");
    bytes_unref(b);
    assert_null(bytes_ref(NULL));
    bytes_unref(NULL);
}

static void test_growing_stays_whole_on_failure(void **state)
{
    size_t cap = 0;
    int *array = mem_grow(NULL, &cap, 1, sizeof *array);

    (void)state;
    assert_true(cap >= 1);
    mem_fail_at(1, 0);
    assert_null(mem_grow(array, &cap, cap + 1, sizeof *array));
    mem_fail_at(0, 0);
    assert_null(mem_grow(array, &cap, SIZE_MAX / 2, sizeof *array));
    array[0] = 1;
    mem_free(array);
}

/* ---- containers ------------------------------------------------------------------------------------------ */

typedef struct timer {
    heap_node node;
    int number;
} timer;

static void test_heap_gives_the_earliest_and_keeps_order(void **state)
{
    heap h = HEAP_INIT;
    timer t[200] = {0};
    int64_t last = INT64_MIN;
    int last_number = -1, taken = 0;

    (void)state;
    srand(3);
    for (int i = 0; i < 200; i++) {
        t[i].number = i;
        assert_true(heap_set(&h, &t[i].node, rand() % 20));
    }
    for (int i = 0; i < 200; i += 3)
        heap_remove(&h, &t[i].node);
    heap_remove(&h, &t[0].node); /* harmless */
    for (int i = 1; i < 200; i += 3)
        assert_true(heap_set(&h, &t[i].node, 5)); /* moved: behind those that are at 5 already */
    while (heap_first(&h)) {
        timer *first = LIST_ENTRY(heap_first(&h), timer, node);

        assert_true(first->node.at >= last);
        if (first->node.at == last && last != 5)
            assert_true(first->number > last_number);
        last = first->node.at;
        last_number = first->number;
        heap_remove(&h, &first->node);
        taken++;
    }
    assert_int_equal(taken, 133);
    heap_free(&h);
}

static void test_list(void **state)
{
    list head, a, b;

    (void)state;
    list_init(&head);
    list_init(&a);
    list_init(&b);
    assert_null(list_pop(&head));
    list_push(&head, &a);
    list_push(&head, &b);
    list_remove(&a);
    list_remove(&a);
    assert_ptr_equal(list_pop(&head), &b);
    assert_true(list_empty(&head));
}

#define PRODUCERS 4
#define EACH      5000

typedef struct item {
    mpsc_node node;
    int producer, number;
} item;

static mpsc queue;
static item items[PRODUCERS][EACH];

static void *produce(void *arg)
{
    int p = (int)(intptr_t)arg;

    for (int i = 0; i < EACH; i++) {
        items[p][i].producer = p;
        items[p][i].number = i;
        mpsc_push(&queue, &items[p][i].node);
    }
    return NULL;
}

static void test_many_producers_one_consumer(void **state)
{
    pthread_t threads[PRODUCERS];
    int next[PRODUCERS] = {0}, got = 0;

    (void)state;
    for (intptr_t p = 0; p < PRODUCERS; p++)
        pthread_create(&threads[p], NULL, produce, (void *)p);
    while (got < PRODUCERS * EACH)
        for (mpsc_node *n = mpsc_drain(&queue); n; n = n->next) {
            item *it = LIST_ENTRY(n, item, node);

            assert_int_equal(it->number, next[it->producer]++); /* each producer's order is kept */
            got++;
        }
    for (int p = 0; p < PRODUCERS; p++)
        pthread_join(threads[p], NULL);
    assert_true(mpsc_empty(&queue));
}

/* ---- errors, digest, log --------------------------------------------------------------------------------- */

static void test_data_of_errors(void **state)
{
    orch_error *e = NULL, *copy;

    (void)state;
    error_add_data(NULL, "1");
    error_add_data(&e, "1");
    assert_null(e);
    assert_null(error_get_data(NULL));
    error_set(&e, ORCH_E_NOT_FOUND, "x", "no such thing");
    assert_null(error_get_data(e));
    error_add_data(&e, NULL);
    assert_null(error_get_data(e));
    error_add_data(&e, "{\"a\":1}");
    error_prefix(&e, "step '%s': ", "a");
    copy = error_copy(e);
    orch_error_free(e);
    assert_string_equal(error_get_data(copy), "{\"a\":1}");
    assert_string_equal(orch_error_message(copy), "step 'a': no such thing");
    assert_string_equal(orch_error_about(copy), "x");
    error_add_data(&copy, "2");
    assert_string_equal(error_get_data(copy), "2");
    mem_fail_at(1, 0);
    error_add_data(&copy, "3");
    mem_fail_at(0, 0);
    assert_int_equal(orch_error_code(copy), ORCH_E_RESOURCE_EXHAUSTED);
    error_add_data(&copy, "3"); /* the static one */
    assert_null(error_get_data(copy));
    orch_error_free(copy);
}

static void test_errors(void **state)
{
    orch_error *e = NULL, *copy;
    char longer[3000];

    (void)state;
    assert_int_equal(error_set(&e, ORCH_E_NOT_FOUND, "x", "no '%s'", "x"), ORCH_E_NOT_FOUND);
    assert_int_equal(orch_error_code(e), -5);
    assert_string_equal(orch_error_message(e), "no 'x'");
    assert_string_equal(orch_error_about(e), "x");
    assert_int_equal(orch_error_retryable(e), 0);
    error_prefix(&e, "step '%s': ", "a");
    assert_string_equal(orch_error_message(e), "step 'a': no 'x'");
    copy = error_copy(e);
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    error_set(&e, ORCH_E_UNAVAILABLE, NULL, "%s", longer); /* the old one is freed */
    assert_true(strlen(orch_error_message(e)) < 1100);
    assert_int_equal(orch_error_retryable(e), 1);
    assert_string_equal(orch_error_message(copy), "step 'a': no 'x'");
    orch_error_free(e);
    orch_error_free(copy);
    assert_int_equal(error_set(NULL, ORCH_E_INTERNAL, NULL, "nobody asks"), ORCH_E_INTERNAL);
    assert_string_equal(orch_error_message(NULL), "");
    assert_int_equal(orch_error_code(NULL), 0);
}

static void test_an_error_without_memory_is_an_error(void **state)
{
    orch_error *e = NULL;

    (void)state;
    mem_fail_at(1, 1);
    assert_int_equal(error_set(&e, ORCH_E_NOT_FOUND, "x", "y"), ORCH_E_NOT_FOUND);
    mem_fail_at(0, 0);
    assert_int_equal(orch_error_code(e), ORCH_E_RESOURCE_EXHAUSTED);
    orch_error_free(e);
}

static void test_code_names(void **state)
{
    (void)state;
    assert_string_equal(orch_code_name(ORCH_E_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(orch_code_name(5), "NOT_FOUND");
    assert_string_equal(orch_code_name(0), "OK");
    assert_string_equal(orch_code_name(17), "UNKNOWN");
    assert_string_equal(orch_code_name(INT32_MIN), "UNKNOWN");
    for (int32_t code = -1; code >= -16; code--)
        assert_int_equal(error_code_by_name(orch_code_name(code)), code);
    assert_int_equal(error_code_by_name("OK"), 0);
    assert_int_equal(error_code_by_name("nonsense"), 0);
}

static void test_digest(void **state)
{
    char hex[DIGEST_HEX_SIZE];
    digest d;

    (void)state;
    assert_int_equal(digest_of("abc", 3, &d), 0); /* FIPS 180-4's example */
    digest_hex(&d, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static int lines, freed;
static char last_line[64];

static void take_line(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    lines++;
    snprintf(last_line, sizeof last_line, "%s", message);
}

static void count_free(void *user_data)
{
    (void)user_data;
    freed++;
}

static void test_log(void **state)
{
    logger *l = logger_new();

    (void)state;
    log_write(NULL, ORCH_LOG_CRITICAL, "nobody");
    log_write(l, ORCH_LOG_CRITICAL, "nobody");
    logger_set(l, take_line, &lines, count_free, ORCH_LOG_WARNING);
    log_write(l, ORCH_LOG_INFO, "below");
    assert_int_equal(lines, 0);
    log_write(l, ORCH_LOG_WARNING, "n = %d", 5);
    assert_int_equal(lines, 1);
    assert_string_equal(last_line, "n = 5");
    logger_set(l, take_line, NULL, count_free, ORCH_LOG_DEBUG);
    assert_int_equal(freed, 1);
    logger_free(l);
    assert_int_equal(freed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_times_follow_the_calendar),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_hash_spreads_its_low_bits),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_a_buffer_remembers_its_failure),
        cmocka_unit_test(test_bytes_are_shared),
        cmocka_unit_test(test_growing_stays_whole_on_failure),
        cmocka_unit_test(test_heap_gives_the_earliest_and_keeps_order),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_many_producers_one_consumer),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_data_of_errors),
        cmocka_unit_test(test_an_error_without_memory_is_an_error),
        cmocka_unit_test(test_code_names),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

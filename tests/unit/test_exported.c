/* Goal: whatever the text of an import is, reading it ends with what it says or with the line that is wrong, and leaves no memory behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "api/exported.h"
#include "base/mem.h"

static const char good[] =
    "{\"record\":\"execution\",\"format\":1,\"id\":\"a/1\",\"key\":\"KEY\",\"workflow\":\"w\","
    "\"version\":\"1.0.0\",\"digest\":"
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"state\":\"failed\","
    "\"run\":2,\"priority\":5,\"limit_key\":\"k\",\"affinity\":\"f\",\"parent\":\"p\","
    "\"parent_run\":1,\"parent_step\":0,\"parent_index\":3,\"parent_attempt\":1,\"depth\":1,"
    "\"abandoned\":true,\"by_task\":true,\"accepted_ms\":5,\"deadline_ms\":50,\"ended_ms\":20,"
    "\"attributes\":{\"b\":1.0,\"a\":\"x\"},\"input\" : { \"i\" : [1, {\"}\":\"\\\"]\"}] } ,"
    "\"error\":{\"code\":\"ABORTED\",\"message\":\"no\"}}\n"
    "{\"record\":\"run\",\"run\":1,\"state\":\"succeeded\",\"ended_ms\":10,\"output\":7.0}\n"
    "{\"record\":\"checkpoint\",\"run\":1,\"seq\":1,\"step\":\"s\",\"index\":2,\"kind\":\"succeeded\","
    "\"attempt\":1,\"started_ms\":6,\"ended_ms\":7,\"output\":\"t\"}\r\n"
    "{\"record\":\"checkpoint\",\"run\":2,\"seq\":1,\"kind\":\"closing\",\"state\":\"timed_out\"}\n"
    "{\"record\":\"control\",\"at_ms\":8,\"action\":\"rerun\",\"who\":\"ann\",\"why\":\"so\","
    "\"detail\":\"s\"}\n"
    "{\"record\":\"end\",\"lines\":6}\n";

/* With a key that belongs to its id. */
static char text[sizeof good + EXECUTION_ID_LEN];

static int set_up(void **state)
{
    char key[EXECUTION_ID_LEN + 1];
    const char *at = strstr(good, "KEY");

    (void)state;
    execution_id_format(execution_key_make(1000, execution_id_shard("a/1"), 9), key);
    memcpy(text, good, (size_t)(at - good));
    strcpy(text + (at - good), key);
    strcat(text, at + 3);
    return 0;
}

static void it_is_read_as_it_is_written(void **state)
{
    exported e;
    orch_error *err = NULL;

    (void)state;
    if (exported_read(text, strlen(text), &e, &err))
        fail_msg("%s", orch_error_message(err));
    assert_string_equal(e.row.id, "a/1");
    assert_int_equal(execution_key_ms(e.row.key), 1000);
    assert_string_equal(e.workflow, "w");
    assert_string_equal(e.version, "1.0.0");
    assert_int_equal(e.digest.b[1], 0x23);
    assert_int_equal(e.row.state, EXECUTION_FAILED);
    assert_int_equal(e.row.run, 2);
    assert_int_equal(e.row.priority, 5);
    assert_string_equal(e.row.limit_key, "k");
    assert_string_equal(e.row.affinity, "f");
    assert_string_equal(e.parent, "p");
    assert_int_equal(e.row.parent_step, 0);
    assert_int_equal(e.row.parent_index, 3);
    assert_int_equal(e.row.depth, 1);
    assert_true(e.row.abandoned);
    assert_true(e.row.by_task);
    assert_int_equal(e.row.ended_ms, 20);
    assert_string_equal(e.row.attributes->data, "{\"a\":\"x\",\"b\":1.0}");
    assert_string_equal(e.row.input->data, "{ \"i\" : [1, {\"}\":\"\\\"]\"}] }");
    assert_null(e.row.output);
    assert_string_equal(e.row.error->data, "{\"code\":\"ABORTED\",\"message\":\"no\"}");
    assert_int_equal(e.runs[0].end.state, EXECUTION_SUCCEEDED);
    assert_string_equal(e.runs[0].end.output->data, "7.0");
    assert_int_equal(e.runs[0].count, 1);
    assert_string_equal(e.runs[0].rows[0].step, "s");
    assert_int_equal(e.runs[0].rows[0].line, 3);
    assert_int_equal(e.runs[0].rows[0].checkpoint.index, 2);
    assert_int_equal(e.runs[0].rows[0].checkpoint.kind, CHECKPOINT_SUCCEEDED);
    assert_string_equal(e.runs[0].rows[0].checkpoint.output->data, "\"t\"");
    assert_null(e.runs[1].rows[0].step);
    assert_int_equal(e.runs[1].rows[0].checkpoint.kind, CHECKPOINT_CLOSING);
    assert_string_equal(exported_closing_name(e.runs[1].rows[0].checkpoint.attempt), "timed_out");
    assert_int_equal(e.control_count, 1);
    assert_string_equal(e.controls[0].detail, "s");
    exported_clear(&e);
}

static int32_t read_copy(const char *data, size_t len)
{
    char *copy = mem_alloc(len ? len : 1); /* its end is that of the memory */
    exported e;
    orch_error *err = NULL;
    int32_t rc;

    assert_non_null(copy);
    memcpy(copy, data, len);
    rc = exported_read(copy, len, &e, &err);
    assert_int_equal(orch_error_code(err), rc);
    if (rc == ORCH_E_INVALID_ARGUMENT)
        assert_non_null(strstr(orch_error_message(err), "line "));
    orch_error_free(err);
    exported_clear(&e);
    mem_free(copy);
    return rc;
}

/* Any byte may be any of these, which are the bones of JSON, or be missing. */
static void no_byte_breaks_it(void **state)
{
    static const char bytes[] = "\"\\{}[]:,0-9xZ \n\r\t\xff";
    size_t len = strlen(text);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        char changed[sizeof text];
        int32_t rc;

        for (size_t b = 0; b < sizeof bytes; b++) { /* and NUL */
            memcpy(changed, text, len);
            changed[i] = bytes[b];
            rc = read_copy(changed, len);
            assert_true(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
        }
        memcpy(changed, text, i);
        memcpy(changed + i, text + i + 1, len - i - 1);
        rc = read_copy(changed, len - 1);
        assert_true(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
        assert_int_equal(read_copy(text, i < len - 1 ? i : 0), ORCH_E_INVALID_ARGUMENT);
    }
}

static void a_lack_of_memory_is_said(void **state)
{
    size_t len = strlen(text);
    int32_t rc = ORCH_E_RESOURCE_EXHAUSTED;
    long n = 0;

    (void)state;
    while (rc == ORCH_E_RESOURCE_EXHAUSTED) {
        exported e;

        mem_fail_at(++n, 0);
        rc = exported_read(text, len, &e, NULL);
        mem_fail_at(0, 0);
        exported_clear(&e);
    }
    assert_int_equal(rc, 0);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read_as_it_is_written),
        cmocka_unit_test(no_byte_breaks_it),
        cmocka_unit_test(a_lack_of_memory_is_said),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* Goal: a message is the same on the other side of a wire, however large and whatever its fields hold; what is no message is refused, and
 * what a later version says is skipped. None of it leaks, and no failed allocation does harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "orch/v1/engine.pb-c.h"
#include "support/wire_samples.h"
#include "transport/wire.h"

/* ---- the line between: what was put, in order ------------------------------------------------------------ */

typedef struct line {
    buf bytes; /* of all */
    size_t ends[16];
    unsigned count;
} line;

static void put(line *l, const void *data, size_t len)
{
    assert_true(l->count < 16);
    buf_add(&l->bytes, data, len);
    l->ends[l->count++] = l->bytes.len;
}

static int32_t send_on(line *l, const message *m)
{
    wire_writer w = {0};
    int32_t rc = wire_write(&w, m, WIRE_PART_BYTES);
    const void *data;
    size_t len;

    while (wire_next(&w, WIRE_PART_BYTES, &data, &len))
        put(l, data, len);
    wire_writer_free(&w);
    return rc;
}

/* All that is on the line; only the last may give a message. */
static int32_t read_from(const line *l, bool to_engine, message **out)
{
    wire_reader r = {.to_engine = to_engine, .parts = BUF_INIT};
    orch_error *err = NULL;
    int32_t rc = 0;
    size_t at = 0;

    *out = NULL;
    for (unsigned i = 0; i < l->count && !rc; at = l->ends[i++]) {
        assert_null(*out);
        rc = wire_receive(&r, (const char *)l->bytes.data + at, l->ends[i] - at, out, &err);
    }
    assert_int_equal(rc != 0, err != NULL);
    assert_true(!rc || !*out);
    orch_error_free(err);
    wire_reader_free(&r);
    return rc;
}

static bool goes_down(uint8_t kind)
{
    return kind <= MESSAGE_CONFIRMATION;
}

static void same_behind(const message *m, const line *l)
{
    buf before = BUF_INIT, behind = BUF_INIT;
    message *got;

    assert_int_equal(read_from(l, goes_down(m->kind), &got), 0);
    assert_non_null(got);
    wire_tell(&before, m);
    wire_tell(&behind, got);
    assert_int_equal(before.len, behind.len);
    assert_memory_equal(before.data, behind.data, before.len);
    message_free(got);
    buf_free(&before);
    buf_free(&behind);
}

static void each_kind_is_the_same(void **state)
{
    (void)state;
    for (int kind = MESSAGE_START; kind <= MESSAGE_NEED_CONFIRMATION; kind++)
        for (int level = WIRE_LEAST; level < WIRE_LEVELS; level++) {
            message *m = wire_sample((uint8_t)kind, level);
            line l = {.bytes = BUF_INIT};

            assert_int_equal(send_on(&l, m), 0);
            assert_int_equal(l.count, 1);
            same_behind(m, &l);
            buf_free(&l.bytes);
            message_free(m);
        }
}

/* ---- parts ----------------------------------------------------------------------------------------------- */

static message *definition_of(size_t size)
{
    char *text = malloc(size);
    message *m = wire_sample(MESSAGE_NEED_DEFINITION, WIRE_USUAL);

    assert_non_null(text);
    memset(text, 'd', size);
    m->kind = MESSAGE_DEFINITION;
    m->definition.text = bytes_new(text, size);
    assert_non_null(m->definition.text);
    free(text);
    return m;
}

static size_t length_of(size_t text_size, unsigned *parts)
{
    message *m = definition_of(text_size);
    line l = {.bytes = BUF_INIT};
    size_t len;

    assert_int_equal(send_on(&l, m), 0);
    same_behind(m, &l);
    for (unsigned i = 0; i < l.count; i++) /* a part has a few bytes around it */
        assert_true(l.ends[i] - (i ? l.ends[i - 1] : 0) <= WIRE_PART_BYTES + 64);
    *parts = l.count;
    len = l.bytes.len;
    buf_free(&l.bytes);
    message_free(m);
    return len;
}

static void what_is_long_goes_in_parts(void **state)
{
    unsigned parts;
    size_t around = length_of(WIRE_PART_BYTES - 1000, &parts) - (WIRE_PART_BYTES - 1000);

    (void)state;
    assert_int_equal(parts, 1);
    assert_int_equal(length_of(WIRE_PART_BYTES - around, &parts), WIRE_PART_BYTES);
    assert_int_equal(parts, 1);
    length_of(WIRE_PART_BYTES - around + 1, &parts);
    assert_int_equal(parts, 2);
    length_of(2 * WIRE_PART_BYTES - around, &parts);
    assert_int_equal(parts, 2);
    length_of(2 * WIRE_PART_BYTES - around + 1, &parts);
    assert_int_equal(parts, 3);
    length_of(5 * WIRE_PART_BYTES, &parts);
    assert_int_equal(parts, 6);
}

/* ---- what is wrong --------------------------------------------------------------------------------------- */

static void add_down(line *l, Orch__V1__ToEngine__KindCase kind, void *what)
{
    Orch__V1__ToEngine m = ORCH__V1__TO_ENGINE__INIT;
    uint8_t packed[300];

    m.kind_case = kind;
    m.start = what; /* of the union */
    assert_true(orch__v1__to_engine__get_packed_size(&m) <= sizeof packed);
    put(l, packed, orch__v1__to_engine__pack(&m, packed));
}

static void add_up(line *l, Orch__V1__ToOrchestrator__KindCase kind, void *what)
{
    Orch__V1__ToOrchestrator m = ORCH__V1__TO_ORCHESTRATOR__INIT;
    uint8_t packed[600];

    m.kind_case = kind;
    m.accepted = what; /* of the union */
    assert_true(orch__v1__to_orchestrator__get_packed_size(&m) <= sizeof packed);
    put(l, packed, orch__v1__to_orchestrator__pack(&m, packed));
}

static void gives(line *l, bool to_engine, int32_t right)
{
    message *m;

    assert_int_equal(read_from(l, to_engine, &m), right);
    assert_null(m);
    buf_free(&l->bytes);
    l->count = 0;
}

#define DOWN_GIVES(KIND, what, right)                          \
    do {                                                       \
        line l_ = {.bytes = BUF_INIT};                         \
                                                               \
        add_down(&l_, ORCH__V1__TO_ENGINE__KIND_##KIND, what); \
        gives(&l_, true, right);                               \
    } while (0)
#define UP_GIVES(KIND, what, right)                                \
    do {                                                           \
        line l_ = {.bytes = BUF_INIT};                             \
                                                                   \
        add_up(&l_, ORCH__V1__TO_ORCHESTRATOR__KIND_##KIND, what); \
        gives(&l_, false, right);                                  \
    } while (0)

#define WRONG ORCH_E_INVALID_ARGUMENT

static uint8_t thirty_two[32];
static char one_letter[] = "x";

static void wrong_fields_down_are_refused(void **state)
{
    Orch__V1__Start start = ORCH__V1__START__INIT;
    Orch__V1__Definition definition = ORCH__V1__DEFINITION__INIT;
    Orch__V1__InboxItem item = ORCH__V1__INBOX_ITEM__INIT, *items = &item;
    Orch__V1__Checkpoint row = ORCH__V1__CHECKPOINT__INIT, *rows = &row;
    Orch__V1__ChildRefused refused = ORCH__V1__CHILD_REFUSED__INIT;
    static const int32_t codes[] = {INT32_MIN, -1, 0, 17, INT32_MAX};

    (void)state;
    start.definition_digest = (ProtobufCBinaryData){32, thirty_two};
    DOWN_GIVES(START, &start, WRONG); /* no id */
    start.execution_id = one_letter;
    start.definition_digest.len = 31;
    DOWN_GIVES(START, &start, WRONG);
    start.definition_digest.len = 32;
    start.n_checkpoints = 1;
    start.checkpoints = &rows;
    row.kind = ORCH__V1__CHECKPOINT__KIND__DECIDED;
    DOWN_GIVES(START, &start, WRONG); /* seq 0 */
    row.seq = 1;
    row.kind = ORCH__V1__CHECKPOINT__KIND__HANDLER_FAILED + 1;
    DOWN_GIVES(START, &start, WRONG);
    start.n_checkpoints = 0;
    start.n_inbox = 1;
    start.inbox = &items;
    DOWN_GIVES(START, &start, WRONG); /* kind 0 */
    DOWN_GIVES(INBOX, &item, WRONG);
    item.kind = NOTE_WAKE + 1;
    DOWN_GIVES(INBOX, &item, WRONG);
    item.kind = ORCH__V1__INBOX_ITEM__KIND__CHILD_ENDED;
    item.state = 2;
    DOWN_GIVES(INBOX, &item, WRONG);
    item.state = 7;
    DOWN_GIVES(INBOX, &item, WRONG);
    definition.digest = (ProtobufCBinaryData){32, thirty_two};
    DOWN_GIVES(DEFINITION, &definition, WRONG); /* no text */
    definition.text = (ProtobufCBinaryData){2, thirty_two};
    definition.digest.len = 0;
    DOWN_GIVES(DEFINITION, &definition, WRONG);
    refused.error = (ProtobufCBinaryData){2, thirty_two};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        refused.code = codes[i];
        DOWN_GIVES(CHILD_REFUSED, &refused, WRONG);
    }
}

static void wrong_fields_up_are_refused(void **state)
{
    Orch__V1__Report report = ORCH__V1__REPORT__INIT;
    Orch__V1__Checkpoint row = ORCH__V1__CHECKPOINT__INIT, good = ORCH__V1__CHECKPOINT__INIT;
    Orch__V1__Checkpoint *rows[] = {&good, &row};
    Orch__V1__Refused refused = ORCH__V1__REFUSED__INIT;
    Orch__V1__NeedDefinition need = ORCH__V1__NEED_DEFINITION__INIT;
    Orch__V1__StepStarted started = ORCH__V1__STEP_STARTED__INIT;

    (void)state;
    report.end = 3;
    UP_GIVES(REPORT, &report, WRONG);
    report.end = ORCH__V1__REPORT__END__COMPLETED;
    UP_GIVES(REPORT, &report, WRONG); /* state 0 */
    report.state = 5;
    UP_GIVES(REPORT, &report, WRONG);
    report.state = ORCH__V1__REPORT__STATE__SUCCEEDED;
    report.n_checkpoints = 2; /* the second is wrong: the first is dropped too */
    report.checkpoints = rows;
    good.seq = row.seq = 1;
    good.kind = ORCH__V1__CHECKPOINT__KIND__SUCCEEDED;
    good.output = (ProtobufCBinaryData){2, thirty_two};
    UP_GIVES(REPORT, &report, WRONG);
    row.kind = -1;
    UP_GIVES(REPORT, &report, WRONG);
    refused.message = one_letter;
    UP_GIVES(REFUSED, &refused, WRONG);
    refused.code = INT32_MIN;
    UP_GIVES(REFUSED, &refused, WRONG);
    UP_GIVES(NEED_DEFINITION, &need, WRONG);
    started.role = 3;
    UP_GIVES(STEP_STARTED, &started, WRONG);
}

static void wrong_children_are_refused(void **state)
{
    Orch__V1__StartChild c = ORCH__V1__START_CHILD__INIT;
    Orch__V1__CancelChild cancel = ORCH__V1__CANCEL_CHILD__INIT;
    char too_long[CHILD_ID_MAX + 2];

    (void)state;
    memset(too_long, 'c', CHILD_ID_MAX + 1);
    too_long[CHILD_ID_MAX + 1] = '\0';
    c.workflow = one_letter;
    UP_GIVES(START_CHILD, &c, WRONG); /* no id */
    c.id = too_long;
    UP_GIVES(START_CHILD, &c, WRONG);
    c.id = one_letter;
    c.workflow = too_long + CHILD_ID_MAX + 1; /* "" */
    UP_GIVES(START_CHILD, &c, WRONG);
    c.workflow = one_letter;
    c.timeout_ms = -1;
    UP_GIVES(START_CHILD, &c, WRONG);
    c.timeout_ms = 0;
    c.priority_given_case = ORCH__V1__START_CHILD__PRIORITY_GIVEN_PRIORITY;
    c.priority = -1;
    UP_GIVES(START_CHILD, &c, WRONG);
    c.priority = CHILD_PRIORITY_MAX + 1;
    UP_GIVES(START_CHILD, &c, WRONG);
    UP_GIVES(CANCEL_CHILD, &cancel, WRONG);
}

/* Cut anywhere, it is refused, or another message, but never what reads beyond it. */
static void truncated_bytes_are_refused(void **state)
{
    unsigned refused = 0, cuts = 0;

    (void)state;
    for (int kind = MESSAGE_START; kind <= MESSAGE_NEED_CONFIRMATION; kind++) {
        message *m = wire_sample((uint8_t)kind, WIRE_MOST), *got;
        line l = {.bytes = BUF_INIT};

        assert_int_equal(send_on(&l, m), 0);
        for (size_t len = 0; len < l.bytes.len; len++, cuts++) {
            line cut = {.ends = {len}, .count = 1};
            int32_t rc;

            cut.bytes.data = malloc(len ? len : 1); /* so that a sanitizer sees its end */
            assert_non_null(cut.bytes.data);
            if (len)
                memcpy(cut.bytes.data, l.bytes.data, len);
            cut.bytes.len = len;
            rc = read_from(&cut, goes_down(kind), &got);
            assert_true(rc == 0 || rc == WRONG);
            refused += rc != 0;
            message_free(got);
            free(cut.bytes.data);
        }
        buf_free(&l.bytes);
        message_free(m);
    }
    assert_true(refused > cuts * 9 / 10);
}

static void later_kinds_are_skipped(void **state)
{
    static const uint8_t unknown[] = {0x72, 2, 8, 1}; /* field 14, a message */
    line l = {.bytes = BUF_INIT};

    (void)state;
    put(&l, unknown, sizeof unknown);
    gives(&l, true, 0);
    put(&l, unknown, sizeof unknown);
    gives(&l, false, 0);
    put(&l, unknown, 0);
    gives(&l, true, 0);
}

static void add_part(line *l, bool down, const void *data, size_t len, bool more)
{
    Orch__V1__Part part = ORCH__V1__PART__INIT;

    memcpy(thirty_two, data, len);
    part.data = (ProtobufCBinaryData){len, thirty_two};
    part.more = more;
    if (down)
        add_down(l, ORCH__V1__TO_ENGINE__KIND_PART, &part);
    else
        add_up(l, ORCH__V1__TO_ORCHESTRATOR__KIND_PART, &part);
}

static void parts_in_disorder_are_refused(void **state)
{
    static const char part_of_part[] = {0x7a, 3, 0x0a, 1, 'x'}; /* Part{data: "x"} */

    (void)state;
    for (int down = 0; down < 2; down++) {
        line l = {.bytes = BUF_INIT};

        add_part(&l, down, "", 0, true);
        gives(&l, down, WRONG);
        add_part(&l, down, part_of_part, sizeof part_of_part, false);
        gives(&l, down, WRONG);
        add_part(&l, down, part_of_part, 2, true);
        add_part(&l, down, part_of_part + 2, 3, false);
        gives(&l, down, WRONG);
        add_part(&l, down, "\xff\xff", 2, true);
        add_part(&l, down, "\xff", 1, false);
        gives(&l, down, WRONG); /* no message, once it is whole */
        add_part(&l, down, "\x0a", 1, true);
        put(&l, "\x72\0", 2); /* what would be skipped is not between parts */
        gives(&l, down, WRONG);
        add_part(&l, down, "\x0a", 1, true); /* and what never ends is dropped with the channel */
        gives(&l, down, 0);
    }
}

static void what_is_too_long_is_refused(void **state)
{
    wire_reader r = {.to_engine = true, .parts = BUF_INIT};
    line l = {.bytes = BUF_INIT};
    orch_error *err = NULL;
    message *m;

    (void)state;
    add_part(&l, true, "xx", 2, true);
    r.in_parts = true; /* all but one byte has come */
    r.parts.len = WIRE_MESSAGE_BYTES - 1;
    assert_int_equal(wire_receive(&r, l.bytes.data, l.bytes.len, &m, &err),
                     ORCH_E_RESOURCE_EXHAUSTED);
    assert_null(m);
    assert_non_null(strstr(orch_error_message(err), "1073741824 bytes"));
    orch_error_free(err);
    r.parts = (buf)BUF_INIT;
    wire_reader_free(&r);
    buf_free(&l.bytes);
}

/* ---- without memory -------------------------------------------------------------------------------------- */

static void survive_sending(const message *m, line *l)
{
    for (long n = 1;; n++) {
        int32_t rc;

        l->count = 0;
        buf_free(&l->bytes);
        l->bytes = (buf)BUF_INIT;
        buf_room(&l->bytes, 6 * WIRE_PART_BYTES); /* its own memory is not what fails */
        mem_fail_at(n, 0);
        rc = send_on(l, m);
        mem_fail_at(0, 0);
        if (!rc)
            break;
        assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        assert_int_equal(l->count, 0);
    }
}

static void survive_reading(const message *m, const line *l)
{
    for (long n = 1;; n++) {
        wire_reader r = {.to_engine = goes_down(m->kind), .parts = BUF_INIT};
        message *got = NULL;
        int32_t rc = 0;
        size_t at = 0;

        mem_fail_at(n, 0);
        for (unsigned i = 0; i < l->count && !rc; at = l->ends[i++])
            rc = wire_receive(&r, (const char *)l->bytes.data + at, l->ends[i] - at, &got, NULL);
        mem_fail_at(0, 0);
        wire_reader_free(&r);
        message_free(got);
        if (!rc)
            break;
        assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        assert_null(got);
    }
}

static void each_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (int kind = MESSAGE_START; kind <= MESSAGE_NEED_CONFIRMATION + 1; kind++) {
        message *m = kind > MESSAGE_NEED_CONFIRMATION ? definition_of(3 * WIRE_PART_BYTES)
                                                      : wire_sample((uint8_t)kind, WIRE_MOST);
        line l = {.bytes = BUF_INIT};

        survive_sending(m, &l);
        survive_reading(m, &l);
        same_behind(m, &l);
        buf_free(&l.bytes);
        message_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_the_same),
        cmocka_unit_test(what_is_long_goes_in_parts),
        cmocka_unit_test(wrong_fields_down_are_refused),
        cmocka_unit_test(wrong_fields_up_are_refused),
        cmocka_unit_test(wrong_children_are_refused),
        cmocka_unit_test(truncated_bytes_are_refused),
        cmocka_unit_test(later_kinds_are_skipped),
        cmocka_unit_test(parts_in_disorder_are_refused),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(each_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

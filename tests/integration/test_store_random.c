/* Goal: on any sequence of units the SQLite adapter agrees with the memory adapter, in what it answers and in what is
 * then there; and the tables that it keeps beside the executions say the same as those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "support/store_conformance.h"
#include "support/store_tables.h"

#define T0 INT64_C(1700000000000)

enum { BATCH = 40, ROUNDS = 60, BIG = 40000, SPREAD = 50 /* keys of a shard */ };

static char folder[64], path[128], url[160];

static void clean(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char file[160];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
}

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

static bool one_in(uint32_t n)
{
    return random_below(n) == 0;
}

static uint64_t random_key(void)
{
    uint32_t shard = random_below(4), n = random_below(SPREAD);

    return fixture_row(shard, n).key;
}

/* Some are the same big value, which is stored once; some are what NULL stands for. */
static bytes *random_json(void)
{
    static const char *const texts[] = {"1", "[1,2]", "{\"a\":\"b\"}", "null", "{}"};
    const char *text = texts[random_below(5)];
    bytes *big;

    if (one_in(3))
        return NULL;
    if (!one_in(20))
        return bytes_new(text, strlen(text));
    big = bytes_new(NULL, BIG);
    assert_non_null(big);
    memset(big->data, 'a' + (int)random_below(4), BIG);
    return big;
}

/* ---- a random unit ------------------------------------------------------------------------------------------- */

typedef struct random_unit {
    store_unit u;
    definition_row definition;
    execution_row accept;
    start_key start;
    checkpoint rows[4];
    inbox_item item, notify;
    execution_update update;
    execution_setting setting;
    control_row control;
    setting_row put;
    char id[8], workflow[8], version[8], start_key[8], name[16];
} random_unit;

static char alpha[] = "a", beta[] = "b", who[] = "ann", cancel[] = "cancel", signal_name[] = "go";

static char *a_or_b(void)
{
    return one_in(2) ? alpha : beta;
}

static void random_definition(random_unit *r)
{
    snprintf(r->workflow, sizeof r->workflow, "w%u", random_below(4));
    snprintf(r->version, sizeof r->version, "%u.0.0", random_below(4));
    r->definition = (definition_row){
        .key = 1 + random_below(30), .workflow = r->workflow, .version = r->version};
    r->definition.text = random_json();
    r->u.definition = &r->definition;
}

static void random_origin(execution_row *row)
{
    static const char *const attributes[] = {"{\"region\":\"eu\"}", "{\"region\":\"us\",\"n\":1}",
                                             "{}", "{\"wrong\":[]}", "{\"n\":1.5, \"b\": true}"};
    const char *text = attributes[random_below(5)];

    if (one_in(2))
        row->priority = (uint8_t)random_below(PRIORITIES);
    if (one_in(3))
        row->limit_key = a_or_b();
    if (one_in(3))
        row->affinity = a_or_b();
    if (one_in(3))
        row->attributes = bytes_new(text, strlen(text));
    if (one_in(3)) {
        row->parent = random_key();
        row->parent_run = 1 + random_below(2);
        row->parent_step = one_in(2) ? random_below(3) : STEP_NONE;
        row->parent_index = one_in(2) ? random_below(3) : INDEX_NONE;
        row->parent_attempt = random_below(3);
        row->depth = 1 + random_below(3);
        row->abandoned = one_in(2);
        row->by_task = one_in(2);
    }
}

static void random_start_key(random_unit *r)
{
    snprintf(r->start_key, sizeof r->start_key, "k%u", random_below(15));
    r->start.workflow = a_or_b();
    r->start.key = r->start_key;
    r->start.policy = (uint8_t)random_below(3);
    r->start.expires_ms = one_in(2) ? T0 + random_below(100) : 0;
    r->start.now_ms = T0 + random_below(100);
    r->u.start_key = &r->start;
}

static void random_accept(random_unit *r)
{
    r->accept = fixture_row(random_below(4), random_below(SPREAD));
    if (one_in(4))
        r->accept.key = r->u.key;
    r->accept.definition = random_below(20);
    if (one_in(8))
        r->accept.state = EXECUTION_SUSPENDED;
    if (one_in(10)) { /* an import, perhaps from a machine with another clock */
        r->accept.state = (uint8_t)(EXECUTION_SUCCEEDED + random_below(4));
        r->accept.ended_ms = r->accept.accepted_ms - 20 + random_below(100);
    }
    r->accept.paused = one_in(10);
    if (r->accept.state == EXECUTION_SUSPENDED && one_in(2))
        r->accept.wake_ms = T0 + random_below(1000);
    r->accept.deadline_ms = one_in(3) ? T0 + random_below(1000) : 0;
    r->accept.wake_inbox = one_in(10) ? (one_in(2) ? random_below(4) : WAKE_NEVER) : 0;
    r->accept.accepted_ms += one_in(10) ? random_below(50) : 0;
    r->accept.input = random_json();
    if (one_in(3)) {
        snprintf(r->id, sizeof r->id, "id%u", random_below(50));
        r->accept.id = r->id;
    }
    if (one_in(3))
        random_origin(&r->accept);
    if (one_in(5))
        random_start_key(r);
    r->u.accept = &r->accept;
}

static void random_checkpoints(random_unit *r)
{
    uint32_t count = one_in(2) ? random_below(4) : 0;

    for (uint32_t i = 0; i < count; i++) {
        r->rows[i] = fixture_checkpoint(1 + random_below(12));
        r->rows[i].kind = (uint8_t)(1 + random_below(17));
        r->rows[i].output = random_json();
        r->rows[i].inbox = one_in(4) ? 1 + random_below(4) : 0;
    }
    r->u.checkpoints = r->rows;
    r->u.checkpoint_count = count;
    r->u.must_be_open = !one_in(8);
}

static void random_item(inbox_item *item)
{
    item->kind = (uint8_t)(1 + random_below(4));
    item->at_ms = T0 + random_below(100);
    item->payload = random_json();
    if (item->kind == INBOX_SIGNAL) {
        item->name = signal_name;
        item->correlation = random_json();
    }
    if (item->kind == INBOX_CHILD_ENDED) {
        item->state = (uint8_t)(3 + random_below(4));
        item->step = random_below(3);
        item->index = one_in(2) ? random_below(3) : INDEX_NONE;
        item->attempt = 1 + random_below(2);
    }
}

static void random_inbox(random_unit *r)
{
    if (one_in(3)) {
        random_item(&r->item);
        r->u.inbox_put = &r->item;
        r->u.inbox_urgency = (uint8_t)random_below(3);
        r->u.inbox_limit = one_in(3) ? 1 + random_below(3) : 0;
    }
    if (one_in(6)) {
        r->u.inbox_consumed = 1 + random_below(4);
    }
    if (one_in(3)) {
        random_item(&r->notify);
        r->u.notify = &r->notify;
        r->u.notify_key = one_in(5) ? r->u.key : random_key();
        r->u.notify_run = 1 + one_in(8);
        r->u.notify_urgency = (uint8_t)random_below(3);
    }
}

static void random_update(random_unit *r)
{
    static const uint8_t states[] = {1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6};

    r->update.state = states[random_below(sizeof states)];
    if (EXECUTION_STATE_IS_END(r->update.state))
        r->update.ended_ms = T0 + random_below(500);
    r->update.wake_ms = one_in(2) ? T0 + random_below(1000) : 0;
    r->update.wake_inbox = one_in(4) ? (one_in(3) ? WAKE_NEVER : random_below(5)) : 0;
    r->update.deadline_ms = one_in(2) ? T0 + random_below(1000) : 0;
    r->update.output = random_json();
    if (one_in(4))
        r->update.error = random_json();
    r->u.update = &r->update;
}

static void random_beside(random_unit *r)
{
    if (one_in(6)) {
        r->setting.paused = (int8_t)(-1 + (int)random_below(3));
        r->setting.priority = (int8_t)(-1 + (int)random_below(PRIORITIES + 1));
        r->u.setting = &r->setting;
    }
    if (one_in(8)) {
        r->control = (control_row){.execution = one_in(4) ? 0 : r->u.key,
                                   .at_ms = T0 + random_below(100),
                                   .action = cancel,
                                   .who = one_in(2) ? who : NULL,
                                   .why = one_in(2) ? alpha : NULL,
                                   .detail = one_in(2) ? beta : NULL};
        r->u.control = &r->control;
    }
    if (one_in(8)) {
        snprintf(r->name, sizeof r->name, "limit/%u", random_below(8));
        r->put.name = r->name;
        r->put.value = random_json();
        r->u.put_setting = &r->put;
    }
}

static void random_guards(random_unit *r)
{
    r->u.run = 1 + one_in(8) + one_in(8);
    if (one_in(10)) {
        r->u.check_inbox = true;
        r->u.inbox_seen = random_below(3);
    }
    if (one_in(8)) { /* a new run */
        r->u.must_have_ended = true;
        r->u.must_be_open = false;
        r->u.run = 2 + one_in(3);
        if (!r->u.update)
            random_update(r);
        r->update.state = EXECUTION_OPEN;
    }
    r->u.after_seq = one_in(20) ? 1 + random_below(3) : 0;
    r->u.purge = one_in(12);
    if (r->u.purge)
        r->u.must_be_open = false;
    /* A bare append need not look whether the execution is there. */
    else if (!r->u.must_have_ended && !r->u.inbox_put && !r->u.update && !r->u.setting)
        r->u.must_be_open = r->u.must_be_open || r->u.checkpoint_count;
}

static void random_make(random_unit *r)
{
    uint64_t key = random_key();

    r->u.key = key;
    r->u.shard = execution_key_shard(key);
    r->u.owner = one_in(30) ? r : NULL; /* with a wrong term */
    if (one_in(10))
        random_definition(r);
    if (one_in(5)) {
        random_accept(r);
        if (!one_in(4))
            return;
    }
    if (one_in(2))
        random_checkpoints(r);
    if (one_in(2))
        random_inbox(r);
    if (one_in(3))
        random_update(r);
    if (one_in(2))
        random_beside(r);
    random_guards(r);
}

static void random_clear(random_unit *r)
{
    bytes_unref(r->definition.text);
    bytes_unref(r->accept.input);
    bytes_unref(r->accept.attributes);
    bytes_unref(r->item.payload);
    bytes_unref(r->item.correlation);
    bytes_unref(r->notify.payload);
    bytes_unref(r->notify.correlation);
    bytes_unref(r->update.output);
    bytes_unref(r->update.error);
    bytes_unref(r->put.value);
    for (uint32_t i = 0; i < r->u.checkpoint_count; i++)
        bytes_unref(r->rows[i].output);
}

/* ---- what comes back ----------------------------------------------------------------------------------------- */

typedef struct answer {
    int32_t result;
    uint64_t existing, item_seq, notify_seq, control_seq;
    bool inbox_woke, notify_woke;
} answer;

static void run_batch(store_fixture *f, random_unit *units, answer answers[BATCH])
{
    memset(answers, 0, BATCH * sizeof *answers);
    for (int i = 0; i < BATCH; i++) {
        random_unit *r = &units[i];

        r->u.term = f->term + (r->u.owner != NULL);
        r->start.existing = r->item.seq = r->notify.seq = r->control.seq = 77;
        r->u.inbox_woke = r->u.notify_woke = true;
        fixture_submit(f, &r->u);
    }
    fixture_flush(f);
    fixture_wait(f, BATCH);
    for (int i = 0; i < BATCH; i++) {
        const random_unit *r = &units[i];
        answer *a = &answers[i];

        a->result = r->u.result;
        if (a->result == ORCH_E_ALREADY_EXISTS && r->u.start_key)
            a->existing = r->start.existing;
        if (a->result != 0)
            continue;
        a->existing = r->u.start_key ? r->start.existing : 0;
        a->item_seq = r->u.inbox_put ? r->item.seq : 0;
        a->inbox_woke = r->u.inbox_put && r->u.inbox_woke;
        a->notify_seq = r->u.notify ? r->notify.seq : 0;
        a->notify_woke = r->u.notify && r->u.notify_woke;
        a->control_seq = r->u.control ? r->control.seq : 0;
    }
}

static void compare_answers(const answer *memory, const answer *sqlite)
{
    for (int i = 0; i < BATCH; i++) {
        assert_int_equal(memory[i].result, sqlite[i].result);
        assert_int_equal(memory[i].existing, sqlite[i].existing);
        assert_int_equal(memory[i].item_seq, sqlite[i].item_seq);
        assert_int_equal(memory[i].inbox_woke, sqlite[i].inbox_woke);
        assert_int_equal(memory[i].notify_seq, sqlite[i].notify_seq);
        assert_int_equal(memory[i].notify_woke, sqlite[i].notify_woke);
        assert_int_equal(memory[i].control_seq, sqlite[i].control_seq);
    }
}

/* ---- what is there ------------------------------------------------------------------------------------------- */

static void compare_dumps(store_fixture *a, store_fixture *b)
{
    char *x = store_dump(&a->s), *y = store_dump(&b->s);

    assert_non_null(x);
    if (strcmp(x, y) != 0) {
        size_t at = 0;

        while (x[at] == y[at])
            at++;
        for (int back = 0; at > 0 && back < 400 && x[at - 1] != '\n'; back++)
            at--;
        fail_msg("memory: %.600s\nsqlite: %.600s", x + at, y + at);
    }
    mem_free(x);
    mem_free(y);
}

static execution_filter random_filter(void)
{
    static const char *const values[] = {"\"eu\"", "1", "1.5", "true", "\"us\""};
    static const char *const names[] = {"region", "n", "b"};
    execution_filter f = {.ascending = one_in(2), .limit = 1 + random_below(60)};

    f.states = one_in(2) ? random_below(128) & 0x7e : 0;
    f.workflow = one_in(3) ? "w1" : NULL;
    f.version = one_in(4) ? "1.0.0" : NULL;
    f.accepted_from_ms = one_in(4) ? T0 + random_below(60) : 0;
    f.accepted_to_ms = one_in(4) ? T0 + random_below(60) : 0;
    f.ended_from_ms = one_in(4) ? T0 + random_below(500) : 0;
    f.ended_to_ms = one_in(4) ? T0 + random_below(500) : 0;
    f.parent = one_in(8) ? random_key() : 0;
    f.start_key = one_in(8) ? "k3" : NULL;
    f.limit_key = one_in(6) ? a_or_b() : NULL;
    f.attribute = one_in(4) ? names[random_below(3)] : NULL;
    f.attribute_value = f.attribute ? values[random_below(5)] : NULL;
    f.paused = one_in(3) ? (int8_t)(1 + random_below(2)) : 0;
    return f;
}

/* All pages; the number of keys. */
static size_t list_all(store *s, execution_filter f, uint64_t keys[2000])
{
    size_t count = 0;

    do {
        execution_page page;

        assert_int_equal(s->ops->list_executions(s->self, &f, &page, NULL), 0);
        assert_true(page.count <= f.limit);
        for (size_t i = 0; i < page.count; i++)
            keys[count++] = page.rows[i].key;
        f.after_key = page.next_after;
        execution_page_clear(&page);
    } while (f.after_key);
    return count;
}

static size_t compare_lists(store_fixture *a, store_fixture *b)
{
    static uint64_t x[2000], y[2000];
    size_t listed = 0;

    for (int i = 0; i < 300; i++) {
        execution_filter f = random_filter();
        size_t count = list_all(&a->s, f, x);

        assert_int_equal(list_all(&b->s, f, y), count);
        assert_memory_equal(x, y, count * sizeof *x);
        listed += count;
    }
    return listed;
}

/* ---- the test ------------------------------------------------------------------------------------------------ */

static void agree(uint64_t seed)
{
    static random_unit units[BATCH];
    static answer expected[BATCH], got[BATCH];
    store_fixture memory, sqlite;
    const char *found;
    size_t listed = 0;

    random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
    clean();
    fixture_open(&memory, "memory:");
    fixture_open(&sqlite, url);
    for (int round = 0; round < ROUNDS; round++) {
        memset(units, 0, sizeof units);
        for (int i = 0; i < BATCH; i++)
            random_make(&units[i]);
        run_batch(&memory, units, expected);
        run_batch(&sqlite, units, got);
        compare_answers(expected, got);
        for (int i = 0; i < BATCH; i++)
            random_clear(&units[i]);
        if (round % 20 != 19)
            continue;
        compare_dumps(&memory, &sqlite);
        listed += compare_lists(&memory, &sqlite);
        found = store_contradiction(path);
        if (found)
            fail_msg("%s", found);
    }
    assert_true(listed > 1000);
    fixture_close(&memory);
    fixture_close(&sqlite);
}

/* SEED for other sequences, SEQUENCES for so many. */
static void it_agrees_with_memory(void **state)
{
    const char *seed = getenv("SEED"), *rounds = getenv("SEQUENCES");
    int n = rounds ? atoi(rounds) : 3;

    (void)state;
    for (int i = 0; i < n; i++)
        agree((seed ? strtoull(seed, NULL, 10) : 1) * 1000 + (uint64_t)i);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_memory),
    };
    int failed;

    snprintf(folder, sizeof folder, "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/store.db", folder);
    snprintf(url, sizeof url, "sqlite:%s?synchronous=off", path);
    failed = cmocka_run_group_tests_name("store: any sequence of units", tests, NULL, NULL);
    clean();
    rmdir(folder);
    return failed;
}

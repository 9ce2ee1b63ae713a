/* Goal: with synchronous=FULL, power loss at any moment takes nothing that was reaped with
 * result 0, leaves the file whole and no unit half there; also while the file is made, with
 * syncs that fail, and when the store is opened again after those. And the test would notice:
 * with synchronous=OFF it finds losses.
 *
 * ROUNDS (default 300). SEED (default 1) for another sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"
#include "support/power_vfs.h"
#include "support/store_tables.h"

#define EXECUTIONS 48 /* and one more, the hub, which hears of ends */
#define UNITS_MOST 60 /* of one execution */
#define LANES      12
#define LIVES      12 /* rounds until a new file */
#define FIRST_MS   INT64_C(1700000000000)

/* What the child tells the parent, as it goes. */
typedef struct diary {
    uint32_t acked[EXECUTIONS + 1]; /* units that came back with 0 */
    uint32_t tried[EXECUTIONS + 1];
    uint32_t opened; /* times that the store was opened */
    char trouble[256];
} diary;

typedef struct plan {
    const char *synchronous;
    uint64_t seed;
    long events;
    long failing_syncs;
} plan;

static diary *shared;
static char root[64];
static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

static uint64_t key_of(uint32_t execution)
{
    return execution_key_make(FIRST_MS + execution, execution % STORE_SHARDS, 0);
}

/* Of any size, and known again; some are stored beside their rows, and the same for several executions. */
static bytes *payload_of(uint32_t execution, uint32_t n)
{
    uint32_t mix = (n % 3 ? execution * 7919 : 0) + n * 104729;
    uint32_t len = n % 3 ? 2 + mix % (mix % 5 == 0 ? 9000 : 200) : 33000 + n;
    bytes *b = bytes_new(NULL, len);

    for (uint32_t i = 0; b && i < len; i++)
        b->data[i] = (char)('a' + (mix + i * 31) % 26);
    return b;
}

static bool is_payload(const bytes *b, uint32_t execution, uint32_t n)
{
    bytes *expected = payload_of(execution, n);
    bool same = b && b->len == expected->len && !memcmp(b->data, expected->data, b->len);

    bytes_unref(expected);
    return same;
}

/* ---- what units do ----------------------------------------------------------------------------------------- */

/* An execution's first unit accepts it. Those after it go round: */
enum { TOLD, ASLEEP, AWAKE, ENDED, AGAIN, ROUND };
/* and of every fourth one: accepted, ended, purged, accepted, … Each unit says in a setting which one it was. */
static bool is_short(uint32_t execution)
{
    return execution % 4 == 3;
}

/* What an execution must look like after n units. */
typedef struct look {
    bool there;
    uint8_t state;
    uint32_t run, inbox_seq, items, history, controls, told;
} look;

static look look_after(uint32_t execution, uint32_t n)
{
    uint32_t rounds = n ? (n - 1) / ROUND : 0, last = n ? (n - 1) % ROUND : 0;
    look l = {.there = n > 0, .state = EXECUTION_OPEN, .run = rounds + 1};

    if (is_short(execution)) {
        l = (look){.there = n % 3 != 0, .state = EXECUTION_OPEN, .run = 1};
        l.state = n % 3 == 2 ? EXECUTION_SUCCEEDED : EXECUTION_OPEN;
        l.history = n % 3 == 2;
        return l;
    }
    l.state = last == ASLEEP + 1 ? EXECUTION_SUSPENDED : l.state;
    l.state = last == ENDED + 1 ? EXECUTION_FAILED : l.state;
    l.inbox_seq = 2 * rounds + (last > TOLD) + (last > AWAKE);
    l.items = rounds + (last > TOLD) + (last > AWAKE) - (last > ENDED);
    l.history = (last > TOLD) + (last > ENDED);
    l.controls = rounds;
    l.told = rounds + (last > ENDED);
    return l;
}

/* ---- the child: works until power fails ------------------------------------------------------ */

typedef struct lane {
    store_unit u;
    execution_row row;
    start_key key;
    checkpoint c;
    inbox_item item, notice;
    execution_update update;
    control_row control;
    setting_row setting;
    char id[24], name[24];
    uint32_t execution;
    bool busy;
} lane;

typedef struct worker {
    store s;
    uint64_t term;
    int event_fd;
    uint32_t have[EXECUTIONS + 1]; /* units that are there */
    bool busy[EXECUTIONS + 1];
    lane lanes[LANES];
} worker;

static void on_wake(void *ctx)
{
    uint64_t one = 1;

    if (write(((worker *)ctx)->event_fd, &one, sizeof one) != sizeof one)
        abort();
}

/* Which unit of an execution was its last; 0 = none. False if that cannot be read. */
static bool read_units(store *s, uint32_t execution, uint32_t *out)
{
    char name[24];
    setting_page page;

    snprintf(name, sizeof name, "unit/%u/", execution);
    if (s->ops->load_settings(s->self, name, &page, NULL) != 0)
        return false;
    *out = page.count ? (uint32_t)strtoul(page.rows[0].value->data, NULL, 10) : 0;
    setting_page_clear(&page);
    return true;
}

/* What is in the store: after a restart it is what counts. */
static bool look_around(worker *w)
{
    for (uint32_t i = 0; i <= EXECUTIONS; i++) {
        if (!read_units(&w->s, i, &w->have[i]))
            return false;
        w->busy[i] = false;
    }
    return true;
}

static bool open_worker(worker *w, const plan *p)
{
    char url[200];
    store_options o = {.url = url, .synchronous = p->synchronous, .wake = on_wake, .wake_ctx = w};
    orch_error *err = NULL;

    memset(w->lanes, 0, sizeof w->lanes);
    snprintf(url, sizeof url, "sqlite:%s/disk/store.db?vfs=fault", root);
    if (store_open(&o, &w->s, &err) != 0) {
        /* Only a sync that failed excuses it. */
        if (!p->failing_syncs)
            snprintf(shared->trouble, sizeof shared->trouble, "open: %s", orch_error_message(err));
        orch_error_free(err);
        return false;
    }
    shared->opened++;
    if (w->s.ops->lease(w->s.self, "power", FIRST_MS, &w->term, NULL) == 0 && look_around(w))
        return true;
    w->s.ops->free(w->s.self);
    return false;
}

static void make_accept(lane *l, uint32_t n)
{
    static char workflow[] = "w";

    snprintf(l->id, sizeof l->id, "execution/%u", l->execution);
    l->row = (execution_row){.key = key_of(l->execution),
                             .id = l->id,
                             .definition = 1,
                             .run = 1,
                             .state = EXECUTION_OPEN,
                             .priority = PRIORITY_DEFAULT,
                             .limit_key = l->execution % 2 ? l->id : NULL,
                             .accepted_ms = FIRST_MS,
                             .attributes = bytes_new("{\"a\":1}", 7),
                             .input = payload_of(l->execution, n)};
    l->key = (start_key){.workflow = workflow, .key = l->id, .now_ms = 1};
    l->u.key = 0;
    l->u.accept = &l->row;
    l->u.start_key = &l->key;
}

static void add_checkpoint(lane *l, uint64_t seq, uint64_t inbox, uint32_t n)
{
    l->c = (checkpoint){.seq = seq,
                        .index = INDEX_NONE,
                        .kind = CHECKPOINT_SUCCEEDED,
                        .output = payload_of(l->execution, n),
                        .inbox = inbox};
    l->u.checkpoints = &l->c;
    l->u.checkpoint_count = 1;
}

static void add_update(lane *l, uint8_t state, uint32_t n)
{
    l->update = (execution_update){.state = state};
    if (state == EXECUTION_SUSPENDED)
        l->update.wake_ms = FIRST_MS + n;
    if (EXECUTION_STATE_IS_END(state)) {
        l->update.ended_ms = FIRST_MS + n;
        l->update.output = payload_of(l->execution, n);
    }
    l->u.update = &l->update;
    l->u.must_be_open = state != EXECUTION_OPEN;
}

static void add_item(lane *l, uint8_t urgency)
{
    l->item = (inbox_item){.kind = INBOX_SIGNAL, .name = l->id};
    l->u.inbox_put = &l->item;
    l->u.inbox_urgency = urgency;
    l->u.must_be_open = true;
}

/* The n-th unit of a long one, n > 1. */
static void make_step(lane *l, uint32_t n)
{
    static char action[] = "retry";
    look before = look_after(l->execution, n - 1);

    l->u.run = before.run;
    switch ((n - 2) % ROUND) {
    case TOLD:
        add_checkpoint(l, 1, 0, n);
        add_item(l, INBOX_COUNTED);
        break;
    case ASLEEP: add_update(l, EXECUTION_SUSPENDED, n); break;
    case AWAKE: add_item(l, INBOX_FORCED); break;
    case ENDED:
        add_checkpoint(l, 2, before.inbox_seq - 1, n);
        add_update(l, EXECUTION_FAILED, n);
        l->notice = (inbox_item){.kind = INBOX_CHILD_ENDED, .step = l->execution};
        l->u.notify = &l->notice;
        l->u.notify_key = key_of(EXECUTIONS);
        l->u.notify_run = 1;
        break;
    default:
        l->u.run++;
        l->u.must_have_ended = true;
        add_update(l, EXECUTION_OPEN, n);
        l->control = (control_row){.execution = l->u.key, .action = action};
        l->u.control = &l->control;
    }
}

static void make_short_step(lane *l, uint32_t n)
{
    if (n % 3 == 0) {
        l->u.purge = true;
        return;
    }
    add_checkpoint(l, 1, 0, n);
    add_update(l, EXECUTION_SUCCEEDED, n);
}

static void make_unit(worker *w, lane *l)
{
    uint32_t n = w->have[l->execution] + 1;
    char number[12];

    l->u = (store_unit){.shard = l->execution % STORE_SHARDS,
                        .term = w->term,
                        .owner = l,
                        .key = key_of(l->execution),
                        .run = 1};
    snprintf(l->name, sizeof l->name, "unit/%u/", l->execution);
    snprintf(number, sizeof number, "%u", n);
    l->setting = (setting_row){.name = l->name, .value = bytes_new(number, strlen(number))};
    l->u.put_setting = &l->setting;
    if (n == 1 || (is_short(l->execution) && n % 3 == 1))
        make_accept(l, n);
    else if (is_short(l->execution))
        make_short_step(l, n);
    else
        make_step(l, n);
}

static bool start(worker *w, lane *l)
{
    for (int tries = 0; tries < 20; tries++) {
        uint32_t i = w->have[EXECUTIONS] ? random_below(EXECUTIONS)
                                         : EXECUTIONS; /* the hub first */

        if (w->busy[i] || w->have[i] > UNITS_MOST)
            continue;
        l->execution = i;
        l->busy = w->busy[i] = true;
        make_unit(w, l);
        shared->tried[i] = w->have[i] + 1;
        w->s.ops->submit(w->s.self, &l->u);
        return true;
    }
    return false;
}

static void drop(bytes **b)
{
    bytes_unref(*b);
    *b = NULL;
}

static void finish(worker *w, store_unit *u)
{
    lane *l = u->owner;

    if (u->result != 0)
        snprintf(shared->trouble, sizeof shared->trouble, "unit %u of %u came back with %d",
                 w->have[l->execution] + 1, l->execution, u->result);
    else
        shared->acked[l->execution] = ++w->have[l->execution];
    l->busy = w->busy[l->execution] = false;
    drop(&l->row.input);
    drop(&l->row.attributes);
    drop(&l->c.output);
    drop(&l->update.output);
    drop(&l->setting.value);
}

/* Until `units` came back. */
static void work_on(worker *w, int units)
{
    while (units > 0) {
        bool any = false;
        uint64_t wakes;

        for (int i = 0; i < LANES; i++)
            any |= w->lanes[i].busy || start(w, &w->lanes[i]);
        if (!any)
            power_vfs_cut();
        w->s.ops->flush(w->s.self);
        if (read(w->event_fd, &wakes, sizeof wakes) != sizeof wakes)
            abort();
        for (store_unit *u = w->s.ops->reap(w->s.self), *next; u; u = next, units--) {
            next = u->next;
            finish(w, u);
        }
    }
}

static void live(const plan *p)
{
    static worker w;
    char disk[100], survivors[100];
    int failures = 0;

    random_state = p->seed * 1000003 + 17;
    snprintf(disk, sizeof disk, "%s/disk", root);
    snprintf(survivors, sizeof survivors, "%s/survivors", root);
    w.event_fd = eventfd(0, EFD_CLOEXEC);
    power_vfs_start(disk, survivors, p->seed, p->events, p->failing_syncs);
    while (failures < 20) {
        if (!open_worker(&w, p)) {
            failures++;
            continue;
        }
        work_on(&w, 1 + (int)random_below(400));
        /* As kill -9 would: what was not reaped is nobody's. */
        w.s.ops->free(w.s.self);
    }
    power_vfs_cut();
}

/* ---- the parent: looks at what survived ------------------------------------------------------ */

typedef struct verdict {
    int lost;   /* units that were answered and are not there */
    int broken; /* anything that should not be in any mode */
    char what[256];
} verdict;

static void empty_folder(const char *name)
{
    char command[300];

    snprintf(command, sizeof command, "rm -rf %s/%s && mkdir %s/%s", root, name, root, name);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static void copy_folder(const char *from, const char *to)
{
    char command[300];

    empty_folder(to);
    snprintf(command, sizeof command, "cp -a %s/%s/. %s/%s", root, from, root, to);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static void check_integrity(const char *path, verdict *v)
{
    sqlite3 *db;
    sqlite3_stmt *st = NULL;
    const char *answer = NULL;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        answer = (const char *)sqlite3_column_text(st, 0);
    if (!answer || strcmp(answer, "ok") != 0) {
        v->broken++;
        snprintf(v->what, sizeof v->what, "integrity: %s", answer ? answer : sqlite3_errmsg(db));
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
}

static void check_tables(const char *path, verdict *v)
{
    const char *found = store_contradiction(path);

    if (!found)
        return;
    v->broken++;
    snprintf(v->what, sizeof v->what, "tables: %.230s", found);
}

static uint32_t count_items(store *s, uint64_t key)
{
    inbox_page page;
    uint32_t count;

    if (s->ops->load_inbox(s->self, key, &page, NULL) != 0)
        return UINT32_MAX;
    count = (uint32_t)page.count;
    inbox_page_clear(&page);
    return count;
}

static uint32_t count_controls(store *s, uint64_t key)
{
    control_page page;
    uint32_t count;

    if (s->ops->load_controls(s->self, key, 0, 0, &page, NULL) != 0)
        return UINT32_MAX;
    count = (uint32_t)page.count;
    control_page_clear(&page);
    return count;
}

static uint32_t count_history(store *s, uint64_t key, uint32_t run)
{
    checkpoint_page page;
    uint32_t count;

    if (s->ops->load_checkpoints(s->self, key, run, 0, 0, &page, NULL) != 0)
        return UINT32_MAX;
    count = (uint32_t)page.count;
    checkpoint_page_clear(&page);
    return count;
}

/* The ends of all runs but the last are there, with what they gave. */
static bool has_runs(store *s, uint32_t execution, uint32_t run)
{
    run_page page;
    bool whole = s->ops->load_runs(s->self, key_of(execution), &page, NULL) == 0;

    if (!whole)
        return false;
    whole = page.count == run - 1;
    for (uint32_t i = 0; whole && i < page.count; i++)
        whole = page.rows[i].run == i + 1 &&
                is_payload(page.rows[i].output, execution, (i + 1) * ROUND) &&
                count_history(s, key_of(execution), i + 1) == 2;
    run_page_clear(&page);
    return whole;
}

static bool is_whole(store *s, uint32_t execution, uint32_t n, const look *l)
{
    uint64_t key = key_of(execution);
    execution_row row;
    int32_t rc = s->ops->load_execution(s->self, key, NULL, &row, NULL);
    bool whole;

    if (rc != 0)
        return !l->there && rc == ORCH_E_NOT_FOUND && count_history(s, key, 1) == 0;
    whole = l->there && row.run == l->run && row.state == l->state &&
            row.inbox_seq == l->inbox_seq && row.attributes != NULL &&
            is_payload(row.input, execution, is_short(execution) ? n - (n - 1) % 3 : 1) &&
            (!EXECUTION_STATE_IS_END(l->state) || is_payload(row.output, execution, n)) &&
            row.wake_ms == (l->state == EXECUTION_SUSPENDED ? FIRST_MS + n : 0);
    execution_row_clear(&row);
    return whole && count_items(s, key) == l->items && count_controls(s, key) == l->controls &&
           count_history(s, key, l->run) == l->history && has_runs(s, execution, l->run);
}

/* How many units of an execution are there; all that they did must be. *told grows by the ends that the hub has heard of. */
static uint32_t count_units(store *s, uint32_t i, verdict *v, uint32_t *told)
{
    uint32_t n = 0;
    bool whole = read_units(s, i, &n);
    look l = look_after(i, n);

    *told += l.told;
    if (whole && !is_whole(s, i, n, &l)) {
        v->broken++;
        snprintf(v->what, sizeof v->what, "execution %u is not what it must be after %u units", i,
                 n);
    }
    return n;
}

/* It hears of each end in the unit that is the end. */
static uint32_t check_hub(store *s, verdict *v, uint32_t told)
{
    uint32_t n = 0, heard = count_items(s, key_of(EXECUTIONS));

    if (!read_units(s, EXECUTIONS, &n) || heard != told) {
        v->broken++;
        snprintf(v->what, sizeof v->what, "the hub has heard of %u ends, and there were %u", heard,
                 told);
    }
    return n;
}

static verdict examine(void)
{
    verdict v = {0};
    char path[100], url[120];
    store_options o = {.url = url};
    orch_error *err = NULL;
    uint32_t told = 0;
    store s;

    copy_folder("survivors", "look");
    snprintf(path, sizeof path, "%s/look/store.db", root);
    snprintf(url, sizeof url, "sqlite:%s", path);
    check_integrity(path, &v);
    if (store_open(&o, &s, &err) != 0) {
        v.broken++;
        snprintf(v.what, sizeof v.what, "open: %s", orch_error_message(err));
        orch_error_free(err);
        return v;
    }
    check_tables(path, &v);
    for (uint32_t i = 0; i <= EXECUTIONS; i++) {
        uint32_t units = i < EXECUTIONS ? count_units(&s, i, &v, &told) : check_hub(&s, &v, told);

        if (units < shared->acked[i])
            v.lost += (int)(shared->acked[i] - units);
        if (units > shared->tried[i]) {
            v.broken++;
            snprintf(v.what, sizeof v.what, "execution %u has %u units, %u were tried", i, units,
                     shared->tried[i]);
        }
        shared->acked[i] = shared->tried[i] = units;
    }
    s.ops->free(s.self);
    return v;
}

static void new_disk(void)
{
    empty_folder("disk");
    memset(shared, 0, sizeof *shared);
}

/* One life: the child works on what survived the last one, power fails, what survived is looked
 * at. */
static verdict run_round(const plan *p)
{
    verdict v = {0};
    int status;
    pid_t pid;

    empty_folder("survivors");
    shared->trouble[0] = '\0';
    pid = fork();
    if (pid == 0)
        live(p);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != POWER_EXIT) {
        v.broken++;
        snprintf(v.what, sizeof v.what, "the child ended with %#x", status);
        return v;
    }
    v = examine();
    if (shared->trouble[0]) {
        v.broken++;
        snprintf(v.what, sizeof v.what, "%.250s", shared->trouble);
    }
    copy_folder("survivors", "disk");
    return v;
}

static plan make_plan(uint64_t seed, const char *synchronous, bool fresh)
{
    plan p = {.synchronous = synchronous, .seed = seed};

    random_state = seed * 7907 + 1;
    /* Some while the file is made, some soon after a start, most under way. */
    p.events = 1 + random_below(fresh ? 150 : random_below(3) ? 4000 : 300);
    if (random_below(3) == 0)
        p.failing_syncs = 2 + random_below(40);
    return p;
}

static int number_from(const char *name, int otherwise)
{
    const char *text = getenv(name);

    return text && *text ? atoi(text) : otherwise;
}

static void nothing_is_lost_with_full(void **state)
{
    int rounds = number_from("ROUNDS", 300), seed = number_from("SEED", 1), opened = 0;
    uint64_t units = 0;

    (void)state;
    for (int i = 0; i < rounds; i++) {
        bool fresh = i % LIVES == 0;
        plan p = make_plan((uint64_t)seed * 100000 + (uint64_t)i, "full", fresh);
        verdict v;

        if (fresh)
            new_disk();
        v = run_round(&p);
        if (v.lost || v.broken)
            fail_msg("round %d (seed %d, %ld events, failing syncs 1 of %ld): %d units lost, %d "
                     "broken: %s",
                     i, seed, p.events, p.failing_syncs, v.lost, v.broken, v.what);
        if ((i + 1) % LIVES == 0 || i + 1 == rounds) {
            opened += (int)shared->opened;
            for (int e = 0; e < EXECUTIONS; e++)
                units += shared->acked[e];
        }
    }
    print_message("%d rounds, the store opened %d times, %llu units kept\n", rounds, opened,
                  (unsigned long long)units);
    assert_true(units > (uint64_t)rounds);
}

/* The newest may be lost; the file is whole. */
static void nothing_breaks_with_normal(void **state)
{
    int rounds = number_from("ROUNDS", 300) / 5, lost = 0;

    (void)state;
    for (int i = 0; i < rounds; i++) {
        plan p = make_plan(5000000 + (uint64_t)i, "normal", i % LIVES == 0);
        verdict v;

        p.failing_syncs = 0;
        if (i % LIVES == 0)
            new_disk();
        v = run_round(&p);
        if (v.broken)
            fail_msg("round %d: %s", i, v.what);
        lost += v.lost;
    }
    print_message("%d rounds, %d units lost, as it may be\n", rounds, lost);
}

/* The proof that the harness sees what it looks for. */
static void losses_are_seen_with_off(void **state)
{
    int found = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        plan p = {.synchronous = "off", .seed = (uint64_t)(7000000 + i), .events = 1500};
        verdict v;

        new_disk();
        v = run_round(&p);
        found += v.lost > 0 || v.broken > 0;
    }
    print_message("20 rounds with synchronous=off, %d with losses\n", found);
    assert_true(found > 0);
}

int main(void)
{
    static const char *const folders[] = {"disk", "survivors", "look"};
    const char *tmp = getenv("TMPDIR");
    char path[100];
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_with_full),
        cmocka_unit_test(nothing_breaks_with_normal),
        cmocka_unit_test(losses_are_seen_with_off),
    };
    int failed;

    snprintf(root, sizeof root, "%.40s/power-XXXXXX", tmp ? tmp : "/tmp");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !mkdtemp(root))
        return 1;
    failed = cmocka_run_group_tests_name("store: power loss", tests, NULL, NULL);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        empty_folder(folders[i]);
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        rmdir(path);
    }
    rmdir(root);
    return failed;
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wfreplay.h"

#define PAGE 1000

/* What the history says of one task. */
typedef struct record {
    uint64_t seq;
    int64_t start_ms, end_ms;
    uint32_t ends, others; /* successes; entries of other kinds */
    int32_t attempt;
} record;

typedef struct by_id {
    const char *id;
    uint32_t number;
} by_id;

static int compare(const void *a, const void *b)
{
    return strcmp(((const by_id *)a)->id, ((const by_id *)b)->id);
}

static by_id *sort_tasks(const instance *in)
{
    by_id *sorted = calloc(in->count, sizeof *sorted);

    for (uint32_t i = 0; sorted && i < in->count; i++)
        sorted[i] = (by_id){in->tasks[i].id, i};
    if (sorted)
        qsort(sorted, in->count, sizeof *sorted, compare);
    return sorted;
}

static bool add_page(const orch_history *page, const by_id *sorted, const instance *in,
                     record *records)
{
    for (size_t i = 0; i < orch_history_count(page); i++) {
        by_id key = {orch_history_step(page, i), 0};
        const by_id *found = bsearch(&key, sorted, in->count, sizeof *sorted, compare);
        record *r = found ? &records[found->number] : NULL;

        if (!r)
            return complain(key.id, "the history has a step that is none of the instance");
        if (orch_history_kind(page, i) != ORCH_STEP_SUCCEEDED) {
            r->others++;
            continue;
        }
        r->ends++;
        r->seq = orch_history_seq(page, i);
        r->start_ms = orch_history_started_ms(page, i);
        r->end_ms = orch_history_ended_ms(page, i);
        r->attempt = orch_history_attempt(page, i);
    }
    return true;
}

static bool read_records(orch_v2 *orch, const char *id, const instance *in, const by_id *sorted,
                         record *records)
{
    uint64_t seq = 0;
    size_t count = PAGE;
    bool ok = true;

    while (ok && count == PAGE) {
        orch_history *page = NULL;
        orch_error *err = NULL;

        if (orch_v2_get_history(orch, id, seq, PAGE, &page, &err)) {
            complain(id, orch_error_message(err));
            orch_error_free(err);
            return false;
        }
        count = orch_history_count(page);
        ok = add_page(page, sorted, in, records);
        seq = count ? orch_history_seq(page, count - 1) : seq;
        orch_history_free(page);
    }
    return ok;
}

/* The checkpoint of the parent is stored before that of the child (seq), and the child began no earlier than the parent ended: by
 * the history's wall clock, and by the replay's own, which counts in nanoseconds and never goes back. */
static bool check_parents(const instance *in, uint32_t number, const record *records,
                          const trace *traces)
{
    const task *t = &in->tasks[number];

    for (uint32_t k = 0; k < t->parent_count; k++) {
        uint32_t parent = t->parents[k];

        if (records[parent].seq >= records[number].seq)
            return complain(t->id, "its checkpoint is not newer than that of a parent");
        if (records[parent].end_ms > records[number].start_ms)
            return complain(t->id, "it started before the checkpoint of a parent");
        if (traces[parent].end_ns > traces[number].start_ns)
            return complain(t->id, "it started before a parent ended");
    }
    return true;
}

static bool check_task(const instance *in, uint32_t number, const record *records,
                       const trace *traces)
{
    const record *r = &records[number];

    if (r->ends != 1 || r->others || r->attempt != 1)
        return complain(in->tasks[number].id, "the history does not show one success at first try");
    if (traces[number].runs != 1)
        return complain(in->tasks[number].id, "it did not run exactly once");
    return check_parents(in, number, records, traces);
}

bool check_execution(orch_v2 *orch, const char *id, const instance *in, const trace *traces)
{
    record *records = calloc(in->count, sizeof *records);
    by_id *sorted = sort_tasks(in);
    bool ok = false;

    if (records && sorted) {
        ok = read_records(orch, id, in, sorted, records);
        for (uint32_t i = 0; i < in->count && ok; i++)
            ok = check_task(in, i, records, traces);
    } else {
        complain(id, "no memory for the check");
    }
    free(sorted);
    free(records);
    return ok;
}

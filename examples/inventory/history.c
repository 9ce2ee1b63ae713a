/* What the store knows of an execution, read in pages. */
#include <stdlib.h>
#include <string.h>

#include "inventory.h"

#define PAGE 1000

static int step_number(const char *name)
{
    for (int i = 0; i < STEP_COUNT; i++)
        if (!strcmp(step_names[i], name))
            return i;
    return -1;
}

static bool add_span(history *h, int step, int64_t start_ms, int64_t end_ms)
{
    if (h->span_count == h->span_cap) {
        size_t cap = h->span_cap ? h->span_cap * 2 : 64;
        span *grown = realloc(h->spans, cap * sizeof *grown);

        if (!grown)
            return false;
        h->spans = grown;
        h->span_cap = cap;
    }
    h->spans[h->span_count++] = (span){step, start_ms, end_ms};
    return true;
}

static int64_t expanded_count(const orch_history *page, size_t i)
{
    size_t len;
    const char *text = orch_history_output(page, i, &len);
    json_t *output = json_loadb(text, len, JSON_DECODE_ANY, NULL);
    int64_t count = json_integer_value(json_object_get(output, "count"));

    json_decref(output);
    return count;
}

static void add_counts(history *h, const orch_history *page, size_t i)
{
    int32_t kind = orch_history_kind(page, i);

    if (kind == ORCH_STEP_EXPANDED)
        h->batches = expanded_count(page, i);
    else if (kind == ORCH_STEP_SUCCEEDED && orch_history_index(page, i) >= 0)
        h->batches_done++;
    else if (kind == ORCH_STEP_SUCCEEDED)
        h->steps_done++;
}

static bool add_entry(history *h, const orch_history *page, size_t i)
{
    int32_t kind = orch_history_kind(page, i);
    int64_t start_ms = orch_history_started_ms(page, i), end_ms = orch_history_ended_ms(page, i);
    int number = step_number(orch_history_step(page, i));
    step_times *s = number < 0 ? NULL : &h->steps[number];

    if (!s)
        return true;
    add_counts(h, page, i);
    if (kind == ORCH_STEP_RETRYING)
        s->retries++;
    if (!start_ms || (kind != ORCH_STEP_RETRYING && kind < ORCH_STEP_SUCCEEDED))
        return true;
    s->attempts++;
    if (!s->start_ms || start_ms < s->start_ms)
        s->start_ms = start_ms;
    if (end_ms > s->end_ms)
        s->end_ms = end_ms;
    return add_span(h, number, start_ms, end_ms);
}

bool history_read(orch_v2 *orch, const char *id, int64_t before_ms, history *out, orch_error **err)
{
    uint64_t seq = 0;
    size_t count = PAGE;

    *out = (history){0};
    while (count == PAGE) {
        orch_history *page = NULL;
        bool ok = true;

        if (orch_v2_get_history(orch, id, seq, PAGE, &page, err)) {
            history_free(out);
            return false;
        }
        count = orch_history_count(page);
        for (size_t i = 0; i < count && ok; i++)
            ok = orch_history_ended_ms(page, i) >= before_ms || add_entry(out, page, i);
        seq = count ? orch_history_seq(page, count - 1) : seq;
        orch_history_free(page);
        if (!ok)
            break;
    }
    return true;
}

void history_free(history *h)
{
    free(h->spans);
    *h = (history){0};
}

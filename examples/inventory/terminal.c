/* What a person sees: a bar while it runs, a timeline at the end. Without a terminal, a line now and then. */
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "inventory.h"

#define TICK_MS 100

static bool unicode(void)
{
    return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static int columns(void)
{
    struct winsize size;

    return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

static void put_times(const char *text, int n)
{
    while (n-- > 0)
        fputs(text, stdout);
}

/* ---- While it runs ------------------------------------------------------------------------------------- */

typedef struct bar {
    bool live;    /* a terminal: one line that changes */
    int64_t told; /* tenths of the batches that were written about */
} bar;

static void bar_draw(const orch_progress *p)
{
    int64_t items = orch_progress_get(p, "items"), ended = orch_progress_get(p, "items_ended");
    int width = columns() - 44, filled;

    width = width > 60 ? 60 : width < 10 ? 10 : width;
    filled = items > 0 ? (int)(ended * width / items) : 0;
    printf("\r  step %lld of %lld  ", (long long)orch_progress_get(p, "ended") + 1,
           (long long)orch_progress_get(p, "steps"));
    put_times(unicode() ? "█" : "#", filled);
    put_times(unicode() ? "░" : ".", width - filled);
    if (items > 0)
        printf(" %lld of %lld batches", (long long)ended, (long long)items);
    fputs("\033[K", stdout);
}

static void bar_line(bar *b, const orch_progress *p)
{
    int64_t items = orch_progress_get(p, "items"), ended = orch_progress_get(p, "items_ended");
    int64_t tenth = items > 0 ? ended * 10 / items : 0;

    if (tenth > b->told)
        printf("counted %lld of %lld batches\n", (long long)ended, (long long)items);
    b->told = tenth;
}

static void bar_show(bar *b, orch_v2 *orch, const char *id)
{
    orch_progress *p = NULL;

    if (orch_v2_get_progress(orch, id, &p, NULL))
        return; /* it has just ended, or has not begun */
    if (b->live)
        bar_draw(p);
    else
        bar_line(b, p);
    fflush(stdout);
    orch_progress_free(p);
}

bool follow(orch_v2 *orch, orch_execution *execution, orch_response **end, orch_error **err)
{
    bar b = {.live = isatty(STDOUT_FILENO)};
    int32_t rc = ORCH_E_DEADLINE_EXCEEDED;

    while (rc == ORCH_E_DEADLINE_EXCEEDED) {
        orch_error_free(*err);
        *err = NULL;
        bar_show(&b, orch, orch_execution_id(execution));
        rc = orch_execution_wait(execution, b.live ? TICK_MS : TICK_MS / 5, end, err);
    }
    if (b.live)
        fputs("\r\033[K", stdout);
    return !rc;
}

/* ---- At the end ---------------------------------------------------------------------------------------- */

typedef struct axis {
    int64_t start_ms, span_ms;
    int width;
} axis;

/* How much of a column's time the attempts of a step fill, all together: 1 = one was running all of it. */
static double load(const history *h, int step, const axis *a, int column)
{
    double from = (double)a->span_ms * column / a->width;
    double to = (double)a->span_ms * (column + 1) / a->width, sum = 0;

    for (size_t i = 0; i < h->span_count; i++) {
        double start = (double)(h->spans[i].start_ms - a->start_ms);
        double end = (double)(h->spans[i].end_ms - a->start_ms);

        /* The history counts in milliseconds; a shorter attempt is still to be seen. */
        end = end > start ? end : start + 0.5;
        start = start > from ? start : from;
        end = end < to ? end : to;
        if (h->spans[i].step == step && end > start)
            sum += end - start;
    }
    return sum / (to - from);
}

static void row_print(const history *h, int step, const axis *a)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {".", ":", "-", "=", "+", "*", "%", "#"};
    const step_times *s = &h->steps[step];
    double most = 0, *loads = calloc((size_t)a->width, sizeof *loads);

    if (!loads)
        return;
    for (int c = 0; c < a->width; c++) {
        loads[c] = load(h, step, a, c);
        most = loads[c] > most ? loads[c] : most;
    }
    printf("  %-7s", step_names[step]);
    for (int c = 0; c < a->width; c++) {
        int level = loads[c] > 0 ? (int)(loads[c] / most * 7.99) : -1;

        fputs(level < 0 ? " " : unicode() ? blocks[level] : ascii[level], stdout);
    }
    printf(" %8.3f s %6u", (double)(s->end_ms - s->start_ms) / 1000, s->attempts);
    if (s->retries)
        printf("  (%u retried)", s->retries);
    putchar('\n');
    free(loads);
}

void timeline_print(const history *h)
{
    axis a = {0, 0, columns() - 28};
    int64_t end_ms = 0;

    for (int i = 0; i < STEP_COUNT; i++) {
        const step_times *s = &h->steps[i];

        if (s->start_ms && (!a.start_ms || s->start_ms < a.start_ms))
            a.start_ms = s->start_ms;
        end_ms = s->end_ms > end_ms ? s->end_ms : end_ms;
    }
    a.span_ms = end_ms - a.start_ms + 1; /* what ends in the last millisecond is in it */
    a.width = a.width > 72 ? 72 : a.width < 20 ? 20 : a.width;
    printf("\n  %-7s%-*s %10s %6s\n", "step", a.width, "when its attempts ran", "time", "tries");
    for (int i = 0; i < STEP_COUNT; i++)
        if (h->steps[i].start_ms)
            row_print(h, i, &a);
}

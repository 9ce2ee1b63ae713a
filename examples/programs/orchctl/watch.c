/* A live progress bar, until the execution has ended. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "orchctl.h"

#define WIDTH     40
#define LOOK_MS   200
#define PAGE_SIZE 1000

typedef struct progress {
    int64_t total, ended, running, failed;
    char now[64]; /* one of the steps that run */
} progress;

static void count_step(progress *p, const json_t *step)
{
    const char *state = text_of(step, "state");
    int failed = !strcmp(state, "failed");

    if (failed || !strcmp(state, "succeeded") || !strcmp(state, "skipped") ||
        !strcmp(state, "cancelled") || !strcmp(state, "undone")) {
        p->ended++;
        p->failed += failed;
    } else if (!strcmp(state, "running") || !strcmp(state, "waiting") ||
               !strcmp(state, "retrying") || !strcmp(state, "child")) {
        p->running++;
        snprintf(p->now, sizeof p->now, "%.63s", text_of(step, "id"));
    }
}

static progress look(ctl *c)
{
    progress p = {0};
    int64_t first = 0;
    size_t i;

    do {
        json_t *page = ctl_call(c, "GetSteps",
                                json_pack("{s:s,s:I,s:i}", "execution_id", c->args[0], "first",
                                          (json_int_t)first, "page_size", PAGE_SIZE));
        json_t *step;

        p.total = number_of(page, "total");
        json_array_foreach(json_object_get(page, "steps"), i, step)
        {
            count_step(&p, step);
        }
        first += (int64_t)i;
        json_decref(page);
    } while (i && first < p.total);
    return p;
}

static void draw(const progress *p, const char *state, int live)
{
    int filled = p->total ? (int)(p->ended * WIDTH / p->total) : 0;

    printf("%s[", live ? "\r\033[K" : "");
    for (int i = 0; i < WIDTH; i++)
        putchar(i < filled ? '#' : '.');
    printf("] %lld/%lld %s", (long long)p->ended, (long long)p->total, state);
    if (p->failed)
        printf(", %lld failed", (long long)p->failed);
    if (*p->now)
        printf("  %s", p->now);
    if (!live)
        putchar('\n');
    fflush(stdout);
}

static int has_ended(const json_t *e)
{
    const char *state = text_of(e, "state");

    return strcmp(state, "PENDING") != 0 && strcmp(state, "RUNNING") != 0 &&
           strcmp(state, "SUSPENDED") != 0;
}

int watch_execution(ctl *c)
{
    int live = isatty(STDOUT_FILENO) && !c->json, ended, code;
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    progress before = {.total = -1};

    for (;;) {
        json_t *e = ctl_call(c, "GetExecution", json_pack("{s:s}", "execution_id", c->args[0]));

        ended = has_ended(e);
        if (!c->json) {
            progress p = look(c);

            if (live || ended || memcmp(&p, &before, sizeof p) != 0)
                draw(&p, text_of(e, "state"), live);
            before = p;
        }
        if (ended) {
            if (live)
                putchar('\n');
            code = show_end(c, e);
            json_decref(e);
            return code;
        }
        json_decref(e);
        nanosleep(&pause, NULL);
    }
}

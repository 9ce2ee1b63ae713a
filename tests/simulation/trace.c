#include "simulation/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "simulation/sim.h"

#define LINES 4096 /* kept … */
#define SHOWN 120  /* … and shown of them */
#define WIDTH 480

static struct {
    char lines[LINES][WIDTH];
    uint64_t count;
    uint64_t hash;
    bool show;
} kept;

void trace_begin(bool show)
{
    kept.count = 0;
    kept.hash = UINT64_C(0xcbf29ce484222325);
    kept.show = show;
}

/* FNV-1a, eight bytes at a time. */
static void add_to_hash(const char *text, size_t len)
{
    uint64_t hash = kept.hash, word;

    for (; len >= sizeof word; text += sizeof word, len -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    for (; len; text++, len--)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    kept.hash = hash;
}

void trace(const char *format, ...)
{
    char *line = kept.lines[kept.count++ % LINES];
    int64_t us = sim.now_us;
    va_list args;

    snprintf(line, WIDTH, "%4" PRId64 ".%06" PRId64 " ", us / SECONDS, us % SECONDS);
    va_start(args, format);
    vsnprintf(line + strlen(line), WIDTH - strlen(line), format, args);
    va_end(args);
    add_to_hash(line, strlen(line));
    if (kept.show)
        puts(line);
}

uint64_t trace_hash(void)
{
    return kept.hash;
}

static uint64_t first_shown(void)
{
    return kept.count > SHOWN ? kept.count - SHOWN : 0;
}

void trace_broken(const char *promise, const char *what)
{
    for (uint64_t i = kept.show ? kept.count : first_shown(); i < kept.count; i++)
        puts(kept.lines[i % LINES]);
    printf("seed %" PRIu64 ": BROKEN: %s\n  %s\n", sim.options.seed, promise, what);
    fflush(stdout);
}

static void put(const char *text)
{
    ssize_t n = write(STDOUT_FILENO, text, strlen(text));

    (void)n;
}

void trace_dump_raw(const char *why)
{
    for (uint64_t i = kept.show ? kept.count : first_shown(); i < kept.count; i++) {
        put(kept.lines[i % LINES]);
        put("\n");
    }
    put("BROKEN: ");
    put(why);
    put("\n");
}

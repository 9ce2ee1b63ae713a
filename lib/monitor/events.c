#include "monitor/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define TEXT_MAX 500

void events_init(events *e)
{
    list_init(&e->subscribers);
    e->count = 0;
}

void event_unref(event *e)
{
    if (--e->refs == 0)
        mem_free(e);
}

static const char *put(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    const char *begin = *at;

    memcpy(*at, text, size);
    *at += size;
    return begin;
}

static event *event_new(const event *from)
{
    size_t size = strlen(from->execution) + strlen(from->step) + strlen(from->text) + 3;
    event *e = mem_alloc(sizeof *e + size);
    char *at;

    if (!e)
        return NULL;
    at = (char *)(e + 1);
    *e = *from;
    e->refs = 1;
    e->execution = put(&at, from->execution);
    e->step = put(&at, from->step);
    e->text = put(&at, from->text);
    return e;
}

static bool wants(const subscriber *s, const event *e)
{
    return e->severity >= s->min_severity &&
           (!*s->execution || !strcmp(s->execution, e->execution));
}

/* What is old is worth less than what is new. */
static void add(subscriber *s, event *e)
{
    if (s->count == EVENTS_QUEUE) {
        event_unref(s->queue[s->first]);
        s->first = (s->first + 1) % EVENTS_QUEUE;
        s->count--;
        s->missed++;
    }
    e->refs++;
    s->queue[(s->first + s->count++) % EVENTS_QUEUE] = e;
    if (s->count == 1)
        s->ready(s);
}

static void tell(events *all, const event *from)
{
    event *made = NULL;

    LIST_EACH(it, &all->subscribers)
    {
        subscriber *s = LIST_ENTRY(it, subscriber, node);

        if (!wants(s, from))
            continue;
        if (!made)
            made = event_new(from);
        if (made)
            add(s, made);
        else
            s->missed++;
    }
    if (made)
        event_unref(made);
}

void events_tell(events *e, int64_t now_ms, int32_t severity, const char *kind,
                 const char *execution, const char *step, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    if (!events_wanted(e))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(e, &(event){.severity = (uint8_t)severity,
                     .time_ms = now_ms,
                     .kind = kind,
                     .execution = execution ? execution : "",
                     .step = step ? step : "",
                     .text = text});
}

bool events_subscribe(events *e, subscriber *s)
{
    s->queue = e->count < EVENTS_SUBSCRIBERS ? mem_calloc(EVENTS_QUEUE, sizeof *s->queue) : NULL;
    if (!s->queue)
        return false;
    s->of = e;
    e->count++;
    list_push(&e->subscribers, &s->node);
    return true;
}

event *events_take(subscriber *s, uint64_t *missed)
{
    event *e;

    if (!s->count)
        return NULL;
    e = s->queue[s->first];
    s->first = (s->first + 1) % EVENTS_QUEUE;
    s->count--;
    *missed = s->missed;
    s->missed = 0;
    return e;
}

void events_leave(subscriber *s)
{
    uint64_t missed;
    event *e;

    while ((e = events_take(s, &missed)))
        event_unref(e);
    list_remove(&s->node);
    s->of->count--;
    mem_free(s->queue);
    s->queue = NULL;
}

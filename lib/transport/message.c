#include "transport/message.h"

#include <string.h>

#include "base/mem.h"

#define ROWS_KEPT 16

message *message_new(enum message_kind kind, epoch e)
{
    message *m = mem_zalloc(sizeof *m);

    if (m) {
        m->kind = (uint8_t)kind;
        m->epoch = e;
    }
    return m;
}

static void checkpoints_clear(checkpoint *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        checkpoint_clear(&rows[i]);
}

void inbox_note_clear(inbox_note *n)
{
    mem_free(n->name);
    bytes_unref(n->correlation);
    bytes_unref(n->payload);
    n->name = NULL;
    n->correlation = n->payload = NULL;
}

void message_start_free(message_start *s)
{
    if (!s)
        return;
    checkpoints_clear(s->checkpoints, s->checkpoint_count);
    mem_free(s->checkpoints);
    for (uint32_t i = 0; i < s->inbox_count; i++)
        inbox_note_clear(&s->inbox[i]);
    mem_free(s->inbox);
    bytes_unref(s->input);
    mem_free(s->execution);
    mem_free(s->parent);
    mem_free(s);
}

void message_child_free(message_child *c)
{
    if (!c)
        return;
    mem_free(c->id);
    child_spec_clear(&c->spec);
    bytes_unref(c->error);
    mem_free(c);
}

static void clear(message *m)
{
    switch (m->kind) {
    case MESSAGE_START: message_start_free(m->start); break;
    case MESSAGE_DEFINITION:
        bytes_unref(m->definition.text);
        definition_unref(m->definition.parsed);
        break;
    case MESSAGE_INBOX: inbox_note_clear(&m->inbox); break;
    case MESSAGE_START_CHILD:
    case MESSAGE_CANCEL_CHILD:
    case MESSAGE_CHILD_REFUSED: message_child_free(m->child); break;
    case MESSAGE_REFUSED: bytes_unref(m->refused.message); break;
    case MESSAGE_REPORT:
        checkpoints_clear(m->rows, m->report.count);
        bytes_unref(m->report.output);
        bytes_unref(m->report.error);
        break;
    default: break;
    }
}

void message_free(message *m)
{
    if (!m)
        return;
    clear(m);
    mem_free(m->rows);
    mem_free(m);
}

_Static_assert(sizeof(struct message_report) == sizeof(message) - offsetof(message, report),
               "what message_reuse clears is all there is");

void message_reuse(message *m, enum message_kind kind, epoch e)
{
    checkpoint *rows = m->rows;
    uint32_t capacity = m->row_capacity;

    clear(m);
    if (capacity > ROWS_KEPT) {
        mem_free(rows);
        rows = NULL;
        capacity = 0;
    }
    m->next = NULL;
    m->kind = (uint8_t)kind;
    m->epoch = e;
    m->rows = rows;
    m->row_capacity = capacity;
    m->report = (struct message_report){0}; /* the largest of the union */
}

bool message_report_reserve(message *m)
{
    size_t capacity = m->row_capacity;
    checkpoint *grown;

    if (m->report.count < m->row_capacity)
        return true;
    if (!capacity) { /* most reports of a chain carry one */
        m->rows = mem_alloc(sizeof *grown);
        m->row_capacity = m->rows ? 1 : 0;
        return m->rows != NULL;
    }
    grown = mem_grow(m->rows, &capacity, m->report.count + 1, sizeof *grown);
    if (!grown)
        return false;
    m->rows = grown;
    m->row_capacity = (uint32_t)capacity;
    return true;
}

void message_report_add(message *m, const checkpoint *c)
{
    m->rows[m->report.count++] = *c;
}

#include "transport/message.h"

#include "base/mem.h"

message *message_new(enum message_kind kind, epoch e)
{
    message *m = mem_zalloc(sizeof *m);

    if (m) {
        m->kind = (uint8_t)kind;
        m->epoch = e;
    }
    return m;
}

static void checkpoints_free(checkpoint *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        checkpoint_clear(&rows[i]);
    mem_free(rows);
}

void message_start_free(message_start *s)
{
    if (!s)
        return;
    checkpoints_free(s->checkpoints, s->checkpoint_count);
    for (uint32_t i = 0; i < s->inbox_count; i++)
        bytes_unref(s->inbox[i].payload);
    mem_free(s->inbox);
    bytes_unref(s->input);
    mem_free(s->execution);
    mem_free(s);
}

void message_free(message *m)
{
    if (!m)
        return;
    switch (m->kind) {
    case MESSAGE_START: message_start_free(m->start); break;
    case MESSAGE_DEFINITION:
        bytes_unref(m->definition.text);
        definition_unref(m->definition.parsed);
        break;
    case MESSAGE_INBOX: bytes_unref(m->inbox.payload); break;
    case MESSAGE_REFUSED: bytes_unref(m->refused.message); break;
    case MESSAGE_REPORT:
        checkpoints_free(m->report.checkpoints, m->report.count);
        bytes_unref(m->report.output);
        bytes_unref(m->report.error);
        break;
    default: break;
    }
    mem_free(m);
}

bool message_report_reserve(message *m)
{
    size_t capacity = m->report.capacity;
    checkpoint *grown;

    if (m->report.count < m->report.capacity)
        return true;
    if (!capacity) { /* most reports of a chain carry one */
        m->report.checkpoints = mem_alloc(sizeof *grown);
        m->report.capacity = m->report.checkpoints ? 1 : 0;
        return m->report.checkpoints != NULL;
    }
    grown = mem_grow(m->report.checkpoints, &capacity, m->report.count + 1, sizeof *grown);
    if (!grown)
        return false;
    m->report.checkpoints = grown;
    m->report.capacity = (uint32_t)capacity;
    return true;
}

void message_report_add(message *m, const checkpoint *c)
{
    m->report.checkpoints[m->report.count++] = *c;
}

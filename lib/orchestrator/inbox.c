/* What executions are told. Every item is in the store before anybody hears of it; an engine hears of each once and in
 * order, straight away if it has heard of all before, else by a read of the inbox. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

typedef struct inbox_read {
    pool_read base; /* first */
    uint64_t key;
    uint64_t upto; /* all up to it is in the page, or consumed */
    epoch epoch;   /* of the hand-over that is to hear of it */
    inbox_page page;
} inbox_read;

/* Takes the item's texts and bytes over. False if there was no memory: the hand-over is over then, and the next one
 * brings the whole inbox. */
static bool tell(live *l, inbox_item *item)
{
    message *m = message_new(MESSAGE_INBOX, l->epoch);

    if (!m) {
        dispatch_later(l);
        return false;
    }
    m->inbox = inbox_note_of(item);
    l->told_seq = item->seq;
    channel_send(l->channel, m);
    return true;
}

inbox_note inbox_note_of(inbox_item *item)
{
    inbox_note n = {
        .seq = item->seq,
        .kind = item->kind,
        .state = item->state,
        .step = item->step,
        .index = item->index,
        .attempt = item->attempt,
        .name = item->name,
        .correlation = item->correlation,
        .payload = item->payload,
    };

    item->name = NULL;
    item->correlation = item->payload = NULL;
    return n;
}

static void read_page(pool_read *base)
{
    inbox_read *r = (inbox_read *)base;
    store *s = &base->o->ports.store;

    base->code = s->ops->load_inbox(s->self, r->key, &r->page, &base->error);
}

static void tell_page(live *l, inbox_read *r)
{
    for (size_t i = 0; i < r->page.count; i++)
        if (r->page.rows[i].seq > l->told_seq && !tell(l, &r->page.rows[i]))
            return;
    if (l->told_seq < r->upto)
        l->told_seq = r->upto; /* what is not there was consumed */
    inbox_catch_up(l);
}

static void page_back(pool_read *base)
{
    inbox_read *r = (inbox_read *)base;
    live *l = live_find(base->o, r->key);

    if (l && epoch_compare(l->epoch, r->epoch) == 0) {
        l->reading_inbox = false;
        if (l->phase != PHASE_HANDED) {
            /* told when it is handed over or attached again */
        } else if (base->code) {
            log_write(base->o->ports.log, ORCH_LOG_ERROR, "reading an inbox: %s",
                      orch_error_message(base->error));
            dispatch_later(l);
        } else {
            tell_page(l, r);
        }
    }
    inbox_page_clear(&r->page);
    orch_error_free(base->error);
    mem_free(r);
}

void inbox_catch_up(live *l)
{
    inbox_read *r;

    if (l->phase != PHASE_HANDED || l->reading_inbox || l->told_seq >= l->inbox_seq)
        return;
    r = mem_zalloc(sizeof *r);
    if (r) {
        r->base.read = read_page;
        r->base.back = page_back;
        r->key = l->key;
        r->upto = l->inbox_seq;
        r->epoch = l->epoch;
    }
    if (r && reads_submit(l->o, &r->base)) {
        l->reading_inbox = true;
        return;
    }
    mem_free(r);
    dispatch_later(l);
}

void inbox_stored(orchestrator *o, uint64_t key, inbox_item *item, bool woke)
{
    live *l = live_find(o, key);

    if (!l) {
        if ((woke && !MUTATED(WAKE_UP_LOST)) || item->kind == INBOX_CANCEL)
            queue_bring(o, key);
        return;
    }
    if (MUTATED(CANCEL_LOST) && item->kind == INBOX_CANCEL && l->phase == PHASE_PENDING)
        return;
    if (item->seq > l->inbox_seq)
        l->inbox_seq = item->seq;
    if (item->kind == INBOX_CANCEL)
        l->cancelled = true;
    if (l->phase == PHASE_PENDING && l->cancelled)
        dispatch_cancelled(l);
    else if (l->phase != PHASE_HANDED)
        return; /* told of once that is over; ending: too late */
    else if (l->told_seq + 1 == item->seq && !l->reading_inbox)
        tell(l, item);
    else
        inbox_catch_up(l);
}

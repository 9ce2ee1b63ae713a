/* Executions that were with an engine of another process, which may not know yet that they are no longer: it may start steps of them for
 * as long as what was said to it last is proof to it (CONFIRMED_MS). Nobody else gets them before that is over. At an opening these
 * are all that were there before, if the store was ever used with such engines. */
#include "base/error.h"
#include "orchestrator/orchestrator_impl.h"

#define REMOTE_SETTING "engines/remote"
#define WAIT_MS        (CONFIRMED_MS + CONFIRMED_MARGIN_MS)

static int64_t steady_ms(const orchestrator *o)
{
    return o->ports.steady_ms(o->ports.ctx);
}

static int64_t until(int64_t since_ms)
{
    return MUTATED(ENGINES_NOT_AWAITED) ? 0 : since_ms + WAIT_MS;
}

/* ---- at the opening -------------------------------------------------------------------------------------- */

int32_t doubt_load(orchestrator *o, orch_error **err)
{
    setting_page page = {0};
    int32_t rc = o->ports.store.ops->load_settings(o->ports.store.self, REMOTE_SETTING, &page, err);

    o->remotes_noted = page.count > 0;
    if (o->remotes_noted)
        o->doubt_ms = until(steady_ms(o));
    setting_page_clear(&page);
    return rc;
}

bool doubt_at_opening(const orchestrator *o)
{
    return o->doubt_ms != 0;
}

typedef struct note_job {
    unit_job job; /* first */
    setting_row row;
} note_job;

static void noted(unit_job *j)
{
    note_job *n = (note_job *)j;
    orchestrator *o = j->o;

    o->noting_remotes = false;
    if (!j->unit.result) {
        o->remotes_noted = true;
        engines_noted(o);
    }
    setting_row_clear(&n->row);
    mem_free(n);
}

void doubt_note_remotes(orchestrator *o)
{
    note_job *n;

    if (o->noting_remotes || o->stopping)
        return;
    n = mem_zalloc(sizeof *n);
    if (!n)
        return;
    n->row.name = mem_strdup(REMOTE_SETTING);
    n->row.value = bytes_new("true", 4);
    if (!n->row.name || !n->row.value) {
        setting_row_clear(&n->row);
        mem_free(n);
        return;
    }
    unit_init(&n->job, o, 0, noted);
    n->job.unit.put_setting = &n->row;
    o->noting_remotes = true;
    unit_submit(&n->job);
}

/* ---- one execution --------------------------------------------------------------------------------------- */

void doubt_of_row(live *l)
{
    if (l->o->doubt_ms && execution_key_ms(l->key) <= l->o->opened_key_ms)
        l->doubt_ms = l->o->doubt_ms;
}

void doubt_lost(live *l)
{
    if (l->instance)
        l->lost_ms = steady_ms(l->o);
}

void doubt_left(live *l)
{
    if (!l->instance)
        return;
    l->doubt_ms = until(l->phase == PHASE_DETACHED ? l->lost_ms : steady_ms(l->o));
    l->instance = 0;
}

static void look_again(orchestrator *o, int64_t in_ms)
{
    if (o->now_ms + in_ms < o->doubts_ms)
        o->doubts_ms = o->now_ms + in_ms;
}

bool doubt_holds(live *l)
{
    orchestrator *o = l->o;
    int64_t left_ms = l->doubt_ms ? l->doubt_ms - steady_ms(o) : 0;

    if (left_ms <= 0) {
        l->doubt_ms = 0;
        return false;
    }
    queue_remove(l);
    l->phase = PHASE_SETTLING;
    list_push(&o->doubtful, &l->link);
    look_again(o, left_ms);
    return true;
}

/* ---- time ------------------------------------------------------------------------------------------------ */

/* From the last on, so that they stand in their order in front of the others. */
void doubt_look(orchestrator *o)
{
    int64_t now_ms;

    if (!o->doubt_ms && list_empty(&o->doubtful))
        return;
    if (!o->doubt_ms && o->doubts_ms > o->now_ms && o->doubts_ms - o->now_ms <= WAIT_MS)
        return; /* else the clock was set back */
    now_ms = steady_ms(o);
    o->doubts_ms = INT64_MAX;
    if (o->doubt_ms <= now_ms)
        o->doubt_ms = 0;
    else
        look_again(o, o->doubt_ms - now_ms);
    for (list *it = o->doubtful.prev, *next; it != &o->doubtful; it = next) {
        live *l = LIST_ENTRY(it, live, link);

        next = it->prev;
        if (l->doubt_ms <= now_ms) {
            l->doubt_ms = 0;
            queue_add(l, true);
        } else {
            look_again(o, l->doubt_ms - now_ms);
        }
    }
}

int64_t doubt_deadline(const orchestrator *o)
{
    return o->doubts_ms;
}

/* Rows of tests/oom/test_functions.c: each public function is called while one allocation of it fails, each in turn. They work on what
 * misuse.h has: orch, v1, engine, execution and task. */
#ifndef TESTS_SUPPORT_OOM_H
#define TESTS_SUPPORT_OOM_H

#include "support/misuse.h"

/* ---- which failures ---------------------------------------------------------------------------------------- */

/* All of them, or OOM_EVERY=k: each k-th, OOM_FROM the first (of 1 to k) on. */
long oom_from(void);
long oom_every(void);

/* For each failure of the loop that has the number n: EACH_OOM(n) { oom_begin(n); ...; more = oom_end(n); if (!more) break; } */
void oom_begin(long n); /* the n-th allocation from now on fails */
bool oom_end(void);     /* none fails any more; true if there was an n-th */

/* Whether to call again what was refused for lack of memory, now that there is some. At first at once; then soon, since a store that had to
 * wait with what it was at refuses what is new for a moment more. */
bool oom_again(int32_t rc, int tried);

/* OOM_OF="sqlite libuv jansson": the allocations of those libraries fail too. At the begin of main. */
void oom_of_libraries(void);

/* ---- the rows ---------------------------------------------------------------------------------------------- */

typedef struct oom_row {
    const char *names;     /* of the functions, with a space between; NULL ends a list */
    void (*prepare)(void); /* before the call, with memory; may be NULL */
    int32_t (*call)(void); /* frees what it was given; its allocations fail */
    void (*settle)(
        void); /* after it has succeeded, with memory: what it did is there; may be NULL */
    bool once; /* what was prepared is gone after the call, be it a failure */
} oom_row;

extern const oom_row oom_values_rows[];       /* oom_values.c */
extern const oom_row oom_start_rows[];        /* oom_start.c */
extern const oom_row oom_look_rows[];         /* oom_look.c */
extern const oom_row oom_control_rows[];      /* oom_control.c */
extern const oom_row oom_settings_rows[];     /* oom_settings.c */
extern const oom_row oom_engine_rows[];       /* oom_engine.c */
extern const oom_row oom_subworkflows_rows[]; /* oom_subworkflows.c */
extern const oom_row oom_transport_rows[];    /* oom_transport.c */
extern const oom_row oom_orch_rows[]; /* oom_orch.c: these make orchestrators of their own */

/* What the rows find: `list` (echo for each of input.items, with retries), `gate` (waits for the signal `go`, as long as a day), `broken` (its step
 * fails) and `held` (a task that is pulled, compensated by a noop). "done" is a list that succeeded, "lost" a broken that failed; `execution`
 * and `task` are of the held "open", which has a child. */
void oom_world(const char *url);
void oom_world_end(void);
const char *oom_url(void); /* of the world */

/* One more of a workflow, whose id is this one from then on; or one that waits for what it is told. */
void oom_start(const char *workflow);
void oom_start_quiet(const char *workflow);
extern char oom_id[80];
/* Waits until it has ended: so, or, where the failure came to it itself, as failed for lack of memory. */
void oom_expect(const char *id, int32_t state);
bool oom_ran_out(const char *id); /* that */

/* What an export gives, gathered: an orch_export_fn for one of these. */
typedef struct oom_text {
    char *data;
    size_t len;
} oom_text;
int32_t oom_add_line(void *user_data, const char *line, size_t len);
void oom_text_clear(oom_text *t);

#endif

/* A world for one run: it does what an engine does with the run's actions, keeps the history, and
 * checks with every action what must always hold. Time, storage and the ends of attempts move when
 * the test says so. */
#ifndef TESTS_RUN_WORLD_H
#define TESTS_RUN_WORLD_H

#include "workflow/run.h"

#define ANY UINT32_MAX /* as attempt: whichever is out */

typedef struct outstanding { /* an attempt or evaluation that was not answered */
    uint8_t kind;            /* RUN_ATTEMPT or RUN_EVALUATE */
    uint8_t what;
    uint32_t step, index, attempt;
    int64_t given_ms, deadline_ms;
    int32_t stopped; /* code of its RUN_STOP */
} outstanding;

typedef struct world {
    definition *definition;
    run_options options;
    run *run;
    int64_t now_ms;
    outstanding *out; /* oldest first */
    uint32_t out_count, out_max;
    checkpoint *history; /* all that was made; the first `stored` survive a restart */
    uint32_t made, history_max;
    uint32_t stored;
    uint32_t starts; /* attempts given in all */
    bool ended;
    uint8_t state; /* of RUN_END */
    bytes *output, *error;
} world;

/* `json` has ' for ". Fails the test if the definition is refused. */
void world_open(world *w, const char *json, const run_options *options);
void world_open_definition(world *w, definition *d,
                           const run_options *options); /* takes the reference */
void world_close(world *w);
/* The process dies: only what is stored is left, and (if keep is less) not even all of that. */
void world_restart(world *w, uint32_t keep);

void world_pump(world *w);                     /* take all actions there are */
bool world_step(world *w);                     /* take one; false if there was none */
void world_store(world *w);                    /* all that was made is stored now; then pump */
void world_store_to(world *w, uint32_t count); /* no pump */
void world_sleep(world *w);                    /* to the next deadline, and pump */

outstanding *world_find(world *w, uint8_t kind, const char *step,
                        uint32_t index); /* NULL if not out */
outstanding *world_find_number(world *w, uint8_t kind, uint32_t step, uint32_t index);
/* Answer it (it must be out). No pump. */
void world_end(world *w, const char *step, uint32_t index, int32_t code);
void world_end_with(world *w, outstanding *o, int32_t code, const char *output, bool no_retry);
void world_answer(world *w, outstanding *o, run_answer answer);
/* Answer, store, pump. */
void world_ok(world *w, const char *step);
void world_fail(world *w, const char *step);

uint32_t world_number(const world *w, const char *step);
/* What is out, oldest first, with commas: attempts as "a" or "a[3]", evaluations as "?a". */
const char *world_doing(world *w);
/* The history, "S a, F b, R c[2]#3": kind (DEWRSFC, K is skipped), place, attempt above 1. */
const char *world_history(world *w);

#endif

/* The model: what must be so, by its own bookkeeping from what executors saw, what callers were told, and what reached the
 * platter. It knows nothing of how the library does it. Each of its checks names the promise that is broken. */
#ifndef SIMULATION_MODEL_H
#define SIMULATION_MODEL_H

#include "executor/executor.h"
#include "simulation/grammar.h"
#include "simulation/node.h"
#include "transport/message.h"

void model_begin(void);
void model_end(void);

/* ---- what happens ---------------------------------------------------------------------------------------- */

void model_leased(uint64_t term);
void model_orchestrator_up(node *n);
void model_engine_died(node *n);
/* The unit took place (result 0) or not, and nobody knows yet. */
void model_applied(node *by, const store_unit *u);
void model_handed_over(node *from, node *to, const message *m);
void model_channel(uint64_t key, bool open); /* the orchestrator's end of a channel about it */
void model_engine_hears(node *n, const message *m);
/* The number by which the model knows the attempt, which is also its output. */
uint64_t model_attempt_starts(node *n, const attempt *a);
void model_attempt_ends(uint64_t serial, int32_t code);

/* ---- what callers are told ------------------------------------------------------------------------------- */

void model_start_answered(const start_request *r, int64_t start_at_ms);
void model_end_told(uint64_t key, int32_t code, const outcome *o);

/* ---- what the load may look at --------------------------------------------------------------------------- */

typedef struct execution execution;

uint32_t model_execution_count(void);
size_t model_bytes(void); /* of memory that it takes itself */
execution *model_execution(uint32_t i);
execution *model_find(uint64_t key);
const char *execution_id(const execution *e);
uint64_t execution_key(const execution *e);
bool execution_has_ended(const execution *e);
bool execution_is_paused(const execution *e);
uint8_t execution_state(const execution *e);
const described *execution_description(const execution *e);
/* How many of these were stored, to be compared before and after a request. */
uint32_t execution_cancels(const execution *e);
uint32_t execution_pauses(const execution *e, bool paused);
void execution_pause_asked(execution *e);
void execution_pause_answered(execution *e, bool ok, bool paused);
/* It waits for a signal that is not in its inbox: which. Not what is left of an ended parent: that is to be ended by itself. */
bool execution_wants_signal(const execution *e, uint8_t *signal, bool *correlated);

/* Of a signal that is to be sent: its payload. */
uint64_t model_signal_new(uint64_t key, uint8_t signal, bool correlated);
void model_signal_answered(uint64_t serial, int32_t code);

described *model_definitions(uint32_t *count);
described *model_definition_new(int workflow);
bool model_is_paused(int workflow); /* by itself; -1: everything */

/* ---- at the end ------------------------------------------------------------------------------------------ */

bool model_all_ended(void);
/* All executions have ended and nothing moves any more. */
void model_check_end(void);
void model_show_open(void); /* into the trace: what has not ended */

#endif

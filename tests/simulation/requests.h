/* Requests of the load: each is answered once, and what it is told is compared with what the model knows. An answer of an
 * orchestrator that died meanwhile is none. */
#ifndef SIMULATION_REQUESTS_H
#define SIMULATION_REQUESTS_H

#include "simulation/model.h"

typedef struct start_wish {
    const char *workflow, *id, *range, *input, *start_key, *limit_key;
    uint8_t key_policy;
    int64_t timeout_ms, start_at_ms;
    bool has_priority, waits, bad_input;
    uint8_t priority;
} start_wish;

void requests_begin(void);
uint32_t requests_open(void); /* not answered, and ends that are waited for */
void request_start(node *n, const start_wish *w);
void request_control(node *n, execution *e, control_request r, const char *step,
                     const char *new_id);
void request_signal(node *n, execution *e, uint8_t signal, bool correlated);
void request_setting(node *n, const char *workflow, const char *limit_key, bool paused,
                     limit limit);
void request_register(node *n, const described *d);
void request_wait(node *n, execution *e);

#endif

/* A start on its way: of a caller that blocks (start.c), or that is called back (start_async.c). */
#ifndef API_START_IMPL_H
#define API_START_IMPL_H

#include "api/api_impl.h"

typedef struct start {
    command command; /* first */
    start_request request;
    orch_v2 *orch;             /* a reference */
    orch_execution *execution; /* told of the end; NULL = nobody asked for a handle */
    int64_t delay_ms;          /* from when the loop takes it up */
    orch_task *task; /* a reference: it is a child of its step; NULL = it is nobody's child */
    bool abandoned;
    /* A caller that blocks. */
    sem_t done;
    bool wants_end; /* it waits for the end, not only for the acceptance */
    bool accepted;  /* loop thread */
    bool ended;     /* likewise */
    int32_t code;   /* of the end */
    outcome *outcome;
    end_waiter waiter; /* of wants_end */
    /* Callbacks. */
    callback callback;
    orch_start_fn accepted_fn;
    void *user_data;
    orch_free_fn free_fn;
    end_watch watch; /* fn is NULL if none is wanted */
    char workflow[];
} start;

/* Checked, and ready to be posted. */
int32_t start_new(orch_v2 *o, const start_arguments *a, void (*done)(struct start_request *r),
                  start **out, orch_error **err);
void start_free(start *s);
start *start_of(start_request *r);
/* A handle that the loop tells of the end: its reference is given back if the start fails. */
int32_t start_add_handle(start *s, const start_arguments *a, orch_error **err);
void start_drop_handle(start *s);
/* The loop has accepted nothing, since it is there already, and waits for its end, if that was asked for. An error is a refusal. */
int32_t start_take_existing(start *s, orch_error **err);

#endif

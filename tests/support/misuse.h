/* Rows of tests/integration/test_misuse.c: each public function is called as wrongly as can be, and rightly in the wrong place. That
 * none is missing is tested there; so they are also the list of all public functions. */
#ifndef TESTS_SUPPORT_MISUSE_H
#define TESTS_SUPPORT_MISUSE_H

#include <stdatomic.h>

#include "support/api_host.h"

#define SENTINEL ((void *)(uintptr_t)0x5e47) /* what outputs hold before, and after a failure */

/* What the rows work on. */
extern orch_v2 *orch;
extern orch_v1 *v1; /* the same, where it was made as such; else NULL */
extern orch_engine *engine;
extern orch_execution *execution; /* has not ended */
extern orch_task *task;           /* of it */
extern char huge[1 << 20];        /* a text longer than any may be */
extern atomic_int freed;          /* callbacks come on threads of the pool */
extern const char NOOP[];         /* a definition that is registered */

void count_free(void *user_data);

#define BAD(piece, call) HOST_FAILS(call, ORCH_E_INVALID_ARGUMENT, piece)
/* With an output called `out`, which keeps its value. */
#define BAD_OUT(type, piece, call)       \
    do {                                 \
        type *out = SENTINEL;            \
        BAD(piece, call);                \
        assert_ptr_equal(out, SENTINEL); \
    } while (0)
/* user_data is freed once by a call that fails. */
#define FREES(call)                          \
    do {                                     \
        int before = freed;                  \
        call;                                \
        assert_int_equal(freed, before + 1); \
    } while (0)
#define REFUSES(call) assert_int_equal(call, ORCH_E_INVALID_ARGUMENT)

#define FP ORCH_E_FAILED_PRECONDITION

typedef struct misuse_row {
    const char *names; /* of the functions, with a space between; NULL ends a list */
    void (*bad)(void);
    int32_t (*good)(void);                  /* NULL: it looks at nothing but its arguments */
    int32_t stopped, forked, dispatch, log; /* what good() answers there */
} misuse_row;

extern const misuse_row misuse_values_rows[];       /* misuse_values.c */
extern const misuse_row misuse_start_rows[];        /* misuse_start.c */
extern const misuse_row misuse_look_rows[];         /* misuse_look.c */
extern const misuse_row misuse_control_rows[];      /* misuse_control.c */
extern const misuse_row misuse_engine_rows[];       /* misuse_engine.c */
extern const misuse_row misuse_v1_rows[];           /* misuse_v1.c */
extern const misuse_row misuse_testing_rows[];      /* misuse_testing.c */
extern const misuse_row misuse_orch_rows[];         /* misuse_orch.c */
extern const misuse_row misuse_subworkflows_rows[]; /* misuse_subworkflows.c */
extern const misuse_row misuse_transport_rows[];    /* misuse_transport.c */

#define MISUSE_TABLES 10
extern const misuse_row *const misuse_tables[MISUSE_TABLES];

#define EACH_MISUSE_ROW(r)                                 \
    for (size_t table = 0; table < MISUSE_TABLES; table++) \
        for (const misuse_row *r = misuse_tables[table]; r->names; r++)

/* True if the name is one of those with a space between. */
bool misuse_names(const char *names, const char *name);

#endif

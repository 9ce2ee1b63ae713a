/* What the rows work on, and the list of the lists. */
#include "support/misuse.h"

#include <string.h>

const misuse_row *const misuse_tables[MISUSE_TABLES] = {
    misuse_values_rows,       misuse_start_rows,     misuse_look_rows,    misuse_control_rows,
    misuse_engine_rows,       misuse_v1_rows,        misuse_testing_rows, misuse_orch_rows,
    misuse_subworkflows_rows, misuse_transport_rows,
};

orch_v2 *orch;
orch_v1 *v1;
orch_engine *engine;
orch_execution *execution;
orch_task *task;
char huge[1 << 20];
atomic_int freed;

const char NOOP[] =
    "{\"id\":\"noop\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"noop\"}]}";

void count_free(void *user_data)
{
    (void)user_data;
    freed++;
}

bool misuse_names(const char *names, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = names; (p = strstr(p, name)); p += len)
        if ((p == names || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
            return true;
    return false;
}

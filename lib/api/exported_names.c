/* How the states of executions and runs are written in an export. */
#include <string.h>

#include "api/exported_impl.h"
#include "workflow/run.h"

static const char *const state_names[] = {
    [EXECUTION_OPEN] = "open",           [EXECUTION_SUSPENDED] = "suspended",
    [EXECUTION_SUCCEEDED] = "succeeded", [EXECUTION_FAILED] = "failed",
    [EXECUTION_CANCELLED] = "cancelled", [EXECUTION_TIMED_OUT] = "timed_out",
};

static const char *const closing_names[] = {
    [RUN_SUCCEEDED] = "succeeded",
    [RUN_FAILED] = "failed",
    [RUN_CANCELLED] = "cancelled",
    [RUN_TIMED_OUT] = "timed_out",
};

#define COUNT(names) (sizeof(names) / sizeof *(names))

/* 0 is none. */
static uint32_t find_name(const char *const *names, size_t count, const char *name)
{
    for (uint32_t i = 1; i < count; i++)
        if (names[i] && !strcmp(names[i], name))
            return i;
    return 0;
}

const char *exported_state_name(uint8_t state)
{
    return state < COUNT(state_names) ? state_names[state] : NULL;
}

const char *exported_closing_name(uint32_t state)
{
    return state < COUNT(closing_names) ? closing_names[state] : NULL;
}

uint32_t exported_find_closing(const char *name)
{
    return find_name(closing_names, COUNT(closing_names), name);
}

int32_t exported_take_state(const line *l, bool end, uint8_t *out)
{
    const char *name;
    int32_t rc = line_look_text(l, "state", true, 20, &name);

    if (rc)
        return rc;
    *out = (uint8_t)find_name(state_names, COUNT(state_names), name);
    if (*out && (!end || EXECUTION_STATE_IS_END(*out)))
        return 0;
    return line_wrong(l, "state",
                      end ? "must be succeeded, failed, cancelled or timed_out"
                          : "must be open, suspended, succeeded, failed, cancelled or timed_out");
}

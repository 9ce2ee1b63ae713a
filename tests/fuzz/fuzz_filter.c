/* Filters of lists, KEY=VALUE a line, cursors among them. */
#include <orch/list.h>
#include <string.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size), *rest = NULL;
    orch_filter *filter = orch_filter_new();

    HOLDS(text && filter);
    for (char *l = strtok_r(text, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(l, '=');
        orch_error *error = NULL;
        int32_t rc;

        if (!value)
            continue;
        *value++ = '\0';
        rc = orch_filter_set(filter, l, value, &error);
        HOLDS(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
        HOLDS((rc != 0) == (error != NULL));
        orch_error_free(error);
    }
    orch_filter_free(filter);
    free(text);
    return 0;
}

/* Exports, as an import reads them. */
#include "api/exported.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    orch_error *error = NULL;
    exported e;
    int32_t rc = exported_read((const char *)data, size, &e, &error);

    HOLDS(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
    HOLDS((rc != 0) == (error != NULL));
    if (!rc)
        HOLDS(e.workflow && e.version && e.runs && e.row.run >= 1);
    orch_error_free(error);
    exported_clear(&e);
    return 0;
}

/* Definitions in JSON. */
#include "fuzz/definition_holds.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    definition_holds((const char *)data, size);
    return 0;
}

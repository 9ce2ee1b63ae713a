/* Definitions in YAML: the same reader, but for what begins with a brace. */
#include <ctype.h>

#include "fuzz/definition_holds.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t i = 0;

    while (i < size && isspace(data[i]))
        i++;
    if (i < size && data[i] != '{')
        definition_holds((const char *)data, size);
    return 0;
}

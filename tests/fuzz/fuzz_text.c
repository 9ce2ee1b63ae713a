/* Texts: durations, moments, names; and UTF-8, about which jansson has to agree. */
#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);
    json_t *string = json_stringn((const char *)data, size);
    int64_t ms = 0;

    HOLDS(text_is_utf8((const char *)data, size) == (string != NULL));
    if (text_duration_ms(text, &ms))
        HOLDS(ms >= 0);
    text_time_ms(text, &ms);
    HOLDS(!text_is_name(text, 128) || (strlen(text) >= 1 && strlen(text) <= 128));
    json_decref(string);
    free(text);
    return 0;
}

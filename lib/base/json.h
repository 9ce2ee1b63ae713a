/* What jansson's errors do not say by themselves. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* Whether a text was not read for lack of memory: jansson has words for everything else, and its code is set only where
 * it has words. */
static inline bool json_lacked_memory(const json_error_t *e)
{
    return !*e->text || json_error_code(e) == json_error_out_of_memory;
}

#endif

/* A line of an export: one JSON object, whose members are taken one by one. A failure names the line and the member. */
#ifndef API_EXPORTED_LINE_H
#define API_EXPORTED_LINE_H

#include <jansson.h>
#include <orch/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

typedef struct line {
    const char *text;
    size_t len;
    uint32_t number;
    json_t *tree;
    orch_error **err;
} line;

int32_t line_wrong(const line *l, const char *name, const char *what);
/* `min` is what one that is left out counts as; with `required` it must be there. */
int32_t line_number(const line *l, const char *name, bool required, int64_t min, int64_t max,
                    int64_t *out);
int32_t line_u32(const line *l, const char *name, bool required, uint32_t min, uint32_t max,
                 uint32_t *out);
int32_t line_time(const line *l, const char *name, int64_t *out);
/* Borrowed; NULL if it is left out. */
int32_t line_look_text(const line *l, const char *name, bool required, size_t max_bytes,
                       const char **out);
int32_t line_text(const line *l, const char *name, bool required, size_t max_bytes, char **out);
int32_t line_payload(const line *l, const char *name, bytes **out);
/* {"code","message",…} */
int32_t line_error(const line *l, bytes **out);
/* `known`: names with a space before and behind each. */
int32_t line_members(const line *l, const char *known);

#endif

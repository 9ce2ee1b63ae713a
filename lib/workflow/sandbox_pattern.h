/* Lua's patterns (reference manual, 6.4.1), matched with counted steps and bounded depth. */
#ifndef WORKFLOW_SANDBOX_PATTERN_H
#define WORKFLOW_SANDBOX_PATTERN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_CAPTURES 32

typedef struct pattern_capture {
    const char *start;
    ptrdiff_t len; /* or CAPTURE_OPEN, CAPTURE_POSITION */
} pattern_capture;

typedef struct pattern {
    lua_State *L; /* charged for the steps; errors are raised in it */
    const char *subject, *subject_end;
    const char *end; /* of the pattern */
    uint64_t steps;
    int depth;
    int count;
    pattern_capture captures[PATTERN_CAPTURES];
} pattern;

void pattern_init(pattern *m, lua_State *L, const char *subject, size_t subject_len,
                  const char *text, size_t len);
/* Match the pattern from `p` on at exactly s. The end of the match, or NULL. */
const char *pattern_at(pattern *m, const char *s, const char *p);
/* Push capture number i (from 0); the whole match [s, e) counts as the first if there are none. */
void pattern_push(pattern *m, int i, const char *s, const char *e);
/* Push all of them. Returns how many. `s` NULL: no whole match instead. */
int pattern_push_all(pattern *m, const char *s, const char *e);
/* True if the text means only itself. */
bool pattern_is_plain(const char *text, size_t len);

#endif

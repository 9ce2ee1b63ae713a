/* Small things done to text. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_is_utf8(const char *s, size_t len); /* RFC 3629: no overlong forms, no surrogates */
uint64_t text_hash(const void *data,
                   size_t len); /* FNV-1a with a final mix; the same on all machines */
/* "200ms", "5s", "10m", "72h", "3d", "1h30m", and plain "0". False if it is none of these or passes
 * 100 years. */
bool text_duration_ms(const char *s, int64_t *out_ms);
/* A time as in RFC 3339, "2030-01-31T12:00:00Z", "2030-01-31T13:00:00.5+01:00": ms since 1970. Digits beyond
 * milliseconds are dropped. False if it is none: an offset must be there, and a day that the calendar has. */
bool text_time_ms(const char *s, int64_t *out_ms);
/* A name of ours: 1 to max bytes of [A-Za-z0-9_.-], beginning with a letter, digit or underscore. */
bool text_is_name(const char *s, size_t max);
/* For a member of a structure that borrows its texts here and owns them elsewhere: without const, and yet
 * nobody writes to it or frees it. */
static inline char *text_lent(const char *s)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): it only takes const away */
    return (char *)(uintptr_t)s;
}

#endif

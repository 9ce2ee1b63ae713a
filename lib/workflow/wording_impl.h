/* Words for messages. */
#ifndef WORKFLOW_WORDING_IMPL_H
#define WORKFLOW_WORDING_IMPL_H

#include <stddef.h>
#include <stdint.h>

/* How much of a text to show: all, or up to `max` bytes that end where a UTF-8 character does.
 * For "%.*s". */
int wording_clip(const char *s, size_t max);

#define WORDING_NAME_MAX 64
/* The two arguments of a "%.*s" that shows a name from a document. */
#define WORDING(s)       wording_clip(s, WORDING_NAME_MAX), (s)

/* Finds the name that was meant. Feed it all that would have been right. */
typedef struct nearest {
    const char *word;
    const char *found; /* NULL: nothing is near */
    uint32_t distance;
} nearest;

nearest nearest_to(const char *word);
void nearest_try(nearest *n, const char *candidate);
#define NEAREST_ROOM 64
/* " (did you mean 'timeout'?)", or "". */
const char *nearest_words(const nearest *n, char room[NEAREST_ROOM]);

#endif

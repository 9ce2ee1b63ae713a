#include "workflow/wording_impl.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 32 /* longer words are not compared */

int wording_clip(const char *s, size_t max)
{
    size_t len = strnlen(s, max + 1);

    if (len <= max)
        return (int)len;
    len = max;
    while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
        len--;
    return (int)len;
}

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Letters to insert, drop, change, or swap with their neighbour (optimal string alignment). */
static uint32_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    uint32_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        last[j] = before[j] = (uint32_t)j;
    for (size_t i = 1; i <= a_len; i++) {
        uint32_t *spare = before;

        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        before = last;
        last = row;
        row = spare;
    }
    return last[b_len];
}

nearest nearest_to(const char *word)
{
    nearest n = {word, NULL, 0};
    size_t len = strnlen(word, WORD_MAX + 1);

    /* One slip in a short word, four in a long one; a word of two letters is near to nothing. */
    if (len > 2 && len <= WORD_MAX)
        n.distance = len < 5 ? 2 : len < 9 ? 3 : len < 11 ? 4 : 5;
    return n;
}

void nearest_try(nearest *n, const char *candidate)
{
    size_t a = strnlen(n->word, WORD_MAX + 1), b = strnlen(candidate, WORD_MAX + 1);
    uint32_t d;

    if (a > WORD_MAX || b > WORD_MAX)
        return;
    /* `attempts` for `max_attempts` is no slip, but near all the same. */
    if (a > 3 && strstr(candidate, n->word))
        d = 1;
    else if ((a > b ? a - b : b - a) < n->distance)
        d = distance(n->word, a, candidate, b);
    else
        return;
    if (d < n->distance) {
        n->distance = d;
        n->found = candidate;
    }
}

const char *nearest_words(const nearest *n, char room[NEAREST_ROOM])
{
    if (!n->found)
        return "";
    snprintf(room, NEAREST_ROOM, " (did you mean '%s'?)", n->found);
    return room;
}

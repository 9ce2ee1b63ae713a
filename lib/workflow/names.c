#include "workflow/names_impl.h"

#include <string.h>

#include "base/mem.h"

/* splitmix64 (Steele, Lea, Flood 2014): stretches the digest to as many keys as are needed. */
static uint64_t next_key(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

bool names_init(name_table *n, const digest *seed, uint32_t expected)
{
    uint64_t words[DIGEST_SIZE / sizeof(uint64_t)];

    memcpy(words, seed->b, sizeof words);
    for (int i = 0; i < NAMES_WORDS; i++)
        n->keys[i] = next_key(&words[i % 4]) | 1;
    n->count = 0;
    n->bits = 4;
    while ((UINT64_C(1) << n->bits) < (uint64_t)expected * 3 / 2)
        n->bits++;
    n->slots = mem_calloc((size_t)1 << n->bits, sizeof *n->slots);
    return n->slots != NULL;
}

/* Multiply-shift over the name's words (Dietzfelbinger et al. 1997): universal, and quick on
 * short names. */
static size_t home(const name_table *n, const char *name, size_t len)
{
    uint64_t sum = n->keys[NAMES_WORDS - 1] * len, word;
    size_t i = 0;

    for (; len >= sizeof word; i++, name += sizeof word, len -= sizeof word) {
        memcpy(&word, name, sizeof word);
        sum += n->keys[i] * word;
    }
    if (len) {
        word = 0;
        memcpy(&word, name, len);
        sum += n->keys[i] * word;
    }
    return (size_t)(sum >> (64 - n->bits));
}

static uint32_t *slot_of(const name_table *n, names_get_fn get, const void *ctx, const char *name,
                         size_t len)
{
    size_t mask = ((size_t)1 << n->bits) - 1;

    for (size_t i = home(n, name, len);; i = (i + 1) & mask) {
        uint32_t *slot = &n->slots[i];
        const char *there;

        if (!*slot)
            return slot;
        there = get(ctx, *slot - 1);
        if (!strncmp(there, name, len) && !there[len])
            return slot;
    }
}

static bool grow(name_table *n, names_get_fn get, const void *ctx)
{
    name_table bigger = *n;

    bigger.bits++;
    bigger.slots = mem_calloc((size_t)1 << bigger.bits, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < (size_t)1 << n->bits; i++)
        if (n->slots[i]) {
            const char *name = get(ctx, n->slots[i] - 1);

            *slot_of(&bigger, get, ctx, name, strlen(name)) = n->slots[i];
        }
    mem_free(n->slots);
    *n = bigger;
    return true;
}

uint32_t names_add(name_table *n, names_get_fn get, const void *ctx, const char *name, size_t len,
                   uint32_t number)
{
    uint32_t *slot;

    if (n->count >= (UINT64_C(1) << n->bits) * 3 / 4 && !grow(n, get, ctx))
        return UINT32_MAX;
    slot = slot_of(n, get, ctx, name, len);
    if (!*slot) {
        *slot = number + 1;
        n->count++;
    }
    return *slot - 1;
}

uint32_t names_find(const name_table *n, names_get_fn get, const void *ctx, const char *name,
                    size_t len)
{
    if (len > (NAMES_WORDS - 1) * sizeof(uint64_t) || memchr(name, '\0', len))
        return UINT32_MAX;
    return *slot_of(n, get, ctx, name, len) - 1; /* a free slot is 0 */
}

void names_free(name_table *n)
{
    mem_free(n->slots);
    n->slots = NULL;
}

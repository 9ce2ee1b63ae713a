#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/random_impl.h"

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

/* splitmix64, for a system that has no entropy to give yet. */
static uint64_t mix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void random_seed(random_state *r)
{
    uint64_t seed = (uint64_t)clock_monotonic_ns() ^ ((uint64_t)getpid() << 40) ^ (uintptr_t)r;

    if (getrandom(r->s, sizeof r->s, GRND_NONBLOCK) != (ssize_t)sizeof r->s)
        random_set(r, seed);
}

void random_set(random_state *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = mix(&seed);
}

uint64_t random_next(random_state *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

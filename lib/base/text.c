#include "base/text.h"

#include <string.h>

bool text_is_utf8(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + len;

    while (p < end) {
        uint32_t point;
        int more;

        if (*p < 0x80) {
            p++;
            continue;
        }
        more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
        if (*p < 0xc2 || *p > 0xf4 || end - p <= more)
            return false;
        point = *p & (0x3f >> more);
        for (int i = 1; i <= more; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (p[i] & 0x3f);
        }
        if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10ffff)) ||
            (point >= 0xd800 && point <= 0xdfff))
            return false;
        p += more + 1;
    }
    return true;
}

uint64_t text_hash(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    h ^= h >> 32; /* FNV's low bits alone spread poorly over small tables */
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static int64_t unit_ms(const char **s)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);

        if (!strncmp(*s, units[i].name, n)) {
            *s += n;
            return units[i].ms;
        }
    }
    return 0;
}

bool text_duration_ms(const char *s, int64_t *out_ms)
{
    const int64_t limit = INT64_C(100) * 366 * 86400000;
    int64_t total = 0;

    if (!strcmp(s, "0")) {
        *out_ms = 0;
        return true;
    }
    if (!*s)
        return false;
    while (*s) {
        int64_t n = 0, unit;

        if (*s < '0' || *s > '9')
            return false;
        for (; *s >= '0' && *s <= '9'; s++) {
            n = n * 10 + (*s - '0');
            if (n > limit)
                return false;
        }
        unit = unit_ms(&s);
        if (!unit || n > limit / unit)
            return false;
        total += n * unit;
        if (total > limit)
            return false;
    }
    *out_ms = total;
    return true;
}

bool text_is_name(const char *s, size_t max)
{
    size_t n = 0;

    for (; s[n]; n++) {
        char c = s[n];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_';

        if (n >= max || !(word || (n && (c == '-' || c == '.'))))
            return false;
    }
    return n > 0;
}

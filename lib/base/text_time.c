/* Times as RFC 3339 writes them. Computed here: timegm and strptime follow the host's locale, and differ. */
#include "base/text.h"

#define SECONDS_PER_DAY 86400

typedef struct date_time {
    int year, month, day;
    int hour, minute, second;
    int ms;
    int offset_minutes; /* of local time before UTC */
} date_time;

static bool digits(const char **s, int count, int *out)
{
    int n = 0;

    for (int i = 0; i < count; i++) {
        char c = (*s)[i];

        if (c < '0' || c > '9')
            return false;
        n = n * 10 + (c - '0');
    }
    *s += count;
    *out = n;
    return true;
}

static bool sign(const char **s, char wanted)
{
    if (**s != wanted)
        return false;
    ++*s;
    return true;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01, in the calendar of today for all years. */
static int64_t days_since_1970(const date_time *t)
{
    /* Years begin in March, so that the leap day is a year's last. */
    int64_t y = t->month <= 2 ? t->year - 1 : t->year;
    int64_t m = (t->month + 9) % 12;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + t->day - 1 - 719468;
}

static bool read_date(const char **s, date_time *t)
{
    return digits(s, 4, &t->year) && sign(s, '-') && digits(s, 2, &t->month) && sign(s, '-') &&
           digits(s, 2, &t->day) && t->month >= 1 && t->month <= 12 && t->day >= 1 &&
           t->year >= 1 && t->day <= days_of(t->year, t->month);
}

static bool read_fraction(const char **s, date_time *t)
{
    int unit = 100, digit;

    if (!sign(s, '.'))
        return true;
    if (!digits(s, 1, &digit))
        return false;
    do {
        t->ms += digit * unit;
        unit /= 10;
    } while (digits(s, 1, &digit));
    return true;
}

static bool read_time(const char **s, date_time *t)
{
    return digits(s, 2, &t->hour) && sign(s, ':') && digits(s, 2, &t->minute) && sign(s, ':') &&
           digits(s, 2, &t->second) && t->hour <= 23 && t->minute <= 59 && t->second <= 60 &&
           read_fraction(s, t);
}

static bool read_offset(const char **s, date_time *t)
{
    bool west = **s == '-';
    int hours, minutes;

    if (sign(s, 'Z') || sign(s, 'z'))
        return true;
    if (!(sign(s, '+') || sign(s, '-')) || !digits(s, 2, &hours) || !sign(s, ':') ||
        !digits(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    t->offset_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

bool text_time_ms(const char *s, int64_t *out_ms)
{
    date_time t = {0};
    int64_t seconds;

    if (!read_date(&s, &t) || !(sign(&s, 'T') || sign(&s, 't')) || !read_time(&s, &t) ||
        !read_offset(&s, &t) || *s)
        return false;
    seconds = days_since_1970(&t) * SECONDS_PER_DAY +
              (t.hour * 60 + t.minute - t.offset_minutes) * 60 + t.second;
    /* A leap second is the last of a day in UTC. Time as computers count it has none: it is the next day's first. */
    if (t.second == 60 && seconds % SECONDS_PER_DAY != 0)
        return false;
    *out_ms = seconds * 1000 + t.ms;
    return true;
}

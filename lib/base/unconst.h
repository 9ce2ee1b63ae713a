/* For the tables of C libraries that change nothing, and do not say so. */
#ifndef BASE_UNCONST_H
#define BASE_UNCONST_H

static inline void *unconst(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = {p};

    return u.out;
}

#endif

/* A codec for tests: turns every bit round behind the letter 'S', and fails when it is told to. */
#ifndef SUPPORT_SCRAMBLER_H
#define SUPPORT_SCRAMBLER_H

#include "base/codec.h"

typedef struct scrambler {
    int32_t encode_code, decode_code; /* what the functions return instead */
    const char *refuses;   /* encode fails for what has this text in it; NULL = nothing */
    long last;             /* encode fails after so many calls; 0 = never */
    bool gives_nothing;    /* they return 0 and no data */
    long encoded, decoded; /* calls */
    long held;             /* outputs that were not released */
} scrambler;

extern const orch_codec scrambler_ops;

codec scrambler_codec(scrambler *s);
/* As it stands in an encoded payload. Caller unrefs. */
bytes *scrambler_encoded(const char *plain);

#endif

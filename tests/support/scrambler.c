#include "support/scrambler.h"

#include <stdlib.h>
#include <string.h>

static int32_t give(scrambler *s, const char *data, size_t len, void **out, size_t *out_len)
{
    char *room = malloc(len ? len : 1);

    if (!room)
        return ORCH_E_RESOURCE_EXHAUSTED;
    if (len)
        memcpy(room, data, len);
    *out = room;
    *out_len = len;
    s->held++;
    return 0;
}

static void turn(char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (char)~data[i];
}

static int32_t encode(void *user_data, const void *plain, size_t len, void **out, size_t *out_len)
{
    scrambler *s = user_data;
    char *room;
    int32_t rc;

    s->encoded++;
    if (s->last && s->encoded > s->last)
        return ORCH_E_UNAVAILABLE;
    if (s->encode_code)
        return s->encode_code;
    if (s->refuses && memmem(plain, len, s->refuses, strlen(s->refuses)))
        return ORCH_E_OUT_OF_RANGE;
    if (s->gives_nothing)
        return 0;
    room = malloc(len + 1);
    if (!room)
        return ORCH_E_RESOURCE_EXHAUSTED;
    room[0] = 'S';
    memcpy(room + 1, plain, len);
    turn(room + 1, len);
    rc = give(s, room, len + 1, out, out_len);
    free(room);
    return rc;
}

static int32_t decode(void *user_data, const void *encoded, size_t len, void **out, size_t *out_len)
{
    scrambler *s = user_data;
    int32_t rc;

    s->decoded++;
    if (s->decode_code)
        return s->decode_code;
    if (s->gives_nothing)
        return 0;
    if (!len || *(const char *)encoded != 'S')
        return ORCH_E_INVALID_ARGUMENT;
    rc = give(s, (const char *)encoded + 1, len - 1, out, out_len);
    if (!rc)
        turn(*out, len - 1);
    return rc;
}

static void release(void *user_data, void *data)
{
    ((scrambler *)user_data)->held--;
    free(data);
}

const orch_codec scrambler_ops = {sizeof(orch_codec), "scrambler", encode, decode, release};

codec scrambler_codec(scrambler *s)
{
    return (codec){&scrambler_ops, s};
}

bytes *scrambler_encoded(const char *plain)
{
    scrambler s = {0};
    codec c = scrambler_codec(&s);
    bytes *b = bytes_new(plain, strlen(plain));

    if (codec_encode(&c, &b, NULL))
        abort();
    return b;
}

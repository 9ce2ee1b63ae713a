/* Payloads where they leave and enter a process. Encoded, a payload is JSON again, {"$encoded":"base64"}, so that
 * everything between two ends stays JSON, and what was stored without a codec is told apart. */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include <orch/codec.h>
#include <orch/error.h>
#include <stdbool.h>

#include "base/bytes.h"

typedef struct codec {
    const orch_codec *ops; /* NULL: payloads stay as they are */
    void *user_data;
} codec;

/* Each replaces *payload (NULL stays NULL) and leaves it as it is on failure. Any thread.
 *
 * Encode: the codec's error; RESOURCE_EXHAUSTED. */
int32_t codec_encode(const codec *c, bytes **payload, orch_error **err);
/* Decode what is encoded; the rest passes. UNAVAILABLE where there is no codec for it, or the codec says so (it may come);
 * RESOURCE_EXHAUSTED; DATA_LOSS. */
int32_t codec_decode(const codec *c, bytes **payload, orch_error **err);
/* The same for errors, {"code","message","step"?,…}: those three stay readable, the rest is encoded as one. */
int32_t codec_encode_error(const codec *c, bytes **error, orch_error **err);
int32_t codec_decode_error(const codec *c, bytes **error, orch_error **err);

#endif

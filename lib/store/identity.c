/* Execution keys and ids. A made id is the key in Crockford's base 32, so ids sort as their keys
 * do. */
#include "store/store.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define MS_BITS  42
#define MS_SHIFT (STORE_SHARD_BITS + STORE_SEQUENCE_BITS)

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

uint64_t execution_key_make(int64_t ms, uint32_t shard, uint32_t sequence)
{
    uint64_t time = (uint64_t)ms & ((UINT64_C(1) << MS_BITS) - 1);

    return time << MS_SHIFT | (uint64_t)(shard % STORE_SHARDS) << STORE_SEQUENCE_BITS |
           (sequence & ((1u << STORE_SEQUENCE_BITS) - 1));
}

uint32_t execution_key_shard(uint64_t key)
{
    return (uint32_t)(key >> STORE_SEQUENCE_BITS) % STORE_SHARDS;
}

int64_t execution_key_ms(uint64_t key)
{
    return (int64_t)(key >> MS_SHIFT);
}

uint32_t execution_id_shard(const char *id)
{
    return (uint32_t)(text_hash(id, strlen(id)) % STORE_SHARDS);
}

void execution_id_format(uint64_t key, char out[EXECUTION_ID_LEN + 1])
{
    for (int i = EXECUTION_ID_LEN - 1; i >= 0; i--, key >>= 5)
        out[i] = digits[key & 31];
    out[EXECUTION_ID_LEN] = '\0';
}

bool execution_id_parse(const char *id, uint64_t *key)
{
    uint64_t value = 0;

    if (strnlen(id, EXECUTION_ID_LEN + 1) != EXECUTION_ID_LEN || id[0] > '7')
        return false; /* a key has 63 bits: three of them in the first digit */
    for (int i = 0; i < EXECUTION_ID_LEN; i++) {
        const char *digit = strchr(digits, id[i]);

        if (!digit)
            return false;
        value = value << 5 | (uint64_t)(digit - digits);
    }
    *key = value;
    return true;
}

static bool is_id_character(char c, const char *marks)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(marks, c));
}

static int32_t check_text(const char *id, const char *marks, orch_error **err)
{
    size_t len = strnlen(id, EXECUTION_ID_MAX + 1);

    if (len == 0)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "id", "execution id is empty");
    if (len > EXECUTION_ID_MAX)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, "id",
                         "execution id '%.32s…' is longer than %d characters", id,
                         EXECUTION_ID_MAX);
    for (size_t i = 0; i < len; i++) {
        if (!is_id_character(id[i], marks))
            return error_set(
                err, ORCH_E_INVALID_ARGUMENT, "id",
                "execution id has a character that is not allowed at byte %zu; allowed "
                "are A-Z a-z 0-9 and %s",
                i + 1, marks);
    }
    return 0;
}

int32_t execution_id_check_any(const char *id, orch_error **err)
{
    return check_text(id, "_.-/:~", err);
}

int32_t execution_id_check(const char *id, orch_error **err)
{
    uint64_t key;
    int32_t rc = check_text(id, "_.-/:", err);

    if (rc)
        return rc;
    if (strchr("_.-/:", id[0]) && id[0] != '_')
        return error_set(
            err, ORCH_E_INVALID_ARGUMENT, id,
            "execution id '%s' begins with '%c'; it must begin with a letter, digit or "
            "underscore",
            id, id[0]);
    if (execution_id_parse(id, &key))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, id,
                         "execution id '%s' has the form of the ids that are made here (13 "
                         "characters of base 32); choose another",
                         id);
    return 0;
}

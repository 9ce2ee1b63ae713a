/* What stands in the fields of gRPC's headers, and in messages read by hand: the input is a name up to the first NUL, and its value. */
#include "fuzz/fuzz.h"
#include "grpc/metadata.h"
#include "grpc/reflection_files.h"
#include "grpc/status.h"

static void check_metadata(const char *name, const uint8_t *value, size_t len)
{
    grpc_metadata came = {0}, goes = {0};
    buf bytes = BUF_INIT;
    size_t back;
    int32_t rc;

    HOLDS(grpc_metadata_take(&came, (const uint8_t *)name, strlen(name), value, len));
    HOLDS(grpc_metadata_get(&came, name, &back) && back == len);
    grpc_metadata_get_bin(&came, name, &bytes);
    buf_free(&bytes);
    rc = grpc_metadata_add(&goes, name, value, len, NULL);
    HOLDS(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
    /* Bytes come back as they went. */
    if (!rc && strlen(name) > 4 && !strcmp(name + strlen(name) - 4, "-bin")) {
        HOLDS(grpc_metadata_get_bin(&goes, name, &bytes));
        HOLDS(bytes.len == len && (!len || memcmp(bytes.data, value, len) == 0));
        buf_free(&bytes);
    }
    grpc_metadata_clear(&came);
    grpc_metadata_clear(&goes);
}

static void check_message(const char *text)
{
    buf wire = BUF_INIT, back = BUF_INIT, decoded = BUF_INIT;

    grpc_message_decode(&decoded, text, strlen(text));
    grpc_message_encode(&wire, text);
    for (size_t i = 0; i < wire.len; i++)
        HOLDS(wire.data[i] >= ' ' && wire.data[i] <= '~');
    grpc_message_decode(&back, wire.data ? wire.data : "", wire.len);
    HOLDS(back.len == strlen(text) && (!back.len || memcmp(back.data, text, back.len) == 0));
    buf_free(&wire);
    buf_free(&back);
    buf_free(&decoded);
}

static void check_timeout(const char *text, size_t len)
{
    char again[GRPC_TIMEOUT_MAX];
    int64_t ns, more;

    if (!grpc_timeout_parse(text, len, &ns))
        return;
    HOLDS(ns >= 0);
    /* What is written is the same, or a little more: in a unit with fewer digits. */
    HOLDS(grpc_timeout_parse(again, grpc_timeout_format(ns, again), &more));
    HOLDS(more >= ns);
}

static void check_descriptors(const uint8_t *data, size_t size)
{
    proto_files files = {.count = 0};
    int32_t rc = proto_files_add(&files, data, size, NULL);

    HOLDS(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT || rc == ORCH_E_ALREADY_EXISTS);
    HOLDS((rc == 0) == (files.count == 1));
    HOLDS(rc || proto_files_add(&files, data, size, NULL) == 0);
    proto_files_clear(&files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = fuzz_string(data, size);
    size_t len = strlen(name), at = len < size ? len + 1 : size;
    char *value = fuzz_string(data + at, size - at);
    int32_t code = grpc_status_parse(value, size - at);

    HOLDS(code <= 0 && code >= ORCH_E_UNAUTHENTICATED);
    check_metadata(name, data + at, size - at);
    check_message(name);
    check_timeout(value, size - at);
    check_descriptors(data, size);
    free(name);
    free(value);
    return 0;
}

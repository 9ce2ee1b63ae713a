/* What comes over a channel: a byte that says the direction, then frames (two bytes of length, little-endian, and the frame). Each frame gives
 * a message, nothing, or a refusal; a message that was read is sent, read and sent again, which gives the same bytes. */
#include "base/error.h"
#include "fuzz/fuzz.h"
#include "transport/wire.h"

typedef struct sent {
    buf bytes;
    unsigned puts;
} sent;

static void send_to(sent *s, const message *m)
{
    wire_writer w = {0};
    const void *data;
    size_t len;

    s->bytes = (buf)BUF_INIT;
    s->puts = 0;
    HOLDS(wire_write(&w, m, WIRE_PART_BYTES) == 0);
    while (wire_next(&w, WIRE_PART_BYTES, &data, &len)) {
        buf_add(&s->bytes, data, len);
        s->puts++;
    }
    HOLDS(s->puts > 0);
    wire_writer_free(&w);
}

static void check_again(const message *m, bool to_engine)
{
    wire_reader r = {.to_engine = to_engine, .parts = BUF_INIT};
    sent first, second;
    message *again = NULL;

    send_to(&first, m);
    if (first.puts == 1) { /* an input is shorter than a part; what is read from one may not be */
        HOLDS(wire_receive(&r, first.bytes.data, first.bytes.len, &again, NULL) == 0);
        HOLDS(again && again->kind == m->kind);
        send_to(&second, again);
        HOLDS(second.bytes.len == first.bytes.len);
        HOLDS(!memcmp(second.bytes.data, first.bytes.data, first.bytes.len));
        buf_free(&second.bytes);
        message_free(again);
    }
    wire_reader_free(&r);
    buf_free(&first.bytes);
}

static int32_t receive(wire_reader *r, const uint8_t *data, size_t len)
{
    uint8_t *frame = malloc(len ? len : 1); /* so that a sanitizer sees its end */
    orch_error *error = NULL;
    message *m = NULL;
    int32_t rc;

    HOLDS(frame);
    if (len)
        memcpy(frame, data, len);
    rc = wire_receive(r, frame, len, &m, &error);
    free(frame);
    HOLDS(rc == 0 || rc == ORCH_E_INVALID_ARGUMENT);
    HOLDS((rc != 0) == (error != NULL));
    HOLDS(!rc || !m);
    orch_error_free(error);
    if (m)
        check_again(m, r->to_engine);
    message_free(m);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wire_reader r = {.to_engine = size && data[0] & 1, .parts = BUF_INIT};
    int32_t rc = 0;
    size_t len;

    for (size_t at = 1; at + 2 <= size && !rc; at += 2 + len) {
        len = data[at] | (size_t)data[at + 1] << 8;
        if (len > size - at - 2)
            len = size - at - 2;
        rc = receive(&r, data + at + 2, len);
    }
    wire_reader_free(&r);
    return 0;
}

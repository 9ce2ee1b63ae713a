#include "support/descriptors.h"

#include <string.h>

#include "grpc/pb.h"

static void put_text(buf *out, uint32_t number, const char *text)
{
    pb_put_bytes(out, number, text, strlen(text));
}

/* `inner`, which is free then, becomes a field of `out`. */
static void put_message(buf *out, uint32_t number, buf *inner)
{
    pb_put_bytes(out, number, inner->data, inner->len);
    buf_free(inner);
}

static void put_named(buf *out, uint32_t number, const char *name)
{
    buf one = BUF_INIT;

    put_text(&one, 1, name);
    put_message(out, number, &one);
}

void descriptors_message(buf *out, const char *file, const char *package, const char *message)
{
    put_text(out, 1, file);
    put_text(out, 2, package);
    put_named(out, 4, message);
}

void descriptors_base(buf *out)
{
    buf base = BUF_INIT, inner = BUF_INIT, kind = BUF_INIT;

    put_text(&kind, 1, "Kind");
    put_named(&kind, 2, "NONE");
    put_text(&inner, 1, "Inner");
    put_message(&inner, 4, &kind);
    put_text(&base, 1, "Base");
    put_message(&base, 3, &inner);
    put_text(out, 1, "base.proto");
    put_text(out, 2, "t");
    put_message(out, 4, &base);
}

void descriptors_main(buf *out)
{
    buf service = BUF_INIT, extra = BUF_INIT;

    put_text(&service, 1, "S");
    put_named(&service, 2, "One");
    put_named(&service, 2, "Two");
    put_text(&extra, 1, "extra");
    put_text(&extra, 2, ".t.Base");
    pb_put_number(&extra, 3, 100);
    put_text(out, 1, "main.proto");
    put_text(out, 2, "t");
    put_text(out, 3, "base.proto");
    put_message(out, 6, &service);
    put_message(out, 7, &extra);
}

#include "grpc/reflection.h"

#include <string.h>

#include "base/error.h"
#include "grpc/reflection_files.h"
#include "grpc/server_impl.h"

/* The numbers of reflection.proto. */
enum {
    HOST = 1,
    BY_NAME = 3,
    BY_SYMBOL = 4,
    BY_EXTENSION = 5,
    NUMBERS_OF_TYPE = 6,
    LIST_SERVICES = 7
};
enum { EXTENSION_TYPE = 1, EXTENSION_NUMBER = 2 };
enum { VALID_HOST = 1, ORIGINAL = 2, FILES = 4, NUMBERS = 5, SERVICES = 6, FAILURE = 7 };
enum { FAILURE_CODE = 1, FAILURE_MESSAGE = 2, NUMBERS_TYPE = 1, NUMBERS_NUMBER = 2 };
enum { FILE_DEPENDENCY = 3 };

struct grpc_reflection {
    const grpc_server *server;
    proto_files files;
    list calls;
};

typedef struct reflection_call {
    list node;
    grpc_reflection *reflection; /* NULL: it is gone */
    grpc_call *call;
    uint8_t sent[PROTO_FILES / 8]; /* files that this client has */
} reflection_call;

/* ---- answers --------------------------------------------------------------------------------------------- */

static void put_failure(buf *out, int32_t code, const char *message)
{
    buf failure = BUF_INIT;

    pb_put_number(&failure, FAILURE_CODE, (uint64_t)-code);
    pb_put_bytes(&failure, FAILURE_MESSAGE, message, strlen(message));
    pb_put_bytes(out, FAILURE, failure.data, failure.len);
    out->failed |= failure.failed;
    buf_free(&failure);
}

static bool was_sent(const reflection_call *c, const proto_file *f)
{
    return c->sent[f->index / 8] >> f->index % 8 & 1;
}

/* The files that it imports go into the queue, those that this client has not seen. */
static void queue_imports(const proto_files *files, const proto_file *f, const proto_file **queue,
                          unsigned *count, reflection_call *c)
{
    pb_reader r = pb_read(f->data, f->len);
    pb_field field;

    while (pb_next(&r, &field) > 0) {
        const proto_file *import = field.number == FILE_DEPENDENCY && field.type == PB_BYTES
                                       ? proto_files_named(files, field.data, field.len)
                                       : NULL;

        if (!import || was_sent(c, import))
            continue;
        c->sent[import->index / 8] |= (uint8_t)(1 << import->index % 8);
        queue[(*count)++] = import;
    }
}

/* A file, and those that it needs and the client has not. */
static void put_files(reflection_call *c, buf *out, const proto_file *first)
{
    const proto_file *queue[PROTO_FILES + 1] = {first};
    buf files = BUF_INIT;
    unsigned count = 1;

    if (!first) {
        put_failure(out, ORCH_E_NOT_FOUND, "it is in no file that is known here");
        return;
    }
    c->sent[first->index / 8] |= (uint8_t)(1 << first->index % 8);
    for (unsigned i = 0; i < count; i++) {
        pb_put_bytes(&files, 1, queue[i]->data, queue[i]->len);
        queue_imports(&c->reflection->files, queue[i], queue, &count, c);
    }
    pb_put_bytes(out, FILES, files.data, files.len);
    out->failed |= files.failed;
    buf_free(&files);
}

static void put_extending(reflection_call *c, buf *out, const pb_field *asked)
{
    pb_field type, number;

    if (pb_find(pb_inside(asked), EXTENSION_TYPE, PB_BYTES, &type) &&
        pb_find(pb_inside(asked), EXTENSION_NUMBER, PB_VARINT, &number))
        put_files(c, out,
                  proto_files_extending(&c->reflection->files, type.data, type.len,
                                        (int32_t)number.value));
    else
        put_failure(out, ORCH_E_INVALID_ARGUMENT, "an extension has a type and a number");
}

static void put_numbers(const proto_files *files, buf *out, const pb_field *type)
{
    buf numbers = BUF_INIT;

    if (!proto_files_with(files, type->data, type->len)) {
        put_failure(out, ORCH_E_NOT_FOUND, "the type is in no file that is known here");
        return;
    }
    pb_put_bytes(&numbers, NUMBERS_TYPE, type->data, type->len);
    for (size_t i = 0; i < files->extension_count; i++) {
        const proto_extension *e = &files->extensions[i];

        if (strlen(e->type) == type->len && memcmp(e->type, type->data, type->len) == 0)
            pb_put_number(&numbers, NUMBERS_NUMBER, (uint64_t)e->number);
    }
    pb_put_bytes(out, NUMBERS, numbers.data, numbers.len);
    out->failed |= numbers.failed;
    buf_free(&numbers);
}

/* "/package.Service/Method": the length of the service's name; methods of one service mostly stand together. */
static size_t service_len(const method *m)
{
    const char *end = m->path[0] == '/' ? strchr(m->path + 1, '/') : NULL;

    return end ? (size_t)(end - m->path - 1) : 0;
}

static bool is_same_service(const method *a, const method *b)
{
    size_t len = service_len(a);

    return len == service_len(b) && memcmp(a->path, b->path, len + 1) == 0;
}

static bool is_first_of_service(const grpc_server *s, const method *m)
{
    const method *before;

    for (before = s->methods; before != m; before = before->hh.next)
        if (is_same_service(before, m))
            return false;
    return service_len(m) > 0;
}

static void put_services(const grpc_server *s, buf *out)
{
    buf services = BUF_INIT, one = BUF_INIT;

    for (const method *m = s->methods; m; m = m->hh.next) {
        if (!is_first_of_service(s, m))
            continue;
        buf_clear(&one);
        pb_put_bytes(&one, 1, m->path + 1, service_len(m));
        pb_put_bytes(&services, 1, one.data, one.len);
    }
    pb_put_bytes(out, SERVICES, services.data, services.len);
    out->failed |= services.failed || one.failed;
    buf_free(&one);
    buf_free(&services);
}

static void put_answer(reflection_call *c, buf *out, const pb_field *asked)
{
    const proto_files *files = &c->reflection->files;

    switch (asked->number) {
    case BY_NAME: put_files(c, out, proto_files_named(files, asked->data, asked->len)); break;
    case BY_SYMBOL: put_files(c, out, proto_files_with(files, asked->data, asked->len)); break;
    case BY_EXTENSION: put_extending(c, out, asked); break;
    case NUMBERS_OF_TYPE: put_numbers(files, out, asked); break;
    case LIST_SERVICES: put_services(c->reflection->server, out); break;
    default: put_failure(out, ORCH_E_INVALID_ARGUMENT, "nothing is asked that is known here");
    }
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

/* What is asked: of the oneof the last. False: this is no request. */
static bool read_request(const uint8_t *data, size_t len, pb_field *host, pb_field *asked)
{
    pb_reader r = pb_read(data, len);
    pb_field f;
    int rc;

    *host = *asked = (pb_field){.number = 0};
    while ((rc = pb_next(&r, &f)) > 0) {
        if (f.type != PB_BYTES)
            continue;
        if (f.number == HOST)
            *host = f;
        else if (f.number >= BY_NAME && f.number <= LIST_SERVICES)
            *asked = f;
    }
    return rc == 0;
}

static void on_message(void *ctx, grpc_call *call, const uint8_t *data, size_t len)
{
    reflection_call *c = ctx;
    pb_field host, asked;
    buf out = BUF_INIT;

    if (!c->reflection)
        return;
    if (!read_request(data, len, &host, &asked)) {
        grpc_finish(call, ORCH_E_INTERNAL, "this is no ServerReflectionRequest");
        return;
    }
    pb_put_bytes(&out, VALID_HOST, host.data, host.len);
    pb_put_bytes(&out, ORIGINAL, data, len);
    put_answer(c, &out, &asked);
    if (out.failed) {
        grpc_finish(call, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
    } else if (!grpc_send(call, out.data, out.len)) {
        grpc_pause(call); /* who does not read may ask nothing more */
    }
    buf_free(&out);
}

static void on_drained(void *ctx, grpc_call *call)
{
    (void)ctx;
    grpc_resume(call);
}

static void on_half_closed(void *ctx, grpc_call *call)
{
    (void)ctx;
    grpc_finish(call, 0, NULL);
}

static void on_closed(void *ctx, grpc_call *call, int32_t code, const char *message)
{
    reflection_call *c = ctx;

    (void)call;
    (void)code;
    (void)message;
    list_remove(&c->node);
    mem_free(c);
}

static void begin(void *ctx, grpc_call *call)
{
    static const grpc_call_handler handler = {.message = on_message,
                                              .half_closed = on_half_closed,
                                              .drained = on_drained,
                                              .closed = on_closed};
    grpc_reflection *r = ctx;
    reflection_call *c = mem_zalloc(sizeof *c);

    if (!c) {
        grpc_finish(call, ORCH_E_RESOURCE_EXHAUSTED, "there is no memory");
        return;
    }
    c->reflection = r;
    c->call = call;
    list_push(&r->calls, &c->node);
    grpc_call_set_handler(call, &handler, c);
}

/* ---- its life -------------------------------------------------------------------------------------------- */

int32_t grpc_reflection_new(grpc_server *s, grpc_reflection **out, orch_error **err)
{
    static const char *const paths[] = {
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    };
    grpc_reflection *r = mem_zalloc(sizeof *r);
    int32_t rc = r ? 0 : error_no_memory(err);

    for (size_t i = 0; !rc && i < sizeof paths / sizeof *paths; i++)
        rc = grpc_server_add(s, paths[i], begin, r, err);
    if (rc) {
        mem_free(r); /* who gets an error lets the server go */
        return rc;
    }
    r->server = s;
    list_init(&r->calls);
    *out = r;
    return 0;
}

int32_t grpc_reflection_add(grpc_reflection *r, const uint8_t *file, size_t len, orch_error **err)
{
    return proto_files_add(&r->files, file, len, err);
}

int32_t grpc_reflection_add_set(grpc_reflection *r, const uint8_t *set, size_t len,
                                orch_error **err)
{
    pb_reader files = pb_read(set, len);
    int32_t rc = 0;
    pb_field f;
    int more;

    while (!rc && (more = pb_next(&files, &f)) != 0) {
        if (more < 0)
            rc = error_set(err, ORCH_E_INVALID_ARGUMENT, NULL, "this is no FileDescriptorSet");
        else if (f.number == 1 && f.type == PB_BYTES)
            rc = proto_files_add(&r->files, f.data, f.len, err);
    }
    return rc;
}

void grpc_reflection_free(grpc_reflection *r)
{
    list *it;

    if (!r)
        return;
    while ((it = list_pop(&r->calls)) != NULL) {
        reflection_call *c = LIST_ENTRY(it, reflection_call, node);

        c->reflection = NULL;
        grpc_finish(c->call, ORCH_E_UNAVAILABLE, "the server stops");
    }
    proto_files_clear(&r->files);
    mem_free(r);
}

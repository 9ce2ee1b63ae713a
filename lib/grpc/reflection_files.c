#include "grpc/reflection_files.h"

#include <string.h>

#include "base/error.h"
#include "base/map.h"

#define MAX_DEPTH 32 /* of messages in messages */

/* The numbers of descriptor.proto. */
enum {
    FILE_NAME = 1,
    FILE_PACKAGE = 2,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    FILE_EXTENSION = 7
};
enum { MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, MESSAGE_EXTENSION = 6 };
enum { ANY_NAME = 1, ENUM_VALUE = 2, SERVICE_METHOD = 2, FIELD_EXTENDEE = 2, FIELD_NUMBER = 3 };

typedef struct proto_symbol {
    UT_hash_handle hh;
    const proto_file *file;
    size_t len;
    char name[];
} proto_symbol;

/* A file that is being looked through. */
typedef struct scan {
    proto_files *to;
    const proto_file *file;
    buf scope; /* "package.Message." */
    int32_t code;
    orch_error **err;
} scan;

static proto_symbol *find(const proto_files *p, const void *name, size_t len)
{
    proto_symbol *s;

    HASH_FIND(hh, p->symbols, name, len, s);
    return s;
}

/* ---- what is added ------------------------------------------------------------------------------------------- */

static bool fail(scan *s, int32_t code)
{
    if (!s->code)
        s->code = code;
    return false;
}

static bool malformed(scan *s)
{
    if (!s->code)
        error_set(s->err, ORCH_E_INVALID_ARGUMENT, NULL, "this is no FileDescriptorProto");
    return fail(s, ORCH_E_INVALID_ARGUMENT);
}

static bool no_memory(scan *s)
{
    return fail(s, error_no_memory(s->err));
}

/* `scope` has its full name. */
static bool add_symbol(scan *s)
{
    size_t len = s->scope.len;
    proto_symbol *symbol;

    if (s->scope.failed)
        return no_memory(s);
    if (find(s->to, s->scope.data, len))
        return fail(s, error_set(s->err, ORCH_E_ALREADY_EXISTS, s->scope.data,
                                 "'%s' is declared already", s->scope.data));
    symbol = mem_zalloc(sizeof *symbol + len + 1);
    if (!symbol)
        return no_memory(s);
    symbol->file = s->file;
    symbol->len = len;
    memcpy(symbol->name, s->scope.data, len + 1);
    HASH_ADD(hh, s->to->symbols, name, len, symbol);
    if (map_added(symbol->hh))
        return true;
    mem_free(symbol);
    return no_memory(s);
}

static void cut(scan *s, size_t len)
{
    s->scope.len = len;
    if (s->scope.data)
        s->scope.data[len] = '\0';
}

/* Text that a string of C can have: what is looked up has to be what is kept. */
static bool is_name(const pb_field *f)
{
    return f->len && !memchr(f->data, 0, f->len);
}

/* The name of what is declared in `r` goes behind the scope. */
static bool enter(scan *s, pb_reader r)
{
    pb_field name;

    if (!pb_find(r, ANY_NAME, PB_BYTES, &name) || !is_name(&name))
        return malformed(s);
    buf_add(&s->scope, name.data, name.len);
    return add_symbol(s);
}

static bool add_named(scan *s, const pb_field *f)
{
    size_t before = s->scope.len;
    bool ok = enter(s, pb_inside(f));

    cut(s, before);
    return ok;
}

/* Extends a type that is named ".package.Message". */
static bool add_extension(scan *s, const pb_field *f)
{
    proto_files *p = s->to;
    pb_field type, number;
    proto_extension *more;
    char *name;

    if (!add_named(s, f))
        return false;
    if (!pb_find(pb_inside(f), FIELD_EXTENDEE, PB_BYTES, &type) || !is_name(&type) ||
        !pb_find(pb_inside(f), FIELD_NUMBER, PB_VARINT, &number))
        return malformed(s);
    if (*type.data == '.') {
        type.data++;
        type.len--;
    }
    name = mem_strndup((const char *)type.data, type.len);
    more = mem_realloc(p->extensions, (p->extension_count + 1) * sizeof *more);
    if (more)
        p->extensions = more;
    if (!name || !more) {
        mem_free(name);
        return no_memory(s);
    }
    more[p->extension_count++] = (proto_extension){s->file, name, (int32_t)number.value};
    return true;
}

/* A service with its methods. */
static bool add_service(scan *s, const pb_field *service)
{
    size_t before = s->scope.len;
    pb_reader r = pb_inside(service);
    bool ok = enter(s, r);
    pb_field f;

    buf_putc(&s->scope, '.');
    while (ok && pb_next(&r, &f) > 0)
        if (f.number == SERVICE_METHOD && f.type == PB_BYTES)
            ok = add_named(s, &f);
    cut(s, before);
    return ok;
}

/* The values of an enum are named beside it, not in it. */
static bool add_enum(scan *s, const pb_field *e)
{
    pb_reader r = pb_inside(e);
    bool ok = add_named(s, e);
    pb_field f;

    while (ok && pb_next(&r, &f) > 0)
        if (f.number == ENUM_VALUE && f.type == PB_BYTES)
            ok = add_named(s, &f);
    return ok;
}

static bool add_message(scan *s, const pb_field *message, unsigned depth)
{
    size_t before = s->scope.len;
    pb_reader r = pb_inside(message);
    bool ok = depth < MAX_DEPTH ? enter(s, r) : malformed(s);
    pb_field f;

    buf_putc(&s->scope, '.');
    while (ok && pb_next(&r, &f) > 0) {
        if (f.type != PB_BYTES)
            continue;
        switch (f.number) {
        case MESSAGE_NESTED: ok = add_message(s, &f, depth + 1); break;
        case MESSAGE_ENUM: ok = add_enum(s, &f); break;
        case MESSAGE_EXTENSION: ok = add_extension(s, &f); break;
        default: break;
        }
    }
    cut(s, before);
    return ok;
}

static bool add_all(scan *s)
{
    pb_reader r = pb_read(s->file->data, s->file->len);
    bool ok = true;
    pb_field f;

    if (pb_find(r, FILE_PACKAGE, PB_BYTES, &f) && f.len) {
        if (!is_name(&f))
            return malformed(s);
        buf_add(&s->scope, f.data, f.len);
        buf_putc(&s->scope, '.');
    }
    while (ok && pb_next(&r, &f) > 0) {
        if (f.type != PB_BYTES)
            continue;
        switch (f.number) {
        case FILE_MESSAGE: ok = add_message(s, &f, 0); break;
        case FILE_ENUM: ok = add_enum(s, &f); break;
        case FILE_SERVICE: ok = add_service(s, &f); break;
        case FILE_EXTENSION: ok = add_extension(s, &f); break;
        default: break;
        }
    }
    return ok;
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static void file_free(proto_file *f)
{
    if (!f)
        return;
    mem_free(f->name);
    mem_free(f->data);
    mem_free(f);
}

static proto_file *file_new(const pb_field *name, const uint8_t *data, size_t len)
{
    proto_file *f = mem_zalloc(sizeof *f);

    if (!f)
        return NULL;
    f->name = mem_strndup((const char *)name->data, name->len);
    f->data = mem_alloc(len);
    f->len = len;
    if (f->name && f->data) {
        memcpy(f->data, data, len);
        return f;
    }
    file_free(f);
    return NULL;
}

/* What is there of the last file that was added; NULL: of all. */
static void remove_of(proto_files *p, const proto_file *file)
{
    proto_symbol *s, *next;

    HASH_ITER(hh, p->symbols, s, next)
    {
        if (file && s->file != file)
            continue;
        HASH_DELETE(hh, p->symbols, s);
        mem_free(s);
    }
    while (p->extension_count && (!file || p->extensions[p->extension_count - 1].file == file))
        mem_free(p->extensions[--p->extension_count].type);
}

int32_t proto_files_add(proto_files *p, const uint8_t *data, size_t len, orch_error **err)
{
    scan s = {.to = p, .err = err};
    const proto_file *old;
    pb_field name;
    proto_file *f;

    if (!pb_find(pb_read(data, len), FILE_NAME, PB_BYTES, &name) || !is_name(&name)) {
        malformed(&s);
        return s.code;
    }
    old = proto_files_named(p, name.data, name.len);
    if (old && old->len == len && memcmp(old->data, data, len) == 0)
        return 0;
    if (old)
        return error_set(err, ORCH_E_ALREADY_EXISTS, old->name, "another file is named '%s'",
                         old->name);
    if (p->count == PROTO_FILES)
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, NULL, "there are %d files already",
                         PROTO_FILES);
    f = file_new(&name, data, len);
    if (!f)
        return error_no_memory(err);
    f->index = p->count;
    s.file = f;
    if (add_all(&s)) {
        p->files[p->count++] = f;
    } else {
        remove_of(p, f);
        file_free(f);
    }
    buf_free(&s.scope);
    return s.code;
}

void proto_files_clear(proto_files *p)
{
    remove_of(p, NULL);
    for (unsigned i = 0; i < p->count; i++)
        file_free(p->files[i]);
    mem_free(p->extensions);
    *p = (proto_files){.count = 0};
}

const proto_file *proto_files_named(const proto_files *p, const uint8_t *name, size_t len)
{
    for (unsigned i = 0; i < p->count; i++)
        if (strlen(p->files[i]->name) == len && memcmp(p->files[i]->name, name, len) == 0)
            return p->files[i];
    return NULL;
}

const proto_file *proto_files_with(const proto_files *p, const uint8_t *symbol, size_t len)
{
    const proto_symbol *s = len ? find(p, symbol, len) : NULL;

    return s ? s->file : NULL;
}

const proto_file *proto_files_extending(const proto_files *p, const uint8_t *type, size_t len,
                                        int32_t number)
{
    for (size_t i = 0; i < p->extension_count; i++) {
        const proto_extension *e = &p->extensions[i];

        if (e->number == number && strlen(e->type) == len && memcmp(e->type, type, len) == 0)
            return e->file;
    }
    return NULL;
}

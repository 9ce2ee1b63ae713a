#include "runtime/secrets_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

/* What a host gave; stays until the last call that uses it is over. */
struct secret_source {
    atomic_uint refs;
    orch_secret_fn fn;
    void *user_data;
    orch_free_fn free_fn;
};

static void source_unref(secret_source *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    if (s->free_fn)
        s->free_fn(s->user_data);
    mem_free(s);
}

int32_t secrets_init(secrets *s, const char *dir, orch_error **err)
{
    pthread_mutex_init(&s->lock, NULL);
    s->source = NULL;
    s->dir = dir ? mem_strdup(dir) : NULL;
    return dir && !s->dir ? error_no_memory(err) : 0;
}

void secrets_destroy(secrets *s)
{
    source_unref(s->source);
    mem_free(s->dir);
    pthread_mutex_destroy(&s->lock);
}

int32_t secrets_set(secrets *s, orch_secret_fn fn, void *user_data, orch_free_fn free_fn,
                    orch_error **err)
{
    secret_source *source = fn ? mem_zalloc(sizeof *source) : NULL;
    secret_source *old;

    if (!source && free_fn)
        free_fn(user_data);
    if (fn && !source)
        return error_no_memory(err);
    if (source) {
        atomic_init(&source->refs, 1);
        source->fn = fn;
        source->user_data = user_data;
        source->free_fn = free_fn;
    }
    pthread_mutex_lock(&s->lock);
    old = s->source;
    s->source = source;
    pthread_mutex_unlock(&s->lock);
    source_unref(old);
    return 0;
}

/* What is in `value` is not left behind in memory. */
static json_t *take_value(const char *name, char *value, size_t len, orch_error **err)
{
    json_t *text = NULL;

    if (!text_is_utf8(value, len)) {
        error_set(err, ORCH_E_INVALID_ARGUMENT, name, "secret '%s' is not UTF-8", name);
    } else {
        text = json_stringn(value, len);
        if (!text)
            error_no_memory(err);
    }
    explicit_bzero(value, len);
    return text;
}

/* ---- the host's function --------------------------------------------------------------------------------- */

static json_t *ask(const secret_source *s, const char *name, orch_error **err)
{
    size_t capacity = 1024;

    for (;;) {
        char *room = mem_zalloc(capacity);
        json_t *value = NULL;
        int64_t n;

        if (!room) {
            error_no_memory(err);
            return NULL;
        }
        n = s->fn(s->user_data, name, room, capacity);
        if (n >= 0 && (uint64_t)n <= capacity) {
            value = take_value(name, room, (size_t)n, err);
            mem_free(room);
            return value;
        }
        explicit_bzero(room, capacity);
        mem_free(room);
        if (n < 0) {
            error_set(err, n >= ORCH_E_UNAUTHENTICATED ? (int32_t)n : ORCH_E_UNKNOWN, name,
                      "secret '%s': the host's function answered %s", name,
                      orch_code_name(n >= ORCH_E_UNAUTHENTICATED ? (int32_t)n : ORCH_E_UNKNOWN));
            return NULL;
        }
        if (n > SECRET_MAX_BYTES || capacity == SECRET_MAX_BYTES) {
            error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                      "secret '%s' has %lld bytes; %d are allowed", name, (long long)n,
                      SECRET_MAX_BYTES);
            return NULL;
        }
        capacity = SECRET_MAX_BYTES;
    }
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static int32_t open_file(const secrets *s, const char *name, int *out, orch_error **err)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", s->dir, name);
    int fd;

    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name, "secret '%s': the path is too long",
                         name);
    fd = fd_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ORCH_E_NOT_FOUND, name, "there is no secret '%s'", name);
    if (fd < 0)
        return error_set(err, errno == EACCES ? ORCH_E_PERMISSION_DENIED : ORCH_E_UNAVAILABLE, name,
                         "secret '%s': %s", name, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name, "secret '%s' is not a regular file",
                         name);
    }
    *out = fd;
    return 0;
}

static size_t without_newline(const char *value, size_t len)
{
    if (len && value[len - 1] == '\n')
        len--;
    if (len && value[len - 1] == '\r')
        len--;
    return len;
}

static json_t *read_file(const secrets *s, const char *name, orch_error **err)
{
    size_t capacity = SECRET_MAX_BYTES + 3; /* a line end, and one byte too many */
    char *room;
    json_t *value = NULL;
    ssize_t n;
    size_t len;
    int fd;

    if (open_file(s, name, &fd, err))
        return NULL;
    room = mem_alloc(capacity);
    if (!room) {
        close(fd);
        error_no_memory(err);
        return NULL;
    }
    n = fd_read_all(fd, room, capacity);
    close(fd);
    len = n > 0 ? without_newline(room, (size_t)n) : 0;
    if (n < 0)
        error_set(err, ORCH_E_UNAVAILABLE, name, "secret '%s' cannot be read", name);
    else if (len > SECRET_MAX_BYTES)
        error_set(err, ORCH_E_INVALID_ARGUMENT, name, "secret '%s' has more than %d bytes", name,
                  SECRET_MAX_BYTES);
    else
        value = take_value(name, room, len, err);
    explicit_bzero(room, capacity);
    mem_free(room);
    return value;
}

json_t *secrets_get(secrets *s, const char *name, orch_error **err)
{
    orch_error *error = NULL;
    secret_source *source;
    json_t *value = NULL;

    pthread_mutex_lock(&s->lock);
    source = s->source;
    if (source)
        atomic_fetch_add(&source->refs, 1);
    pthread_mutex_unlock(&s->lock);
    if (source)
        value = ask(source, name, &error);
    else
        error_set(&error, ORCH_E_NOT_FOUND, name, "there is no secret '%s'", name);
    source_unref(source);
    if (!value && orch_error_code(error) == ORCH_E_NOT_FOUND && s->dir && text_is_name(name, 253)) {
        orch_error_free(error);
        error = NULL;
        value = read_file(s, name, &error);
    }
    if (error && err)
        *err = error;
    else
        orch_error_free(error);
    return value;
}

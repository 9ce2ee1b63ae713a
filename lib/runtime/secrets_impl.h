/* Where secrets come from: a function of the host's, then files. */
#ifndef RUNTIME_SECRETS_IMPL_H
#define RUNTIME_SECRETS_IMPL_H

#include <jansson.h>
#include <orch/engine.h>
#include <pthread.h>

#define SECRET_MAX_BYTES 65536

typedef struct secret_source secret_source;

typedef struct secrets {
    pthread_mutex_t lock; /* guards source */
    secret_source *source;
    char *dir; /* NULL = no files */
} secrets;

int32_t secrets_init(secrets *s, const char *dir, orch_error **err);
void secrets_destroy(secrets *s);
/* Any thread; takes user_data over, also on failure. fn NULL = none. */
int32_t secrets_set(secrets *s, orch_secret_fn fn, void *user_data, orch_free_fn free_fn,
                    orch_error **err);
/* A JSON string, or NULL with *err: NOT_FOUND, or what the function answered. Pool thread; may block. */
json_t *secrets_get(secrets *s, const char *name, orch_error **err);

#endif

#include "base/dynlib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"

/* One for all libraries: it is held only while something is being loaded. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static void *open_any(const dynlib *lib, const char **name)
{
    for (int i = 0; i < DYNLIB_MAX_NAMES && lib->names[i]; i++) {
        void *handle = dlopen(lib->names[i], RTLD_NOW | RTLD_LOCAL);

        if (handle) {
            *name = lib->names[i];
            return handle;
        }
    }
    return NULL;
}

static int32_t load(dynlib *lib, orch_error **err)
{
    const char *name = lib->names[0];
    void *handle = open_any(lib, &name);

    if (!handle) {
        const char *why = dlerror();

        return error_set(err, ORCH_E_UNIMPLEMENTED, name,
                         "%s cannot be loaded; install it to use this (%s)", name,
                         why ? why : "no reason given");
    }
    for (const dynlib_symbol *s = lib->symbols; s->name; s++) {
        void *address = dlsym(handle, s->name);

        if (!address) {
            dlclose(handle);
            return error_set(err, ORCH_E_UNIMPLEMENTED, name,
                             "%s has no %s; a newer version is needed", name, s->name);
        }
        memcpy(s->pointer, &address, sizeof address);
    }
    atomic_store_explicit(&lib->loaded, true, memory_order_release);
    return 0;
}

int32_t dynlib_load(dynlib *lib, orch_error **err)
{
    int32_t rc = 0;

    if (atomic_load_explicit(&lib->loaded, memory_order_acquire))
        return 0;
    pthread_mutex_lock(&loading);
    if (!atomic_load_explicit(&lib->loaded, memory_order_relaxed))
        rc = load(lib, err);
    pthread_mutex_unlock(&loading);
    return rc;
}

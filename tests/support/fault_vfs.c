#include "support/fault_vfs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct shim_file {
    sqlite3_file base;
    char path[256];
    sqlite3_file *real; /* right behind this struct */
} shim_file;

static sqlite3_vfs shim, *under;
static vfs_hook hook;

static int ask(const vfs_event *e, bool after);

/* ---- files ----------------------------------------------------------------------------------- */

static sqlite3_file *real(sqlite3_file *file)
{
    return ((shim_file *)file)->real;
}

static vfs_event event_of(sqlite3_file *file, enum vfs_op op)
{
    vfs_event e = {.op = op, .path = ((shim_file *)file)->path, .file = file};

    return e;
}

static int shim_close(sqlite3_file *file)
{
    vfs_event e = event_of(file, VFS_CLOSE);

    ask(&e, true);
    return real(file)->pMethods->xClose(real(file));
}

static int shim_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
    vfs_event e = event_of(file, VFS_READ);
    int rc = ask(&e, false);

    return rc ? rc : real(file)->pMethods->xRead(real(file), to, len, offset);
}

static int shim_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    vfs_event e = event_of(file, VFS_WRITE);
    int rc;

    e.data = data;
    e.len = len;
    e.offset = offset;
    rc = ask(&e, false);
    if (rc) {
        real(file)->pMethods->xWrite(real(file), data, len / 2, offset);
        return rc;
    }
    rc = real(file)->pMethods->xWrite(real(file), data, len, offset);
    if (rc == SQLITE_OK)
        ask(&e, true);
    return rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    vfs_event e = event_of(file, VFS_TRUNCATE);
    int rc;

    e.offset = size;
    rc = ask(&e, false);
    if (rc)
        return rc;
    rc = real(file)->pMethods->xTruncate(real(file), size);
    if (rc == SQLITE_OK)
        ask(&e, true);
    return rc;
}

static int shim_sync(sqlite3_file *file, int flags)
{
    vfs_event e = event_of(file, VFS_SYNC);
    int rc = ask(&e, false);

    /* The real disk is not asked: what is durable is the hook's to say, and tests are quicker. */
    (void)flags;
    if (rc == SQLITE_OK)
        ask(&e, true);
    return rc;
}

static int shim_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int shim_lock(sqlite3_file *file, int lock)
{
    return real(file)->pMethods->xLock(real(file), lock);
}

static int shim_unlock(sqlite3_file *file, int lock)
{
    return real(file)->pMethods->xUnlock(real(file), lock);
}

static int shim_check_lock(sqlite3_file *file, int *out)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), out);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
    return real(file)->pMethods->xFileControl(real(file), op, arg);
}

static int shim_sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int shim_characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int shim_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    return real(file)->pMethods->xShmMap(real(file), region, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}

static int shim_shm_unmap(sqlite3_file *file, int delete_)
{
    return real(file)->pMethods->xShmUnmap(real(file), delete_);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_file_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_lock,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector_size,
    .xDeviceCharacteristics = shim_characteristics,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

/* ---- the VFS --------------------------------------------------------------------------------- */

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    shim_file *f = (shim_file *)file;
    vfs_event e = {.op = VFS_OPEN, .path = path ? path : "", .file = file};
    int rc;

    (void)vfs;
    file->pMethods = NULL;
    f->real = (sqlite3_file *)(f + 1);
    strncpy(f->path, e.path, sizeof f->path - 1);
    f->path[sizeof f->path - 1] = '\0';
    e.created = path && access(path, F_OK) != 0; /* xAccess takes an empty file for none */
    rc = ask(&e, false);
    if (rc)
        return rc;
    rc = under->xOpen(under, path, f->real, flags, out);
    if (f->real->pMethods)
        file->pMethods = &methods;
    if (rc == SQLITE_OK)
        ask(&e, true);
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    vfs_event e = {.op = VFS_DELETE, .path = path, .created = sync_folder != 0};
    int rc = ask(&e, false);

    (void)vfs;
    if (rc)
        return rc;
    rc = under->xDelete(under, path, 0);
    if (rc == SQLITE_OK)
        ask(&e, true);
    return rc;
}

static int shim_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    return under->xAccess(under, path, flags, out);
}

static int shim_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    return under->xFullPathname(under, path, size, out);
}

static int shim_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    return under->xGetLastError(under, size, out);
}

void fault_vfs_register(void)
{
    if (under)
        return;
    under = sqlite3_vfs_find(NULL);
    shim = *under;
    shim.pNext = NULL;
    shim.zName = FAULT_VFS;
    shim.szOsFile = (int)sizeof(shim_file) + under->szOsFile;
    shim.xOpen = shim_open;
    shim.xDelete = shim_delete;
    shim.xAccess = shim_access;
    shim.xFullPathname = shim_full_path;
    shim.xGetLastError = shim_last_error;
    sqlite3_vfs_register(&shim, 0);
}

void fault_vfs_hook(vfs_hook fn)
{
    hook = fn;
}

/* ---- failing by number ----------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t hit;
    enum vfs_op op;
    const char *suffix; /* NULL = nothing fails */
    long n, times, calls, hits;
    int code;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER, .hit = PTHREAD_COND_INITIALIZER};

void fault_set(enum vfs_op op, const char *suffix, long n, long times, int code)
{
    pthread_mutex_lock(&fault.lock);
    fault.op = op;
    fault.suffix = suffix;
    fault.n = n;
    fault.times = times;
    fault.code = code;
    fault.calls = fault.hits = 0;
    pthread_mutex_unlock(&fault.lock);
}

void fault_clear(void)
{
    pthread_mutex_lock(&fault.lock);
    fault.suffix = NULL;
    pthread_mutex_unlock(&fault.lock);
}

bool fault_wait_hit(int timeout_ms)
{
    struct timespec until;
    bool hit;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&fault.lock);
    while (!fault.hits && pthread_cond_timedwait(&fault.hit, &fault.lock, &until) == 0)
        ;
    hit = fault.hits > 0;
    pthread_mutex_unlock(&fault.lock);
    return hit;
}

long fault_hits(void)
{
    long hits;

    pthread_mutex_lock(&fault.lock);
    hits = fault.hits;
    pthread_mutex_unlock(&fault.lock);
    return hits;
}

long fault_calls(void)
{
    long calls;

    pthread_mutex_lock(&fault.lock);
    calls = fault.calls;
    pthread_mutex_unlock(&fault.lock);
    return calls;
}

static bool ends_in(const char *path, const char *suffix)
{
    size_t len = strlen(path), want = strlen(suffix);

    return len >= want && !strcmp(path + len - want, suffix);
}

static int by_number(const vfs_event *e)
{
    int rc = SQLITE_OK;

    pthread_mutex_lock(&fault.lock);
    if (fault.suffix && e->op == fault.op && ends_in(e->path, fault.suffix)) {
        fault.calls++;
        if (fault.calls >= fault.n && (fault.times < 0 || fault.hits < fault.times)) {
            fault.hits++;
            rc = fault.code;
            pthread_cond_broadcast(&fault.hit);
        }
    }
    pthread_mutex_unlock(&fault.lock);
    return rc;
}

static int ask(const vfs_event *e, bool after)
{
    if (hook)
        return hook(e, after);
    return after ? SQLITE_OK : by_number(e);
}

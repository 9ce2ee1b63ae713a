/* The files around the database: its path, its lock, its birth, its WAL after a failed sync. */
#include "store/sqlite/sqlite_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <time.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"

static int32_t system_error(const char *path, int error, const char *what, orch_error **err)
{
    int32_t code = ORCH_E_UNAVAILABLE;

    if (error == ENOENT || error == ENOTDIR)
        code = ORCH_E_NOT_FOUND;
    else if (error == EACCES || error == EPERM || error == EROFS)
        code = ORCH_E_PERMISSION_DENIED;
    else if (error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EMFILE)
        code = ORCH_E_RESOURCE_EXHAUSTED;
    else if (error == ELOOP || error == ENAMETOOLONG)
        code = ORCH_E_INVALID_ARGUMENT;
    return error_set(err, code, path, "store '%s': %s: %s", path, what, strerror(error));
}

/* realpath(3) into memory of ours. Sets errno. */
static char *real_path(const char *path)
{
    char *found = realpath(path, NULL);
    char *copy;

    if (!found)
        return NULL;
    copy = mem_strdup(found);
    free(found);
    if (!copy)
        errno = ENOMEM;
    return copy;
}

static char *with_suffix(const char *path, const char *suffix)
{
    size_t len = strlen(path) + strlen(suffix) + 1;
    char *joined = mem_alloc(len);

    if (joined)
        snprintf(joined, len, "%s%s", path, suffix);
    return joined;
}

static char *join(const char *folder, const char *name)
{
    size_t len = strlen(folder) + strlen(name) + 2;
    char *path = mem_alloc(len);

    if (path)
        snprintf(path, len, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name);
    return path;
}

static int32_t resolve_new(const char *path, char **out, orch_error **err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *folder = slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
    char *real;
    struct stat st;

    if (!folder)
        return error_no_memory(err);
    real = real_path(folder);
    mem_free(folder);
    if (!real)
        return system_error(path, errno, "its folder", err);
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        mem_free(real);
        return error_set(err, ORCH_E_NOT_FOUND, path,
                         "store '%s' is a symbolic link to a file that does not exist", path);
    }
    *out = join(real, name);
    mem_free(real);
    return *out ? 0 : error_no_memory(err);
}

int32_t file_resolve(const char *path, char **out, orch_error **err)
{
    struct stat st;

    if (stat(path, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            return error_set(err, ORCH_E_INVALID_ARGUMENT, path, "store '%s' is not a regular file",
                             path);
        *out = real_path(path);
        return *out ? 0 : system_error(path, errno, "its path", err);
    }
    if (errno != ENOENT)
        return system_error(path, errno, "cannot be looked at", err);
    if (path[strlen(path) - 1] == '/')
        return error_set(err, ORCH_E_INVALID_ARGUMENT, path, "store '%s' is a folder's name", path);
    return resolve_new(path, out, err);
}

#define PID_SIZE     24
#define ORPHAN_TRIES 200 /* of 10 ms */

static void read_owner(int fd, char pid[PID_SIZE])
{
    ssize_t got = pread(fd, pid, PID_SIZE - 1, 0);

    pid[got > 0 ? (size_t)got : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
}

static int32_t locked_by_other(const char *path, const char *lock, int fd, orch_error **err)
{
    char pid[PID_SIZE];

    read_owner(fd, pid);
    return error_set(
        err, ORCH_E_UNAVAILABLE, path,
        "store '%s' is in use by another orchestrator (process %s, lock file '%s'); one "
        "file has one owner",
        path, *pid ? pid : "unknown", lock);
}

/* An owner that was killed while it started a program leaves its lock to that child until the child's exec, a moment
 * later. Where the owner is gone, that moment is waited for. */
static bool set_lock(int fd)
{
    /* The lock belongs to this open file, not to the process: a second opener in this process is
     * refused too. */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const struct timespec pause = {0, 10000000};
    char pid[PID_SIZE];

    for (int i = 0; fcntl(fd, F_OFD_SETLK, &whole) != 0; i++) {
        if ((errno != EAGAIN && errno != EACCES) || i == ORPHAN_TRIES)
            return false;
        read_owner(fd, pid);
        if (!*pid || kill((pid_t)strtol(pid, NULL, 10), 0) == 0 || errno != ESRCH) {
            errno = EAGAIN;
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

static int32_t take_lock(const char *path, const char *lock, int fd, orch_error **err)
{
    char pid[PID_SIZE];
    int len, error;

    if (!set_lock(fd)) {
        if (errno == EAGAIN || errno == EACCES)
            return locked_by_other(path, lock, fd, err);
        return system_error(path, errno, "its lock file cannot be locked", err);
    }
    /* For people and for the message above; the lock holds without it. */
    len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    error = fd_write_all(fd, pid, (size_t)len);
    if (error || ftruncate(fd, len) != 0)
        return system_error(path, error ? error : errno, "its lock file cannot be written", err);
    return 0;
}

int32_t file_lock(const char *path, int *out_fd, orch_error **err)
{
    char *lock = with_suffix(path, "-lock");
    int32_t rc;
    int fd;

    if (!lock)
        return error_no_memory(err);
    fd = fd_open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        rc = system_error(path, errno, "its lock file cannot be opened", err);
    else
        rc = take_lock(path, lock, fd, err);
    mem_free(lock);
    if (rc == 0)
        *out_fd = fd;
    else if (fd >= 0)
        close(fd);
    return rc;
}

static int sync_folder(const char *path)
{
    char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
    int fd = folder ? fd_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) : -1;
    int rc = fd < 0 ? -1 : fsync(fd);
    int error = folder ? errno : ENOMEM;

    if (fd >= 0)
        close(fd);
    mem_free(folder);
    errno = error;
    return rc;
}

int32_t file_create(const char *path, orch_error **err)
{
    /* Not opened if it is there: closing it would drop the POSIX locks that the host's own
     * SQLite may hold on it. */
    int fd = fd_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno == EEXIST ? 0 : system_error(path, errno, "cannot be created", err);
    close(fd);
    return sync_folder(path) == 0 ? 0 : system_error(path, errno, "its folder", err);
}

static int rewrite(sqlite3_file *file)
{
    static const int flags = SQLITE_SYNC_NORMAL;
    sqlite3_int64 size = 0, at = 0;
    int chunk = 64 * 1024;
    void *data = mem_alloc((size_t)chunk);
    int rc = data ? file->pMethods->xFileSize(file, &size) : SQLITE_NOMEM;

    for (; rc == SQLITE_OK && at < size; at += chunk) {
        int len = size - at < chunk ? (int)(size - at) : chunk;

        rc = file->pMethods->xRead(file, data, len, at);
        if (rc == SQLITE_OK)
            rc = file->pMethods->xWrite(file, data, len, at);
    }
    if (rc == SQLITE_OK)
        rc = file->pMethods->xSync(file, flags);
    mem_free(data);
    return rc;
}

int file_rewrite_wal(const sqlite_store *s)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(s->vfs);
    char *path = with_suffix(s->path, "-wal");
    sqlite3_file *file = vfs ? mem_zalloc((size_t)vfs->szOsFile) : NULL;
    int exists = 0;
    int rc = path && file ? SQLITE_OK : SQLITE_NOMEM;

    if (rc == SQLITE_OK)
        rc = vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &exists);
    if (rc == SQLITE_OK && exists) {
        rc = vfs->xOpen(vfs, path, file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL, NULL);
        if (rc == SQLITE_OK)
            rc = rewrite(file);
        if (file->pMethods)
            file->pMethods->xClose(file);
    }
    mem_free(file);
    mem_free(path);
    return rc;
}

int file_settle_wal(const sqlite_store *s)
{
    char *path = with_suffix(s->path, "-wal");
    int64_t application = 0;
    struct stat st;
    bool empty;
    conn c;
    int rc;

    if (!path)
        return SQLITE_NOMEM;
    empty = stat(path, &st) != 0 || st.st_size == 0;
    mem_free(path);
    if (empty)
        return SQLITE_OK;
    /* With the file to itself, which the first read asks for, and fails if anybody else has it
     * open. */
    rc = conn_open(s, CONN_WRITER, &c);
    if (rc == SQLITE_OK)
        rc = conn_exec(&c, "PRAGMA locking_mode=EXCLUSIVE");
    if (rc == SQLITE_OK)
        rc = conn_number(&c, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK && application == APPLICATION_ID)
        rc = file_rewrite_wal(s);
    conn_close(&c);
    return (rc & 0xff) == SQLITE_BUSY ? SQLITE_OK : rc;
}

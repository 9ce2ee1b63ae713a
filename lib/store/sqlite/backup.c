/* A copy of one snapshot, made beside the writer. The WAL cannot be written anew meanwhile and
 * grows. */
#include "store/sqlite/sqlite_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define PAGES_A_STEP 1024

static bool is_closed(sqlite_store *s)
{
    bool closed;

    pthread_mutex_lock(&s->readers.lock);
    closed = s->readers.closed;
    pthread_mutex_unlock(&s->readers.lock);
    return closed;
}

/* A read transaction is open on the source all the time: without it each commit would start the
 * copy anew. */
static int copy(sqlite_store *s, reader *r, sqlite3 *to)
{
    sqlite3_backup *backup;
    int rc = conn_exec(&r->conn, "BEGIN; SELECT count(*) FROM store");

    if (rc != SQLITE_OK)
        return rc;
    backup = sqlite3_backup_init(to, "main", r->conn.db, "main");
    if (!backup)
        return sqlite3_extended_errcode(to);
    do
        rc = is_closed(s) ? SQLITE_INTERRUPT : sqlite3_backup_step(backup, PAGES_A_STEP);
    while (rc == SQLITE_OK);
    sqlite3_backup_finish(backup);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int32_t create_target(const char *path, orch_error **err)
{
    int fd = fd_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    if (errno == EEXIST)
        return error_set(err, ORCH_E_ALREADY_EXISTS, path,
                         "backup '%s' exists already; choose another name", path);
    return error_set(err, errno == ENOENT ? ORCH_E_NOT_FOUND : ORCH_E_UNAVAILABLE, path,
                     "backup '%s' cannot be created: %s", path, strerror(errno));
}

/* SQLite copies without syncing. */
static int32_t sync_target(const char *path, orch_error **err)
{
    int fd = fd_open(path, O_RDWR | O_CLOEXEC, 0);
    int error = fd >= 0 && fsync(fd) == 0 ? 0 : errno;

    if (fd >= 0)
        close(fd);
    return error ? error_set(err, ORCH_E_UNAVAILABLE, path, "backup '%s' cannot be synced: %s",
                             path, strerror(error))
                 : 0;
}

static bool is_exhausted(int rc)
{
    return (rc & 0xff) == SQLITE_FULL || (rc & 0xff) == SQLITE_NOMEM;
}

static int32_t copy_to(sqlite_store *s, const char *path, orch_error **err)
{
    sqlite3 *to = NULL;
    reader *r = NULL;
    int32_t result = reader_take(s, &r, err);
    int rc;

    if (result != 0)
        return result;
    rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = copy(s, r, to);
    if (rc != SQLITE_OK)
        result = error_set(err, is_exhausted(rc) ? ORCH_E_RESOURCE_EXHAUSTED : ORCH_E_UNAVAILABLE,
                           path, "backup '%s' of store '%s': %s (%d)", path, s->path,
                           sqlite3_errstr(rc), rc);
    sqlite3_close(to);
    reader_give(s, r, rc == SQLITE_INTERRUPT ? rc : SQLITE_OK);
    return result;
}

int32_t sqlite_backup(void *self, const char *path, orch_error **err)
{
    int32_t rc = create_target(path, err);

    if (rc != 0)
        return rc;
    rc = copy_to(self, path, err);
    if (rc == 0)
        rc = sync_target(path, err);
    if (rc != 0)
        unlink(path);
    return rc;
}

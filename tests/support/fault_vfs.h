/* An SQLite VFS over the default one that tells a hook of each call that changes a file, before
 * and after, and lets it fail. With the hook of its own it fails calls by number. */
#ifndef TESTS_FAULT_VFS_H
#define TESTS_FAULT_VFS_H

#include <sqlite3.h>
#include <stdbool.h>

#define FAULT_VFS "fault"

enum vfs_op { VFS_OPEN, VFS_READ, VFS_WRITE, VFS_TRUNCATE, VFS_SYNC, VFS_DELETE, VFS_CLOSE };

typedef struct vfs_event {
    enum vfs_op op;
    const char *path;
    const void *file; /* the handle */
    const void *data; /* VFS_WRITE */
    int len;
    sqlite3_int64 offset; /* or the new size of a VFS_TRUNCATE */
    bool created;         /* VFS_OPEN: it was not there. VFS_DELETE: the folder is synced */
} vfs_event;

/* Before: anything but SQLITE_OK is returned instead of the call. After (it succeeded): the
 * result is not used. */
typedef int (*vfs_hook)(const vfs_event *e, bool after);

void fault_vfs_register(void);    /* harmless when repeated */
void fault_vfs_hook(vfs_hook fn); /* NULL = its own */

/* ---- its own hook ---------------------------------------------------------------------------- */

/* The n-th call of this kind from now (1 = the next) on a file whose path ends in `suffix` fails
 * with `code`, and `times` - 1 more (-1 = all until fault_clear). Replaces what was set. A write
 * that fails has written half. */
void fault_set(enum vfs_op op, const char *suffix, long n, long times, int code);
void fault_clear(void);
bool fault_wait_hit(int timeout_ms); /* until one failed since fault_set; false if none did */
long fault_hits(void);               /* calls that failed since fault_set */
long fault_calls(void);              /* calls that matched since fault_set */

#endif

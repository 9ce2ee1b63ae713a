#include "support/power_vfs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fault_vfs.h"

#define SECTOR      512
#define FILES_MAX   8
#define HANDLES_MAX 64

typedef struct image {
    unsigned char *data;
    size_t size;
} image;

/* A write (data), or a new size (data NULL), that was not synced. */
typedef struct pending {
    struct pending *next;
    size_t offset, len;
    unsigned char *data;
} pending;

/* A file as such, whatever its name. */
typedef struct inode {
    image durable;
    pending *first, *last;
    uint32_t errors; /* syncs that failed */
} inode;

/* An open file hears of each error of a sync once, whoever asked for that sync, if it was open
 * then. */
typedef struct handle {
    const void *file;
    uint32_t errors; /* that it has heard of */
} handle;

typedef struct watched {
    char path[256];
    inode *now;       /* NULL = deleted */
    inode *in_folder; /* what the folder on the disk says */
} watched;

static struct {
    pthread_mutex_t lock;
    char folder[200], survivors[200];
    uint64_t random;
    long events, failing_syncs;
    watched files[FILES_MAX];
    int count;
    handle handles[HANDLES_MAX];
} power = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t random_below(uint32_t n)
{
    power.random ^= power.random << 13;
    power.random ^= power.random >> 7;
    power.random ^= power.random << 17;
    return (uint32_t)(power.random >> 33) % n;
}

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* ---- images ---------------------------------------------------------------------------------- */

static void image_resize(image *i, size_t size)
{
    if (size > i->size) {
        i->data = must(realloc(i->data, size));
        memset(i->data + i->size, 0, size - i->size);
    }
    i->size = size;
}

static void image_write(image *i, size_t offset, const unsigned char *data, size_t len)
{
    if (offset + len > i->size)
        image_resize(i, offset + len);
    memcpy(i->data + offset, data, len);
}

static void image_load(image *i, const char *path)
{
    FILE *in = fopen(path, "rb");
    unsigned char chunk[65536];
    size_t got;

    if (!in)
        return;
    while ((got = fread(chunk, 1, sizeof chunk, in)) > 0)
        image_write(i, i->size, chunk, got);
    fclose(in);
}

static void image_save(const image *i, const char *path)
{
    FILE *out = must(fopen(path, "wb"));

    if (i->size && fwrite(i->data, 1, i->size, out) != i->size)
        abort();
    fclose(out);
}

/* One sector's share of a write, or what became of it. */
static void write_sector(image *i, const pending *p, size_t at, size_t len)
{
    switch (random_below(4)) {
    case 0:
    case 1: image_write(i, p->offset + at, p->data + at, len); break;
    case 2: /* torn */
        image_write(i, p->offset + at, p->data + at, random_below((uint32_t)len + 1));
        break;
    default: /* dropped; the new size may have come nevertheless */
        if (p->offset + at + len > i->size && random_below(2))
            image_resize(i, p->offset + at + len);
    }
}

static void apply_some(image *i, const pending *p)
{
    size_t at = 0;

    if (!p->data) {
        if (random_below(2))
            image_resize(i, p->offset);
        return;
    }
    while (at < p->len) {
        size_t end = (p->offset + at) / SECTOR * SECTOR + SECTOR - p->offset;

        end = end < p->len ? end : p->len;
        write_sector(i, p, at, end - at);
        at = end;
    }
}

/* What was written since the last sync: all of it is durable now, or some. */
static void inode_settle(inode *n, bool all)
{
    while (n->first) {
        pending *p = n->first;

        n->first = p->next;
        if (!all)
            apply_some(&n->durable, p);
        else if (p->data)
            image_write(&n->durable, p->offset, p->data, p->len);
        else
            image_resize(&n->durable, p->offset);
        free(p->data);
        free(p);
    }
    n->last = NULL;
}

static void inode_write(inode *n, size_t offset, const void *data, size_t len)
{
    pending *p = must(calloc(1, sizeof *p));

    p->offset = offset;
    p->len = len;
    if (data) {
        p->data = must(malloc(len ? len : 1));
        memcpy(p->data, data, len);
    }
    if (n->last)
        n->last->next = p;
    else
        n->first = p;
    n->last = p;
}

/* ---- files ----------------------------------------------------------------------------------- */

static watched *find(const char *path)
{
    for (int i = 0; i < power.count; i++) {
        if (!strcmp(power.files[i].path, path))
            return &power.files[i];
    }
    if (power.count == FILES_MAX)
        abort();
    snprintf(power.files[power.count].path, sizeof power.files[0].path, "%s", path);
    return &power.files[power.count++];
}

static handle *find_handle(const void *file)
{
    handle *unused = NULL;

    for (int i = 0; i < HANDLES_MAX; i++) {
        if (power.handles[i].file == file)
            return &power.handles[i];
        if (!unused && !power.handles[i].file)
            unused = &power.handles[i];
    }
    unused = must(unused);
    unused->file = file;
    return unused;
}

static void opened(const vfs_event *e)
{
    watched *w = find(e->path);
    bool is_new = !w->now;

    if (is_new)
        w->now = must(calloc(1, sizeof *w->now));
    if (is_new && !e->created) { /* it was there before the model: it is on the disk */
        image_load(&w->now->durable, e->path);
        w->in_folder = w->now;
    }
    find_handle(e->file)->errors = w->now->errors;
}

static void closed(const vfs_event *e)
{
    find_handle(e->file)->file = NULL;
}

static int sync_fails(const vfs_event *e)
{
    watched *w = find(e->path);
    handle *h = find_handle(e->file);

    if (!w->now)
        return SQLITE_OK;
    if (power.failing_syncs && random_below((uint32_t)power.failing_syncs) == 0) {
        inode_settle(w->now, false);
        w->now->errors++;
    }
    if (h->errors == w->now->errors)
        return SQLITE_OK;
    h->errors = w->now->errors;
    return SQLITE_IOERR_FSYNC;
}

static void folder_synced(void)
{
    for (int i = 0; i < power.count; i++)
        power.files[i].in_folder = power.files[i].now;
}

static void survive(const watched *w)
{
    inode *n = w->in_folder == w->now || random_below(2) ? w->in_folder : w->now;
    char path[512];

    snprintf(path, sizeof path, "%s/%s", power.survivors, strrchr(w->path, '/') + 1);
    unlink(path);
    if (!n)
        return;
    inode_settle(n, false);
    image_save(&n->durable, path);
}

void power_vfs_cut(void)
{
    pthread_mutex_lock(&power.lock); /* for ever: nobody writes any more */
    for (int i = 0; i < power.count; i++)
        survive(&power.files[i]);
    _exit(POWER_EXIT);
}

static bool counts(const vfs_event *e)
{
    return e->op == VFS_WRITE || e->op == VFS_TRUNCATE || e->op == VFS_SYNC ||
           e->op == VFS_DELETE || (e->op == VFS_OPEN && e->created);
}

static int before_event(const vfs_event *e)
{
    if (counts(e) && --power.events <= 0) {
        pthread_mutex_unlock(&power.lock);
        power_vfs_cut();
    }
    return e->op == VFS_SYNC ? sync_fails(e) : SQLITE_OK;
}

static void after_event(const vfs_event *e)
{
    watched *w = e->op == VFS_READ ? NULL : find(e->path);

    switch (e->op) {
    case VFS_OPEN: opened(e); break;
    case VFS_CLOSE: closed(e); break;
    case VFS_WRITE: inode_write(w->now, (size_t)e->offset, e->data, (size_t)e->len); break;
    case VFS_TRUNCATE: inode_write(w->now, (size_t)e->offset, NULL, 0); break;
    case VFS_SYNC:
        inode_settle(w->now, true);
        if (w->in_folder != w->now)
            folder_synced();
        break;
    case VFS_DELETE:
        w->now = NULL;
        if (e->created)
            folder_synced();
        break;
    default: break;
    }
}

static int watch(const vfs_event *e, bool after)
{
    int rc = SQLITE_OK;

    if (strncmp(e->path, power.folder, strlen(power.folder)) != 0)
        return SQLITE_OK;
    pthread_mutex_lock(&power.lock);
    if (after)
        after_event(e);
    else
        rc = before_event(e);
    pthread_mutex_unlock(&power.lock);
    return rc;
}

void power_vfs_start(const char *folder, const char *survivors, uint64_t seed, long events,
                     long failing_syncs)
{
    snprintf(power.folder, sizeof power.folder, "%s/", folder);
    snprintf(power.survivors, sizeof power.survivors, "%s", survivors);
    power.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    power.events = events;
    power.failing_syncs = failing_syncs;
    fault_vfs_register();
    fault_vfs_hook(watch);
}

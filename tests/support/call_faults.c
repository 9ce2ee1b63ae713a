/* With it the headers define some of these themselves. */
#undef _FORTIFY_SOURCE

#include "support/call_faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT 16

static atomic_int kinds_set, error_set_to;
static atomic_long seen, first, last, failures, disturbed;
static atomic_bool interrupting, shortening;
static atomic_ulong turn;

/* ---- what tests say ---------------------------------------------------------------------------------------- */

void call_clear(void)
{
    atomic_store(&kinds_set, 0);
    call_interrupt(false);
    call_shorten(false);
}

void call_fail(int kinds, long n, long times, int error)
{
    atomic_store(&kinds_set, 0);
    atomic_store(&seen, 0);
    atomic_store(&failures, 0);
    atomic_store(&first, n);
    atomic_store(&last, times < 0 ? -1 : n + times - 1);
    atomic_store(&error_set_to, error);
    atomic_store(&kinds_set, kinds);
}

long call_failed(void)
{
    return atomic_load(&failures);
}

void call_interrupt(bool on)
{
    atomic_store(&interrupting, on);
    if (on)
        atomic_store(&disturbed, 0);
}

void call_shorten(bool on)
{
    atomic_store(&shortening, on);
    if (on)
        atomic_store(&disturbed, 0);
}

long call_disturbed(void)
{
    return atomic_load(&disturbed);
}

/* ---- what calls ask ---------------------------------------------------------------------------------------- */

static bool fails(int kind)
{
    long n, end;

    if (!(atomic_load(&kinds_set) & kind))
        return false;
    n = atomic_fetch_add(&seen, 1) + 1;
    end = atomic_load(&last);
    if (n < atomic_load(&first) || (end >= 0 && n > end))
        return false;
    atomic_fetch_add(&failures, 1);
    errno = atomic_load(&error_set_to);
    return true;
}

static bool interrupted(void)
{
    if (!atomic_load(&interrupting) || atomic_fetch_add(&turn, 1) % 2)
        return false;
    atomic_fetch_add(&disturbed, 1);
    errno = EINTR;
    return true;
}

static size_t shortened(size_t len)
{
    if (!atomic_load(&shortening) || len <= SHORT)
        return len;
    atomic_fetch_add(&disturbed, 1);
    return SHORT;
}

/* Of a file: who wakes by a descriptor has no disk that is full. */
static bool write_fails(int fd)
{
    struct stat st;

    return (atomic_load(&kinds_set) & CALL_WRITE) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           fails(CALL_WRITE);
}

/* ---- the calls --------------------------------------------------------------------------------------------- */

#define API __attribute__((visibility("default")))
/* libc's, or a sanitizer's; found once, by whoever comes first. */
#define NEXT(name)                                          \
    static _Atomic(__typeof__(&name)) found_;               \
    __typeof__(&name) next_ = atomic_load(&found_);         \
    if (!next_) {                                           \
        next_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        atomic_store(&found_, next_);                       \
    }

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's names are reserved ones */

API ssize_t read(int fd, void *data, size_t len)
{
    NEXT(read)
    return interrupted() ? -1 : next_(fd, data, shortened(len));
}

API ssize_t write(int fd, const void *data, size_t len)
{
    NEXT(write)
    return write_fails(fd) || interrupted() ? -1 : next_(fd, data, shortened(len));
}

API ssize_t pread64(int fd, void *data, size_t len, off64_t at)
{
    NEXT(pread64)
    return interrupted() ? -1 : next_(fd, data, shortened(len), at);
}

API ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    NEXT(pwrite64)
    return write_fails(fd) || interrupted() ? -1 : next_(fd, data, shortened(len), at);
}

API int fsync(int fd)
{
    NEXT(fsync)
    return fails(CALL_SYNC) ? -1 : next_(fd);
}

API int fdatasync(int fd)
{
    NEXT(fdatasync)
    return fails(CALL_SYNC) ? -1 : next_(fd);
}

API int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    NEXT(poll)
    return timeout && interrupted() ? -1 : next_(fds, count, timeout);
}

API int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *set)
{
    NEXT(epoll_pwait)
    return timeout && interrupted() ? -1 : next_(fd, events, count, timeout, set);
}

API int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    NEXT(epoll_wait)
    return timeout && interrupted() ? -1 : next_(fd, events, count, timeout);
}

/* Not interrupted: on sockets that do not block, as those of clients, they never are; nor is a poll that does not wait. */
API ssize_t recv(int fd, void *data, size_t len, int flags)
{
    NEXT(recv)
    return next_(fd, data, shortened(len), flags);
}

API ssize_t send(int fd, const void *data, size_t len, int flags)
{
    NEXT(send)
    return next_(fd, data, shortened(len), flags);
}

API pid_t waitpid(pid_t pid, int *status, int options)
{
    NEXT(waitpid)
    return interrupted() ? -1 : next_(pid, status, options);
}

/* ---- descriptors ------------------------------------------------------------------------------------------- */

#define MODE_OF(flags, mode)               \
    mode_t mode = 0;                       \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list args;                      \
        va_start(args, flags);             \
        mode = va_arg(args, mode_t);       \
        va_end(args);                      \
    }

API int open(const char *path, int flags, ...)
{
    NEXT(open)
    MODE_OF(flags, mode)
    return fails(CALL_DESCRIPTOR) || interrupted() ? -1 : next_(path, flags, mode);
}

API int open64(const char *path, int flags, ...)
{
    NEXT(open64)
    MODE_OF(flags, mode)
    return fails(CALL_DESCRIPTOR) || interrupted() ? -1 : next_(path, flags, mode);
}

API int pipe2(int ends[2], int flags)
{
    NEXT(pipe2)
    return fails(CALL_DESCRIPTOR) ? -1 : next_(ends, flags);
}

API int socket(int domain, int type, int protocol)
{
    NEXT(socket)
    return fails(CALL_DESCRIPTOR) ? -1 : next_(domain, type, protocol);
}

API int eventfd(unsigned count, int flags)
{
    NEXT(eventfd)
    return fails(CALL_DESCRIPTOR) ? -1 : next_(count, flags);
}

API int epoll_create1(int flags)
{
    NEXT(epoll_create1)
    return fails(CALL_DESCRIPTOR) ? -1 : next_(flags);
}

API int memfd_create(const char *name, unsigned flags)
{
    NEXT(memfd_create)
    return fails(CALL_DESCRIPTOR) ? -1 : next_(name, flags);
}

API int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    NEXT(posix_spawn)
    return fails(CALL_SPAWN) ? errno : next_(pid, path, actions, attributes, argv, envp);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* Starting a process as a library may: no fork of the host's image, no signal handler, no descriptor of the host's left
 * open in the child, and a pidfd to learn of its end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "executor/exec_impl.h"

#ifndef MFD_NOEXEC_SEAL
#    define MFD_NOEXEC_SEAL 8U
#endif

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Out of the range that the child's own three take, whatever the host has closed. */
static int above_standard(int fd)
{
    int moved;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(fd);
    return moved;
}

static int32_t system_error(orch_error **err, int number, const char *what)
{
    char text[128];

    return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, what, "%s: %s", what,
                     strerror_r(number, text, sizeof text));
}

/* ---- stdin: a file in memory. No pipe that must be fed, no signal if nobody reads it. -------------- */

static int32_t write_all(int fd, const char *data, size_t len, orch_error **err)
{
    int number = fd_write_all(fd, data, len);

    return number ? system_error(err, number, "with.stdin") : 0;
}

static int32_t fill(int fd, const json_t *input, orch_error **err)
{
    bytes *text;
    int32_t rc;

    if (json_is_string(input))
        return write_all(fd, json_string_value(input), json_string_length(input), err);
    text = output_of_json(input);
    if (!text)
        return error_no_memory(err);
    rc = write_all(fd, text->data, text->len, err);
    bytes_unref(text);
    return rc;
}

static int32_t open_stdin(const json_t *input, int *out, orch_error **err)
{
    int fd;
    int32_t rc;

    if (!input) {
        *out = above_standard(fd_open("/dev/null", O_RDONLY | O_CLOEXEC, 0));
        return *out < 0 ? system_error(err, errno, "/dev/null") : 0;
    }
    fd = memfd_create("stdin", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("stdin", MFD_CLOEXEC);
    fd = above_standard(fd);
    if (fd < 0)
        return system_error(err, errno, "with.stdin");
    rc = fill(fd, input, err);
    if (!rc && lseek(fd, 0, SEEK_SET) < 0)
        rc = system_error(err, errno, "with.stdin");
    if (rc)
        close(fd);
    else
        *out = fd;
    return rc;
}

/* ---- The program ----------------------------------------------------------------------------------- */

static const char *path_of(char *const *envp)
{
    for (; *envp; envp++)
        if (!strncmp(*envp, "PATH=", 5))
            return *envp + 5;
    return DEFAULT_PATH;
}

/* 0, ENOENT or EACCES. */
static int try_program(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == EACCES ? EACCES : ENOENT;
    return S_ISREG(st.st_mode) && !faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) ? 0 : EACCES;
}

/* In the PATH that the child will have. Relative entries are left out: they would mean another folder here than there. */
static int32_t find_program(const exec_spec *s, buf *out, orch_error **err)
{
    const char *name = s->argv[0];
    const char *path = path_of(s->envp);
    int why = ENOENT;

    if (strchr(name, '/')) {
        buf_puts(out, name);
        return out->failed ? error_no_memory(err) : 0;
    }
    for (size_t len; *path; path += len + (path[len] == ':')) {
        int found;

        len = strcspn(path, ":");
        if (*path != '/')
            continue;
        buf_clear(out);
        buf_add(out, path, len);
        buf_printf(out, "/%s", name);
        if (out->failed)
            return error_no_memory(err);
        found = try_program(out->data);
        if (!found)
            return 0;
        if (found == EACCES)
            why = EACCES;
    }
    if (why == EACCES)
        return error_set(err, ORCH_E_PERMISSION_DENIED, name,
                         "'%s' is in PATH, but may not be executed", name);
    return error_set(err, ORCH_E_NOT_FOUND, name, "no program '%s' in PATH", name);
}

static int32_t check_folder(const char *cwd, orch_error **err)
{
    struct stat st;

    if (!cwd)
        return 0;
    if (stat(cwd, &st) == 0 && !S_ISDIR(st.st_mode))
        return error_set(err, ORCH_E_NOT_FOUND, "cwd", "with.cwd: '%s' is no folder", cwd);
    if (!faccessat(AT_FDCWD, cwd, X_OK, AT_EACCESS))
        return 0;
    if (errno == EACCES)
        return error_set(err, ORCH_E_PERMISSION_DENIED, "cwd", "with.cwd: '%s' may not be entered",
                         cwd);
    return error_set(err, ORCH_E_NOT_FOUND, "cwd", "with.cwd: '%s' does not exist", cwd);
}

static int32_t spawn_error(const char *name, int number, orch_error **err)
{
    char text[128];

    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return error_set(err, ORCH_E_NOT_FOUND, name,
                         "'%s', or the interpreter that it names, does not exist", name);
    case EACCES:
    case EPERM:
        return error_set(err, ORCH_E_PERMISSION_DENIED, name, "'%s' may not be executed", name);
    case ENOEXEC:
        return error_set(err, ORCH_E_FAILED_PRECONDITION, name,
                         "'%s' is no program: a script must begin with #! and its interpreter",
                         name);
    case E2BIG:
        return error_set(err, ORCH_E_INVALID_ARGUMENT, name,
                         "'%s': arguments and environment are longer than the system allows", name);
    case ETXTBSY: return error_set(err, ORCH_E_UNAVAILABLE, name, "'%s' is being written", name);
    default:
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, name, "'%s' cannot be started: %s", name,
                         strerror_r(number, text, sizeof text));
    }
}

/* ---- The spawn ------------------------------------------------------------------------------------- */

static int set_actions(posix_spawn_file_actions_t *actions, const char *cwd, const int fds[3])
{
    int rc = 0;

    for (int i = 0; i < 3 && !rc; i++)
        rc = posix_spawn_file_actions_adddup2(actions, fds[i], i);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (!rc && cwd)
        rc = posix_spawn_file_actions_addchdir_np(actions, cwd);
    return rc;
}

/* A session of its own: a process group to kill, and no terminal of the host's to be stopped by. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETSID);
}

static int spawn(const exec_spec *s, const char *program, const int fds[3], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&actions);

    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc)
        goto no_attributes;
    rc = set_actions(&actions, s->cwd, fds);
    if (!rc)
        rc = set_attributes(&attributes);
    if (!rc)
        rc = posix_spawn(pid, program, &actions, &attributes, s->argv, s->envp);
    posix_spawnattr_destroy(&attributes);
no_attributes:
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int32_t open_pipe(int *reader, int *writer, orch_error **err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return system_error(err, errno, "a pipe for the output");
    *reader = above_standard(ends[0]);
    *writer = above_standard(ends[1]);
    if (*reader < 0 || *writer < 0 || fcntl(*reader, F_SETFL, O_NONBLOCK) < 0)
        return system_error(err, errno, "a pipe for the output");
    return 0;
}

void exec_discard(exec_process *p)
{
    if (p->pid > 0) {
        kill(-p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    p->pid = 0;
    close_fd(&p->pidfd);
    close_fd(&p->out);
    close_fd(&p->err);
}

static int32_t open_pidfd(const char *name, exec_process *p, orch_error **err)
{
    int number;

    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd >= 0)
        return 0;
    number = errno;
    if (number == ESRCH)
        return error_set(err, ORCH_E_UNKNOWN, name, "'%s' " EXEC_END_UNKNOWN, name);
    exec_discard(p);
    if (number == ENOSYS)
        return error_set(err, ORCH_E_UNIMPLEMENTED, "pidfd_open", "exec needs Linux 5.4 or newer");
    return system_error(err, number, "pidfd_open");
}

int32_t exec_spawn(const exec_spec *s, exec_process *out, orch_error **err)
{
    exec_process p = {.pidfd = -1, .out = -1, .err = -1};
    int fds[3] = {-1, -1, -1};
    buf program = BUF_INIT;
    int32_t rc = check_folder(s->cwd, err);

    if (!rc)
        rc = find_program(s, &program, err);
    if (!rc)
        rc = open_stdin(s->input, &fds[0], err);
    if (!rc)
        rc = open_pipe(&p.out, &fds[1], err);
    if (!rc)
        rc = open_pipe(&p.err, &fds[2], err);
    if (!rc) {
        int number = spawn(s, program.data, fds, &p.pid);

        rc = number ? spawn_error(s->argv[0], number, err) : open_pidfd(s->argv[0], &p, err);
    }
    for (int i = 0; i < 3; i++)
        close_fd(&fds[i]);
    if (rc) {
        close_fd(&p.out);
        close_fd(&p.err);
    } else {
        *out = p;
    }
    buf_free(&program);
    return rc;
}

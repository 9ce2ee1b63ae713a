#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "executor/exec_impl.h"

#define READ_SIZE       65536
#define READS_A_TURN    16
#define READS_AFTER_END 16 /* of stderr, which a process outside the group may go on writing */

/* ---- Handles --------------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    exec_watch *w = handle->data;

    if (--w->open_handles == 0)
        w->on_closed(w);
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->data && !uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

static void close_reader(uv_poll_t *poll, int *fd)
{
    close_handle((uv_handle_t *)poll);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_all(exec_watch *w)
{
    close_reader(&w->out, &w->process.out);
    close_reader(&w->err, &w->process.err);
    close_reader(&w->ended, &w->process.pidfd);
    close_handle((uv_handle_t *)&w->grace);
}

/* ---- Output ---------------------------------------------------------------------------------------- */

static void take_stdout(exec_watch *w, const char *data, size_t len)
{
    if (w->stdout_data.len + len <= w->max_output_bytes) {
        buf_add(&w->stdout_data, data, len);
        return;
    }
    w->over_limit = true;
    exec_watch_kill(w);
    close_reader(&w->out, &w->process.out);
}

/* Kept to the last bytes; moved down only now and then. */
static void take_stderr(exec_watch *w, const char *data, size_t len)
{
    buf *b = &w->stderr_tail;

    if (len > EXEC_STDERR_TAIL) {
        data += len - EXEC_STDERR_TAIL;
        len = EXEC_STDERR_TAIL;
    }
    if (b->len + len > (size_t)4 * EXEC_STDERR_TAIL) {
        memmove(b->data, b->data + b->len - EXEC_STDERR_TAIL, EXEC_STDERR_TAIL);
        b->len = EXEC_STDERR_TAIL;
    }
    buf_add(b, data, len);
}

/* True if there may be more at once. */
static bool read_some(exec_watch *w, uv_poll_t *poll, int *fd)
{
    char room[READ_SIZE];
    ssize_t n = *fd < 0 ? 0 : read(*fd, room, sizeof room);

    if (n < 0)
        return errno == EINTR;
    if (n == 0)
        close_reader(poll, fd);
    else if (poll == &w->out)
        take_stdout(w, room, (size_t)n);
    else
        take_stderr(w, room, (size_t)n);
    return *fd >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    exec_watch *w = poll->data;
    int *fd = poll == &w->out ? &w->process.out : &w->process.err;

    (void)events;
    if (status < 0) {
        close_reader(poll, fd);
        return;
    }
    for (int i = 0; i < READS_A_TURN && read_some(w, poll, fd); i++)
        ;
}

/* What lies in the pipes. Not to their end: a process that left the group may hold them open. */
static void drain(exec_watch *w)
{
    while (read_some(w, &w->out, &w->process.out)) /* bounded by the limit */
        ;
    for (int i = 0; i < READS_AFTER_END && read_some(w, &w->err, &w->process.err); i++)
        ;
}

/* ---- The end --------------------------------------------------------------------------------------- */

/* While the leader is a zombie its group's number cannot be anyone else's: kill first, then reap. False if it has not
 * ended. */
static bool reap(exec_watch *w)
{
    siginfo_t info = {0};
    int rc = waitid(P_PIDFD, (id_t)w->process.pidfd, &info, WEXITED | WNOWAIT | WNOHANG);

    if (rc == 0 && info.si_pid == 0)
        return false;
    if (rc == 0) { /* else the host has reaped it: by SIG_IGN, or a wait for any child */
        kill(-w->process.pid, SIGKILL);
        waitid(P_PIDFD, (id_t)w->process.pidfd, &info, WEXITED);
        w->end = (exec_end){
            .known = true, .killed = info.si_code != CLD_EXITED, .status = info.si_status};
    }
    w->process.pid = 0;
    return true;
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
    exec_watch *w = poll->data;

    (void)status;
    (void)events;
    if (!reap(w))
        return;
    drain(w);
    close_all(w);
    w->on_end(w);
}

static void on_grace_over(uv_timer_t *timer)
{
    exec_watch_kill(timer->data);
}

static bool is_alive(const exec_watch *w)
{
    return w->process.pid > 0;
}

void exec_watch_kill(exec_watch *w)
{
    if (is_alive(w))
        kill(-w->process.pid, SIGKILL);
}

void exec_watch_terminate(exec_watch *w)
{
    if (!is_alive(w))
        return;
    kill(-w->process.pid, SIGTERM);
    kill(-w->process.pid, SIGCONT); /* one that is stopped would not see it */
    uv_timer_start(&w->grace, on_grace_over, w->stop_grace_ms, 0);
}

/* ---- The start ------------------------------------------------------------------------------------- */

static int watch_fd(exec_watch *w, uv_loop_t *loop, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
    int rc = uv_poll_init(loop, poll, fd);

    if (rc)
        return rc;
    poll->data = w;
    w->open_handles++;
    return uv_poll_start(poll, UV_READABLE, callback);
}

int32_t exec_watch_start(exec_watch *w, uv_loop_t *loop, exec_process p, orch_error **err)
{
    int rc;

    w->process = p;
    uv_timer_init(loop, &w->grace);
    w->grace.data = w;
    w->open_handles = 1;
    rc = watch_fd(w, loop, &w->ended, p.pidfd, on_ended);
    if (!rc)
        rc = watch_fd(w, loop, &w->out, p.out, on_readable);
    if (!rc)
        rc = watch_fd(w, loop, &w->err, p.err, on_readable);
    if (!rc)
        return 0;
    close_all(w);
    exec_discard(&w->process);
    return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, "exec", "the process cannot be watched: %s",
                     uv_strerror(rc));
}

void exec_watch_free_data(exec_watch *w)
{
    buf_free(&w->stdout_data);
    buf_free(&w->stderr_tail);
}

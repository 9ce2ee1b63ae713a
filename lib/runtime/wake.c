#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/wake_impl.h"

enum { AWAKE, SLEEPING, CALLED };

int32_t wake_init(wake *w, orch_error **err)
{
    atomic_init(&w->state, AWAKE);
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->fd < 0)
        return error_set(err, ORCH_E_RESOURCE_EXHAUSTED, NULL, "no eventfd: %s", strerror(errno));
    return 0;
}

void wake_close(wake *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

/* An exchange, so that it is ordered with the loop's own: what was queued before is seen by a loop that finds CALLED,
 * and a loop that does not is found SLEEPING here. */
void wake_up(wake *w)
{
    uint64_t one = 1;

    if (atomic_exchange(&w->state, CALLED) != SLEEPING)
        return;
    while (write(w->fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void wake_begin(wake *w)
{
    atomic_exchange(&w->state, AWAKE);
}

bool wake_may_sleep(wake *w)
{
    int expected = AWAKE;

    return atomic_compare_exchange_strong(&w->state, &expected, SLEEPING);
}

void wake_clear(wake *w)
{
    uint64_t count;

    while (read(w->fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

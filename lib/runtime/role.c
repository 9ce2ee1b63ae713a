#include "runtime/role.h"

#include <stddef.h>

static _Thread_local const role_mark *innermost;

void role_enter(role_mark *m, enum role role, const void *owner)
{
    *m = (role_mark){innermost, owner, role};
    innermost = m;
}

void role_leave(const role_mark *m)
{
    innermost = m->outer;
}

bool role_is(enum role role, const void *owner)
{
    for (const role_mark *m = innermost; m; m = m->outer)
        if (m->role == role && m->owner == owner)
            return true;
    return false;
}

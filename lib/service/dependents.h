/* Which workflows call another one. */
#ifndef SERVICE_DEPENDENTS_H
#define SERVICE_DEPENDENTS_H

#include "store/store.h"

/* Whether a workflow may get another version: it has one already (else NOT_FOUND), and, unless `version` is NULL, no newest version of another
 * workflow calls it; not `strict`: but with a range that has this version. FAILED_PRECONDITION names one. Reads every newest definition. */
int32_t dependents_check(store *s, const char *workflow, const char *version, bool strict,
                         orch_error **err);
/* Whether a version may be deleted: no newest version of another workflow calls it with a range that has no other one.
 * FAILED_PRECONDITION names one. */
int32_t dependents_check_delete(store *s, const char *workflow, const char *version,
                                orch_error **err);

#endif

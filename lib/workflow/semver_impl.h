/* What versions and ranges of them scan alike. */
#ifndef WORKFLOW_SEMVER_IMPL_H
#define WORKFLOW_SEMVER_IMPL_H

#include "workflow/semver.h"

/* Each moves *p past what it read and returns NULL, or returns what is wrong. */
const char *semver_scan_number(const char **p, uint64_t *out);
/* "-pre" and "+build", if they are there. `pre` holds SEMVER_MAX_LEN + 1; it is "" without a
 * pre-release. */
const char *semver_scan_suffix(const char **p, char *pre);

#endif

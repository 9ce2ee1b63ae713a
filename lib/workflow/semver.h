/* Semantic versions (https://semver.org/spec/v2.0.0.html) and ranges of them. */
#ifndef WORKFLOW_SEMVER_H
#define WORKFLOW_SEMVER_H

#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#define SEMVER_MAX_LEN 255

typedef struct semver {
    uint64_t major, minor, patch;
    char pre[SEMVER_MAX_LEN + 1]; /* "" = none; build metadata does not take part */
} semver;

int32_t semver_parse(const char *text, semver *out, orch_error **err);
int semver_compare(const semver *a, const semver *b); /* precedence, clause 11: <0, 0, >0 */

/* A range: comparators joined by spaces (all must hold), alternatives by "||". A comparator is
 * "*", an exact "1.2.3" or "=1.2.3", "^1.2.3", "~1.2.3", ">", ">=", "<", "<=" with a version;
 * "1", "1.2", "1.x" stand for all below them. A pre-release matches only where a comparator of
 * the same alternative names the same major.minor.patch with a pre-release (as node-semver has
 * it). */
typedef struct semver_range semver_range;

int32_t semver_range_parse(const char *text, semver_range **out, orch_error **err);
bool semver_range_has(const semver_range *r, const semver *v);
void semver_range_free(semver_range *r);

#endif

/* Versions and ranges, a line each: precedence is a total order, and a range answers. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "workflow/semver.h"

#define LINES 4

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void compare_all(const semver *v, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        HOLDS(semver_compare(&v[i], &v[i]) == 0);
        for (size_t j = 0; j < count; j++) {
            HOLDS(sign(semver_compare(&v[i], &v[j])) == -sign(semver_compare(&v[j], &v[i])));
            for (size_t k = 0; k < count; k++)
                HOLDS(semver_compare(&v[i], &v[j]) > 0 || semver_compare(&v[j], &v[k]) > 0 ||
                      semver_compare(&v[i], &v[k]) <= 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size), *rest = NULL;
    semver versions[LINES];
    semver_range *ranges[LINES] = {0};
    size_t count = 0, lines = 0;

    for (char *l = strtok_r(text, "\n", &rest); l && lines < LINES;
         l = strtok_r(NULL, "\n", &rest)) {
        orch_error *error = NULL;

        if (semver_parse(l, &versions[count], &error) == 0)
            count++;
        else
            HOLDS(error);
        orch_error_free(error);
        error = NULL;
        HOLDS((semver_range_parse(l, &ranges[lines], &error) == 0) == (error == NULL));
        orch_error_free(error);
        lines++;
    }
    compare_all(versions, count);
    for (size_t i = 0; i < lines; i++) {
        for (size_t j = 0; ranges[i] && j < count; j++)
            HOLDS(semver_range_has(ranges[i], &versions[j]) ==
                  semver_range_has(ranges[i], &versions[j]));
        semver_range_free(ranges[i]);
    }
    free(text);
    return 0;
}

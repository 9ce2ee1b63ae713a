/* Making errors. Reading them is public: orch/error.h. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <orch/error.h>
#include <stdarg.h>

/* Set *out (if out is not NULL; an error already there is freed) and return `code`, so that a failing
 * function ends in `return error_set(err, ORCH_E_…, about, "…", …)`. `about` names the thing (step, key,
 * "line:column"); NULL means "". Whether to retry follows from the code (RESOURCE_EXHAUSTED, ABORTED,
 * UNAVAILABLE). Where there is no memory left a static error is set. */
#define error_set(out, code, about, ...) \
    (error_set_text((out), (code), (about), __VA_ARGS__), error_is(code))
void error_set_text(orch_error **out, int32_t code, const char *about, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* In the header, so that compilers and analysers see that a failure is one. */
static inline int32_t error_is(int32_t code)
{
    return code;
}

void error_set_va(orch_error **out, int32_t code, const char *about, const char *format,
                  va_list args) __attribute__((format(printf, 4, 0)));
void error_set_no_memory(orch_error **out);
/* The usual answer to a failed allocation. */
static inline int32_t error_no_memory(orch_error **out)
{
    error_set_no_memory(out);
    return ORCH_E_RESOURCE_EXHAUSTED;
}
/* Put words before the message of an error that is being passed on: "step 'a': …". */
void error_prefix(orch_error **error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Details beside the words: JSON text, which is copied. Nothing happens if either is NULL. Without memory the error becomes
 * that of no memory. */
void error_add_data(orch_error **error, const char *json);
const char *error_get_data(const orch_error *error); /* borrowed; NULL = none */
orch_error *error_copy(const orch_error *error);
/* The code of a canonical name such as "INVALID_ARGUMENT"; 0 if there is none of that name. */
int32_t error_code_by_name(const char *name);

#endif

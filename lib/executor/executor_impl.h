/* What the executors share: results made of errors, keys of `with`, JSON as bytes. */
#ifndef EXECUTOR_EXECUTOR_IMPL_H
#define EXECUTOR_EXECUTOR_IMPL_H

#include "base/buf.h"
#include "executor/executor.h"

#ifndef ORCH_WITH_CURL
#    define ORCH_WITH_CURL 1
#endif

#define DEFAULT_MAX_OUTPUT_BYTES (4U * 1024 * 1024)
#define JSON_MAX_DEPTH           512 /* of an output; jansson itself would read 2,048 */

/* ---- Results: attempt.c */

/* A failure; `data` is borrowed and may be NULL. Without memory the result has its code and no words. */
attempt_result result_error(int32_t code, bool no_retry, const json_t *data, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));
attempt_result result_from_error(orch_error *error, bool no_retry); /* takes the error over */
attempt_result result_no_memory(void);
attempt_result result_stopped(const attempt *a,
                              const char *what); /* by a->stop; "what was told to stop" */
void result_clear(attempt_result *r);
/* Fill a->result in start(), which then returns what this returns: true. */
bool attempt_ended(attempt *a, attempt_result r);

/* ---- JSON: output.c */

bytes *output_of_json(const json_t *value); /* NULL if there is no memory */
/* Whether text is JSON that every reader of ours takes: INVALID_ARGUMENT says where it is not. `what` names it. */
int32_t output_check_json(const char *what, const char *text, size_t len, orch_error **err);
/* Append text with U+FFFD for every byte that is not UTF-8, and for NUL. */
void output_add_clean(buf *b, const char *text, size_t len);

/* ---- Keys of `with`: with.c. Absent keys leave *out as it is; errors are INVALID_ARGUMENT and name the key. */

/* It must be an object that has no key but those; `known` ends with NULL. */
int32_t with_check(json_t *with, const char *owner, const char *const *known, orch_error **err);
int32_t with_text(const json_t *with, const char *key, const char **out, orch_error **err);
int32_t with_bool(const json_t *with, const char *key, bool *out, orch_error **err);
int32_t with_count(const json_t *with, const char *key, uint32_t min, uint32_t max, uint32_t *out,
                   orch_error **err);
int32_t with_duration_ms(const json_t *with, const char *key, int64_t *out, orch_error **err);
/* A list of whole numbers within min and max, such as exit codes; *out is NULL if absent. */
int32_t with_codes(const json_t *with, const char *key, int min, int max, const json_t **out,
                   orch_error **err);
bool with_codes_have(const json_t *codes, int code);

#define SCALAR_SIZE 40
/* The text of a string, number or boolean; NULL for anything else, and for strings with a NUL in them. */
const char *with_scalar(const json_t *value, char room[SCALAR_SIZE]);

/* ---- Captured output, of exec's stdout and http's body: capture.c */

enum capture_as { CAPTURE_AUTO, CAPTURE_JSON, CAPTURE_TEXT, CAPTURE_BASE64 };

int32_t with_capture(const json_t *with, enum capture_as *out, orch_error **err);
/* Append `data` to a JSON text in the form asked for. `what` names it ("stdout of 'ls'"). AUTO: decided by the caller
 * before. Errors: INVALID_ARGUMENT, if it is not what it should be. */
int32_t capture_add(buf *b, enum capture_as as, const char *what, const char *data, size_t len,
                    orch_error **err);

#endif

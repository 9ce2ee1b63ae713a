/* Reading JSON objects by tables: which keys there are, which must be there, and what reads
 * each. A reader knows where in the document it is, so every message begins with the place. */
#ifndef WORKFLOW_FIELDS_IMPL_H
#define WORKFLOW_FIELDS_IMPL_H

#include <jansson.h>
#include <orch/error.h>
#include <stdbool.h>
#include <stdint.h>

#define PLACE_MAX 8

typedef struct place_part {
    const char *key; /* NULL: a list's element */
    uint32_t index;
} place_part;

typedef struct reader {
    orch_error **err;
    place_part places[PLACE_MAX]; /* from the root to the value being read */
    uint32_t depth;
    const json_t *step; /* messages name it; NULL outside a step */
} reader;

typedef int32_t (*field_fn)(reader *r, void *into, json_t *value);

typedef struct field {
    const char *name;
    field_fn read;
    bool required;
} field;

typedef struct shape {
    const char *noun; /* "a step" */
    const field *fields;
    uint32_t count; /* at most 32 */
} shape;

#define SHAPE(noun_, fields_)                               \
    {                                                       \
        noun_, fields_, sizeof(fields_) / sizeof *(fields_) \
    }

/* Read an object: each member by its field. Unknown keys and missing ones are errors. */
int32_t shape_read(reader *r, const shape *s, json_t *object, void *into);
/* The same of an executor's `with`, in which a null counts as left out. `templates`: it is not evaluated yet, so
 * that members which are templates are passed over. */
int32_t shape_read_with(reader *r, const shape *s, json_t *object, void *into, bool templates);

void place_key(reader *r, const char *key);
void place_index(reader *r, uint32_t index);
void place_up(reader *r);

/* All return the code they set, INVALID_ARGUMENT unless said otherwise. */
int32_t reader_fail(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
int32_t reader_fail_at(reader *r, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* at a member of what is being read */
int32_t reader_expected(reader *r, const json_t *value, const char *wanted);
/* Put the place before an error that a callee set with code `rc`. `relative`: its `about` is a
 * pointer from here. Lack of memory keeps its code. */
int32_t reader_pass_on(reader *r, int32_t rc, bool relative);

bool text_is_template(const char *s);     /* holds a "${" that is not escaped */
bool text_is_one_template(const char *s); /* is "${…}" and nothing else */

/* Values. Texts are borrowed from the tree and hold no NUL. */
int32_t read_text(reader *r, json_t *value, const char *wanted, const char **out);
int32_t read_name(reader *r, json_t *value, const char **out);
int32_t read_duration(reader *r, json_t *value, int64_t min_ms, int64_t *out_ms);
int32_t read_integer(reader *r, json_t *value, int64_t min, int64_t max, int64_t *out);
int32_t read_milli(reader *r, json_t *value, uint32_t min, uint32_t max, uint32_t *out_milli);
int32_t read_strings(reader *r, json_t *object); /* an object of strings: only checked */
/* One of `words`, which end with NULL: its number. `allowed`: how the message lists them. */
int32_t read_word(reader *r, json_t *value, const char *const *words, const char *allowed,
                  uint8_t *out);

#endif

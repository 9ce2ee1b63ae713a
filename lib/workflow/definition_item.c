/* Whether a template uses `item` or `index` where there is none. */
#include <string.h>

#include "base/error.h"
#include "workflow/canonical_impl.h"
#include "workflow/definition_impl.h"

static const char message[] = "uses '%s', which only a step with for_each has";

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* "item" or "index" if a path of that name begins here, else NULL. */
static const char *path_of_item(const char *s)
{
    static const char *const names[] = {"item", "index"};

    s += strspn(s, " \t\r\n");
    for (int i = 0; i < 2; i++) {
        size_t len = strlen(names[i]);

        if (!strncmp(names[i], s, len) && !is_word(s[len]))
            return names[i];
    }
    return NULL;
}

static const char *item_in_text(const char *s)
{
    for (const char *p = strstr(s, "${"); p; p = strstr(p + 2, "${")) {
        const char *found = p > s && p[-1] == '$' ? NULL : path_of_item(p + 2);

        if (found)
            return found;
    }
    return NULL;
}

static int32_t refuse(reader *r, const level *at, const char *found)
{
    buf pointer = BUF_INIT;

    pointer_add_level(&pointer, at);
    error_set(r->err, ORCH_E_INVALID_ARGUMENT, pointer.len ? pointer.data : "", message, found);
    buf_free(&pointer);
    return reader_pass_on(r, ORCH_E_INVALID_ARGUMENT, true);
}

static int32_t check(reader *r, json_t *value, const level *at)
{
    level below = {at, NULL, 0, at->depth + 1};
    int32_t rc = 0;

    if (json_is_string(value)) {
        const char *found = item_in_text(json_string_value(value));

        return found ? refuse(r, at, found) : 0;
    }
    for (; !rc && below.index < json_array_size(value); below.index++)
        rc = check(r, json_array_get(value, below.index), &below);
    for (void *it = json_object_iter(value); it && !rc; it = json_object_iter_next(value, it)) {
        below.key = json_object_iter_key(it);
        rc = check(r, json_object_iter_value(it), &below);
    }
    return rc;
}

int32_t definition_check_item(reader *r, json_t *value)
{
    level root = {NULL, NULL, 0, 0};

    return check(r, value, &root);
}

int32_t definition_check_item_expression(reader *r, const char *expression)
{
    const char *found = path_of_item(expression);

    if (!found)
        found = item_in_text(expression);
    return found ? reader_fail(r, message, found) : 0;
}

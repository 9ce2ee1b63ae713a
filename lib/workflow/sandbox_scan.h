/* A look at Lua code without running it: which of the scope's names it mentions, and where it ends inside `${…}`. It knows
 * strings, long brackets, comments and the member after a name; nothing else of the grammar. */
#ifndef WORKFLOW_SANDBOX_SCAN_H
#define WORKFLOW_SANDBOX_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scan_root {
    ROOT_INPUT,
    ROOT_STEPS,
    ROOT_ITEM,
    ROOT_INDEX,
    ROOT_EXECUTION,
    ROOT_SECRETS,
    ROOTS
};

extern const char *const scan_root_names[ROOTS];

typedef struct scan_member {
    char *name; /* NUL-terminated */
    size_t len;
    uint8_t root;
} scan_member;

typedef struct scan {
    bool used[ROOTS];     /* mentioned at all */
    bool whole[ROOTS];    /* mentioned otherwise than as root.name or root["name"] */
    bool environment;     /* mentions _ENV */
    bool unbalanced;      /* a closing bracket without its opening one */
    scan_member *members; /* in order of appearance, each once */
    size_t count;
    size_t cap;
} scan;

/* False if there is no memory. */
bool scan_code(scan *out, const char *code, size_t len);
void scan_free(scan *s);
int scan_root_of(const char *name, size_t len); /* enum scan_root, or -1 */
/* How many bytes of `code` come before the '}' that closes it; SIZE_MAX if none does. */
size_t scan_closing_brace(const char *code, size_t len);

#endif

/* The line of a JSON pointer in a YAML text. Only asked for a message, so the text is read once
 * more rather than every value made to remember its place. */
#include "workflow/definition_impl.h"
#include "workflow/yaml_impl.h"

#if ORCH_WITH_YAML

#    include <stdlib.h>
#    include <string.h>

typedef struct search {
    const yaml_library *lib;
    yaml_parser_t parser;
    const char *rest; /* of the pointer: "" or "/token…" */
    yaml_mark_t mark; /* of the deepest value on the way that was found */
} search;

static bool next_event(search *s, yaml_event_t *e)
{
    return s->lib->parse(&s->parser, e);
}

/* Read to the end of the node that began with `type`. */
static bool skip_rest(search *s, yaml_event_type_t type)
{
    size_t depth = type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;

    while (depth) {
        yaml_event_t e;

        if (!next_event(s, &e))
            return false;
        if (e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_MAPPING_START_EVENT)
            depth++;
        else if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT)
            depth--;
        s->lib->event_delete(&e);
    }
    return true;
}

static size_t token_len(const char *rest)
{
    return strcspn(rest + 1, "/");
}

/* Whether the pointer's next token, "~0" and "~1" undone, is this key. */
static bool token_is(const char *rest, const char *key)
{
    const char *t = rest + 1, *end = t + token_len(rest);

    for (; t < end && *key; t++, key++) {
        char c = *t;

        if (c == '~' && t + 1 < end)
            c = *++t == '0' ? '~' : '/';
        if (c != *key)
            return false;
    }
    return t == end && !*key;
}

/* Into the member that the pointer names. False: it is not there, or all was found. */
static bool enter_member(search *s)
{
    for (;;) {
        yaml_event_t e;
        bool found, scalar;
        yaml_event_type_t type;

        if (!next_event(s, &e))
            return false;
        scalar = e.type == YAML_SCALAR_EVENT;
        found = scalar && token_is(s->rest, (const char *)e.data.scalar.value);
        type = e.type;
        if (found)
            s->mark = e.start_mark;
        s->lib->event_delete(&e);
        if (found || !scalar) {
            s->rest += found ? 1 + token_len(s->rest) : 0;
            return found;
        }
        if (!skip_rest(s, type) || !next_event(s, &e))
            return false;
        type = e.type;
        s->lib->event_delete(&e);
        if (!skip_rest(s, type))
            return false;
    }
}

static bool enter_element(search *s)
{
    unsigned long n = strtoul(s->rest + 1, NULL, 10);

    for (; n > 0; n--) {
        yaml_event_t e;
        yaml_event_type_t type;

        if (!next_event(s, &e))
            return false;
        type = e.type;
        s->lib->event_delete(&e);
        if (type == YAML_SEQUENCE_END_EVENT || !skip_rest(s, type))
            return false;
    }
    s->rest += 1 + token_len(s->rest);
    return true;
}

/* From value to value along the pointer. A key's mark stays where the value is a scalar: that is
 * where the eye looks; a list's element has only its own. */
static void follow(search *s)
{
    bool element = true;

    for (;;) {
        yaml_event_t e;
        yaml_event_type_t type;

        if (!next_event(s, &e))
            return;
        type = e.type;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT) {
            s->lib->event_delete(&e);
            continue;
        }
        if (element && type != YAML_SEQUENCE_END_EVENT)
            s->mark = e.start_mark;
        s->lib->event_delete(&e);
        if (!*s->rest)
            return;
        element = type == YAML_SEQUENCE_START_EVENT;
        if (element ? !enter_element(s) : type != YAML_MAPPING_START_EVENT || !enter_member(s))
            return;
    }
}

bool yaml_locate(const char *text, size_t len, const char *pointer, size_t *line, size_t *column)
{
    search s = {.lib = yaml_load(NULL), .rest = pointer};

    if (!s.lib || (*pointer && *pointer != '/') || !s.lib->initialize(&s.parser))
        return false;
    s.lib->set_input(&s.parser, (const unsigned char *)text, len);
    follow(&s);
    s.lib->parser_delete(&s.parser);
    *line = s.mark.line + 1;
    *column = s.mark.column + 1;
    return true;
}

#endif

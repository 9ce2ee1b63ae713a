#include "workflow/definition.h"
#include "workflow/definition_impl.h"
#include "workflow/yaml_impl.h"

#include "base/error.h"

#if ORCH_WITH_YAML

#    include <inttypes.h>
#    include <stdio.h>
#    include <string.h>

#    include "base/dynlib.h"
#    include "base/mem.h"
#    include "workflow/wording_impl.h"

#    define ANCHOR_MAX_LEN 128

typedef struct anchor {
    char *name;
    json_t *value;   /* NULL while it is being read */
    uint64_t weight; /* bytes that it takes, aliases in it expanded */
    uint32_t height; /* lists and mappings one in another, itself included */
} anchor;

typedef struct yaml_reader {
    const yaml_library *lib;
    yaml_parser_t parser;
    orch_error **err;
    definition_limits limits;
    uint64_t weight; /* of all that was read, aliases expanded */
    anchor *anchors;
    size_t anchor_count, anchors_cap;
    name_table anchor_names;
} yaml_reader;

typedef struct node {
    json_t *value;
    uint32_t height;
} node;

static int32_t read_node(yaml_reader *y, yaml_event_t *e, uint32_t depth, node *out);

const yaml_library *yaml_load(orch_error **err)
{
    static yaml_library api;
    static const dynlib_symbol symbols[] = {
        {"yaml_parser_initialize", &api.initialize},
        {"yaml_parser_set_input_string", &api.set_input},
        {"yaml_parser_parse", &api.parse},
        {"yaml_event_delete", &api.event_delete},
        {"yaml_parser_delete", &api.parser_delete},
        {NULL, NULL},
    };
    static dynlib lib = {.names = {"libyaml-0.so.2"}, .symbols = symbols};

    return dynlib_load(&lib, err) ? NULL : &api;
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static int32_t fail(yaml_reader *y, yaml_mark_t at, const char *what, const char *wrong)
{
    char place[64];

    snprintf(place, sizeof place, "line %zu column %zu", at.line + 1, at.column + 1);
    return error_set(y->err, ORCH_E_INVALID_ARGUMENT, place, "%s: %s%.*s%s%s", place,
                     *what ? "'" : "", WORDING(what), *what ? "' " : "", wrong);
}

/* Bytes that are no characters have no mark, only an offset. */
static yaml_mark_t mark_of_offset(const yaml_parser_t *p, size_t offset)
{
    const unsigned char *text = p->input.string.start;
    yaml_mark_t mark = {0, 0, 0};

    for (size_t i = 0; i < offset && text + i < p->input.string.end; i++) {
        mark.column += (text[i] & 0xc0) != 0x80;
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

static int32_t syntax_error(yaml_reader *y)
{
    const yaml_parser_t *p = &y->parser;
    const char *problem = p->problem ? p->problem : "not YAML";
    char wrong[256];

    if (p->error == YAML_MEMORY_ERROR)
        return error_no_memory(y->err);
    if (p->error == YAML_READER_ERROR)
        return fail(y, mark_of_offset(p, p->problem_offset), "", problem);
    snprintf(wrong, sizeof wrong, "%s%s%s", problem, p->context ? ", " : "",
             p->context ? p->context : "");
    return fail(y, p->problem_mark, "", wrong);
}

static int32_t next_event(yaml_reader *y, yaml_event_t *e)
{
    return y->lib->parse(&y->parser, e) ? 0 : syntax_error(y);
}

static int32_t weigh(yaml_reader *y, yaml_mark_t at, uint64_t size)
{
    y->weight += size;
    if (y->weight <= y->limits.max_bytes)
        return 0;
    return fail(y, at, "", "with its aliases replaced the document is larger than allowed");
}

/* ---- Anchors and aliases --------------------------------------------------------------------- */

static const char *anchor_name(const void *anchors, uint32_t number)
{
    return ((const anchor *)anchors)[number].name;
}

/* Its number in *out; UINT32_MAX for a node without one. A name that comes again stands for the
 * later node. */
static int32_t open_anchor(yaml_reader *y, const char *name, yaml_mark_t at, uint32_t *out)
{
    size_t len = name ? strlen(name) : 0;
    anchor *grown;

    *out = UINT32_MAX;
    if (!name)
        return 0;
    if (len > ANCHOR_MAX_LEN)
        return fail(y, at, name,
                    "is longer than the 128 bytes that the name of an anchor may have");
    *out = names_find(&y->anchor_names, anchor_name, y->anchors, name, len);
    if (*out != UINT32_MAX) {
        json_decref(y->anchors[*out].value);
        y->anchors[*out].value = NULL;
        return 0;
    }
    grown = mem_grow(y->anchors, &y->anchors_cap, y->anchor_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(y->err);
    y->anchors = grown;
    grown[y->anchor_count] = (anchor){mem_strdup(name), NULL, 0, 0};
    if (!grown[y->anchor_count].name)
        return error_no_memory(y->err);
    *out = (uint32_t)y->anchor_count++;
    return names_add(&y->anchor_names, anchor_name, grown, name, len, *out) == *out
               ? 0
               : error_no_memory(y->err);
}

static void close_anchor(yaml_reader *y, uint32_t number, const node *n, uint64_t weight_before)
{
    anchor *a = &y->anchors[number];

    json_decref(a->value); /* its own node may have used the name too */
    a->value = json_incref(n->value);
    a->weight = y->weight - weight_before;
    a->height = n->height;
}

static int32_t read_alias(yaml_reader *y, const yaml_event_t *e, uint32_t depth, node *out)
{
    const char *name = (const char *)e->data.alias.anchor;
    uint32_t number = names_find(&y->anchor_names, anchor_name, y->anchors, name, strlen(name));
    const anchor *a;
    int32_t rc;

    if (number == UINT32_MAX)
        return fail(y, e->start_mark, name, "is an alias of no anchor before it");
    a = &y->anchors[number];
    if (!a->value)
        return fail(y, e->start_mark, name, "is an alias inside its own anchor");
    if (a->height + depth > y->limits.max_nesting)
        return fail(y, e->start_mark, name,
                    "is an alias that nests lists and mappings deeper than allowed");
    rc = weigh(y, e->start_mark, a->weight);
    if (rc)
        return rc;
    out->value = json_incref(a->value);
    out->height = a->height;
    return 0;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static int32_t read_scalar(yaml_reader *y, const yaml_event_t *e, node *out)
{
    const char *s = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const char *wrong = yaml_scalar(s, len, (const char *)e->data.scalar.tag, plain, &out->value);

    if (wrong)
        return fail(y, e->start_mark, s, wrong);
    if (!out->value)
        return error_no_memory(y->err);
    out->height = 0;
    return weigh(y, e->start_mark, len + 1);
}

static int32_t check_collection(yaml_reader *y, const yaml_event_t *e, const yaml_char_t *tag,
                                const char *wanted, uint32_t depth)
{
    if (tag && strcmp((const char *)tag, wanted) != 0)
        return fail(y, e->start_mark, (const char *)tag, "is no tag of a list or mapping here");
    if (depth >= y->limits.max_nesting)
        return fail(y, e->start_mark, "", "lists and mappings are nested deeper than allowed");
    return weigh(y, e->start_mark, 2);
}

static int32_t read_sequence(yaml_reader *y, const yaml_event_t *start, uint32_t depth, node *out)
{
    int32_t rc = check_collection(y, start, start->data.sequence_start.tag, "tag:yaml.org,2002:seq",
                                  depth);

    if (rc)
        return rc;
    out->height = 1;
    out->value = json_array();
    if (!out->value)
        return error_no_memory(y->err);
    for (;;) {
        node element = {NULL, 0};
        yaml_event_t e;

        rc = next_event(y, &e);
        if (rc)
            return rc;
        if (e.type == YAML_SEQUENCE_END_EVENT) {
            y->lib->event_delete(&e);
            return 0;
        }
        rc = read_node(y, &e, depth + 1, &element);
        if (rc)
            return rc;
        if (element.height >= out->height)
            out->height = element.height + 1;
        if (json_array_append_new(out->value, element.value))
            return error_no_memory(y->err);
    }
}

static int32_t check_key(yaml_reader *y, const yaml_event_t *e, const json_t *mapping)
{
    const char *key = (const char *)e->data.scalar.value;

    if (e->type != YAML_SCALAR_EVENT)
        return fail(y, e->start_mark, "", "a key must be a plain or a quoted string");
    if (strlen(key) != e->data.scalar.length)
        return fail(y, e->start_mark, key, "is a key with the character U+0000 in it");
    if (!strcmp(key, "<<") && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail(y, e->start_mark, key,
                    "merges mappings, which YAML 1.2 does not have; use an alias as a value");
    if (json_object_get(mapping, key))
        return fail(y, e->start_mark, key, "stands twice in this mapping");
    return weigh(y, e->start_mark, e->data.scalar.length + 3);
}

/* The value of a key, into the mapping. */
static int32_t read_member(yaml_reader *y, const yaml_event_t *key, uint32_t depth, node *mapping)
{
    node value = {NULL, 0};
    yaml_event_t e;
    int32_t rc = check_key(y, key, mapping->value);

    if (!rc)
        rc = next_event(y, &e);
    if (!rc)
        rc = read_node(y, &e, depth + 1, &value);
    if (rc)
        return rc;
    if (value.height >= mapping->height)
        mapping->height = value.height + 1;
    if (json_object_set_new_nocheck(mapping->value, (const char *)key->data.scalar.value,
                                    value.value))
        return error_no_memory(y->err);
    return 0;
}

static int32_t read_mapping(yaml_reader *y, const yaml_event_t *start, uint32_t depth, node *out)
{
    int32_t rc = check_collection(y, start, start->data.mapping_start.tag, "tag:yaml.org,2002:map",
                                  depth);

    if (rc)
        return rc;
    out->height = 1;
    out->value = json_object();
    if (!out->value)
        return error_no_memory(y->err);
    for (;;) {
        yaml_event_t key;
        bool end;

        rc = next_event(y, &key);
        if (rc)
            return rc;
        end = key.type == YAML_MAPPING_END_EVENT;
        if (!end)
            rc = read_member(y, &key, depth, out);
        y->lib->event_delete(&key);
        if (rc || end)
            return rc;
    }
}

static int32_t read_anchored(yaml_reader *y, const yaml_event_t *e, const yaml_char_t *name,
                             uint32_t depth, node *out)
{
    uint64_t weight_before = y->weight;
    uint32_t number;
    int32_t rc = open_anchor(y, (const char *)name, e->start_mark, &number);

    if (rc)
        return rc;
    rc = e->type == YAML_SCALAR_EVENT           ? read_scalar(y, e, out)
         : e->type == YAML_SEQUENCE_START_EVENT ? read_sequence(y, e, depth, out)
                                                : read_mapping(y, e, depth, out);
    if (!rc && number != UINT32_MAX)
        close_anchor(y, number, out, weight_before);
    return rc;
}

/* Ends the event. On failure out->value is NULL. */
static int32_t read_node(yaml_reader *y, yaml_event_t *e, uint32_t depth, node *out)
{
    int32_t rc;

    switch (e->type) {
    case YAML_ALIAS_EVENT: rc = read_alias(y, e, depth, out); break;
    case YAML_SCALAR_EVENT: rc = read_anchored(y, e, e->data.scalar.anchor, depth, out); break;
    case YAML_SEQUENCE_START_EVENT:
        rc = read_anchored(y, e, e->data.sequence_start.anchor, depth, out);
        break;
    default: rc = read_anchored(y, e, e->data.mapping_start.anchor, depth, out); break;
    }
    y->lib->event_delete(e);
    if (rc) {
        json_decref(out->value);
        out->value = NULL;
    }
    return rc;
}

/* ---- The document ---------------------------------------------------------------------------- */

static int32_t expect(yaml_reader *y, yaml_event_type_t type, const char *wrong)
{
    yaml_event_t e;
    int32_t rc = next_event(y, &e);

    if (rc)
        return rc;
    if (e.type != type)
        rc = fail(y, e.start_mark, "", wrong);
    y->lib->event_delete(&e);
    return rc;
}

static int32_t read_document(yaml_reader *y, json_t **out)
{
    node root = {NULL, 0};
    yaml_event_t e;
    int32_t rc = expect(y, YAML_STREAM_START_EVENT, "not YAML");

    if (!rc)
        rc = expect(y, YAML_DOCUMENT_START_EVENT, "there is nothing in the document");
    if (!rc)
        rc = next_event(y, &e);
    if (!rc)
        rc = read_node(y, &e, 0, &root);
    if (!rc)
        rc = expect(y, YAML_DOCUMENT_END_EVENT, "the document does not end here");
    if (!rc)
        rc = expect(y, YAML_STREAM_END_EVENT, "a second document begins; only one is allowed");
    if (rc) {
        json_decref(root.value);
        return rc;
    }
    *out = root.value;
    return 0;
}

static void free_anchors(yaml_reader *y)
{
    for (size_t i = 0; i < y->anchor_count; i++) {
        json_decref(y->anchors[i].value);
        mem_free(y->anchors[i].name);
    }
    mem_free(y->anchors);
    names_free(&y->anchor_names);
}

int32_t yaml_to_json(const char *text, size_t len, const definition_limits *limits, json_t **out,
                     orch_error **err)
{
    yaml_reader y = {.err = err, .limits = definition_limits_or_defaults(limits)};
    digest seed;
    int32_t rc;

    y.lib = yaml_load(err);
    if (!y.lib)
        return ORCH_E_UNIMPLEMENTED;
    if (digest_of(text, len, &seed) || !names_init(&y.anchor_names, &seed, 8))
        return error_no_memory(err);
    if (!y.lib->initialize(&y.parser)) {
        names_free(&y.anchor_names);
        return error_no_memory(err);
    }
    y.lib->set_input(&y.parser, (const unsigned char *)text, len);
    rc = read_document(&y, out);
    y.lib->parser_delete(&y.parser);
    free_anchors(&y);
    return rc;
}

#else

int32_t yaml_to_json(const char *text, size_t len, const definition_limits *limits, json_t **out,
                     orch_error **err)
{
    (void)text, (void)len, (void)limits, (void)out;
    return error_set(err, ORCH_E_UNIMPLEMENTED, "libyaml",
                     "this build reads no YAML: it was made without libyaml (WITH_YAML=0)");
}

bool yaml_locate(const char *text, size_t len, const char *pointer, size_t *line, size_t *column)
{
    (void)text, (void)len, (void)pointer, (void)line, (void)column;
    return false;
}

#endif

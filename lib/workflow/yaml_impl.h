/* libyaml, loaded on first use, and what the readers of YAML share. */
#ifndef WORKFLOW_YAML_IMPL_H
#define WORKFLOW_YAML_IMPL_H

#ifndef ORCH_WITH_YAML
#    define ORCH_WITH_YAML 1
#endif

#if ORCH_WITH_YAML

#    include <jansson.h>
#    include <orch/error.h>
#    include <stdbool.h>
#    include <stddef.h>
#    include <yaml.h>

/* Two of libyaml's functions cannot fail; the others return 0 on failure. */
typedef struct yaml_library {
    int (*initialize)(yaml_parser_t *parser);
    void (*set_input)(yaml_parser_t *parser, const unsigned char *input, size_t size);
    int (*parse)(yaml_parser_t *parser, yaml_event_t *event);
    void (*event_delete)(yaml_event_t *event);
    void (*parser_delete)(yaml_parser_t *parser);
} yaml_library;

/* NULL with UNIMPLEMENTED in *err if it cannot be loaded. */
const yaml_library *yaml_load(orch_error **err);

/* The value of a scalar by the core schema of YAML 1.2; `tag` NULL = none, `plain` = without
 * quotes. Returns what is wrong with it, or NULL with *out; *out is NULL if there is no memory. */
const char *yaml_scalar(const char *s, size_t len, const char *tag, bool plain, json_t **out);

#endif
#endif

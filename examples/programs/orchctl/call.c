/* Calls, and what their answers hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchctl.h"

static int exit_code_of(int32_t code)
{
    switch (code) {
    case ORCH_E_NOT_FOUND: return EXIT_NOT_FOUND;
    case ORCH_E_INVALID_ARGUMENT:
    case ORCH_E_ALREADY_EXISTS:
    case ORCH_E_FAILED_PRECONDITION:
    case ORCH_E_UNIMPLEMENTED: return EXIT_REFUSED;
    case ORCH_E_UNAVAILABLE:
    case ORCH_E_DEADLINE_EXCEEDED: return EXIT_UNREACHABLE;
    default: return EXIT_NOT_SUCCEEDED;
    }
}

void ctl_end(ctl *c)
{
    orch_client_free(c->client);
    orch_config_free(c->program.config);
}

void ctl_fail(ctl *c, int32_t code, orch_error *err)
{
    fprintf(stderr, "orchctl: %s: %s\n", orch_code_name(code), orch_error_message(err));
    orch_error_free(err);
    ctl_end(c);
    exit(exit_code_of(code));
}

json_t *ctl_call(ctl *c, const char *method, json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    orch_reply *reply = NULL;
    orch_error *err = NULL;
    json_t *answer;
    int32_t code = orch_client_call(c->client, method, text, text ? strlen(text) : 0, c->timeout_ms,
                                    &reply, &err);

    json_decref(request);
    free(text);
    if (code)
        ctl_fail(c, code, err);
    answer = json_loads(orch_reply_json(reply, NULL), 0, NULL);
    orch_reply_free(reply);
    return answer;
}

const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

int64_t number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

void put_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
}

char *read_file(const ctl *c, const char *path)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    char *text = NULL, *grown;
    size_t len = 0, room = 0, n;

    do {
        if (room - len < 4096 + 1) {
            room = room ? 2 * room : 65536;
            grown = realloc(text, room);
            if (!grown)
                abort();
            text = grown;
        }
        n = f ? fread(text + len, 1, room - len - 1, f) : 0;
        len += n;
    } while (n);
    if (!f || ferror(f)) {
        fprintf(stderr, "%s: %s cannot be read\n", c->program.name, path);
        exit(EXIT_USAGE);
    }
    text[len] = '\0';
    if (f != stdin)
        fclose(f);
    return text;
}

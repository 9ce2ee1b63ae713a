/* Reading exports: docs/export.md. A line is read by jansson and checked whole; payloads are then taken out of its text as they stand. */
#include "api/exported.h"

#include <inttypes.h>
#include <jansson.h>
#include <orch/history.h>
#include <stdio.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/json.h"
#include "base/text.h"
#include "workflow/child.h"
#include "workflow/run.h"

#define TEXT_MAX   65536
#define ACTION_MAX 64
#define TIME_MAX   (400LL * 366 * 24 * 3600 * 1000)

/* ---- names ----------------------------------------------------------------------------------------------- */

static const char *const state_names[] = {
    [EXECUTION_OPEN] = "open",           [EXECUTION_SUSPENDED] = "suspended",
    [EXECUTION_SUCCEEDED] = "succeeded", [EXECUTION_FAILED] = "failed",
    [EXECUTION_CANCELLED] = "cancelled", [EXECUTION_TIMED_OUT] = "timed_out",
};

static const char *const closing_names[] = {
    [RUN_SUCCEEDED] = "succeeded",
    [RUN_FAILED] = "failed",
    [RUN_CANCELLED] = "cancelled",
    [RUN_TIMED_OUT] = "timed_out",
};

#define COUNT(names) (sizeof(names) / sizeof *(names))

/* 0 is none. */
static uint32_t find_name(const char *const *names, size_t count, const char *name)
{
    for (uint32_t i = 1; i < count; i++)
        if (names[i] && !strcmp(names[i], name))
            return i;
    return 0;
}

const char *exported_state_name(uint8_t state)
{
    return state < COUNT(state_names) ? state_names[state] : NULL;
}

const char *exported_closing_name(uint32_t state)
{
    return state < COUNT(closing_names) ? closing_names[state] : NULL;
}

/* ---- a line ---------------------------------------------------------------------------------------------- */

typedef struct line {
    const char *text;
    size_t len;
    uint32_t number;
    json_t *tree;
    orch_error **err;
} line;

static int32_t wrong(const line *l, const char *name, const char *what)
{
    char about[32];

    snprintf(about, sizeof about, "line %u", l->number);
    if (name)
        return error_set(l->err, ORCH_E_INVALID_ARGUMENT, about, "line %u: %s %s", l->number, name,
                         what);
    return error_set(l->err, ORCH_E_INVALID_ARGUMENT, about, "line %u: %s", l->number, what);
}

/* Just behind a string that begins at p; text is JSON. */
static const char *behind_string(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

static const char *behind_value(const char *p)
{
    int depth = 0;

    do {
        if (*p == '"') {
            p = behind_string(p);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        p++;
    } while (depth > 0 || (*p != ',' && *p != '}' && *p != ']' && *p != '"'));
    return p;
}

/* No function of strings: the text need not end with a NUL. */
static const char *behind_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

/* The text of a member's value. The line is an object of JSON; false if its key is written in another way (with escapes). */
static bool find_value(const line *l, const char *name, const char **out, size_t *out_len)
{
    size_t name_len = strlen(name);
    const char *p = behind_space(behind_space(l->text) + 1);

    while (*p == '"') {
        const char *key = p + 1, *value;
        size_t key_len = (size_t)(behind_string(p) - key) - 1;

        value = behind_space(behind_space(behind_string(p)) + 1);
        p = behind_value(value);
        if (key_len == name_len && !memcmp(key, name, name_len)) {
            while (strchr(" \t\r", p[-1]))
                p--;
            *out = value;
            *out_len = (size_t)(p - value);
            return true;
        }
        p = behind_space(p);
        if (*p == ',')
            p = behind_space(p + 1);
    }
    return false;
}

/* ---- members --------------------------------------------------------------------------------------------- */

/* `min` is what one that is left out counts as; with `required` it must be there. */
static int32_t take_number(const line *l, const char *name, bool required, int64_t min, int64_t max,
                           int64_t *out)
{
    const json_t *value = json_object_get(l->tree, name);
    char allowed[80];

    *out = min;
    if (!value && !required)
        return 0;
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= min && *out <= max)
        return 0;
    snprintf(allowed, sizeof allowed, "must be a whole number from %" PRId64 " to %" PRId64, min,
             max);
    return wrong(l, name, allowed);
}

static int32_t take_u32(const line *l, const char *name, bool required, uint32_t min, uint32_t max,
                        uint32_t *out)
{
    int64_t n;
    int32_t rc = take_number(l, name, required, min, max, &n);

    *out = (uint32_t)n;
    return rc;
}

static int32_t take_time(const line *l, const char *name, int64_t *out)
{
    return take_number(l, name, false, 0, TIME_MAX, out);
}

/* Borrowed; NULL if it is left out. */
static int32_t look_text(const line *l, const char *name, bool required, size_t max_bytes,
                         const char **out)
{
    const json_t *value = json_object_get(l->tree, name);
    char allowed[80];

    *out = json_string_value(value);
    if (!value && !required)
        return 0;
    if (*out && json_string_length(value) <= max_bytes)
        return 0;
    snprintf(allowed, sizeof allowed, "must be a string of up to %zu bytes", max_bytes);
    return wrong(l, name, allowed);
}

static int32_t take_text(const line *l, const char *name, bool required, size_t max_bytes,
                         char **out)
{
    const char *text;
    int32_t rc = look_text(l, name, required, max_bytes, &text);

    if (rc || !text)
        return rc;
    *out = mem_strdup(text);
    return *out ? 0 : error_no_memory(l->err);
}

static int32_t take_payload(const line *l, const char *name, bytes **out)
{
    const json_t *value = json_object_get(l->tree, name);
    const char *text;
    size_t len;

    if (!value || json_is_null(value))
        return 0;
    if (!find_value(l, name, &text, &len))
        return wrong(l, name, "must not be written with escapes");
    *out = bytes_new(text, len);
    return *out ? 0 : error_no_memory(l->err);
}

/* {"code","message",…} */
static int32_t take_error(const line *l, bytes **out)
{
    const json_t *value = json_object_get(l->tree, "error");

    if (value && !json_is_null(value) &&
        (!json_is_string(json_object_get(value, "code")) ||
         !json_is_string(json_object_get(value, "message"))))
        return wrong(l, "error", "must be an object with a code and a message");
    return take_payload(l, "error", out);
}

static int32_t take_state(const line *l, bool end, uint8_t *out)
{
    const char *name;
    int32_t rc = look_text(l, "state", true, 20, &name);

    if (rc)
        return rc;
    *out = (uint8_t)find_name(state_names, COUNT(state_names), name);
    if (*out && (!end || EXECUTION_STATE_IS_END(*out)))
        return 0;
    return wrong(l, "state",
                 end ? "must be succeeded, failed, cancelled or timed_out"
                     : "must be open, suspended, succeeded, failed, cancelled or timed_out");
}

/* `known`: names with a space before and behind each. */
static int32_t check_members(const line *l, const char *known)
{
    const char *name;
    json_t *value;

    json_object_foreach(l->tree, name, value)
    {
        size_t len = strlen(name);
        const char *at = known;

        while ((at = strstr(at, name)) && (at[-1] != ' ' || at[len] != ' '))
            at++;
        if (!len || !at)
            return error_set(l->err, ORCH_E_INVALID_ARGUMENT, "record",
                             "line %u: there is no member '%.60s'; there are%s", l->number, name,
                             known);
    }
    return 0;
}

/* ---- the execution --------------------------------------------------------------------------------------- */

static int32_t take_key(const line *l, exported *e)
{
    uint64_t key = 0, made;
    const char *text;
    int32_t rc = look_text(l, "key", true, EXECUTION_ID_LEN, &text);

    if (!rc && (!execution_id_parse(text, &key) || !key))
        rc = wrong(l, "key", "must be 13 characters of Crockford's base 32 in lower case");
    if (!rc)
        rc = take_text(l, "id", true, EXECUTION_ID_MAX, &e->row.id);
    if (rc)
        return rc;
    e->row.key = key;
    if (execution_id_parse(e->row.id, &made)) {
        mem_free(e->row.id);
        e->row.id = NULL;
        return made == key ? 0 : wrong(l, "id", "is one that the library made, and is not the key");
    }
    rc = execution_id_check_any(e->row.id, NULL);
    if (rc)
        return wrong(l, "id", "must be 1 to 128 of A-Z a-z 0-9 _ . - : / ~");
    return execution_id_shard(e->row.id) == execution_key_shard(key)
               ? 0
               : wrong(l, "key", "does not belong to the id");
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int32_t take_digest(const line *l, digest *out)
{
    const char *hex;
    int32_t rc = look_text(l, "digest", true, DIGEST_HEX_SIZE - 1, &hex);

    if (rc)
        return rc;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        int high = hex_value(hex[2 * i]), low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);

        if (low < 0)
            return wrong(l, "digest", "must be 64 hexadecimal digits in lower case");
        out->b[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static int32_t take_workflow(const line *l, exported *e)
{
    int32_t rc = take_text(l, "workflow", true, NAME_MAX_LEN, &e->workflow);
    semver version;

    if (!rc && !text_is_name(e->workflow, NAME_MAX_LEN))
        rc = wrong(l, "workflow", "is not the id of a workflow");
    if (!rc)
        rc = take_text(l, "version", true, TEXT_MAX, &e->version);
    if (!rc && semver_parse(e->version, &version, NULL))
        rc = wrong(l, "version", "is not a semantic version");
    return rc ? rc : take_digest(l, &e->digest);
}

static int32_t take_parent(const line *l, exported *e)
{
    execution_row *row = &e->row;
    int32_t rc = take_text(l, "parent", false, EXECUTION_ID_MAX, &e->parent);

    row->parent_step = STEP_NONE;
    row->parent_index = INDEX_NONE;
    row->abandoned = json_is_true(json_object_get(l->tree, "abandoned"));
    row->by_task = json_is_true(json_object_get(l->tree, "by_task"));
    if (!rc)
        rc = take_u32(l, "parent_run", false, 0, INT32_MAX, &row->parent_run);
    if (!rc && json_object_get(l->tree, "parent_step"))
        rc = take_u32(l, "parent_step", true, 0, UINT32_MAX - 1, &row->parent_step);
    if (!rc && json_object_get(l->tree, "parent_index"))
        rc = take_u32(l, "parent_index", true, 0, UINT32_MAX - 1, &row->parent_index);
    if (!rc)
        rc = take_u32(l, "parent_attempt", false, 0, INT32_MAX, &row->parent_attempt);
    return rc ? rc : take_u32(l, "depth", false, 0, CHILD_DEPTH_MAX, &row->depth);
}

static int32_t take_keys(const line *l, execution_row *row)
{
    int32_t rc = take_text(l, "limit_key", false, TEXT_MAX, &row->limit_key);

    if (!rc)
        rc = take_text(l, "affinity", false, TEXT_MAX, &row->affinity);
    if (!rc && ((row->limit_key && !is_key_text(row->limit_key)) ||
                (row->affinity && !is_key_text(row->affinity))))
        rc = wrong(l, "limit_key and affinity",
                   "must be 1 to 256 bytes without control characters");
    return rc;
}

static int32_t take_attributes(const line *l, bytes **out)
{
    bytes *given = NULL;
    int32_t rc = take_payload(l, "attributes", &given);

    if (!rc && given) {
        rc = attributes_canonical(given->data, given->len, out, l->err);
        if (rc)
            error_prefix(l->err, "line %u: ", l->number);
    }
    bytes_unref(given);
    return rc;
}

static int32_t take_times(const line *l, execution_row *row)
{
    bool ended = EXECUTION_STATE_IS_END(row->state);
    int32_t rc = take_time(l, "accepted_ms", &row->accepted_ms);

    if (!rc)
        rc = take_time(l, "deadline_ms", &row->deadline_ms);
    if (!rc)
        rc = take_time(l, "ended_ms", &row->ended_ms);
    if (!rc && ended != (row->ended_ms != 0))
        rc = wrong(l, "ended_ms", ended ? "is missing" : "is of one that has not ended");
    return rc;
}

static int32_t take_payloads(const line *l, execution_row *row)
{
    int32_t rc = 0;

    if (json_object_get(l->tree, "input") && !json_is_object(json_object_get(l->tree, "input")))
        rc = wrong(l, "input", "must be an object");
    if (!rc)
        rc = take_payload(l, "input", &row->input);
    if (!rc)
        rc = take_payload(l, "output", &row->output);
    return rc ? rc : take_error(l, &row->error);
}

static int32_t take_runs(const line *l, exported *e)
{
    int32_t rc = take_u32(l, "run", true, 1, 1000000, &e->row.run);

    if (rc)
        return rc;
    e->runs = mem_calloc(e->row.run, sizeof *e->runs);
    return e->runs ? 0 : error_no_memory(l->err);
}

static int32_t read_execution(const line *l, exported *e)
{
    uint32_t format, priority;
    int32_t rc = check_members(
        l,
        " record format id key workflow version digest state run priority limit_key affinity "
        "parent parent_run parent_step parent_index parent_attempt depth abandoned by_task accepted_ms "
        "deadline_ms ended_ms attributes input output error ");

    if (!rc && e->workflow)
        rc = wrong(l, NULL, "there is an execution already");
    if (!rc)
        rc = take_u32(l, "format", true, EXPORT_FORMAT, EXPORT_FORMAT, &format);
    if (!rc)
        rc = take_key(l, e);
    if (!rc)
        rc = take_workflow(l, e);
    if (!rc)
        rc = take_state(l, false, &e->row.state);
    if (!rc)
        rc = take_runs(l, e);
    if (!rc)
        rc = take_u32(l, "priority", true, 0, PRIORITIES - 1, &priority);
    if (!rc)
        e->row.priority = (uint8_t)priority;
    if (!rc)
        rc = take_keys(l, &e->row);
    if (!rc)
        rc = take_parent(l, e);
    if (!rc)
        rc = take_attributes(l, &e->row.attributes);
    if (!rc)
        rc = take_times(l, &e->row);
    return rc ? rc : take_payloads(l, &e->row);
}

/* ---- runs and their histories ---------------------------------------------------------------------------- */

static int32_t find_run(const line *l, exported *e, exported_run **out)
{
    uint32_t run;
    int32_t rc = take_u32(l, "run", true, 1, e->row.run, &run);

    *out = rc ? NULL : &e->runs[run - 1];
    return rc;
}

static int32_t read_run(const line *l, exported *e)
{
    exported_run *r = NULL;
    int32_t rc = check_members(l, " record run state ended_ms output error ");

    if (!rc)
        rc = find_run(l, e, &r);
    if (!rc && (r->end.run || r == &e->runs[e->row.run - 1]))
        rc = wrong(l, "run",
                   r->end.run ? "has an end already"
                              : "is the newest, whose end the execution says");
    if (!rc)
        rc = take_state(l, true, &r->end.state);
    if (!rc)
        rc = take_time(l, "ended_ms", &r->end.ended_ms);
    if (!rc)
        rc = take_payload(l, "output", &r->end.output);
    if (!rc)
        rc = take_error(l, &r->end.error);
    if (!rc)
        r->end.run = (uint32_t)(r - e->runs) + 1;
    return rc;
}

static int32_t take_kind(const line *l, checkpoint *c)
{
    const char *name;
    int32_t rc = look_text(l, "kind", true, 30, &name);

    if (rc)
        return rc;
    for (int kind = CHECKPOINT_DECIDED; kind <= CHECKPOINT_HANDLER_FAILED; kind++)
        if (!strcmp(name, orch_step_kind_name(record_kind((uint8_t)kind)))) {
            c->kind = (uint8_t)kind;
            return 0;
        }
    return wrong(l, "kind", "is none that a history has");
}

/* What closes a run says how it will end in the place of an attempt. */
static int32_t take_attempt(const line *l, checkpoint *c)
{
    const char *name;
    int32_t rc;

    if (c->kind != CHECKPOINT_CLOSING)
        return take_u32(l, "attempt", false, 0, INT32_MAX, &c->attempt);
    rc = look_text(l, "state", true, 20, &name);
    if (rc)
        return rc;
    c->attempt = find_name(closing_names, COUNT(closing_names), name);
    return c->attempt ? 0 : wrong(l, "state", "must be succeeded, failed, cancelled or timed_out");
}

static int32_t take_place(const line *l, exported_checkpoint *x)
{
    int32_t rc = take_text(l, "step", false, NAME_MAX_LEN, &x->step);

    x->checkpoint.step = STEP_NONE; /* until it meets a definition */
    x->checkpoint.index = INDEX_NONE;
    if (!rc && json_object_get(l->tree, "index"))
        rc = take_u32(l, "index", true, 0, UINT32_MAX - 1, &x->checkpoint.index);
    if (!rc)
        rc = take_kind(l, &x->checkpoint);
    if (!rc && !x->step && x->checkpoint.kind < CHECKPOINT_CLOSING)
        rc = wrong(l, "step", "is missing");
    return rc ? rc : take_attempt(l, &x->checkpoint);
}

static int32_t fill_checkpoint(const line *l, exported_checkpoint *x)
{
    checkpoint *c = &x->checkpoint;
    int32_t rc = take_place(l, x);

    x->line = l->number;
    if (!rc)
        rc = take_time(l, "started_ms", &c->started_ms);
    if (!rc)
        rc = take_time(l, "ended_ms", &c->ended_ms);
    if (!rc)
        rc = take_time(l, "due_ms", &c->due_ms);
    if (!rc)
        rc = take_payload(l, "output", &c->output);
    return rc ? rc : take_error(l, &c->error);
}

static int32_t read_checkpoint(const line *l, exported *e)
{
    exported_checkpoint *grown;
    exported_run *r = NULL;
    int64_t seq = 0;
    int32_t rc = check_members(l, " record run seq step index kind state attempt started_ms "
                                  "ended_ms due_ms output error ");

    if (!rc)
        rc = find_run(l, e, &r);
    if (!rc)
        rc = take_number(l, "seq", true, 1, INT64_MAX, &seq);
    if (!rc && (uint64_t)seq != r->count + 1)
        rc = wrong(l, "seq", "does not follow the one before it in its run: they are 1, 2, …");
    if (rc)
        return rc;
    grown = mem_grow(r->rows, &r->cap, r->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(l->err);
    r->rows = grown;
    memset(&grown[r->count], 0, sizeof *grown);
    grown[r->count].checkpoint.seq = (uint64_t)seq;
    return fill_checkpoint(l, &grown[r->count++]);
}

/* ---- controls, and the end ------------------------------------------------------------------------------- */

static int32_t read_control(const line *l, exported *e)
{
    control_row *grown, *c;
    int32_t rc = check_members(l, " record at_ms action who why detail ");

    if (!rc && e->control_count == CONTROLS_KEPT)
        rc = wrong(l, NULL, "there are more controls than are kept");
    if (rc)
        return rc;
    grown = mem_grow(e->controls, &e->control_cap, e->control_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(l->err);
    e->controls = grown;
    c = &grown[e->control_count++];
    memset(c, 0, sizeof *c);
    c->execution = e->row.key;
    rc = take_time(l, "at_ms", &c->at_ms);
    if (!rc)
        rc = take_text(l, "action", true, ACTION_MAX, &c->action);
    if (!rc)
        rc = take_text(l, "who", false, TEXT_MAX, &c->who);
    if (!rc)
        rc = take_text(l, "why", false, TEXT_MAX, &c->why);
    return rc ? rc : take_text(l, "detail", false, TEXT_MAX, &c->detail);
}

static int32_t read_end(const line *l, exported *e, bool *out_ended)
{
    uint32_t lines;
    int32_t rc = check_members(l, " record lines ");

    if (!rc)
        rc = take_u32(l, "lines", true, l->number, l->number, &lines);
    for (uint32_t run = 1; !rc && run < e->row.run; run++) {
        char what[60];

        snprintf(what, sizeof what, "it is not said how run %u ended", run);
        if (!e->runs[run - 1].end.run)
            rc = wrong(l, NULL, what);
    }
    *out_ended = rc == 0;
    return rc;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int32_t read_record(const line *l, exported *e, bool *out_ended)
{
    const char *record = json_string_value(json_object_get(l->tree, "record"));

    if (!record)
        return wrong(l, "record", "must say what the line is");
    if (!strcmp(record, "execution"))
        return read_execution(l, e);
    if (!e->workflow)
        return wrong(l, NULL, "the first record must be the execution");
    if (!strcmp(record, "run"))
        return read_run(l, e);
    if (!strcmp(record, "checkpoint"))
        return read_checkpoint(l, e);
    if (!strcmp(record, "control"))
        return read_control(l, e);
    if (!strcmp(record, "end"))
        return read_end(l, e, out_ended);
    return wrong(l, "record", "must be execution, run, checkpoint, control or end");
}

static int32_t read_line(line *l, exported *e, bool *out_ended)
{
    json_error_t where;
    char what[240];
    int32_t rc;

    l->tree = json_loadb(l->text, l->len, JSON_REJECT_DUPLICATES, &where);
    if (!l->tree && json_lacked_memory(&where))
        return error_no_memory(l->err);
    if (!l->tree) {
        snprintf(what, sizeof what, "not JSON: column %d: %.200s", where.column, where.text);
        return wrong(l, NULL, what);
    }
    rc = json_is_object(l->tree) ? read_record(l, e, out_ended)
                                 : wrong(l, NULL, "it must be a JSON object");
    json_decref(l->tree);
    return rc;
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", text[i]))
            return false;
    return true;
}

int32_t exported_read(const char *text, size_t len, exported *out, orch_error **err)
{
    line l = {.err = err};
    bool ended = false;
    int32_t rc = 0;

    memset(out, 0, sizeof *out);
    while (!rc && len && !ended) {
        const char *line_end = memchr(text, '\n', len);

        l.text = text;
        l.len = line_end ? (size_t)(line_end - text) : len;
        l.number++;
        rc = read_line(&l, out, &ended);
        len -= l.len + (line_end != NULL);
        text += l.len + (line_end != NULL);
    }
    if (!rc && !ended)
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, NULL,
                       "line %u: the text ends before the \"end\" record: it is not whole",
                       l.number + 1);
    if (!rc && !is_blank(text, len))
        rc = error_set(err, ORCH_E_INVALID_ARGUMENT, NULL,
                       "line %u: there is something behind the \"end\" record", l.number + 1);
    return rc;
}

void exported_clear(exported *e)
{
    for (uint32_t i = 0; e->runs && i < e->row.run; i++) {
        for (size_t j = 0; j < e->runs[i].count; j++) {
            checkpoint_clear(&e->runs[i].rows[j].checkpoint);
            mem_free(e->runs[i].rows[j].step);
        }
        mem_free(e->runs[i].rows);
        run_row_clear(&e->runs[i].end);
    }
    mem_free(e->runs);
    for (size_t i = 0; i < e->control_count; i++)
        control_row_clear(&e->controls[i]);
    mem_free(e->controls);
    execution_row_clear(&e->row);
    mem_free(e->workflow);
    mem_free(e->version);
    mem_free(e->parent);
    memset(e, 0, sizeof *e);
}

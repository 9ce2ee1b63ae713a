/* Reading exports: docs/export.md. A line is read by jansson and checked whole; payloads are then taken out of its text as they stand. */
#include "api/exported.h"

#include <inttypes.h>
#include <jansson.h>
#include <orch/history.h>
#include <stdio.h>
#include <string.h>

#include "api/api_impl.h"
#include "api/exported_impl.h"
#include "base/json.h"
#include "base/text.h"
#include "workflow/child.h"
#include "workflow/run.h"

#define TEXT_MAX   65536
#define ACTION_MAX 64

/* ---- the execution --------------------------------------------------------------------------------------- */

static int32_t take_key(const line *l, exported *e)
{
    uint64_t key = 0, made;
    const char *text;
    int32_t rc = line_look_text(l, "key", true, EXECUTION_ID_LEN, &text);

    if (!rc && (!execution_id_parse(text, &key) || !key))
        rc = line_wrong(l, "key", "must be 13 characters of Crockford's base 32 in lower case");
    if (!rc)
        rc = line_text(l, "id", true, EXECUTION_ID_MAX, &e->row.id);
    if (rc)
        return rc;
    e->row.key = key;
    if (execution_id_parse(e->row.id, &made)) {
        mem_free(e->row.id);
        e->row.id = NULL;
        return made == key
                   ? 0
                   : line_wrong(l, "id", "is one that the library made, and is not the key");
    }
    rc = execution_id_check_any(e->row.id, NULL);
    if (rc)
        return line_wrong(l, "id", "must be 1 to 128 of A-Z a-z 0-9 _ . - : / ~");
    return execution_id_shard(e->row.id) == execution_key_shard(key)
               ? 0
               : line_wrong(l, "key", "does not belong to the id");
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
    int32_t rc = line_look_text(l, "digest", true, DIGEST_HEX_SIZE - 1, &hex);

    if (rc)
        return rc;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        int high = hex_value(hex[2 * i]), low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);

        if (low < 0)
            return line_wrong(l, "digest", "must be 64 hexadecimal digits in lower case");
        out->b[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static int32_t take_workflow(const line *l, exported *e)
{
    int32_t rc = line_text(l, "workflow", true, NAME_MAX_LEN, &e->workflow);
    semver version;

    if (!rc && !text_is_name(e->workflow, NAME_MAX_LEN))
        rc = line_wrong(l, "workflow", "is not the id of a workflow");
    if (!rc)
        rc = line_text(l, "version", true, TEXT_MAX, &e->version);
    if (!rc && semver_parse(e->version, &version, NULL))
        rc = line_wrong(l, "version", "is not a semantic version");
    return rc ? rc : take_digest(l, &e->digest);
}

static int32_t take_parent(const line *l, exported *e)
{
    execution_row *row = &e->row;
    int32_t rc = line_text(l, "parent", false, EXECUTION_ID_MAX, &e->parent);

    row->parent_step = STEP_NONE;
    row->parent_index = INDEX_NONE;
    row->abandoned = json_is_true(json_object_get(l->tree, "abandoned"));
    row->by_task = json_is_true(json_object_get(l->tree, "by_task"));
    if (!rc)
        rc = line_u32(l, "parent_run", false, 0, INT32_MAX, &row->parent_run);
    if (!rc && json_object_get(l->tree, "parent_step"))
        rc = line_u32(l, "parent_step", true, 0, UINT32_MAX - 1, &row->parent_step);
    if (!rc && json_object_get(l->tree, "parent_index"))
        rc = line_u32(l, "parent_index", true, 0, UINT32_MAX - 1, &row->parent_index);
    if (!rc)
        rc = line_u32(l, "parent_attempt", false, 0, INT32_MAX, &row->parent_attempt);
    return rc ? rc : line_u32(l, "depth", false, 0, CHILD_DEPTH_MAX, &row->depth);
}

static int32_t take_keys(const line *l, execution_row *row)
{
    int32_t rc = line_text(l, "limit_key", false, TEXT_MAX, &row->limit_key);

    if (!rc)
        rc = line_text(l, "affinity", false, TEXT_MAX, &row->affinity);
    if (!rc && ((row->limit_key && !is_key_text(row->limit_key)) ||
                (row->affinity && !is_key_text(row->affinity))))
        rc = line_wrong(l, "limit_key and affinity",
                        "must be 1 to 256 bytes without control characters");
    return rc;
}

static int32_t take_attributes(const line *l, bytes **out)
{
    bytes *given = NULL;
    int32_t rc = line_payload(l, "attributes", &given);

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
    int32_t rc = line_time(l, "accepted_ms", &row->accepted_ms);

    if (!rc)
        rc = line_time(l, "deadline_ms", &row->deadline_ms);
    if (!rc)
        rc = line_time(l, "ended_ms", &row->ended_ms);
    if (!rc && ended != (row->ended_ms != 0))
        rc = line_wrong(l, "ended_ms", ended ? "is missing" : "is of one that has not ended");
    return rc;
}

static int32_t take_payloads(const line *l, execution_row *row)
{
    int32_t rc = 0;

    if (json_object_get(l->tree, "input") && !json_is_object(json_object_get(l->tree, "input")))
        rc = line_wrong(l, "input", "must be an object");
    if (!rc)
        rc = line_payload(l, "input", &row->input);
    if (!rc)
        rc = line_payload(l, "output", &row->output);
    return rc ? rc : line_error(l, &row->error);
}

static int32_t take_runs(const line *l, exported *e)
{
    int32_t rc = line_u32(l, "run", true, 1, 1000000, &e->row.run);

    if (rc)
        return rc;
    e->runs = mem_calloc(e->row.run, sizeof *e->runs);
    return e->runs ? 0 : error_no_memory(l->err);
}

static int32_t read_execution(const line *l, exported *e)
{
    uint32_t format, priority;
    int32_t rc = line_members(
        l,
        " record format id key workflow version digest state run priority limit_key affinity "
        "parent parent_run parent_step parent_index parent_attempt depth abandoned by_task accepted_ms "
        "deadline_ms ended_ms attributes input output error ");

    if (!rc && e->workflow)
        rc = line_wrong(l, NULL, "there is an execution already");
    if (!rc)
        rc = line_u32(l, "format", true, EXPORT_FORMAT, EXPORT_FORMAT, &format);
    if (!rc)
        rc = take_key(l, e);
    if (!rc)
        rc = take_workflow(l, e);
    if (!rc)
        rc = exported_take_state(l, false, &e->row.state);
    if (!rc)
        rc = take_runs(l, e);
    if (!rc)
        rc = line_u32(l, "priority", true, 0, PRIORITIES - 1, &priority);
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

/* ---- controls, and the end ------------------------------------------------------------------------------- */

static int32_t read_control(const line *l, exported *e)
{
    control_row *grown, *c;
    int32_t rc = line_members(l, " record at_ms action who why detail ");

    if (!rc && e->control_count == CONTROLS_KEPT)
        rc = line_wrong(l, NULL, "there are more controls than are kept");
    if (rc)
        return rc;
    grown = mem_grow(e->controls, &e->control_cap, e->control_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(l->err);
    e->controls = grown;
    c = &grown[e->control_count++];
    memset(c, 0, sizeof *c);
    c->execution = e->row.key;
    rc = line_time(l, "at_ms", &c->at_ms);
    if (!rc)
        rc = line_text(l, "action", true, ACTION_MAX, &c->action);
    if (!rc)
        rc = line_text(l, "who", false, TEXT_MAX, &c->who);
    if (!rc)
        rc = line_text(l, "why", false, TEXT_MAX, &c->why);
    return rc ? rc : line_text(l, "detail", false, TEXT_MAX, &c->detail);
}

static int32_t read_end(const line *l, exported *e, bool *out_ended)
{
    uint32_t lines;
    int32_t rc = line_members(l, " record lines ");

    if (!rc)
        rc = line_u32(l, "lines", true, l->number, l->number, &lines);
    for (uint32_t run = 1; !rc && run < e->row.run; run++) {
        char what[60];

        snprintf(what, sizeof what, "it is not said how run %u ended", run);
        if (!e->runs[run - 1].end.run)
            rc = line_wrong(l, NULL, what);
    }
    *out_ended = rc == 0;
    return rc;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int32_t read_record(const line *l, exported *e, bool *out_ended)
{
    const char *record = json_string_value(json_object_get(l->tree, "record"));

    if (!record)
        return line_wrong(l, "record", "must say what the line is");
    if (!strcmp(record, "execution"))
        return read_execution(l, e);
    if (!e->workflow)
        return line_wrong(l, NULL, "the first record must be the execution");
    if (!strcmp(record, "run"))
        return exported_read_run(l, e);
    if (!strcmp(record, "checkpoint"))
        return exported_read_checkpoint(l, e);
    if (!strcmp(record, "control"))
        return read_control(l, e);
    if (!strcmp(record, "end"))
        return read_end(l, e, out_ended);
    return line_wrong(l, "record", "must be execution, run, checkpoint, control or end");
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
        return line_wrong(l, NULL, what);
    }
    rc = json_is_object(l->tree) ? read_record(l, e, out_ended)
                                 : line_wrong(l, NULL, "it must be a JSON object");
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

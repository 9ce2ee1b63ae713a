#include <stdlib.h>

#include "inventory.h"

const char workflow_id[] = "inventory";
const char *const step_names[STEP_COUNT] = {"list", "plan", "count", "reduce", "report"};

#define TEXT(x)   #x
#define NUMBER(x) TEXT(x)

/* Names end in NUL, so that any name comes through; sorted, so that two runs see the same. */
static const char list_script[] =
    "if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then\n"
    "    git ls-files -z -co --exclude-standard\n"
    "else\n"
    "    find . -name .git -prune -o -type f -print0 | sed -z 's|^\\./||'\n"
    "fi | LC_ALL=C sort -zu | head -z -n $((" NUMBER(MAX_FILES) " + 1))\n";

/* A line for each name: lines, bytes and digest; an empty one for what is not a regular file, or gone. A binary
 * file has no lines: that is what grep -I sees to. The list of arguments is a Lua expression of the item's names. */
static const char count_argv[] =
    "${{'sh', '-c', [[\n"
    "for f do\n"
    "    if [ -f \"$f\" ] && [ ! -L \"$f\" ] && [ -r \"$f\" ]; then\n"
    "        echo $(grep -cI '' <\"$f\") $(wc -c <\"$f\") $(sha256sum <\"$f\")\n"
    "    else\n"
    "        echo\n"
    "    fi\n"
    "done\n"
    "]], 'count', table.unpack(item)}}";

static const char reduce_code[] =
    "local total = {files = 0, lines = 0, bytes = 0, batches = #steps.plan.output.batches,\n"
    "               skipped = steps.plan.output.skipped, over_limit = "
    "steps.plan.output.over_limit}\n"
    "local kinds, folders, digests, files = {}, {}, {}, {}\n"
    "\n"
    "local function add(groups, name, lines, bytes)\n"
    "    local g = groups[name] or {name = name, files = 0, lines = 0, bytes = 0}\n"
    "    groups[name] = g\n"
    "    g.files, g.lines, g.bytes = g.files + 1, g.lines + lines, g.bytes + bytes\n"
    "end\n"
    "\n"
    "local function add_file(name, lines, bytes, digest)\n"
    "    local base = string.match(name, '[^/]*$')\n"
    "    local kind = string.match(base, '^.+%.([%w_+-]+)$')\n"
    "    kind = kind and #kind <= 12 and '.' .. string.lower(kind) or 'other'\n"
    "    add({[''] = total}, '', lines, bytes)\n"
    "    add(kinds, kind, lines, bytes)\n"
    "    add(folders, string.match(name, '^([^/]+/)') or './', lines, bytes)\n"
    "    table.insert(files, {name = name, lines = lines, bytes = bytes})\n"
    "    if bytes > 0 then\n"
    "        local d = digests[digest] or {digest = digest, bytes = bytes, names = {}}\n"
    "        digests[digest] = d\n"
    "        table.insert(d.names, name)\n"
    "    end\n"
    "end\n"
    "\n"
    "for b, names in ipairs(steps.plan.output.batches) do\n"
    "    local n = 0\n"
    "    for line in string.gmatch(steps.count.output[b].stdout, '([^\\n]*)\\n') do\n"
    "        n = n + 1\n"
    "        local lines, bytes, digest = string.match(line, '^(%d+) (%d+) (%x+)')\n"
    "        if digest then\n"
    "            add_file(names[n], math.tointeger(lines), math.tointeger(bytes), digest)\n"
    "        end\n"
    "    end\n"
    "end\n"
    "\n"
    "local function top(groups, key, max)\n"
    "    local list = {}\n"
    "    for _, g in pairs(groups) do table.insert(list, g) end\n"
    "    table.sort(list, function(a, b)\n"
    "        if a[key] ~= b[key] then return a[key] > b[key] end\n"
    "        return a.name < b.name\n"
    "    end)\n"
    "    return array(table.move(list, 1, math.min(max, #list), 1, {}))\n"
    "end\n"
    "\n"
    "local doubles = {}\n"
    "for _, d in pairs(digests) do\n"
    "    if #d.names > 1 then\n"
    "        d.name, d.copies, d.wasted = d.names[1], #d.names, (#d.names - 1) * d.bytes\n"
    "        d.names = table.move(d.names, 1, math.min(10, #d.names), 1, {})\n"
    "        table.insert(doubles, d)\n"
    "    end\n"
    "end\n"
    "total.skipped = total.skipped + steps.plan.output.files - total.files\n"
    "return {total = total, kinds = top(kinds, 'lines', 100), folders = top(folders, 'bytes', "
    "100),\n"
    "        largest = top(files, 'bytes', 20), doubles = top(doubles, 'wasted', 50)}\n";

static void add_list(orch_builder *b)
{
    json_t *with = json_pack("{s:[s,s,s], s:s, s:s}", "argv", "sh", "-c", list_script, "cwd",
                             "${input.root}", "output", "base64");
    char *text = json_dumps(with, 0);
    orch_step *step = orch_builder_step(b, "list", "exec", text);

    orch_step_set(step, "timeout", "\"2m\"");
    free(text);
    json_decref(with);
}

static void add_plan(orch_builder *b)
{
    orch_step *step = orch_builder_step(b, "plan", "plan_batches",
                                        "{\"names\": \"${steps.list.output.stdout}\","
                                        " \"leave_out\": \"${input.leave_out}\"}");

    orch_step_depends_on(step, "list");
}

static void add_count(orch_builder *b)
{
    json_t *with = json_pack("{s:s, s:s, s:s, s:{s:s}}", "argv", count_argv, "cwd", "${input.root}",
                             "output", "text", "env", "LC_ALL", "C");
    char *text = json_dumps(with, 0);
    orch_step *step = orch_builder_step(b, "count", "exec", text);

    orch_step_depends_on(step, "plan");
    orch_step_set(step, "for_each", "\"${steps.plan.output.batches}\"");
    orch_step_set(step, "max_parallel", "8");
    orch_step_set(step, "timeout", "\"5m\"");
    orch_step_set(step, "retry", "{\"max_attempts\": 3, \"initial_interval\": \"200ms\"}");
    free(text);
    json_decref(with);
}

static void add_reduce(orch_builder *b)
{
    json_t *with = json_pack("{s:s}", "code", reduce_code);
    char *text = json_dumps(with, 0);
    orch_step *step = orch_builder_step(b, "reduce", "lua", text);

    orch_step_depends_on(step, "plan");
    orch_step_depends_on(step, "count");
    free(text);
    json_decref(with);
}

static void add_report(orch_builder *b)
{
    orch_step *step = orch_builder_step(
        b, "report", "write_report",
        "{\"summary\": \"${steps.reduce.output}\","
        " \"root\": \"${input.root}\", \"path\": \"${input.report}\","
        " \"taken_ms\": \"${execution.accepted_ms}\"}");

    orch_step_depends_on(step, "reduce");
    orch_step_set(step, "retry", "{\"max_attempts\": 3}");
}

/* Calls with a text that could not be made (no memory) fail, and so does the registration. */
static int32_t build(orch_builder *b, void *user_data, orch_error **err)
{
    (void)user_data;
    (void)err;
    add_list(b);
    add_plan(b);
    add_count(b);
    add_reduce(b);
    add_report(b);
    return orch_builder_set(b, "output", "\"${steps.report.output}\"");
}

int32_t workflow_register(orch_v2 *orch, orch_error **err)
{
    return orch_v2_register_workflow(orch, workflow_id, "1.0.0", build, NULL, NULL, NULL, 0, err);
}

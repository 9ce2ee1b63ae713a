/* The command line: options in any place, one command, its arguments. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchctl.h"

static const char usage[] =
    "usage: orchctl [--server ENDPOINT] [-o json|text] [--timeout SECONDS] COMMAND ...\n"
    "  apply FILE... [--update strict|compatible|force]   register definitions (JSON, YAML; - = standard input)\n"
    "  workflows [ID]                                     list workflows, or the versions of one\n"
    "  delete WORKFLOW VERSION [--force] [--why TEXT]     take a version out of use; what has begun goes on\n"
    "  run WORKFLOW [--input JSON|@FILE] [--version RANGE] [--id ID] [--key START-KEY] [--priority N]\n"
    "                                                     start an execution, wait, print its output\n"
    "  start WORKFLOW ...                                 the same without waiting: prints its id\n"
    "  list [--state STATE] [--workflow ID] [--limit N] [--all]\n"
    "  show ID | steps ID | history ID                    what is known of an execution\n"
    "  watch ID                                           a progress bar until it has ended\n"
    "  cancel|terminate|pause|resume|retry ID... [--why TEXT]\n"
    "  signal ID NAME [JSON]\n"
    "  engines                                            the engines that the orchestrator knows\n"
    "  events [ID] [--severity DEBUG|INFO|WARNING|ERROR]  what happens, as it happens\n"
    "  graph WORKFLOW [--version RANGE] [--format mermaid|dot|svg]\n"
    "  completion bash|zsh|fish\n"
    "ENDPOINT is HOST:PORT or unix:PATH; default: what ORCHCTL_SERVER says, or 127.0.0.1:50050. TLS: ORCH_TLS_CA, ORCH_TLS_CERT, ORCH_TLS_KEY.\n"
    "Exit: 0 well; 1 the execution did not succeed, or another failure; 2 usage; 3 not found; 4 refused; 5 no answer.\n";

/* ---- commands that change something ---------------------------------------------------------------------- */

static int apply(ctl *c)
{
    char policy[16];

    for (int i = 0; i < c->count; i++) {
        char *text = read_file(c, c->args[i]);
        json_t *request = json_pack("{s:s}", "definition", text), *answer;

        if (!request)
            program_misuse(&c->program, "a definition is UTF-8 text");
        if (c->policy) {
            snprintf(policy, sizeof policy, "%.12s", c->policy);
            for (char *p = policy; *p; p++)
                *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
            json_object_set_new(request, "policy", json_string(policy));
        }
        answer = ctl_call(c, c->policy ? "UpdateWorkflow" : "RegisterWorkflow", request);
        if (c->json)
            put_json(answer);
        else
            printf("%s %s\n", text_of(answer, "workflow_id"), text_of(answer, "version"));
        json_decref(answer);
        free(text);
    }
    return EXIT_SUCCESS;
}

static void set(json_t *o, const char *key, const char *value)
{
    if (value)
        json_object_set_new(o, key, json_string(value));
}

static json_t *start_request(const ctl *c)
{
    json_t *r = json_pack("{s:s}", "workflow_id", c->args[0]);
    char *file = c->input && *c->input == '@' ? read_file(c, c->input + 1) : NULL;

    set(r, "inputs", file ? file : c->input);
    set(r, "version", c->version);
    set(r, "execution_id", c->id);
    set(r, "start_key", c->key);
    if (c->priority >= 0)
        json_object_set_new(r, "priority", json_integer(c->priority));
    free(file);
    return r;
}

static int run(ctl *c)
{
    json_t *answer = ctl_call(c, "ExecuteWorkflow", start_request(c));
    int code = show_end(c, answer);

    json_decref(answer);
    return code;
}

static int start(ctl *c)
{
    json_t *answer = ctl_call(c, "StartExecution", start_request(c));

    if (c->json)
        put_json(answer);
    else
        printf("%s\n", text_of(answer, "execution_id"));
    json_decref(answer);
    return EXIT_SUCCESS;
}

static int control(ctl *c, const char *method)
{
    const char *who = getenv("USER");

    for (int i = 0; i < c->count; i++) {
        json_t *r = json_pack("{s:s}", "execution_id", c->args[i]);

        set(r, "who", who && *who ? who : NULL);
        set(r, "why", c->why);
        json_decref(ctl_call(c, method, r));
    }
    return EXIT_SUCCESS;
}

static int cancel(ctl *c)
{
    return control(c, "Cancel");
}

static int terminate(ctl *c)
{
    return control(c, "Terminate");
}

static int pause_it(ctl *c)
{
    return control(c, "Pause");
}

static int resume(ctl *c)
{
    return control(c, "Resume");
}

static int retry(ctl *c)
{
    return control(c, "Retry");
}

static int delete_version(ctl *c)
{
    const char *who = getenv("USER");
    json_t *r = json_pack("{s:s,s:s,s:b}", "workflow_id", c->args[0], "version", c->args[1],
                          "force", c->force);

    set(r, "who", who && *who ? who : NULL);
    set(r, "why", c->why);
    json_decref(ctl_call(c, "DeleteWorkflow", r));
    return EXIT_SUCCESS;
}

static int send_signal(ctl *c)
{
    json_t *r = json_pack("{s:s,s:s}", "execution_id", c->args[0], "name", c->args[1]);

    set(r, "payload", c->count > 2 ? c->args[2] : NULL);
    set(r, "why", c->why);
    json_decref(ctl_call(c, "Signal", r));
    return EXIT_SUCCESS;
}

/* ---- the command line ------------------------------------------------------------------------------------ */

typedef struct command_row {
    const char *name;
    int (*run)(ctl *c);
    int least, most; /* arguments */
    int no_limit;    /* of time, unless one is given */
} command_row;

static const command_row commands[] = {
    {"apply", apply, 1, INT_MAX, 0},     {"workflows", list_workflows, 0, 1, 0},
    {"delete", delete_version, 2, 2, 0}, {"run", run, 1, 1, 1},
    {"start", start, 1, 1, 0},           {"list", list_executions, 0, 0, 0},
    {"show", show_execution, 1, 1, 0},   {"steps", show_steps, 1, 1, 0},
    {"history", show_history, 1, 1, 0},  {"watch", watch_execution, 1, 1, 0},
    {"cancel", cancel, 1, INT_MAX, 0},   {"terminate", terminate, 1, INT_MAX, 0},
    {"pause", pause_it, 1, INT_MAX, 0},  {"resume", resume, 1, INT_MAX, 0},
    {"retry", retry, 1, INT_MAX, 0},     {"signal", send_signal, 2, 3, 0},
    {"engines", list_engines, 0, 0, 0},  {"events", show_events, 0, 1, 1},
    {"graph", show_graph, 1, 1, 0},      {"completion", show_completion, 1, 1, 0},
};

static int32_t number(const ctl *c, const char *text, const char *name, long min, long max)
{
    char *end, line[100];
    long n = strtol(text, &end, 10);

    if (*end || end == text || n < min || n > max) {
        snprintf(line, sizeof line, "--%.20s is a number from %ld to %ld", name, min, max);
        program_misuse(&c->program, line);
    }
    return (int32_t)n;
}

/* True: argv[*i] was an option. */
static int take_text(ctl *c, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **to;
    } texts[] = {
        {"server", &c->server}, {"version", &c->version},   {"id", &c->id},
        {"input", &c->input},   {"key", &c->key},           {"state", &c->state},
        {"format", &c->format}, {"workflow", &c->workflow}, {"why", &c->why},
        {"update", &c->policy}, {"severity", &c->level},
    };

    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        const char *value = program_flag(&c->program, argc, argv, i, texts[k].name);

        if (value) {
            *texts[k].to = value;
            return 1;
        }
    }
    return 0;
}

static int take_option(ctl *c, int argc, char **argv, int *i)
{
    const char *value = NULL;

    if (!strcmp(argv[*i], "--version") && *i + 1 == argc)
        return program_common_flag(&c->program, argc, argv, i);
    if (take_text(c, argc, argv, i))
        return 1;
    if (!strcmp(argv[*i], "-o") && *i + 1 < argc)
        value = argv[++*i];
    else
        value = program_flag(&c->program, argc, argv, i, "output");
    if (value) {
        c->json = !strcmp(value, "json");
        if (!c->json && strcmp(value, "text") != 0)
            program_misuse(&c->program, "--output is json or text");
    } else if ((value = program_flag(&c->program, argc, argv, i, "timeout")) != NULL) {
        c->timeout_ms = number(c, value, "timeout", 1, 2000000) * 1000;
    } else if ((value = program_flag(&c->program, argc, argv, i, "priority")) != NULL) {
        c->priority = number(c, value, "priority", 0, 9);
    } else if ((value = program_flag(&c->program, argc, argv, i, "limit")) != NULL) {
        c->limit = number(c, value, "limit", 1, 10000);
    } else if (!strcmp(argv[*i], "--all")) {
        c->all = 1;
    } else if (!strcmp(argv[*i], "--force")) {
        c->force = 1;
    } else {
        return program_common_flag(&c->program, argc, argv, i);
    }
    return 1;
}

static const command_row *find_command(const ctl *c)
{
    char line[100];

    if (!c->count)
        program_misuse(&c->program, "which command?");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(c->args[0], commands[i].name))
            return &commands[i];
    snprintf(line, sizeof line, "there is no command '%.40s'", c->args[0]);
    program_misuse(&c->program, line);
    return NULL;
}

int main(int argc, char **argv)
{
    ctl c = {.priority = -1, .limit = 100, .timeout_ms = -1};
    const char *from_environment = getenv("ORCHCTL_SERVER");
    const command_row *command;
    orch_error *err = NULL;
    int code;

    program_begin(&c.program, "orchctl", usage);
    c.server = from_environment && *from_environment ? from_environment : "127.0.0.1:50050";
    c.args = argv + 1;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            if (!take_option(&c, argc, argv, &i))
                program_misuse(&c.program, argv[i]);
        } else {
            c.args[c.count++] = argv[i];
        }
    }
    command = find_command(&c);
    c.args++;
    c.count--;
    if (c.count < command->least || c.count > command->most)
        program_misuse(&c.program, "the command does not take so many arguments");
    if (c.timeout_ms < 0)
        c.timeout_ms = command->no_limit ? 0 : 30000;
    c.client = orch_client_new(c.program.config, c.server, &err);
    if (!c.client)
        program_fail(&c.program, c.server, err);
    code = command->run(&c);
    ctl_end(&c);
    return code;
}

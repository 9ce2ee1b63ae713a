/* An engine to deploy: it runs workflows for orchestrators that reach it over gRPC, until SIGTERM; then it hands back what it has. */
#include "../common/program.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: orch-engine [--listen ENDPOINT] [--name NAME] [--capacity N] [--allow LIST] [--grace SECONDS]\n"
    "                   [--log-level LEVEL] [--set KEY=VALUE]...\n"
    "  --listen ENDPOINT  HOST:PORT or unix:PATH; port 0 = any (default 0.0.0.0 and the port of PORT, 50051)\n"
    "  --name NAME        what orchestrators call it (ENGINE_ID, default the host's name)\n"
    "  --capacity N       executions at a time (CAPACITY, default 10)\n"
    "  --allow LIST       of \"lua http exec\", or none (EXECUTORS, default \"lua http\")\n"
    "  --grace SECONDS    for what runs to end after SIGTERM (default 30)\n"
    "  --log-level LEVEL  debug, info, warning, error or critical (default info)\n"
    "  --set KEY=VALUE    any other key; all keys are read from the environment too, as ORCH_KEY\n";

static int is_set(const program *p, const char *key)
{
    return orch_config_get(p->config, key) != NULL;
}

int main(int argc, char **argv)
{
    program p;
    orch_error *err = NULL;
    const char *endpoint = NULL, *value;
    orch_engine *engine;
    uint16_t port = 0;
    int32_t grace_s = 30, code;
    char line[200];

    program_begin(&p, "orch-engine", usage);
    if (!getenv("ORCH_EXECUTORS")) /* what a step may do on this machine is for its owner to say */
        program_set(&p, "EXECUTORS", "lua http");
    for (int i = 1; i < argc; i++) {
        if (program_common_flag(&p, argc, argv, &i))
            continue;
        if ((value = program_flag(&p, argc, argv, &i, "listen")) != NULL)
            endpoint = value;
        else if ((value = program_flag(&p, argc, argv, &i, "name")) != NULL)
            program_set(&p, "ENGINE_ID", value);
        else if ((value = program_flag(&p, argc, argv, &i, "capacity")) != NULL)
            program_set(&p, "CAPACITY", value);
        else if ((value = program_flag(&p, argc, argv, &i, "allow")) != NULL)
            program_set(&p, "EXECUTORS", value);
        else if ((value = program_flag(&p, argc, argv, &i, "grace")) != NULL)
            grace_s = (int32_t)strtol(value, NULL, 10);
        else
            program_misuse(&p, argv[i]);
    }
    if (grace_s < 0 || grace_s > 3600)
        program_misuse(&p, "--grace is 0 to 3600 seconds");

    program_block_signals();
    engine = orch_engine_new(p.config, &err);
    if (!engine)
        program_fail(&p, "no engine", err);
    orch_engine_set_log(engine, program_log, &p, NULL, p.log_level);
    if (orch_engine_listen(engine, endpoint, &port, &err))
        program_fail(&p, "cannot listen", err);
    snprintf(line, sizeof line, "engine %.60s listens at port %u; executors: %.30s",
             is_set(&p, "ENGINE_ID") ? orch_config_get(p.config, "ENGINE_ID") : "", port,
             orch_config_get(p.config, "EXECUTORS"));
    program_log(&p, ORCH_LOG_INFO, line);

    program_wait();
    program_log(&p, ORCH_LOG_INFO, "draining: nothing new is taken, what runs may end");
    code = orch_engine_stop(engine, grace_s * 1000, &err);
    if (code)
        program_log(&p, ORCH_LOG_WARNING, orch_error_message(err));
    orch_error_free(err);
    program_log(&p, ORCH_LOG_INFO, "stopped");
    orch_engine_free(engine);
    orch_config_free(p.config);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}

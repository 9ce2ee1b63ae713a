/* An orchestrator to deploy: a store, the management service for clients such as orchctl, and engines that it reaches over gRPC. */
#include "../common/program.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: orch-server [--listen ENDPOINT] [--store URL] [--engines LIST] [--local N] [--grace SECONDS]\n"
    "                   [--log-level LEVEL] [--set KEY=VALUE]...\n"
    "  --listen ENDPOINT  of the management service: HOST:PORT or unix:PATH; port 0 = any (default 127.0.0.1:50050)\n"
    "  --store URL        sqlite:PATH or memory: (STORE_URL, default sqlite:orch.db)\n"
    "  --engines LIST     grpc://HOST:PORT[?name=NAME&capacity=N], with commas between (STATIC_ENGINES)\n"
    "  --local N          an engine in this process too, for N executions at a time (LOCAL_CAPACITY)\n"
    "  --grace SECONDS    for what runs in this process to end after SIGTERM (default 10)\n"
    "  --log-level LEVEL  debug, info, warning, error or critical (default info)\n"
    "  --set KEY=VALUE    any other key; all keys are read from the environment too, as ORCH_KEY\n";

int main(int argc, char **argv)
{
    program p;
    orch_error *err = NULL;
    const char *endpoint = "127.0.0.1:50050", *value;
    orch_v2 *orch;
    uint16_t port = 0;
    int32_t grace_s = 10, code;
    char line[100];

    program_begin(&p, "orch-server", usage);
    if (!orch_config_get(p.config, "STORE_URL"))
        program_set(&p, "STORE_URL", "sqlite:orch.db");
    if (!getenv("ORCH_EXECUTORS"))
        program_set(&p, "EXECUTORS", "lua http");
    if (orch_config_get(p.config, "STATIC_ENGINES"))
        program_set(&p, "DISCOVERY_TYPE", "static");
    for (int i = 1; i < argc; i++) {
        if (program_common_flag(&p, argc, argv, &i))
            continue;
        if ((value = program_flag(&p, argc, argv, &i, "listen")) != NULL) {
            endpoint = value;
        } else if ((value = program_flag(&p, argc, argv, &i, "store")) != NULL) {
            program_set(&p, "STORE_URL", value);
        } else if ((value = program_flag(&p, argc, argv, &i, "engines")) != NULL) {
            program_set(&p, "STATIC_ENGINES", value);
            program_set(&p, "DISCOVERY_TYPE", "static");
        } else if ((value = program_flag(&p, argc, argv, &i, "local")) != NULL) {
            program_set(&p, "LOCAL_CAPACITY", value);
        } else if ((value = program_flag(&p, argc, argv, &i, "grace")) != NULL) {
            grace_s = (int32_t)strtol(value, NULL, 10);
        } else {
            program_misuse(&p, argv[i]);
        }
    }
    if (grace_s < 0 || grace_s > 3600)
        program_misuse(&p, "--grace is 0 to 3600 seconds");

    program_block_signals();
    orch = orch_v2_new(p.config, &err);
    if (!orch)
        program_fail(&p, "no orchestrator", err);
    orch_v2_set_log(orch, program_log, &p, NULL, p.log_level);
    if (orch_v2_listen(orch, endpoint, &port, &err))
        program_fail(&p, "cannot listen", err);
    snprintf(line, sizeof line, "the management service listens at port %u", port);
    program_log(&p, ORCH_LOG_INFO, line);

    program_wait();
    program_log(&p, ORCH_LOG_INFO, "stopping: what has not ended goes on after the next start");
    code = orch_v2_stop(orch, grace_s * 1000, &err);
    if (code)
        program_log(&p, ORCH_LOG_WARNING, orch_error_message(err));
    orch_error_free(err);
    program_log(&p, ORCH_LOG_INFO, "stopped");
    orch_v2_free(orch);
    orch_config_free(p.config);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}

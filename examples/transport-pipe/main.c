/*
 * The transport of pipe.c at work.
 *
 *     transport-pipe check               whether it does what is asked of a transport, rule by rule
 *     transport-pipe engine PATH         an engine that is reached at pipe:PATH, until SIGTERM or SIGINT
 *     transport-pipe run PATH [COUNT]    an orchestrator that has the engine at pipe:PATH run a workflow COUNT times
 */
#include <orch/orch.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipe.h"

static const char definition[] =
    "{\"id\": \"greet\", \"version\": \"1.0.0\","
    " \"steps\": ["
    "  {\"id\": \"words\", \"executor\": \"words\"},"
    "  {\"id\": \"loud\", \"executor\": \"lua\", \"depends_on\": [\"words\"],"
    "   \"with\": {\"code\": \"return string.upper(steps.words.output)\"}}],"
    " \"output\": \"${steps.loud.output}\"}";

static int failed(const char *what, orch_error *error)
{
    fprintf(stderr, "%s: %s\n", what, orch_error_message(error));
    orch_error_free(error);
    return 1;
}

/* ---- check ----------------------------------------------------------------------------------------------- */

#define SIDES 2

static void *sides[SIDES]; /* those that are there */

static void *begin(void *user_data, int32_t is_engine)
{
    (void)user_data;
    return sides[is_engine] = pipe_new();
}

static void end(void *side)
{
    for (int i = 0; i < SIDES; i++)
        if (sides[i] == side)
            sides[i] = NULL;
    pipe_free(side);
}

static void cut(void *user_data)
{
    (void)user_data;
    for (int i = 0; i < SIDES; i++)
        if (sides[i])
            pipe_cut(sides[i]);
}

static void report(void *user_data, const char *rule, const char *why)
{
    (void)user_data;
    printf("%-8s %s\n", !why ? "-" : *why ? "FAILED" : "ok", rule);
    if (why && *why)
        printf("         %s\n", why);
}

static int check(void)
{
    char folder[] = "/tmp/transport-pipe-XXXXXX", address[64], nobody[64];
    orch_transport_subject subject = {0};
    orch_error *error = NULL;
    int32_t rc;

    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    snprintf(address, sizeof address, "%s/engine", folder);
    snprintf(nobody, sizeof nobody, "%s/nobody", folder);
    subject.size = sizeof subject;
    subject.name = "pipe";
    subject.ops = &pipe_ops;
    subject.address = address;
    subject.nobody = nobody;
    subject.begin = begin;
    subject.end = end;
    subject.cut = cut;
    subject.report = report;
    rc = orch_testing_transport(&subject, &error);
    rmdir(folder);
    return rc ? failed("transport-pipe", error) : 0;
}

/* ---- two processes --------------------------------------------------------------------------------------- */

static void words(void *user_data, orch_task *task)
{
    (void)user_data;
    orch_task_complete(task, "\"good day\"", 10, NULL);
}

static int32_t serve(orch_engine *engine, const char *endpoint, orch_error **error)
{
    void *side = pipe_new();
    int32_t rc = orch_engine_register_executor(engine, "words", words, NULL, NULL, error);

    if (!rc && side) {
        rc = orch_engine_register_transport(engine, "pipe", &pipe_ops, side, pipe_free, error);
        side = NULL; /* the library's now, or freed */
    }
    if (side)
        pipe_free(side);
    return rc ? rc : orch_engine_listen(engine, endpoint, NULL, error);
}

static int run_engine(const char *endpoint)
{
    orch_error *error = NULL;
    orch_config *config = orch_config_new();
    orch_engine *engine;
    sigset_t ends;
    int got;
    int32_t rc;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* in all threads to come: they are waited for here */
    engine = orch_engine_new(config, &error);
    rc = engine ? serve(engine, endpoint, &error) : orch_error_code(error);
    orch_config_free(config);
    if (!rc) {
        printf("ready\n");
        fflush(stdout);
        sigwait(&ends, &got);
        rc = orch_engine_stop(engine, 10000, &error);
    }
    orch_engine_free(engine);
    return rc ? failed(endpoint, error) : 0;
}

static orch_v2 *open_orchestrator(const char *endpoint, orch_error **error)
{
    void *side = pipe_new();
    orch_config *config = orch_config_new();
    orch_v2 *orch = NULL;
    int32_t rc = orch_config_set(config, "STORE_URL", "memory:", error);

    if (!rc)
        rc = orch_config_set(config, "LOCAL_CAPACITY", "0", error);
    if (!rc)
        orch = orch_v2_new(config, error);
    orch_config_free(config);
    if (orch && side) {
        rc = orch_v2_register_transport(orch, "pipe", &pipe_ops, side, pipe_free, error);
        side = NULL;
    }
    if (orch && !rc)
        rc = orch_v2_add_engine(orch, "engine", endpoint, 100, error);
    if (orch && !rc)
        rc = orch_v2_register_definition(orch, definition, strlen(definition), error);
    if (side)
        pipe_free(side);
    if (!rc)
        return orch;
    orch_v2_free(orch);
    return NULL;
}

static int run_orchestrator(const char *endpoint, int count)
{
    orch_error *error = NULL;
    orch_v2 *orch = open_orchestrator(endpoint, &error);
    int32_t rc = orch ? 0 : 1;

    for (int i = 0; i < count && !rc; i++) {
        orch_response *response = NULL;

        rc = orch_v2_execute_workflow(orch, "greet", NULL, 0, NULL, &response, &error);
        if (!rc)
            printf("%s %s\n", orch_execution_state_name(orch_response_state(response)),
                   orch_response_output(response, NULL));
        orch_response_free(response);
    }
    orch_v2_free(orch);
    return rc ? failed(endpoint, error) : 0;
}

int main(int argc, char **argv)
{
    char endpoint[200];

    if (argc == 2 && !strcmp(argv[1], "check"))
        return check();
    if (argc >= 3)
        snprintf(endpoint, sizeof endpoint, "pipe:%s", argv[2]);
    if (argc == 3 && !strcmp(argv[1], "engine"))
        return run_engine(endpoint);
    if ((argc == 3 || argc == 4) && !strcmp(argv[1], "run"))
        return run_orchestrator(endpoint, argc == 4 ? atoi(argv[3]) : 1);
    fprintf(stderr, "usage: %s check | engine PATH | run PATH [COUNT]\n", argv[0]);
    return 2;
}

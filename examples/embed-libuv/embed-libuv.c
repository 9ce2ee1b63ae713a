/*
 * liborch in a program that lives on libuv: the orchestrator's descriptor is one uv_poll_t among the program's handles. A timer starts
 * ten executions; when the last has ended, the loop runs out of handles, and the program ends.
 */
#include <orch/orch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define EXECUTIONS 10

static const char definition[] =
    "{\"id\": \"square\", \"version\": \"1.0.0\","
    " \"steps\": [{\"id\": \"s\", \"executor\": \"lua\","
    "              \"with\": {\"code\": \"return input.n * input.n\"}}],"
    " \"output\": {\"n\": \"${input.n}\", \"square\": \"${steps.s.output}\"}}";

static orch_v2 *orch;
static uv_poll_t callbacks; /* readable: orch_v2_dispatch has something to do */
static uv_timer_t timer;
static int started, ended;

static void die(const char *what, orch_error *error)
{
    fprintf(stderr, "%s: %s\n", what, orch_error_message(error));
    orch_error_free(error);
    exit(1);
}

static void on_end(void *user_data, orch_response *response)
{
    (void)user_data;
    printf("%s %s\n", orch_execution_state_name(orch_response_state(response)),
           orch_response_output(response, NULL));
    orch_response_free(response);
    if (++ended == EXECUTIONS)
        uv_close((uv_handle_t *)&callbacks, NULL);
}

static void on_timer(uv_timer_t *handle)
{
    orch_error *error = NULL;
    char input[32];

    snprintf(input, sizeof input, "{\"n\": %d}", started);
    if (orch_v2_start_workflow_async(orch, "square", input, strlen(input), NULL, NULL, on_end, NULL,
                                     NULL, &error))
        die("start", error);
    if (++started == EXECUTIONS)
        uv_close((uv_handle_t *)handle, NULL);
}

static void on_callbacks(uv_poll_t *handle, int status, int events)
{
    (void)handle;
    (void)status;
    (void)events;
    orch_v2_dispatch(orch);
}

static void open_orchestrator(void)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;

    if (!config || orch_config_set(config, "STORE_URL", "memory:", &error) ||
        orch_config_load_env(config, &error))
        die("configuration", error);
    orch = orch_v2_new(config, &error);
    orch_config_free(config);
    if (!orch)
        die("open", error);
    if (orch_v2_register_definition(orch, definition, sizeof definition - 1, &error))
        die("register", error);
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    orch_error *error = NULL;

    open_orchestrator();
    uv_poll_init(loop, &callbacks, orch_v2_fd(orch));
    uv_poll_start(&callbacks, UV_READABLE, on_callbacks);
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, on_timer, 0, 20);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    if (orch_v2_stop(orch, 5000, &error))
        die("stop", error);
    orch_v2_free(orch);
    return ended == EXECUTIONS ? 0 : 1;
}

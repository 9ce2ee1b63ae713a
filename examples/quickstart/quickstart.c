#include <orch/orch.h>
#include <stdio.h>

static const char hello[] =
    "{\"id\": \"hello\", \"version\": \"1.0.0\", \"steps\": ["
    "{\"id\": \"system\", \"executor\": \"exec\", \"with\": {\"argv\": [\"uname\", \"-s\"]}},"
    "{\"id\": \"greet\", \"executor\": \"print\", \"depends_on\": [\"system\"],"
    " \"with\": \"Hello ${input.name}, from ${steps.system.output.stdout}\"}]}";

static void print(void *file, orch_task *task) /* a step that is a function of this program */
{
    fprintf(file, "%s\n", orch_task_input(task, NULL));
    orch_task_complete(task, NULL, 0, NULL);
}

int main(void)
{
    orch_config *config = orch_config_new();
    orch_v2 *orch = NULL;
    orch_response *end = NULL;
    orch_error *err = NULL;
    int state = -1;

    if (!orch_config_set(config, "STORE_URL", "sqlite:hello.db", &err) &&
        (orch = orch_v2_new(config, &err)) != NULL &&
        !orch_engine_register_executor(orch_v2_local_engine(orch), "print", print, stdout, NULL,
                                       &err) &&
        !orch_v2_register_definition(orch, hello, sizeof hello - 1, &err) &&
        !orch_v2_execute_workflow(orch, "hello", "{\"name\": \"world\"}", 17, NULL, &end, &err))
        state = orch_response_state(end);
    puts(err ? orch_error_message(err) : orch_execution_state_name(state));
    orch_error_free(err);
    orch_response_free(end);
    orch_v2_free(orch);
    orch_config_free(config);
    return state != ORCH_EXECUTION_SUCCEEDED;
}

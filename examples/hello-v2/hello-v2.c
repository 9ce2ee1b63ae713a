#include <orch/orch.h>
#include <stdio.h>

static void greet(void *user_data, orch_task *task)
{
    (void)user_data;
    printf("Hello %s\n", orch_task_input(task, NULL));
    orch_task_complete(task, NULL, 0, NULL);
}

static int32_t build(orch_builder *b, void *user_data, orch_error **err)
{
    (void)user_data, (void)err;
    orch_builder_step(b, "greet", "greet", "\"${input.name}\"");
    return 0;
}

int main(void)
{
    orch_config *config = orch_config_new();
    orch_v2 *orch = NULL;
    orch_response *end = NULL;
    orch_error *err = NULL;
    int state = -1;

    if (!orch_config_set(config, "STORE_URL", "memory:", &err) &&
        (orch = orch_v2_new(config, &err)) != NULL &&
        !orch_engine_register_executor(orch_v2_local_engine(orch), "greet", greet, NULL, NULL,
                                       &err) &&
        !orch_v2_register_workflow(orch, "hello", "1.0.0", build, NULL, NULL, NULL, 0, &err) &&
        !orch_v2_execute_workflow(orch, "hello", "{\"name\": \"world\"}", 17, NULL, &end, &err))
        state = orch_response_state(end);
    puts(err ? orch_error_message(err) : orch_execution_state_name(state));
    orch_error_free(err);
    orch_response_free(end);
    orch_v2_free(orch);
    orch_config_free(config);
    return state != ORCH_EXECUTION_SUCCEEDED;
}

/* Templates and expressions: a JSON value with ${…} in it, or (first byte '=') one expression. What is well written gives the same
 * twice, within its budgets. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "workflow/template.h"

static json_t *input, *execution, *value;

static int32_t step_number(void *ctx, const char *name, size_t len, uint32_t *out, orch_error **err)
{
    (void)ctx;
    (void)err;
    if (len != 1 || *name < 'a' || *name > 'c')
        return ORCH_E_NOT_FOUND;
    *out = (uint32_t)(*name - 'a');
    return 0;
}

static json_t *step_value(void *ctx, uint32_t step)
{
    (void)ctx;
    return step < 2 ? value : NULL;
}

static const char *step_name(void *ctx, uint32_t step)
{
    static const char *const names[] = {"a", "b", "c"};

    (void)ctx;
    return names[step % 3];
}

static void prepare(void)
{
    if (input)
        return;
    input = json_loads(
        "{\"n\":7,\"text\":\"x\",\"list\":[1,2,{\"k\":null}],\"deep\":{\"a\":{\"b\":1.5}}}", 0,
        NULL);
    execution = json_loads("{\"id\":\"e\",\"workflow\":\"w\",\"version\":\"1.0.0\",\"run\":1}", 0,
                           NULL);
    value = json_loads(
        "{\"status\":\"succeeded\",\"output\":{\"id\":3,\"list\":[1,2]},\"error\":null}", 0, NULL);
    HOLDS(input && execution && value);
}

static int32_t evaluate(const template *t, json_t **out)
{
    static const uint32_t dependencies[] = {0, 1, 2};
    scope s = {.input = input,
               .execution = execution,
               .index = -1,
               .step = step_value,
               .step_name = step_name,
               .dependencies = dependencies,
               .dependency_count = 3};
    sandbox_limits limits = {.instructions = 200000, .memory_bytes = 2 << 20};
    orch_error *error = NULL;
    sandbox *lua = NULL;
    int32_t rc;

    *out = NULL;
    HOLDS(sandbox_new(&limits, &lua, &error) == 0);
    rc = template_evaluate(t, &s, lua, out, &error);
    HOLDS((rc == 0) == (*out != NULL));
    HOLDS(rc == 0 || (orch_error_code(error) == rc && *orch_error_message(error)));
    orch_error_free(error);
    sandbox_free(lua);
    return rc;
}

static int32_t compile(const uint8_t *data, size_t size, const template_names *names,
                       template **out)
{
    orch_error *error = NULL;
    json_t *tree;
    int32_t rc;
    char *text;

    if (size && *data == '=') {
        text = fuzz_string(data + 1, size - 1);
        rc = template_compile_expression(text, names, out, &error);
        free(text);
    } else {
        tree = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
        if (!tree)
            return ORCH_E_INVALID_ARGUMENT;
        rc = template_compile(tree, names, out, &error);
        json_decref(tree);
    }
    HOLDS(rc == 0 || error);
    orch_error_free(error);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sandbox_checker checker = {0};
    template_names names = {.step = step_number, .checker = &checker};
    template *t = NULL;

    prepare();
    if (!compile(data, size, &names, &t)) {
        json_t *first, *again;
        int32_t rc = evaluate(t, &first);

        HOLDS(evaluate(t, &again) == rc);
        HOLDS(rc || json_equal(first, again));
        json_decref(first);
        json_decref(again);
        template_free(t);
    }
    sandbox_checker_close(&checker);
    return 0;
}

/* What goes from step to step: by the definition, never by what the library made of it. */
#include <inttypes.h>
#include <jansson.h>

#include "simulation/model_impl.h"

static uint32_t first_of(const described_step *s)
{
    uint32_t i = 0;

    while (!(s->after >> i & 1))
        i++;
    return i;
}

/* Work leaves its number: a value that is one tells whose it is. 0: the step left nothing of that kind. */
static uint64_t left_by(const execution *e, uint32_t number)
{
    const described_step *s = &e->d->step[number];

    return s->kind == DO_WORK && !s->items ? e->now->stands[number][0].output : 0;
}

static uint64_t number_in(const json_t *value)
{
    return (uint64_t)json_integer_value(json_object_get(value, "n"));
}

/* Templates of grammar.c: the item, the output of the first dependency, or 7. */
void model_check_input(const execution *e, const attempt *a, uint32_t number)
{
    const described_step *s = &e->d->step[number];
    const json_t *given = json_object_get(a->with, "n");
    uint64_t is, should;

    if (s->items || !s->after) {
        is = (uint64_t)json_integer_value(given);
        should = s->items ? a->index : 7;
    } else {
        should = left_by(e, first_of(s));
        is = number_in(given);
        if (!should)
            return;
    }
    if (!json_is_number(given) && !json_is_object(given))
        is = UINT64_MAX;
    if (is != should)
        broken("A step sees what those before it left", "%s sees %" PRIu64 ", not %" PRIu64,
               a->idempotency_key, is, should);
}

void model_check_output(const execution *e, const bytes *output)
{
    uint64_t should = left_by(e, e->d->steps - 1u), is;
    json_t *value;

    if (!e->d->has_output || !should)
        return;
    value = output ? json_loadb(output->data, output->len, 0, NULL) : NULL;
    is = number_in(json_object_get(value, "last"));
    json_decref(value);
    if (is != should)
        broken("An execution's output is what its steps left",
               "%s has #%" PRIu64 ", and s%u left #%" PRIu64, e->id, is, e->d->steps - 1u, should);
}

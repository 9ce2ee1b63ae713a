/* The definitions that an engine holds: each travels once. */
#include "engine/engine_impl.h"

known_definition *known_find(engine *e, const digest *d)
{
    known_definition *k;

    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it does not see through uthash's tables */
    HASH_FIND(hh, e->known, d, sizeof *d, k);
    return k;
}

static void forget(engine *e, known_definition *k)
{
    HASH_DEL(e->known, k);
    list_remove(&k->lru);
    e->known_count--;
    definition_unref(k->definition);
    mem_free(k);
}

static void forget_unused(engine *e)
{
    LIST_EACH(it, &e->known_lru)
    {
        known_definition *k = LIST_ENTRY(it, known_definition, lru);

        if (e->known_count <= KNOWN_DEFINITIONS_MAX)
            return;
        if (k->users)
            continue;
        it = it->prev;
        forget(e, k);
    }
}

known_definition *known_add(engine *e, definition *d)
{
    known_definition *k = known_find(e, &d->digest);

    if (k)
        return k;
    k = mem_zalloc(sizeof *k + d->executor_count * sizeof *k->executors);
    if (!k)
        return NULL;
    k->definition = definition_ref(d);
    HASH_ADD_KEYPTR(hh, e->known, &k->definition->digest, sizeof d->digest, k);
    if (!map_added(k->hh)) {
        definition_unref(d);
        mem_free(k);
        return NULL;
    }
    list_push(&e->known_lru, &k->lru);
    e->known_count++;
    return k;
}

void known_use(engine *e, known_definition *k)
{
    k->users++;
    list_remove(&k->lru);
    list_push(&e->known_lru, &k->lru);
}

void known_release(engine *e, known_definition *k)
{
    k->users--;
    if (e->known_count > KNOWN_DEFINITIONS_MAX)
        forget_unused(e);
}

void known_free_all(engine *e)
{
    while (e->known)
        forget(e, e->known);
}

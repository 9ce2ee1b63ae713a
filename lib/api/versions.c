/* Definitions as reads of the store need them: names of workflow and version, and of steps. */
#include <string.h>

#include "api/api_impl.h"

void versions_init(version_cache *c)
{
    pthread_mutex_init(&c->lock, NULL);
}

void versions_destroy(version_cache *c)
{
    for (int i = 0; i < VERSION_NAMES; i++)
        version_names_unref(c->names[i]);
    for (int i = 0; i < VERSIONS_PARSED; i++)
        definition_unref(c->parsed[i].definition);
    pthread_mutex_destroy(&c->lock);
}

void version_names_unref(version_names *n)
{
    if (n && atomic_fetch_sub(&n->refs, 1) == 1)
        mem_free(n);
}

/* With two references. */
static version_names *names_new(const definition_row *row)
{
    size_t a = strlen(row->workflow) + 1, b = strlen(row->version) + 1;
    version_names *n = mem_alloc(sizeof *n + a + b);
    char *text;

    if (!n)
        return NULL;
    text = (char *)(n + 1);
    atomic_init(&n->refs, 2);
    n->key = row->key;
    n->workflow = memcpy(text, row->workflow, a);
    n->version = memcpy(text + a, row->version, b);
    return n;
}

/* One row. */
static int32_t load(orch_v2 *o, uint64_t key, bool text, definition_page *out, orch_error **err)
{
    store *s = runtime_store(o->rt);
    int32_t rc = s->ops->load_definitions(s->self, key, text, out, err);

    if (!rc && out->count != 1) {
        definition_page_clear(out);
        rc = error_set(err, ORCH_E_DATA_LOSS, NULL, "definition %llu is not in the store",
                       (unsigned long long)key);
    }
    return rc;
}

int32_t versions_names(orch_v2 *o, uint64_t key, version_names **out, orch_error **err)
{
    version_cache *c = &o->versions;
    version_names **place = &c->names[key % VERSION_NAMES];
    version_names *n = NULL;
    definition_page page = {0};
    int32_t rc;

    pthread_mutex_lock(&c->lock);
    if (*place && (*place)->key == key) {
        n = *place;
        atomic_fetch_add(&n->refs, 1);
    }
    pthread_mutex_unlock(&c->lock);
    if (n) {
        *out = n;
        return 0;
    }
    rc = load(o, key, false, &page, err);
    if (rc)
        return rc;
    n = names_new(&page.rows[0]);
    definition_page_clear(&page);
    if (!n)
        return error_no_memory(err);
    *out = n;
    pthread_mutex_lock(&c->lock);
    version_names_unref(*place);
    *place = n;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static definition *find_parsed(version_cache *c, uint64_t key)
{
    definition *d = NULL;

    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < VERSIONS_PARSED && !d; i++)
        if (c->parsed[i].definition && c->parsed[i].key == key)
            d = definition_ref(c->parsed[i].definition);
    pthread_mutex_unlock(&c->lock);
    return d;
}

static void keep_parsed(version_cache *c, uint64_t key, definition *d)
{
    definition *old;
    uint32_t place;

    pthread_mutex_lock(&c->lock);
    place = c->next_parsed++ % VERSIONS_PARSED;
    old = c->parsed[place].definition;
    c->parsed[place].key = key;
    c->parsed[place].definition = definition_ref(d);
    pthread_mutex_unlock(&c->lock);
    definition_unref(old);
}

int32_t versions_definition(orch_v2 *o, uint64_t key, definition **out, orch_error **err)
{
    definition *d = find_parsed(&o->versions, key);
    definition_page page = {0};
    int32_t rc;

    if (!d) {
        rc = load(o, key, true, &page, err);
        if (rc)
            return rc;
        rc = definition_parse(page.rows[0].text->data, page.rows[0].text->len, NULL, &d, err);
        definition_page_clear(&page);
        if (rc)
            return rc;
        keep_parsed(&o->versions, key, d);
    }
    *out = d;
    return 0;
}

/* Goal: what expressions see of the execution they run in. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/peer.h"

#define STEP_WITH(with)                                                                   \
    "{\"id\":\"w\",\"version\":\"1.0.0\",\"steps\":[{\"id\":\"a\",\"executor\":\"test\"," \
    "\"with\":" with "}]}"

static void begin(peer *p, world *w, const char *parent, const char *definition)
{
    message *m = peer_start(p, w, 64, 1, definition);

    m->start->parent = parent ? mem_strdup(parent) : NULL;
    p->acknowledges = true;
    peer_say(p, m);
    peer_define(p);
}

static void test_the_parent(void **state)
{
    world *w = peer_world(NULL);
    peer p;

    (void)state;
    begin(&p, w, "shop/1/pack", STEP_WITH("\"${execution.parent}\""));
    assert_string_equal(held.with[0], "\"shop/1/pack\"");
    peer_end(&p);
    begin(&p, w, NULL, STEP_WITH("[\"${execution.parent}\",\"${execution.id}\"]"));
    assert_string_equal(held.with[1], "[null,\"order\"]");
    peer_end(&p);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Transports of a host's own. */
#include "support/misuse.h"

#include <stdio.h>
#include <string.h>

/* ---- one that goes nowhere ------------------------------------------------------------------------------- */

static int32_t nowhere_open(void *user_data, const char *address, orch_channel *channel,
                            void **out_state, char *why, size_t why_size)
{
    (void)user_data;
    (void)address;
    (void)channel;
    (void)out_state;
    snprintf(why, why_size, "it goes nowhere");
    return ORCH_E_NOT_FOUND;
}

static int32_t nowhere_send(void *state, const void *data, size_t len)
{
    (void)state;
    (void)data;
    (void)len;
    return ORCH_E_UNAVAILABLE;
}

static void nowhere_resume(void *state)
{
    (void)state;
}

static void nowhere_close(void *state, int32_t code)
{
    (void)state;
    (void)code;
}

static const orch_transport_ops nowhere = {
    .size = sizeof nowhere,
    .open = nowhere_open,
    .send = nowhere_send,
    .resume = nowhere_resume,
    .close = nowhere_close,
};

/* ---- registered wrongly ---------------------------------------------------------------------------------- */

#define REGISTER(name, ops) orch_v2_register_transport(orch, name, ops, NULL, count_free, &err)
#define BAD_OPS(piece, change)                \
    do {                                      \
        orch_transport_ops o = nowhere;       \
        change;                               \
        FREES(BAD(piece, REGISTER("x", &o))); \
    } while (0)

static int32_t no_listen(void *user_data, orch_transport *t, const char *address, char *why,
                         size_t why_size)
{
    (void)user_data;
    (void)t;
    (void)address;
    (void)why;
    (void)why_size;
    return ORCH_E_UNAVAILABLE;
}

static void bad_transport(void)
{
    FREES(BAD("orch must not be NULL",
              orch_v2_register_transport(NULL, "x", &nowhere, NULL, count_free, &err)));
    FREES(BAD("name must not be NULL", REGISTER(NULL, &nowhere)));
    FREES(BAD("name is ''", REGISTER("", &nowhere)));
    FREES(BAD("name is 'X'", REGISTER("X", &nowhere)));
    FREES(BAD("name is '7up'", REGISTER("7up", &nowhere)));
    FREES(BAD("name is 'a:b'", REGISTER("a:b", &nowhere)));
    FREES(BAD("name is 'grpc', which has a meaning", REGISTER("grpc", &nowhere)));
    FREES(BAD("name is", REGISTER(huge, &nowhere)));
    FREES(BAD("ops must not be NULL", REGISTER("x", NULL)));
    BAD_OPS("ops.size is 0", o.size = 0);
    BAD_OPS("open and listen", o.open = NULL);
    BAD_OPS("unlisten", o.listen = no_listen);
    BAD_OPS("send", o.send = NULL);
    BAD_OPS("resume", o.resume = NULL);
    BAD_OPS("close", o.close = NULL);
    BAD_OPS("max_message_bytes is 4095", o.max_message_bytes = 4095);
    BAD_OPS("max_message_bytes is 16777217", o.max_message_bytes = (1U << 24) + 1);
    FREES(BAD("engine must not be NULL",
              orch_engine_register_transport(NULL, "x", &nowhere, NULL, count_free, &err)));
    FREES(BAD("name must not be NULL",
              orch_engine_register_transport(engine, NULL, &nowhere, NULL, count_free, &err)));
}

/* Eight are enough, and the name is taken after the first. */
static int32_t as_expected(int32_t rc)
{
    return rc == ORCH_E_RESOURCE_EXHAUSTED || rc == ORCH_E_ALREADY_EXISTS ? 0 : rc;
}

static int32_t good_transport(void)
{
    int32_t rc = as_expected(
        orch_v2_register_transport(orch, "nowhere", &nowhere, NULL, NULL, NULL));

    if (rc)
        return rc;
    HOST_FAILS(orch_engine_listen(engine, "nowhere:x", NULL, &err), ORCH_E_UNIMPLEMENTED,
               "cannot listen");
    return 0;
}

static int32_t good_engine_transport(void)
{
    return as_expected(
        orch_engine_register_transport(engine, "nowhere", &nowhere, NULL, NULL, NULL));
}

static void bad_channel(void)
{
    assert_null(orch_transport_accepted(NULL, "x", NULL));
    REFUSES(orch_channel_received(NULL, "x", 1));
    orch_channel_ready(NULL);
    orch_channel_closed(NULL, 0);
}

static void *no_side(void *user_data, int32_t is_engine)
{
    (void)user_data;
    (void)is_engine;
    return NULL;
}

#define BAD_SUBJECT(piece, change)                    \
    do {                                              \
        orch_transport_subject s = subject;           \
        change;                                       \
        BAD(piece, orch_testing_transport(&s, &err)); \
    } while (0)

static void bad_subject(void)
{
    const orch_transport_subject subject = {
        .size = sizeof subject,
        .name = "nowhere",
        .ops = &nowhere,
        .address = "x",
        .nobody = "y",
        .begin = no_side,
    };

    BAD("subject must not be NULL", orch_testing_transport(NULL, &err));
    BAD_SUBJECT("subject.size is 1", s.size = 1);
    BAD_SUBJECT("name must not be NULL", s.name = NULL);
    BAD_SUBJECT("ops must not be NULL", s.ops = NULL);
    BAD_SUBJECT("subject.address", s.address = NULL);
    BAD_SUBJECT("subject.nobody", s.nobody = NULL);
    BAD_SUBJECT("subject.begin", s.begin = NULL);
    HOST_FAILS(orch_testing_transport(&subject, &err), FP, "begin gave NULL");
}

/* ---- the rows -------------------------------------------------------------------------------------------- */

const misuse_row misuse_transport_rows[] = {
    {"orch_v2_register_transport", bad_transport, good_transport, FP, FP, 0, FP},
    {"orch_engine_register_transport", bad_transport, good_engine_transport, FP, FP, 0, FP},
    {"orch_transport_accepted orch_channel_received orch_channel_ready orch_channel_closed",
     bad_channel, NULL, 0, 0, 0, 0},
    {"orch_testing_transport", bad_subject, NULL, 0, 0, 0, 0},
    {0},
};

/* Goal: TLS over real sockets between two ends of ours: what is believed, and each way in which it is not, with what is wrong
 * in words; changed files are taken without an end of what goes on; sessions go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "support/certificate.h"
#include "support/net_rig.h"

static net_rig rig;
static net_end client;
static certificate authority, other, server_cert;
static tls_context *server, *trusting; /* a client that believes `authority` */

static tls_context *context(bool is_server, const certificate *own, const certificate *ca)
{
    tls_files files = {own ? own->cert : NULL, own ? own->key : NULL, ca ? ca->cert : NULL};
    tls_context *c = NULL;
    orch_error *error = NULL;

    if (tls_context_new(is_server, &files, NULL, &c, &error))
        fail_msg("%s", orch_error_message(error));
    return c;
}

static int begin(void **state)
{
    (void)state;
    memset(&client, 0, sizeof client);
    net_rig_begin(&rig);
    rig.echo = true;
    authority = certificate_make(rig.folder, "authority", NULL, NULL, 30);
    other = certificate_make(rig.folder, "other", NULL, NULL, 30);
    server_cert = certificate_make(rig.folder, "server",
                                   "DNS:localhost,DNS:*.orch.test,IP:127.0.0.1", &authority, 30);
    server = context(true, &server_cert, NULL);
    trusting = context(false, NULL, &authority);
    net_rig_listen(&rig, "127.0.0.1:0", server);
    return 0;
}

static int end(void **state)
{
    (void)state;
    net_end_close(&client);
    tls_context_free(server);
    tls_context_free(trusting);
    net_rig_end(&rig);
    return 0;
}

/* Another server in the place of the one that listens. */
static void listen_again(tls_context *with)
{
    net_listener_close(rig.listener);
    tls_context_free(server);
    server = with;
    net_rig_listen(&rig, "127.0.0.1:0", server);
}

static void expect_echo(tls_context *with, const char *name)
{
    net_end_close(&client);
    net_rig_dial(&rig, &client, NULL, with, name);
    NET_UNTIL(&rig, client.opened || client.closed);
    assert_string_equal(client.message, "");
    net_end_send(&client, "hello", 5);
    NET_UNTIL(&rig, client.got.len == 5 || client.closed);
    assert_string_equal(client.message, "");
    assert_memory_equal(client.got.data, "hello", 5);
}

/* The client is told `word`; if it is the server that does not want it, that comes when the client is open already (TLS
 * 1.3). */
static void expect_refused(tls_context *with, const char *name, const char *word)
{
    net_end_close(&client);
    net_rig_dial(&rig, &client, NULL, with, name);
    NET_UNTIL(&rig, client.closed);
    assert_int_equal(client.code, ORCH_E_UNAVAILABLE);
    if (!strstr(client.message, word))
        fail_msg("'%s' is not in: %s", word, client.message);
    assert_int_equal(client.len, 0);
}

/* ---- whom to believe ------------------------------------------------------------------------------------------------- */

static void test_names_that_are_in_the_certificate(void **state)
{
    (void)state;
    expect_echo(trusting, "localhost");
    expect_echo(trusting, "127.0.0.1");
    expect_echo(trusting, "engine-1.orch.test");
}

static void test_much_goes_both_ways(void **state)
{
    size_t len = 5 << 20;
    uint8_t *bytes = malloc(len);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 4093);
    net_rig_dial(&rig, &client, NULL, trusting, "localhost");
    NET_UNTIL(&rig, client.opened);
    net_end_send(&client, bytes, len);
    NET_UNTIL(&rig, client.got.len == len);
    assert_memory_equal(client.got.data, bytes, len);
    free(bytes);
}

/* What the host's own calls of OpenSSL left on this thread is none of ours; it would count where a part of a record has come. */
static void test_errors_that_a_host_left(void **state)
{
    static uint8_t bytes[1 << 20];

    (void)state;
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    expect_echo(trusting, "localhost");
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    net_end_send(&client, bytes, sizeof bytes);
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    NET_UNTIL(&rig, client.got.len == 5 + sizeof bytes || client.closed);
    assert_string_equal(client.message, "");
}

static void test_names_that_are_not(void **state)
{
    (void)state;
    expect_refused(trusting, "example.org", "the certificate is not one of 'example.org'");
    expect_refused(trusting, "a.b.orch.test", "the certificate is not one of 'a.b.orch.test'");
    expect_refused(trusting, "127.0.0.2", "the certificate is not one of '127.0.0.2'");
}

static void test_an_authority_that_is_not_believed(void **state)
{
    tls_context *suspicious = context(false, NULL, &other), *system = context(false, NULL, NULL);

    (void)state;
    expect_refused(suspicious, "localhost",
                   "the certificate is not valid: unable to get local issuer");
    expect_refused(system, "localhost", "the certificate is not valid: unable to get local issuer");
    tls_context_free(suspicious);
    tls_context_free(system);
}

static void test_a_certificate_that_is_over(void **state)
{
    certificate late = certificate_make(rig.folder, "late", "DNS:localhost", &authority, -1);

    (void)state;
    listen_again(context(true, &late, NULL));
    expect_refused(trusting, "localhost", "the certificate is not valid: certificate has expired");
}

/* ---- clients that show who they are -------------------------------------------------------------------------------------- */

static void test_mutual_tls(void **state)
{
    certificate own = certificate_make(rig.folder, "client", NULL, &authority, 30);
    certificate foreign = certificate_make(rig.folder, "foreign", NULL, &other, 30);
    tls_context *good = context(false, &own, &authority),
                *bad = context(false, &foreign, &authority);

    (void)state;
    listen_again(context(true, &server_cert, &authority));
    expect_echo(good, "localhost");
    expect_refused(trusting, "localhost", "certificate required");
    expect_refused(bad, "localhost", "unknown ca");
    expect_echo(good, "localhost");
    tls_context_free(good);
    tls_context_free(bad);
}

/* ---- who speaks something else -------------------------------------------------------------------------------------------- */

static void test_one_end_without_tls(void **state)
{
    (void)state;
    net_rig_dial(&rig, &client, NULL, NULL, NULL);
    NET_UNTIL(&rig, client.opened);
    net_end_send(&client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    NET_UNTIL(&rig, rig.count && rig.accepted[0].closed);
    assert_int_equal(rig.accepted[0].opened, 0);
    assert_int_equal(rig.accepted[0].code, ORCH_E_UNAVAILABLE);
    assert_non_null(strstr(rig.accepted[0].message, "TLS: "));
    listen_again(NULL);
    expect_refused(trusting, "localhost", "TLS: "); /* its own hello comes back */
}

static void test_a_server_that_goes_away_in_the_handshake(void **state)
{
    (void)state;
    rig.echo = false;
    listen_again(NULL);
    net_rig_dial(&rig, &client, NULL, trusting, "localhost");
    NET_UNTIL(&rig, rig.count && rig.accepted[0].len);
    net_end_close(&rig.accepted[0]);
    NET_UNTIL(&rig, client.closed);
    assert_non_null(strstr(client.message, "closed the connection in the handshake"));
}

/* ---- files ------------------------------------------------------------------------------------------------------------------ */

static void expect_bad(bool is_server, tls_files files, const char *word)
{
    tls_context *c = NULL;
    orch_error *error = NULL;

    assert_int_equal(tls_context_new(is_server, &files, NULL, &c, &error), ORCH_E_INVALID_ARGUMENT);
    if (!strstr(orch_error_message(error), word))
        fail_msg("'%s' is not in: %s", word, orch_error_message(error));
    orch_error_free(error);
    assert_null(c);
}

static void test_bad_files(void **state)
{
    (void)state;
    expect_bad(true, (tls_files){0}, "TLS_CERT");
    expect_bad(true, (tls_files){.cert = server_cert.cert}, "TLS_KEY");
    expect_bad(false, (tls_files){.key = server_cert.key}, "come together");
    expect_bad(true, (tls_files){"/none", server_cert.key, NULL},
               "certificate '/none': No such file");
    expect_bad(true, (tls_files){server_cert.cert, "/none", NULL}, "private key '/none'");
    expect_bad(true, (tls_files){server_cert.cert, other.key, NULL}, "key values mismatch");
    expect_bad(true, (tls_files){server_cert.key, server_cert.key, NULL}, "no start line");
    expect_bad(false, (tls_files){.ca = "/none"}, "certificates of authorities '/none'");
    expect_bad(false, (tls_files){.ca = server_cert.key}, "certificates of authorities");
}

static void replace(const char *path, const char *by)
{
    assert_int_equal(rename(by, path), 0);
}

/* New connections see the new certificate, the old one goes on; and files that are no good change nothing. */
static void test_files_that_change(void **state)
{
    certificate new = certificate_make(rig.folder, "new", "DNS:localhost", &other, 30);
    tls_context *believes_new = context(false, NULL, &other);
    net_end old;

    (void)state;
    net_rig_dial(&rig, &old, NULL, trusting, "localhost");
    NET_UNTIL(&rig, old.opened);
    replace(server_cert.cert, new.cert);
    replace(server_cert.key, new.key);
    tls_context_check(server, INT64_MAX / 2);
    expect_echo(believes_new, "localhost");
    expect_refused(trusting, "localhost", "the certificate is not valid");
    net_end_send(&old, "still", 5);
    NET_UNTIL(&rig, old.got.len == 5);
    assert_int_equal(unlink(server_cert.key), 0);
    tls_context_check(server, INT64_MAX - 1);
    expect_echo(believes_new, "localhost");
    net_end_close(&old);
    tls_context_free(believes_new);
}

/* ---- sessions ---------------------------------------------------------------------------------------------------------------- */

static void test_a_session_goes_on(void **state)
{
    (void)state;
    expect_echo(trusting, "localhost"); /* with what came, the ticket has */
    assert_int_equal(tls_context_resumed(trusting), 0);
    expect_echo(trusting, "localhost");
    assert_int_equal(tls_context_resumed(trusting), 1);
    assert_int_equal(tls_context_resumed(server), 1);
    expect_echo(trusting, "127.0.0.1"); /* another name is another server */
    assert_int_equal(tls_context_resumed(trusting), 1);
}

/* A context that is gone: its connections go on. */
static void test_a_context_that_is_let_go(void **state)
{
    tls_context *own = context(false, NULL, &authority);

    (void)state;
    net_rig_dial(&rig, &client, NULL, own, "localhost");
    tls_context_free(own);
    NET_UNTIL(&rig, client.opened);
    net_end_send(&client, "hello", 5);
    NET_UNTIL(&rig, client.got.len == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_that_are_in_the_certificate, begin, end),
        cmocka_unit_test_setup_teardown(test_much_goes_both_ways, begin, end),
        cmocka_unit_test_setup_teardown(test_errors_that_a_host_left, begin, end),
        cmocka_unit_test_setup_teardown(test_names_that_are_not, begin, end),
        cmocka_unit_test_setup_teardown(test_an_authority_that_is_not_believed, begin, end),
        cmocka_unit_test_setup_teardown(test_a_certificate_that_is_over, begin, end),
        cmocka_unit_test_setup_teardown(test_mutual_tls, begin, end),
        cmocka_unit_test_setup_teardown(test_one_end_without_tls, begin, end),
        cmocka_unit_test_setup_teardown(test_a_server_that_goes_away_in_the_handshake, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_files, begin, end),
        cmocka_unit_test_setup_teardown(test_files_that_change, begin, end),
        cmocka_unit_test_setup_teardown(test_a_session_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(test_a_context_that_is_let_go, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

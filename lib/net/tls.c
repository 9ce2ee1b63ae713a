#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_impl.h"
#include "base/unconst.h"

/* ---- OpenSSL's side of the wire: it reads what was fed, and writes into the caller's buffer ------------------ */

static int wire_read(BIO *bio, char *out, int size)
{
    tls *t = BIO_get_data(bio);
    size_t n = t->in_len < (size_t)size ? t->in_len : (size_t)size;

    BIO_clear_retry_flags(bio);
    if (!n) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, t->in, n);
    t->in += n;
    t->in_len -= n;
    return (int)n;
}

static int wire_write(BIO *bio, const char *data, int len)
{
    tls *t = BIO_get_data(bio);

    if (!t->out)
        return -1;
    buf_add(t->out, data, (size_t)len);
    return t->out->failed ? -1 : len;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int wire_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *method; /* kept for the life of the process */
static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_method(void)
{
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "liborch");
    if (!method)
        return;
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_control);
    BIO_meth_set_create(method, wire_create);
}

/* ---- a connection ---------------------------------------------------------------------------------------------- */

static bool is_address(const char *name)
{
    struct in6_addr any;

    return inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

static bool set_name(tls *t, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);

    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* OpenSSL's macro for it drops the const by a cast. */
    return SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    unconst(name)) == 1 &&
           SSL_set1_host(t->ssl, name) == 1;
}

static bool set_up(tls *t, const char *server_name)
{
    BIO *bio = NULL;

    if (CRYPTO_THREAD_run_once(&method_once, make_method) == 1 && method)
        bio = BIO_new(method);
    if (!bio)
        return false;
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    if (!server_name) {
        SSL_set_accept_state(t->ssl);
        return true;
    }
    SSL_set_connect_state(t->ssl);
    t->name = mem_strdup(server_name);
    if (!t->name || !set_name(t, server_name))
        return false;
    if (t->context->session && strcmp(t->context->session_name, server_name) == 0)
        SSL_set_session(t->ssl, t->context->session);
    return true;
}

tls *tls_new(tls_context *c, const char *server_name, int64_t now_ns)
{
    tls *t = mem_zalloc(sizeof *t);

    if (!t)
        return NULL;
    tls_context_check(c, now_ns);
    t->context = c;
    c->references++;
    t->ssl = SSL_new(c->ctx);
    if (t->ssl && set_up(t, server_name))
        return t;
    tls_free(t);
    return NULL;
}

void tls_free(tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    ERR_clear_error();
    mem_free(t->name);
    tls_context_release(t->context);
    mem_free(t);
}

void tls_feed(tls *t, const uint8_t *wire, size_t len)
{
    t->in = wire;
    t->in_len = len;
}

/* Why the other end's certificate was not believed; false if that is not what is wrong. */
static bool say_verdict(tls *t)
{
    long verdict = SSL_get_verify_result(t->ssl);

    if (verdict == X509_V_OK)
        return false;
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(t->error, sizeof t->error, "TLS: the certificate is not one of '%.150s'", t->name);
    else
        snprintf(t->error, sizeof t->error, "TLS: the certificate is not valid: %s",
                 X509_verify_cert_error_string(verdict));
    return true;
}

static int fail(tls *t)
{
    char reason[200];

    tls_reason(reason, sizeof reason);
    if (!say_verdict(t))
        snprintf(t->error, sizeof t->error, "TLS: %s", reason);
    return TLS_FAILED;
}

/* Before a call: what is in the thread's queue, if only a host's, would be taken for its outcome. To look costs a tenth of
 * clearing what is empty. */
static void forget_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

static int check_alpn(tls *t)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(t->ssl, &name, &len);
    if (len == 2 && memcmp(name, "h2", 2) == 0)
        return 1;
    snprintf(t->error, sizeof t->error, "TLS: the other end does not speak HTTP/2 (no h2 in ALPN)");
    return TLS_FAILED;
}

static int shake(tls *t)
{
    int rc = SSL_do_handshake(t->ssl);

    if (rc == 1) {
        t->ready = true;
        t->context->resumed += (uint64_t)SSL_session_reused(t->ssl);
        return check_alpn(t);
    }
    return SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ ? TLS_AGAIN : fail(t);
}

static int read_plain(tls *t, uint8_t *plain, size_t size)
{
    int rc;

    if (!t->in_len && !SSL_pending(t->ssl))
        return TLS_AGAIN; /* as OpenSSL, which reads nothing ahead, would find with more ado */
    rc = SSL_read(t->ssl, plain, (int)size);
    if (rc > 0)
        return rc;
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_WANT_READ: return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return TLS_CLOSED;
    default: return fail(t);
    }
}

int tls_read(tls *t, uint8_t *plain, size_t size, buf *wire)
{
    int rc = 1;

    t->out = wire;
    forget_errors();
    if (!t->ready)
        rc = shake(t);
    if (rc > 0)
        rc = read_plain(t, plain, size);
    t->out = NULL;
    return rc;
}

bool tls_ready(const tls *t)
{
    return t->ready;
}

bool tls_write(tls *t, const uint8_t *plain, size_t len, buf *wire)
{
    t->out = wire;
    forget_errors();
    while (len) {
        int part = len < (1U << 30) ? (int)len : 1 << 30;
        int rc = SSL_write(t->ssl, plain, part);

        if (rc <= 0) {
            fail(t);
            break;
        }
        plain += rc;
        len -= (size_t)rc;
    }
    t->out = NULL;
    return !len;
}

void tls_goodbye(tls *t, buf *wire)
{
    t->out = wire;
    if (t->ready)
        SSL_shutdown(t->ssl);
    ERR_clear_error();
    t->out = NULL;
}

const char *tls_error(const tls *t)
{
    return t->error;
}

/* What TLS connections share. A changed file makes a new SSL_CTX: connections hold the one that they began with. */
#include <openssl/err.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/tls_impl.h"

#define CHECK_EVERY_NS 1000000000

/* OpenSSL's own of TLS 1.3, but the faster first, as others have it: 128 bits are enough. */
static const char ciphers[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const unsigned char alpn[] = {2, 'h', '2'};

void tls_reason(char *out, size_t size)
{
    unsigned long code = ERR_peek_error(); /* the first is the cause */
    const char *reason = ERR_SYSTEM_ERROR(code) ? strerror((int)ERR_GET_REASON(code))
                                                : ERR_reason_error_string(code);

    snprintf(out, size, "%s", reason ? reason : "the connection broke");
    ERR_clear_error();
}

static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                     const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned i = 0; i + 2 < in_len; i += 1U + in[i])
        if (in[i] == 2 && in[i + 1] == 'h' && in[i + 2] == '2') {
            *out = in + i + 1;
            *out_len = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A server gave the client a session, for the next connection to it. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    tls *t = SSL_get_app_data(ssl);
    tls_context *c = t->context;
    char *name = mem_strdup(t->name);

    if (!name)
        return 0;
    SSL_SESSION_free(c->session);
    mem_free(c->session_name);
    c->session = session;
    c->session_name = name;
    return 1;
}

static int32_t bad_file(const char *path, const char *what, orch_error **err)
{
    char reason[200];

    tls_reason(reason, sizeof reason);
    return error_set(err, ORCH_E_INVALID_ARGUMENT, path, "%s '%s': %s", what, path, reason);
}

static int32_t load_files(tls_context *c, SSL_CTX *ctx, orch_error **err)
{
    const char *cert = c->files[FILE_CERT], *key = c->files[FILE_KEY], *ca = c->files[FILE_CA];

    if (cert && SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return bad_file(cert, "certificate", err);
    if (key && SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return bad_file(key, "private key", err);
    if (key && SSL_CTX_check_private_key(ctx) != 1)
        return bad_file(key, "private key, which has to fit the certificate,", err);
    if (ca && SSL_CTX_load_verify_file(ctx, ca) != 1)
        return bad_file(ca, "certificates of authorities", err);
    if (ca && c->server)
        SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(ca));
    if (!ca && !c->server)
        SSL_CTX_set_default_verify_paths(ctx);
    return 0;
}

static void set_up_server(SSL_CTX *ctx, bool ask)
{
    SSL_CTX_set_alpn_select_cb(ctx, select_h2, NULL);
    SSL_CTX_set_session_id_context(ctx, alpn, sizeof alpn);
    if (ask)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static void set_up_client(SSL_CTX *ctx)
{
    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
}

SSL_CTX *tls_context_load(tls_context *c, orch_error **err)
{
    SSL_CTX *ctx = SSL_CTX_new(c->server ? TLS_server_method() : TLS_client_method());

    if (!ctx) {
        error_set_no_memory(err);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_ciphersuites(ctx, ciphers);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Buffers of an idle connection go; a write may be repeated from another place in memory. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (c->server)
        set_up_server(ctx, c->files[FILE_CA] != NULL);
    else
        set_up_client(ctx);
    if (!load_files(c, ctx, err))
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static void look_at_files(const tls_context *c, struct stat *seen)
{
    for (int i = 0; i < FILES; i++)
        if (!c->files[i] || stat(c->files[i], &seen[i]) != 0)
            memset(&seen[i], 0, sizeof seen[i]);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void tls_context_check(tls_context *c, int64_t now_ns)
{
    struct stat seen[FILES];
    bool same = true;
    orch_error *why = NULL;
    SSL_CTX *ctx;

    if (now_ns - c->checked_ns < CHECK_EVERY_NS)
        return;
    c->checked_ns = now_ns;
    look_at_files(c, seen);
    for (int i = 0; i < FILES; i++)
        same = same && is_same(&seen[i], &c->seen[i]);
    if (same)
        return;
    memcpy(c->seen, seen, sizeof seen);
    ctx = tls_context_load(c, &why);
    if (!ctx) {
        log_write(c->log, ORCH_LOG_WARNING, "TLS: the old files stay in use: %s",
                  orch_error_message(why));
        orch_error_free(why);
        return;
    }
    SSL_CTX_free(c->ctx);
    c->ctx = ctx;
    SSL_SESSION_free(c->session);
    c->session = NULL;
    log_write(c->log, ORCH_LOG_INFO, "TLS: changed files are in use");
}

int32_t tls_context_new(bool server, const tls_files *files, logger *log, tls_context **out,
                        orch_error **err)
{
    const char *paths[FILES] = {files->cert, files->key, files->ca};
    tls_context *c;

    if (server && (!files->cert || !files->key))
        return error_set(err, ORCH_E_INVALID_ARGUMENT, files->cert ? "TLS_KEY" : "TLS_CERT",
                         "a server with TLS needs a certificate and its key (TLS_CERT, TLS_KEY)");
    if (!files->cert != !files->key)
        return error_set(err, ORCH_E_INVALID_ARGUMENT, files->cert ? "TLS_KEY" : "TLS_CERT",
                         "a certificate and its key come together (TLS_CERT, TLS_KEY)");
    c = mem_zalloc(sizeof *c);
    if (!c)
        return error_no_memory(err);
    *c = (tls_context){.server = server, .log = log, .references = 1};
    for (int i = 0; i < FILES; i++)
        if (paths[i] && !(c->files[i] = mem_strdup(paths[i]))) {
            tls_context_free(c);
            return error_no_memory(err);
        }
    look_at_files(c, c->seen);
    c->ctx = tls_context_load(c, err);
    if (!c->ctx) {
        tls_context_free(c);
        return ORCH_E_INVALID_ARGUMENT;
    }
    *out = c;
    return 0;
}

void tls_context_release(tls_context *c)
{
    if (--c->references)
        return;
    SSL_CTX_free(c->ctx);
    SSL_SESSION_free(c->session);
    mem_free(c->session_name);
    for (int i = 0; i < FILES; i++)
        mem_free(c->files[i]);
    mem_free(c);
}

void tls_context_free(tls_context *c)
{
    if (c)
        tls_context_release(c);
}

uint64_t tls_context_resumed(const tls_context *c)
{
    return c->resumed;
}

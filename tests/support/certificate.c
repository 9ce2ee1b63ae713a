#include "support/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DAY 86400L

static void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *f = fopen(path, "r");
    EVP_PKEY *key;

    assert_non_null(f);
    key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(key);
    return key;
}

static X509 *read_cert(const char *path)
{
    FILE *f = fopen(path, "r");
    X509 *x;

    assert_non_null(f);
    x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(x);
    return x;
}

static void sign(X509 *x, EVP_PKEY *own, const certificate *issuer)
{
    X509 *by = issuer ? read_cert(issuer->cert) : NULL;
    EVP_PKEY *key = issuer ? read_key(issuer->key) : NULL;

    X509_set_issuer_name(x, X509_get_subject_name(by ? by : x));
    assert_true(X509_sign(x, key ? key : own, EVP_sha256()) > 0);
    X509_free(by);
    EVP_PKEY_free(key);
}

static void write_both(const certificate *c, X509 *x, EVP_PKEY *key)
{
    FILE *f = fopen(c->cert, "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    f = fopen(c->key, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
}

certificate certificate_make(const char *folder, const char *name, const char *names,
                             const certificate *issuer, int days)
{
    static long serial;
    certificate c;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();

    assert_non_null(key);
    assert_non_null(x);
    snprintf(c.cert, sizeof c.cert, "%s/%s.pem", folder, name);
    snprintf(c.key, sizeof c.key, "%s/%s.key", folder, name);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -10 * DAY);
    X509_gmtime_adj(X509_getm_notAfter(x), days * DAY);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    if (!issuer)
        add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    if (names)
        add_extension(x, NID_subject_alt_name, names);
    sign(x, key, issuer);
    write_both(&c, x, key);
    X509_free(x);
    EVP_PKEY_free(key);
    return c;
}

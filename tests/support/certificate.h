/* Certificates for tests, made on the spot: an authority, and what it signs. */
#ifndef SUPPORT_CERTIFICATE_H
#define SUPPORT_CERTIFICATE_H

typedef struct certificate {
    char cert[128], key[128]; /* paths, PEM */
} certificate;

/* Writes NAME.pem and NAME.key into `folder`. `issuer` NULL: signed by itself, an authority. `names` as OpenSSL's subjectAltName:
 * "DNS:localhost,IP:127.0.0.1"; NULL = none. It ends `days` from now, which may be in the past. Fails the test if it
 * cannot. */
certificate certificate_make(const char *folder, const char *name, const char *names,
                             const certificate *issuer, int days);

#endif

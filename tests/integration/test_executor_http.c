/* http against a real server on loopback that answers well, badly, slowly, or not at all. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <orch/version.h>

#include "base/mem.h"
#include "support/executor_harness.h"
#include "support/http_server.h"
#include "support/skip.h"

static http_server *server;

/* ---- The service ----------------------------------------------------------------------------------- */

/* What came, as JSON: {"method", "target", "body", and the headers that tests look at}. */
static bool echo(const http_server_request *r)
{
    static const char *const names[] = {
        "Content-Type", "Content-Length", "Idempotency-Key", "User-Agent",
        "Expect",       "X-Test",         "X-Empty",         "Host"};
    json_t *answer = json_pack("{s:s,s:s,s:o}", "method", r->method, "target", r->target, "body",
                               json_stringn(r->body, r->body_len));
    char room[1024], *text;
    bool keep;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = http_server_header(r, names[i], room, sizeof room);

        json_object_set_new(answer, names[i], json_string(value));
    }
    text = json_dumps(answer, JSON_COMPACT);
    keep = http_server_reply(r, 200, "Content-Type: application/json\r\n", text, strlen(text));
    free(text);
    json_decref(answer);
    return keep;
}

static bool reply(const http_server_request *r, int status, const char *headers, const char *body)
{
    return http_server_reply(r, status, headers, body, strlen(body));
}

static bool large(const http_server_request *r)
{
    size_t len = strtoul(strchr(r->target, '?') + 1, NULL, 10);
    char *body = malloc(len);
    bool keep;

    memset(body, 'x', len);
    keep = http_server_reply(r, 200, "Content-Type: text/plain\r\n", body, len);
    free(body);
    return keep;
}

static bool broken(const http_server_request *r)
{
    static const char partial[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";

    if (!strcmp(r->target, "/cut"))
        http_server_write(r, partial, sizeof partial - 1);
    else if (!strcmp(r->target, "/noise"))
        http_server_write(r, "what?\r\n\r\n", 9);
    return false; /* "/drop": not a word */
}

static bool endless_headers(const http_server_request *r)
{
    char line[1024];

    http_server_write(r, "HTTP/1.1 200 OK\r\n", 17);
    memset(line, 'h', sizeof line);
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    for (int i = 0; i < 200; i++)
        if (!http_server_write(r, line, sizeof line))
            return false;
    http_server_write(r, "Content-Length: 0\r\n\r\n", 21);
    return true;
}

static bool redirect(const http_server_request *r)
{
    int left = atoi(r->target + strlen("/redirect/"));
    char line[128];

    if (left == 0)
        return reply(r, 200, "X-Last: yes\r\n", "arrived");
    snprintf(line, sizeof line, "X-First: yes\r\nLocation: /redirect/%d\r\n", left - 1);
    return reply(r, 302, line, "moved");
}

static bool status(const http_server_request *r)
{
    const char *headers = strstr(r->target, "later") ? "Retry-After: 3\r\n" : "";

    return reply(r, atoi(r->target + strlen("/status/")), headers, "no\nluck");
}

static bool hang(const http_server_request *r, bool with_start)
{
    if (with_start)
        http_server_write(r, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 40);
    http_server_wait_for_close(r);
    return false;
}

static bool handle(void *ctx, const http_server_request *r)
{
    static const char json[] = "Content-Type: application/problem+json; charset=utf-8\r\n";

    (void)ctx;
    if (!strncmp(r->target, "/echo", 5))
        return echo(r);
    if (!strncmp(r->target, "/large?", 7))
        return large(r);
    if (!strncmp(r->target, "/redirect/", 10))
        return redirect(r);
    if (!strncmp(r->target, "/status/", 8))
        return status(r);
    if (!strcmp(r->target, "/json"))
        return reply(r, 200, json, "\xef\xbb\xbf {\"a\": [1]}");
    if (!strcmp(r->target, "/json/broken"))
        return reply(r, 200, json, "{\"a\": [1");
    if (!strcmp(r->target, "/json/error"))
        return reply(r, 422, json, "{\"why\": \"size\"}");
    if (!strcmp(r->target, "/latin"))
        return reply(r, 200, "X-Odd: \xe4\r\n", "\xe4");
    if (!strcmp(r->target, "/nothing"))
        return http_server_write(r, "HTTP/1.1 204 No\r\n\r\n", 19);
    if (!strcmp(r->target, "/headers"))
        return reply(r, 200,
                     "X-A: 1\r\nx-a:   2  \r\nSet-Cookie: a=1, b\r\nX-Empty:\r\nSET-COOKIE: c\r\n",
                     "");
    if (!strcmp(r->target, "/interim"))
        return http_server_write(r, "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\n", 34) &&
               reply(r, 200, "", "x");
    if (!strcmp(r->target, "/endless"))
        return endless_headers(r);
    if (!strcmp(r->target, "/to-file"))
        return reply(r, 302, "Location: file:///etc/passwd\r\n", "");
    if (!strncmp(r->target, "/hang", 5))
        return hang(r, !strcmp(r->target, "/hang/body"));
    return broken(r);
}

/* ---- Helpers --------------------------------------------------------------------------------------- */

static executor make(harness *h)
{
    executor e;

    assert_int_equal(executor_http_new(harness_env(h), &e, NULL), 0);
    return e;
}

static void end(harness *h, executor *e)
{
    e->ops->free(e->self);
    harness_free(h);
}

static const char *base(void)
{
    static char text[64];

    snprintf(text, sizeof text, "http://127.0.0.1:%d", http_server_port(server));
    return text;
}

/* `with` of a URL of the server's and further keys. */
static test_attempt *request(harness *h, const char *target, const char *more)
{
    return harness_attempt(h, "{'url': '%s%s'%s%s}", base(), target, *more ? ", " : "", more);
}

/* The whole output. */
static json_t *get(const char *target, const char *more)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = request(h, target, more);
    json_t *output;

    harness_run(&e, t);
    output = harness_output(t);
    harness_attempt_free(t);
    end(h, &e);
    return output;
}

static void expect_body(const char *target, const char *more, const char *body)
{
    json_t *output = get(target, more), *wanted = json_loads(body, JSON_DECODE_ANY, NULL);

    assert_non_null(wanted);
    if (!json_equal(json_object_get(output, "body"), wanted))
        fail_msg("%s gave %s", target, json_dumps(output, 0));
    json_decref(output);
    json_decref(wanted);
}

static void expect_echo(const char *more, const char *key, const char *value)
{
    json_t *output = get("/echo", more);

    assert_string_equal(json_string_value(json_object_get(json_object_get(output, "body"), key)),
                        value);
    json_decref(output);
}

static json_t *expect_error(const char *target, const char *more, int32_t code, bool retryable,
                            const char *piece)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = request(h, target, more);
    json_t *error;

    harness_run(&e, t);
    harness_expect_failure(t, code, retryable, piece);
    error = harness_error(t);
    harness_attempt_free(t);
    end(h, &e);
    return error;
}

static void expect_failure(const char *target, const char *more, int32_t code, bool retryable,
                           const char *piece)
{
    json_decref(expect_error(target, more, code, retryable, piece));
}

/* ---- Requests -------------------------------------------------------------------------------------- */

static void test_what_is_sent(void **state)
{
    (void)state;
    expect_echo("", "method", "GET");
    expect_echo("", "Idempotency-Key", "e-1/1/step-a/7");
    expect_echo("", "User-Agent", "orch/" ORCH_VERSION);
    expect_echo("", "Content-Type", "");
    expect_echo("'method': 'DELETE'", "method", "DELETE");
    expect_echo("'method': 'OPTIONS'", "method", "OPTIONS");
    expect_echo("'method': 'POST'", "Content-Length", "0");
    expect_echo("'method': 'PUT'", "Content-Length", "0");
    expect_echo("'method': 'POST'", "Content-Type", "");
    expect_echo("'method': 'POST', 'body': {'a': [1, null]}", "body", "{\"a\":[1,null]}");
    expect_echo("'method': 'POST', 'body': {'a': 1}", "Content-Type", "application/json");
    expect_echo("'method': 'PATCH', 'body': 'raw'", "body", "raw");
    expect_echo("'method': 'PATCH', 'body': 'raw'", "method", "PATCH");
    expect_echo("'method': 'PUT', 'body': 'raw'", "Content-Type", "text/plain; charset=utf-8");
    expect_echo("'method': 'PUT', 'body': ''", "Content-Length", "0");
    expect_echo("'method': 'DELETE', 'body': 5", "body", "5");
    expect_echo("'body': 'get'", "method", "GET");
    expect_echo("'body': 'get'", "body", "get");
}

static void test_headers_that_are_sent(void **state)
{
    (void)state;
    expect_echo("'headers': {'X-Test': 'a, b; c=\\\"d\\\"'}", "X-Test", "a, b; c=\"d\"");
    expect_echo("'headers': {'X-Test': 12}", "X-Test", "12");
    expect_echo("'headers': {'X-Empty': ''}", "X-Empty", "");
    expect_echo("'headers': {'idempotency-key': 'mine'}", "Idempotency-Key", "mine");
    expect_echo("'headers': {'Idempotency-Key': null}", "Idempotency-Key", "");
    expect_echo("'headers': {'USER-AGENT': 'me'}", "User-Agent", "me");
    expect_echo("'headers': {'Host': 'other.example'}", "Host", "other.example");
    expect_echo("'method': 'POST', 'body': {}, 'headers': {'Content-Type': 'x/y'}", "Content-Type",
                "x/y");
}

static void test_query(void **state)
{
    (void)state;
    expect_echo("'query': {'a b': 'c&d=\\u00e4', 'n': 5, 'l': [1, 'x', true], 'none': null}",
                "target", "/echo?a%20b=c%26d%3D%C3%A4&n=5&l=1&l=x&l=true");
    expect_echo("'query': {}", "target", "/echo");
    expect_body("/echo?x=1#part", "'query': {'y': 2}, 'method': 'HEAD'", "null");
}

static void expect_target(const char *target, const char *more, const char *wanted)
{
    json_t *output = get(target, more);

    assert_string_equal(
        json_string_value(json_object_get(json_object_get(output, "body"), "target")), wanted);
    json_decref(output);
}

static void test_urls(void **state)
{
    (void)state;
    expect_target("/echo?x=1#part", "'query': {'y': 2}", "/echo?x=1&y=2");
    expect_target("/echo?", "'query': {'y': 2}", "/echo?y=2");
    expect_target("/echo/\xc3\xa4%20b", "", "/echo/%C3%A4%20b");
}

static void test_large_bodies_go_out(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    size_t size = 3 << 20;
    char *text = malloc(size + 1), url[128];
    test_attempt *t;
    json_t *output, *body;

    (void)state;
    memset(text, 'y', size);
    text[size] = '\0';
    snprintf(url, sizeof url, "%s/echo", base());
    t = harness_attempt_json(
        h, json_pack("{s:s,s:s,s:s}", "url", url, "method", "POST", "body", text));
    harness_run(&e, t);
    output = harness_output(t);
    body = json_object_get(output, "body");
    assert_int_equal(json_string_length(json_object_get(body, "body")), size);
    assert_string_equal(json_string_value(json_object_get(body, "Expect")), "");
    json_decref(output);
    free(text);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_wrong_input(void **state)
{
    static const struct {
        const char *with, *piece;
    } cases[] = {
        {"5", "http needs `with`, an object"},
        {"{}", "with.url: http needs it"},
        {"{'url': 1}", "with.url: it must be a string"},
        {"{'url': 'ftp://host/'}", "begins with http:// or https:// and a host"},
        {"{'url': 'file:///etc/passwd'}", "begins with http:// or https:// and a host"},
        {"{'url': 'http:///path'}", "begins with http:// or https:// and a host"},
        {"{'url': 'http://h/a b'}", "must not hold spaces"},
        {"{'url': 'http://h/\\r\\nX: y'}", "must not hold spaces"},
        {"{'url': 'http://h', 'method': 'get'}", "with.method: it must be one of GET, HEAD"},
        {"{'url': 'http://h', 'method': 'CONNECT'}", "with.method: it must be one of"},
        {"{'url': 'http://h', 'retries': 5}", "with.retries: http has no such key"},
        {"{'url': 'http://h', 'headers': []}", "with.headers: it must be an object"},
        {"{'url': 'http://h', 'headers': {'a b': '1'}}", "\"a b\" cannot be a header's name"},
        {"{'url': 'http://h', 'headers': {'': '1'}}", "\"\" cannot be a header's name"},
        {"{'url': 'http://h', 'headers': {'X\\r\\nY': '1'}}", "cannot be a header's name"},
        {"{'url': 'http://h', 'headers': {'X': 'a\\r\\nY: b'}}",
         "X must be a string without line ends"},
        {"{'url': 'http://h', 'headers': {'X': 'a\\nb'}}", "X must be a string without line ends"},
        {"{'url': 'http://h', 'headers': {'X': ['a']}}", "X must be a string without line ends"},
        {"{'url': 'http://h', 'headers': {'content-length': 5}}",
         "content-length is set by http itself"},
        {"{'url': 'http://h', 'query': 'a=b'}", "with.query: it must be an object"},
        {"{'url': 'http://h', 'query': {'a': {}}}", "with.query: a must be a string"},
        {"{'url': 'http://h', 'query': {'a': [null]}}", "with.query: a must be a string"},
        {"{'url': 'http://h', 'method': 'HEAD', 'body': 1}", "a HEAD request has none"},
        {"{'url': 'http://h', 'timeout': 5}", "with.timeout: it must be a duration"},
        {"{'url': 'http://h', 'method': 'POST', 'follow_redirects': true}",
         "it is for GET and HEAD only"},
        {"{'url': 'http://h', 'max_body_bytes': 4194305}", "from 1 to 4194304"},
        {"{'url': 'http://h', 'ok': [99]}", "with.ok: entry 0"},
        {"{'url': 'http://h', 'output': 'xml'}", "with.output"},
        {"{'url': 'http://h', 'tls': true}", "with.tls: it must be an object"},
        {"{'url': 'http://h', 'tls': {'verify': false}}", "tls has no such key; it knows ca, cert"},
        {"{'url': 'http://h', 'tls': {'insecure': 'yes'}}",
         "with.insecure: it must be true or false"},
    };
    harness *h = harness_new(1);
    executor e = make(h);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_attempt *t = harness_attempt(h, "%s", cases[i].with);

        harness_run(&e, t);
        harness_expect_failure(t, ORCH_E_INVALID_ARGUMENT, false, cases[i].piece);
        harness_attempt_free(t);
    }
    end(h, &e);
}

/* ---- Answers --------------------------------------------------------------------------------------- */

static void test_bodies(void **state)
{
    (void)state;
    expect_body("/json", "", "{\"a\": [1]}");
    expect_body("/json", "'output': 'text'", "\"\\ufeff {\\\"a\\\": [1]}\"");
    expect_body("/json", "'output': 'base64'", "\"77u/IHsiYSI6IFsxXX0=\"");
    expect_body("/status/200", "", "\"no\\nluck\"");
    expect_body("/nothing", "", "null");
    expect_body("/nothing", "'output': 'text'", "\"\"");
    expect_body("/latin", "'output': 'base64'", "\"5A==\"");
    expect_failure("/latin", "", ORCH_E_INVALID_ARGUMENT, false,
                   "is not UTF-8 text; with.output: \"base64\"");
    expect_failure("/json/broken", "", ORCH_E_UNKNOWN, true, "is not JSON");
    expect_failure("/status/200", "'output': 'json'", ORCH_E_UNKNOWN, true, "is not JSON");
    expect_body("/json", "'method': 'HEAD'", "null");
}

static void test_headers_of_answers(void **state)
{
    json_t *output = get("/headers", ""), *headers = json_object_get(output, "headers");
    json_t *cookies = json_object_get(headers, "set-cookie");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(output, "status")), 200);
    assert_string_equal(json_string_value(json_object_get(headers, "x-a")), "1, 2");
    assert_string_equal(json_string_value(json_object_get(headers, "x-empty")), "");
    assert_string_equal(json_string_value(json_object_get(headers, "content-length")), "0");
    assert_int_equal(json_array_size(cookies), 2);
    assert_string_equal(json_string_value(json_array_get(cookies, 0)), "a=1, b");
    json_decref(output);

    output = get("/latin", "'output': 'base64'");
    headers = json_object_get(output, "headers");
    assert_string_equal(json_string_value(json_object_get(headers, "x-odd")), "\xef\xbf\xbd");
    json_decref(output);

    output = get("/interim", "");
    assert_null(json_object_get(json_object_get(output, "headers"), "x-early"));
    json_decref(output);
}

static void test_statuses(void **state)
{
    static const struct {
        int status;
        int32_t code;
        bool retryable;
    } rows[] = {
        {301, ORCH_E_FAILED_PRECONDITION, false},
        {304, ORCH_E_FAILED_PRECONDITION, false},
        {400, ORCH_E_INVALID_ARGUMENT, false},
        {401, ORCH_E_UNAUTHENTICATED, false},
        {403, ORCH_E_PERMISSION_DENIED, false},
        {404, ORCH_E_NOT_FOUND, false},
        {408, ORCH_E_DEADLINE_EXCEEDED, true},
        {409, ORCH_E_ABORTED, false},
        {418, ORCH_E_FAILED_PRECONDITION, false},
        {429, ORCH_E_RESOURCE_EXHAUSTED, true},
        {500, ORCH_E_INTERNAL, true},
        {501, ORCH_E_UNIMPLEMENTED, false},
        {502, ORCH_E_UNAVAILABLE, true},
        {503, ORCH_E_UNAVAILABLE, true},
        {504, ORCH_E_DEADLINE_EXCEEDED, true},
        {505, ORCH_E_UNKNOWN, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char target[32], piece[64];

        snprintf(target, sizeof target, "/status/%d", rows[i].status);
        snprintf(piece, sizeof piece, "status %d%s", rows[i].status,
                 rows[i].status == 304 ? "" : ": no luck");
        expect_failure(target, "", rows[i].code, rows[i].retryable, piece);
    }
    expect_body("/status/404", "'ok': [200, 404]", "\"no\\nluck\"");
    expect_failure("/status/200", "'ok': [404]", ORCH_E_FAILED_PRECONDITION, false, "status 200");
}

static void test_data_of_failures(void **state)
{
    json_t *error = expect_error("/status/503/later", "", ORCH_E_UNAVAILABLE, true,
                                 "GET http://127.0.0.1:");
    json_t *data = json_object_get(error, "data");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(data, "status")), 503);
    assert_int_equal(json_integer_value(json_object_get(data, "retry_after_ms")), 3000);
    assert_string_equal(json_string_value(json_object_get(data, "body")), "no\nluck");
    json_decref(error);

    error = expect_error("/json/error", "", ORCH_E_FAILED_PRECONDITION, false, "status 422");
    data = json_object_get(error, "data");
    assert_null(json_object_get(data, "retry_after_ms"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(data, "body"), "why")),
                        "size");
    json_decref(error);
}

static void test_secrets_of_a_url_are_not_told(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(
        h, "{'url': 'http://user:hidden@127.0.0.1:%d/status/500?key=hidden'}",
        http_server_port(server));

    (void)state;
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_INTERNAL, true, "GET http://127.0.0.1:");
    assert_null(strstr(t->a.result.error->data, "hidden"));
    harness_attempt_free(t);
    end(h, &e);
}

static void test_redirects(void **state)
{
    json_t *output;

    (void)state;
    expect_failure("/redirect/1", "", ORCH_E_FAILED_PRECONDITION, false, "status 302");
    expect_body("/redirect/1", "'ok': [302]", "\"moved\"");
    output = get("/redirect/5", "'follow_redirects': true");
    assert_string_equal(json_string_value(json_object_get(output, "body")), "arrived");
    assert_non_null(json_object_get(json_object_get(output, "headers"), "x-last"));
    assert_null(json_object_get(json_object_get(output, "headers"), "x-first"));
    json_decref(output);
    expect_failure("/redirect/6", "'follow_redirects': true", ORCH_E_FAILED_PRECONDITION, false,
                   "Maximum (5) redirects");
    expect_failure("/to-file", "'follow_redirects': true", ORCH_E_UNAVAILABLE, true, "file");
}

/* ---- Limits and breaks ----------------------------------------------------------------------------- */

static void test_limits(void **state)
{
    (void)state;
    expect_body("/large?5", "'max_body_bytes': 5", "\"xxxxx\"");
    expect_failure("/large?6", "'max_body_bytes': 5", ORCH_E_RESOURCE_EXHAUSTED, false,
                   "larger than max_body_bytes (5)");
    expect_failure("/large?9000000", "", ORCH_E_RESOURCE_EXHAUSTED, false,
                   "max_body_bytes (4194304)");
    expect_failure("/endless", "", ORCH_E_RESOURCE_EXHAUSTED, false,
                   "headers are larger than 65536 bytes");
}

static void large_answer(bool pool_is_full)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *first = request(h, "/json", ""), *t = request(h, "/large?4000000", "");
    json_t *output;

    harness_run(&e, first); /* libcurl is loaded */
    harness_start(&e, t);
    harness_refuse_submissions(h, pool_is_full);
    harness_wait(t);
    output = harness_output(t);
    assert_int_equal(json_string_length(json_object_get(output, "body")), 4000000);
    json_decref(output);
    harness_attempt_free(first);
    harness_attempt_free(t);
    end(h, &e);
}

static void test_large_answers(void **state)
{
    (void)state;
    large_answer(false);
    large_answer(true);
}

static void test_broken_connections(void **state)
{
    (void)state;
    expect_failure("/cut", "", ORCH_E_UNAVAILABLE, true, "GET http://127.0.0.1:");
    expect_failure("/drop", "", ORCH_E_UNAVAILABLE, true, "Empty reply");
    expect_failure("/noise", "", ORCH_E_UNAVAILABLE, true, "HTTP/0.9");
}

static void test_nobody_is_there(void **state)
{
    http_server *gone = http_server_start(handle, NULL);
    int port = http_server_port(gone);
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *refused = harness_attempt(h, "{'url': 'http://127.0.0.1:%d/'}", port);
    test_attempt *unknown = harness_attempt(h, "{'url': 'http://no-such-host.invalid/'}");

    (void)state;
    http_server_stop(gone);
    harness_run(&e, refused);
    harness_expect_failure(refused, ORCH_E_UNAVAILABLE, true, "connect");
    harness_run(&e, unknown);
    harness_expect_failure(unknown, ORCH_E_UNAVAILABLE, true, "resolve host");
    harness_attempt_free(refused);
    harness_attempt_free(unknown);
    end(h, &e);
}

static void test_timeout(void **state)
{
    (void)state;
    expect_failure("/hang", "'timeout': '30ms'", ORCH_E_DEADLINE_EXCEEDED, true,
                   "no complete answer within its timeout");
    expect_failure("/hang/body", "'timeout': '30ms'", ORCH_E_DEADLINE_EXCEEDED, true,
                   "no complete answer within its timeout");
}

/* ---- Many, stops, the end -------------------------------------------------------------------------- */

static void test_connections_are_kept(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    int before = http_server_connections(server);

    (void)state;
    for (int i = 0; i < 20; i++) {
        test_attempt *t = request(h, "/json", "");

        harness_run(&e, t);
        json_decref(harness_output(t));
        harness_attempt_free(t);
    }
    assert_int_equal(http_server_connections(server), before + 1);
    end(h, &e);
}

static void test_many_at_once(void **state)
{
    harness *h = harness_new(2);
    executor e = make(h);
    test_attempt *t[100];
    int before;

    (void)state;
    t[0] = request(h, "/json", "");
    harness_run(&e, t[0]);
    harness_attempt_free(t[0]);
    before = harness_open_fds();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) {
            char target[32];

            snprintf(target, sizeof target, "/echo/%d", i);
            t[i] = request(h, target, "'method': 'POST', 'body': {'a': 1}");
            harness_start(&e, t[i]);
        }
        for (int i = 0; i < 100; i++) {
            json_t *output;
            const char *target;

            harness_wait(t[i]);
            output = harness_output(t[i]);
            target = json_string_value(json_object_get(json_object_get(output, "body"), "target"));
            assert_int_equal(atoi(target + 6), i);
            json_decref(output);
            harness_attempt_free(t[i]);
        }
    }
    e.ops->free(e.self);
    harness_turn(h);
    assert_true(harness_open_fds() <= before + 200); /* the server's halves stay until it stops */
    harness_free(h);
}

static void test_stop(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *early = request(h, "/hang", ""), *late = request(h, "/hang/body", "");
    int before = http_server_connections(server);

    (void)state;
    harness_start(&e, early); /* while libcurl is being loaded */
    harness_stop(&e, early, ORCH_E_CANCELLED);
    harness_wait(early);
    harness_expect_failure(early, ORCH_E_CANCELLED, true, "was cancelled");
    harness_start(&e, late);
    while (http_server_connections(server) == before)
        harness_turn(h);
    harness_stop(&e, late, ORCH_E_DEADLINE_EXCEEDED);
    harness_wait(late);
    harness_expect_failure(late, ORCH_E_DEADLINE_EXCEEDED, true, "did not end in time");
    harness_stop(&e, late, ORCH_E_CANCELLED); /* after its end: harmless */
    harness_attempt_free(early);
    harness_attempt_free(late);
    end(h, &e);
}

static void free_while(bool loading)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *first = request(h, "/json", ""), *t = request(h, "/hang", "");
    int before = http_server_connections(server);

    harness_hold_pool(h, loading);
    if (!loading)
        harness_run(&e, first);
    harness_start(&e, t);
    while (!loading && http_server_connections(server) < before + 1)
        harness_turn(h);
    e.ops->free(e.self);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "the engine stopped");
    harness_attempt_free(t);
    harness_attempt_free(first);
    harness_hold_pool(h, false);
    harness_free(h);
}

static void test_freed_while_it_works(void **state)
{
    (void)state;
    free_while(false);
    free_while(true);
}

static void test_freed_while_the_pool_makes_the_result(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *first = request(h, "/json", ""), *t = request(h, "/large?1000000", "");

    (void)state;
    harness_run(&e, first);
    harness_hold_pool(h, true);
    harness_start(&e, t);
    while (!harness_has_queued_job(h))
        harness_turn(h);
    harness_stop(&e, t, ORCH_E_CANCELLED); /* too late to matter */
    e.ops->free(e.self);
    harness_wait(t);
    harness_expect_failure(t, ORCH_E_CANCELLED, true, "the engine stopped");
    harness_hold_pool(h, false);
    harness_attempt_free(first);
    harness_attempt_free(t);
    harness_free(h);
}

static void test_full_and_stopping_pools(void **state)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = request(h, "/json", ""), *next = request(h, "/json", "");

    (void)state;
    harness_refuse_submissions(h, 1);
    harness_run(&e, t);
    harness_expect_failure(t, ORCH_E_RESOURCE_EXHAUSTED, true, "task pool is full");
    harness_hold_pool(h, true);
    harness_start(&e, next);
    harness_stop_pool(h);
    harness_wait(next);
    harness_expect_failure(next, ORCH_E_CANCELLED, false, "before the request was sent");
    harness_attempt_free(t);
    harness_attempt_free(next);
    end(h, &e);
}

static void test_lack_of_memory(void **state)
{
    int32_t rc = 1;
    long n;

    (void)state;
    for (n = 1; rc; n++) {
        harness *h = harness_new(1);
        executor e;
        test_attempt *t = request(
            h, "/echo", "'method': 'POST', 'body': [1], 'query': {'a': 1}, 'ok': [200, 404]");

        mem_fail_at(n, 1);
        rc = executor_http_new(harness_env(h), &e, NULL);
        if (!rc) {
            harness_run(&e, t);
            rc = t->a.result.code;
            e.ops->free(e.self);
        }
        mem_fail_at(0, 0);
        if (rc)
            assert_int_equal(rc, ORCH_E_RESOURCE_EXHAUSTED);
        assert_false(t->a.result.no_retry);
        harness_attempt_free(t);
        harness_free(h);
    }
    assert_in_range(n, 10, 500);
}

/* ---- TLS ------------------------------------------------------------------------------------------- */

static char folder[4096];

__attribute__((format(printf, 1, 2))) static bool run(const char *format, ...)
{
    char command[16384];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    return system(command) == 0;
}

/* `openssl s_server -www` with a certificate of its own, on a port that it tells. */
static pid_t start_tls_server(int *port)
{
    char cert[5000], key[5000], line[256];
    char program[] = "openssl", command[] = "s_server", accept[] = "-accept",
         local[] = "127.0.0.1:0";
    char page[] = "-www", cert_option[] = "-cert", key_option[] = "-key";
    char *argv[] = {program,     command, accept,     local, page,
                    cert_option, cert,    key_option, key,   NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t pid;
    FILE *out;

    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    assert_int_equal(pipe(ends), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    assert_int_equal(posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    out = fdopen(ends[0], "r");
    *port = 0;
    while (!*port && fgets(line, sizeof line, out))
        if (!strncmp(line, "ACCEPT ", 7))
            *port = atoi(strrchr(line, ':') + 1);
    fclose(out);
    return pid;
}

static void expect_tls(int port, const char *more, int32_t code, const char *piece)
{
    harness *h = harness_new(1);
    executor e = make(h);
    test_attempt *t = harness_attempt(h, "{'url': 'https://127.0.0.1:%d/'%s}", port, more);

    harness_run(&e, t);
    if (code)
        harness_expect_failure(t, code, false, piece);
    else
        json_decref(harness_output(t));
    harness_attempt_free(t);
    end(h, &e);
}

static void test_tls(void **state)
{
    char ca[5000];
    int port, status;
    pid_t pid;

    (void)state;
    assert_true(run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
                    " -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
                    " -keyout '%s/key.pem' -out '%s/cert.pem' 2>/dev/null",
                    folder, folder));
    pid = start_tls_server(&port);
    assert_true(port > 0);
    snprintf(ca, sizeof ca, ", 'tls': {'ca': '%s/cert.pem'}", folder);
    expect_tls(port, "", ORCH_E_FAILED_PRECONDITION, "certificate");
    expect_tls(port, ca, 0, NULL);
    expect_tls(port, ", 'tls': {'insecure': true}", 0, NULL);
    expect_tls(port, ", 'tls': {'ca': '/no/such/file'}", ORCH_E_FAILED_PRECONDITION,
               "/no/such/file");
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* ---- All ------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    snprintf(folder, sizeof folder, "%s/http-XXXXXX", tmp ? tmp : "/tmp");
    server = http_server_start(handle, NULL);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_stop(server);
    return run("rm -rf '%s'", folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent),
        cmocka_unit_test(test_headers_that_are_sent),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_large_bodies_go_out),
        cmocka_unit_test(test_wrong_input),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_headers_of_answers),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_data_of_failures),
        cmocka_unit_test(test_secrets_of_a_url_are_not_told),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_broken_connections),
        cmocka_unit_test(test_nobody_is_there),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_connections_are_kept),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_freed_while_it_works),
        cmocka_unit_test(test_freed_while_the_pool_makes_the_result),
        cmocka_unit_test(test_full_and_stopping_pools),
        cmocka_unit_test(test_lack_of_memory),
        cmocka_unit_test(test_tls),
    };
    orch_error *err = NULL;

    if (executor_http_check(&err)) {
        int failed = skip_program(orch_error_message(err));

        orch_error_free(err);
        return failed;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

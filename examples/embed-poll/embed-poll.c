/*
 * liborch in a program that has a poll(2) loop of its own. Lines come in on stdin; each starts an execution, and what it gives is
 * printed when it ends. No thread of the library calls into the program: callbacks are made by orch_v2_dispatch, here.
 *
 *     printf 'one\ntwo\n' | embed-poll
 */
#include <orch/orch.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char definition[] =
    "{\"id\": \"shout\", \"version\": \"1.0.0\","
    " \"steps\": ["
    "  {\"id\": \"pause\", \"executor\": \"wait\", \"with\": {\"duration\": \"100ms\"}},"
    "  {\"id\": \"upper\", \"executor\": \"lua\", \"depends_on\": [\"pause\"],"
    "   \"with\": {\"code\": \"return string.upper(input.line) .. '!'\"}}],"
    " \"output\": \"${steps.upper.output}\"}";

static int under_way;

static void die(const char *what, orch_error *error)
{
    fprintf(stderr, "%s: %s\n", what, orch_error_message(error));
    orch_error_free(error);
    exit(1);
}

/* Inside orch_v2_dispatch: quick, and it may start more. */
static void on_end(void *user_data, orch_response *response)
{
    char *line = user_data;

    under_way--;
    if (!response)
        printf("%s: the orchestrator stopped first\n", line);
    else if (orch_response_state(response) == ORCH_EXECUTION_SUCCEEDED)
        printf("%s -> %s\n", line, orch_response_output(response, NULL));
    else
        printf("%s: %s\n", line, orch_response_error(response, NULL));
    fflush(stdout);
    orch_response_free(response);
}

/* {"line": "…"}, with what JSON wants escaped. NULL if there is no memory. */
static char *make_input(const char *line)
{
    char *json = malloc(6 * strlen(line) + 16), *p = json;

    if (!json)
        return NULL;
    p += sprintf(p, "{\"line\":\"");
    for (; *line; line++) {
        if ((unsigned char)*line < ' ' || *line == '"' || *line == '\\')
            p += sprintf(p, "\\u%04x", (unsigned)*line);
        else
            *p++ = *line;
    }
    memcpy(p, "\"}", sizeof "\"}");
    return json;
}

static void start(orch_v2 *orch, const char *text)
{
    char *line = strdup(text), *input = make_input(text);
    orch_error *error = NULL;

    if (!line || !input)
        die(text, NULL);
    /* `line` goes along, and is freed after the callback. */
    if (orch_v2_start_workflow_async(orch, "shout", input, strlen(input), NULL, NULL, on_end, line,
                                     free, &error)) {
        fprintf(stderr, "%s: %s\n", text, orch_error_message(error));
        orch_error_free(error);
    } else {
        under_way++;
    }
    free(input);
}

/* What can be read now, line by line. False at the end of stdin. */
static int read_lines(orch_v2 *orch)
{
    static char buffer[4096];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, buffer + len, sizeof buffer - 1 - len);
    char *line = buffer, *end;

    if (n <= 0)
        return n < 0 && errno == EINTR;
    len += (size_t)n;
    buffer[len] = '\0';
    for (; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        start(orch, line);
    }
    len -= (size_t)(line - buffer);
    if (len == sizeof buffer - 1)
        len = 0; /* a line this long is dropped */
    memmove(buffer, line, len);
    return 1;
}

static void loop(orch_v2 *orch)
{
    struct pollfd fds[] = {{orch_v2_fd(orch), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};

    while (fds[1].fd >= 0 || under_way) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            orch_v2_dispatch(orch);
        if (fds[1].revents && !read_lines(orch))
            fds[1].fd = -1;
    }
}

int main(void)
{
    orch_config *config = orch_config_new();
    orch_error *error = NULL;
    orch_v2 *orch;

    if (!config || orch_config_set(config, "STORE_URL", "memory:", &error) ||
        orch_config_load_env(config, &error))
        die("configuration", error);
    orch = orch_v2_new(config, &error);
    orch_config_free(config);
    if (!orch)
        die("open", error);
    if (orch_v2_register_definition(orch, definition, sizeof definition - 1, &error))
        die("register", error);
    loop(orch);
    if (orch_v2_stop(orch, 5000, &error))
        die("stop", error);
    orch_v2_free(orch);
    return 0;
}

#include "program.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- logs ------------------------------------------------------------------------------------------------ */

static void put_json(FILE *f, const char *text)
{
    putc('"', f);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(f, "\\u%04x", *p);
        else
            putc(*p, f);
    }
    putc('"', f);
}

void program_log(void *program_data, int32_t level, const char *message)
{
    static const char *const levels[] = {"debug", "info", "warning", "error", "critical"};
    const program *p = program_data;
    struct timespec now;
    struct tm utc;
    char time[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    flockfile(stderr);
    fprintf(stderr,
            "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"program\":\"%s\",\"message\":", time,
            now.tv_nsec / 1000000, levels[level], p->name);
    put_json(stderr, message);
    fputs("}\n", stderr);
    funlockfile(stderr);
}

/* ---- ends ------------------------------------------------------------------------------------------------ */

void program_fail(const program *p, const char *what, orch_error *err)
{
    fprintf(stderr, "%s: %s: %s\n", p->name, what, orch_error_message(err));
    orch_error_free(err);
    exit(EXIT_FAILURE);
}

void program_misuse(const program *p, const char *what)
{
    fprintf(stderr, "%s: %s\n%s", p->name, what, p->usage);
    exit(EXIT_USAGE);
}

static sigset_t ends(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void program_block_signals(void)
{
    sigset_t set = ends();

    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void program_wait(void)
{
    sigset_t set = ends();
    int number;

    sigwait(&set, &number);
}

/* ---- configuration --------------------------------------------------------------------------------------- */

void program_begin(program *p, const char *name, const char *usage)
{
    orch_error *err = NULL;

    *p = (program){.name = name, .usage = usage, .log_level = ORCH_LOG_INFO};
    p->config = orch_config_new();
    if (!p->config || orch_config_load_env(p->config, &err))
        program_fail(p, "the environment", err);
}

const char *program_flag(const program *p, int argc, char **argv, int *i, const char *name)
{
    size_t len = strlen(name);
    char text[100];

    if (strncmp(argv[*i], "--", 2) != 0 || strncmp(argv[*i] + 2, name, len) != 0)
        return NULL;
    if (argv[*i][2 + len] == '=')
        return argv[*i] + 2 + len + 1;
    if (argv[*i][2 + len])
        return NULL;
    if (*i + 1 >= argc) {
        snprintf(text, sizeof text, "--%.60s takes a value", name);
        program_misuse(p, text);
    }
    return argv[++*i];
}

void program_set(const program *p, const char *key, const char *value)
{
    orch_error *err = NULL;

    if (orch_config_set(p->config, key, value, &err))
        program_fail(p, key, err);
}

static void set_pair(const program *p, const char *pair)
{
    const char *equals = strchr(pair, '=');
    char key[64];

    if (!equals || (size_t)(equals - pair) >= sizeof key)
        program_misuse(p, "--set takes KEY=VALUE");
    snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
    program_set(p, key, equals + 1);
}

static void set_level(program *p, const char *name)
{
    static const char *const levels[] = {"debug", "info", "warning", "error", "critical"};

    for (int32_t i = 0; i < 5; i++)
        if (!strcmp(name, levels[i])) {
            p->log_level = i;
            return;
        }
    program_misuse(p, "--log-level is debug, info, warning, error or critical");
}

int program_common_flag(program *p, int argc, char **argv, int *i)
{
    const char *value;

    if (!strcmp(argv[*i], "--help")) {
        fputs(p->usage, stdout);
        exit(EXIT_SUCCESS);
    }
    if (!strcmp(argv[*i], "--version")) {
        printf("%s %s\n", p->name, orch_version());
        exit(EXIT_SUCCESS);
    }
    if ((value = program_flag(p, argc, argv, i, "set")) != NULL)
        set_pair(p, value);
    else if ((value = program_flag(p, argc, argv, i, "log-level")) != NULL)
        set_level(p, value);
    else
        return 0;
    return 1;
}

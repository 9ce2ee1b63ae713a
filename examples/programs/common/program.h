/* What the programs share: configuration from flags and the environment, structured logs, waiting for a signal. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <orch/orch.h>

/* Of the exit codes of a shell: 0 well, 1 it failed, 2 it was called wrongly. */
#define EXIT_USAGE 2

typedef struct program {
    const char *name, *usage;
    orch_config *config;
    int32_t log_level;
} program;

/* The environment is taken over. Ends the process if it is wrong. */
void program_begin(program *p, const char *name, const char *usage);
/* SIGTERM and SIGINT are blocked from now on, in all threads that follow: program_wait takes them. Before threads are made. */
void program_block_signals(void);
/* Returns on SIGTERM or SIGINT. */
void program_wait(void);

/* The value of the flag --NAME VALUE or --NAME=VALUE at argv[*i], or NULL if it is another one; *i goes on. */
const char *program_flag(const program *p, int argc, char **argv, int *i, const char *name);
/* "--set KEY=VALUE", and --log-level. True if it was one of them. */
int program_common_flag(program *p, int argc, char **argv, int *i);
void program_set(const program *p, const char *key,
                 const char *value); /* ends the process if it is wrong */

/* One JSON object a line, on stderr. */
void program_log(void *program_data, int32_t level, const char *message);
/* Says what went wrong, and ends the process with 1. */
void program_fail(const program *p, const char *what, orch_error *err);
void program_misuse(const program *p, const char *what); /* the same with EXIT_USAGE */

#endif

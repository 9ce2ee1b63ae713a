/* Runs the programs of examples/ as a user does: from outside, looking at what they print. */
#ifndef SUPPORT_EXAMPLE_H
#define SUPPORT_EXAMPLE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct example {
    pid_t pid;
    FILE *out;       /* its standard output */
    char text[8192]; /* what was read of it so far, the last line last */
    char line[1024];
} example;

/* Start `name` of the build's examples with up to twelve arguments; NULL ends them. Fails the test if it cannot. */
void example_start(example *e, const char *name, const char *const *argv);
/* Read up to a line that holds `text`; false if it ends before. */
bool example_read_until(example *e, const char *text);
void example_kill(example *e); /* SIGKILL, and away with it */
int example_end(example *e);   /* reads the rest; the exit code, or -1 if it was killed */
/* An own folder beneath TMPDIR, which outlives the test: the runner removes all of TMPDIR. */
void example_folder(char *out, size_t size);

#endif

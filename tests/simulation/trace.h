/* What happened, in lines that a person can read. All of it goes into a hash, by which two runs are compared; the last of it is
 * kept for the case that a promise is broken. No addresses, no wall time, nothing that differs between machines. */
#ifndef SIMULATION_TRACE_H
#define SIMULATION_TRACE_H

#include <stdbool.h>
#include <stdint.h>

void trace_begin(bool show);
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t trace_hash(void);
/* The last lines, the promise, and what broke it, on stdout. */
void trace_broken(const char *promise, const char *what);
/* For a program that dies: nothing but write(2). */
void trace_dump_raw(const char *why);

#endif

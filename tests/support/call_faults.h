/* System calls that fail, for the whole process: of this library, of SQLite, of libuv and of libcurl. What is defined here stands before what libc
 * has; so it is linked by itself, and only where it is asked for (Makefile). */
#ifndef TESTS_SUPPORT_CALL_FAULTS_H
#define TESTS_SUPPORT_CALL_FAULTS_H

#include <stdbool.h>

enum { /* kinds, to be added */
       CALL_DESCRIPTOR =
           1, /* what makes a descriptor: open, pipe2, socket, eventfd, epoll_create1, memfd_create */
       CALL_SPAWN = 2, /* posix_spawn */
       CALL_WRITE = 4, /* write and pwrite, of files */
       CALL_SYNC = 8,  /* fsync, fdatasync */
};

/* The n-th call of these kinds from now (1 = the next), and `times` - 1 after it (-1 = all after it), fail with this errno. */
void call_fail(int kinds, long n, long times, int error);
long call_failed(void); /* how many have since */
void call_clear(void);

/* Every other read, write, poll, epoll_wait, open and waitpid is interrupted by a signal before it has done anything. */
void call_interrupt(bool on);
/* Reads give, and writes take, no more than 16 bytes. */
void call_shorten(bool on);
long call_disturbed(void); /* how many were, of both */

#endif

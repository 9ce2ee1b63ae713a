/* Files that are read and written as a whole: calls that a signal interrupts, or that do less than was asked, are gone on with. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/* As open(2); it too can be interrupted, on file systems that ask somebody else. */
int fd_open(const char *path, int flags, mode_t mode);
/* 0, or the errno. */
int fd_write_all(int fd, const void *data, size_t len);
/* Up to the end of the file, or `size` bytes. How many, or -1 and errno. */
ssize_t fd_read_all(int fd, void *room, size_t size);

#endif

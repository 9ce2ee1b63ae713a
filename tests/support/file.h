/* Files that tests read: samples and documents of the tree. */
#ifndef SUPPORT_FILE_H
#define SUPPORT_FILE_H

#include <stddef.h>

/* All of a file, with a NUL after it; to be freed. `path` is seen from the top of the tree. `len` may be NULL. Fails the
 * test if it cannot be read. */
char *file_text(const char *path, size_t *len);
/* Whether the C that a document shows is what runs in a source, but for the layout. Fails the test if a block is not there; how many
 * there are. */
int file_check_blocks(const char *document, const char *source);

#endif

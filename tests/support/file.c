#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka.h wants these, and stddef.h, before it. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

char *file_text(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    struct stat about = {0};
    char *text = NULL;
    size_t size = 0;

    if (f && fstat(fileno(f), &about) == 0)
        text = malloc((size_t)about.st_size + 1);
    if (text)
        size = fread(text, 1, (size_t)about.st_size, f);
    if (f)
        fclose(f);
    if (!text || size != (size_t)about.st_size) {
        free(text);
        fail_msg("%s cannot be read: run this at the top of the tree", path);
        return NULL;
    }
    text[size] = '\0';
    if (len)
        *len = size;
    return text;
}

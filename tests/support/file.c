#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka.h wants these, and stddef.h, before it. */
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Without what is white: the layout is each file's own. */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *p = text; *p; p++)
        if (!isspace((unsigned char)*p))
            *to++ = *p;
    *to = '\0';
}

int file_check_blocks(const char *document, const char *source)
{
    char *own = file_text(source, NULL), *text = file_text(document, NULL);
    int count = 0;

    squeeze(own);
    for (char *at = text; (at = strstr(at, "\n```c\n")); count++) {
        char *block = at + strlen("\n```c\n"), *end = strstr(block, "\n```\n");

        assert_non_null(end);
        *end = '\0';
        at = end + 1;
        squeeze(block);
        if (!strstr(own, block))
            fail_msg("not in %s: %s", source, block);
    }
    free(text);
    free(own);
    return count;
}

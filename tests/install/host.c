/*
 * The smallest host there is: it finds the library that its headers belong to. Valid C99 and C++11, and
 * with names of its own that the library uses inside, to see that the archive keeps its names to itself.
 */
#include <orch/orch.h>

#include <stdio.h>
#include <string.h>

/* Names like those of lib/base: a host may well have them. */
int mem_alloc(void);
int buf_add(void);

int mem_alloc(void)
{
    return 0;
}

int buf_add(void)
{
    return 0;
}

int main(void)
{
    if (strcmp(orch_version(), ORCH_VERSION) != 0) {
        printf("headers of %s, library of %s\n", ORCH_VERSION, orch_version());
        return 1;
    }
    if (orch_has_feature(NULL) != 0 || orch_has_feature("no such feature") != 0) {
        printf("a feature that is none is said to be there\n");
        return 1;
    }
    printf("liborch %s\n", orch_version());
    return mem_alloc() + buf_add();
}

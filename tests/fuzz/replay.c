/* Goal: what a fuzzer found once is never wrong again. Runs each file of the target's corpus through it: tests/fuzz/corpus/NAME,
 * where NAME is what stands behind fuzz_ in the program's name; or the files that are named. */
#include <dirent.h>
#include <string.h>

#include "fuzz/fuzz.h"

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL, *more;
    size_t size = 0, got;

    if (!f) {
        perror(path);
        exit(1);
    }
    do {
        more = realloc(data, size + 65536);
        if (!more)
            abort();
        data = more;
        got = fread(data + size, 1, 65536, f);
        size += got;
    } while (got);
    fclose(f);
    more = realloc(data, size ? size : 1); /* so that a sanitizer sees its end */
    if (!more)
        abort();
    data = more;
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int run_folder(const char *target)
{
    char path[4096];
    DIR *d;
    int count = 0;

    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", target);
    d = opendir(path);
    if (!d) {
        perror(path);
        exit(1);
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (*e->d_name == '.')
            continue;
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", target, e->d_name);
        run_file(path);
        count++;
    }
    closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    const char *target = strstr(argv[0], "fuzz_");
    int count = argc - 1;

    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    for (const char *later; target && (later = strstr(target + 1, "fuzz_"));)
        target = later;
    if (argc == 1 && target)
        count = run_folder(target + strlen("fuzz_"));
    printf("%d inputs\n", count);
    return count ? 0 : 1;
}

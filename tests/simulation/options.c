#include "simulation/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simulation/grammar.h"
#include "simulation/mutation.h"

static const char usage[] =
    "sim [--seed N | --seeds N [--from N] [--jobs N]] [--trace] [--twice] [--no-shrink]\n"
    "    [--executions N] [--minutes N] [--steps N] [--engines N]\n"
    "    [--without FAULT,...] [--plain FEATURE,...] [--mutation NAME | --mutations] [--list]\n";

static uint32_t fault_bit(const char *word)
{
    for (int f = 0; f < FAULTS; f++)
        if (!strcmp(word, fault_word((enum fault)f)))
            return UINT32_C(1) << f;
    return 0;
}

static uint32_t feature_bit(const char *word)
{
    for (int f = 0; f < FEATURES; f++)
        if (!strcmp(word, feature_word((enum feature)f)))
            return UINT32_C(1) << f;
    return 0;
}

static bool clear_bits(uint32_t *bits, char *list, uint32_t (*bit)(const char *word))
{
    char *rest = NULL;

    for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        uint32_t b = bit(word);

        if (!b) {
            fprintf(stderr, "sim: there is no '%s'; --list shows all\n", word);
            return false;
        }
        *bits &= ~b;
    }
    return true;
}

static void list_all(void)
{
    for (int f = 0; f < FAULTS; f++)
        printf("fault %-12s at least %2u a seed: %s\n", fault_word((enum fault)f),
               fault_least((enum fault)f), fault_what((enum fault)f));
    for (int f = 0; f < FEATURES; f++)
        printf("feature %s\n", feature_word((enum feature)f));
    for (size_t i = 0; i < mutation_count(); i++)
        printf("mutation %-24s %s\n", mutation_name(i), mutation_what(i));
}

static bool take_number(command *c, const char *name, const char *value)
{
    uint64_t n = strtoull(value, NULL, 10);
    struct {
        const char *name;
        uint32_t *to;
    } small[] = {
        {"--executions", &c->options.executions},
        {"--minutes", &c->options.minutes},
        {"--steps", &c->options.steps},
        {"--engines", &c->options.engines},
        {"--jobs", &c->jobs},
    };

    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        if (strcmp(name, small[i].name) != 0)
            continue;
        *small[i].to = n ? (uint32_t)n : 1;
        return true;
    }
    if (!strcmp(name, "--seed"))
        c->options.seed = n;
    else if (!strcmp(name, "--seeds"))
        c->seeds = n;
    else if (!strcmp(name, "--from"))
        c->from = n;
    else
        return false;
    return true;
}

static bool take_value(command *c, const char *name, char *value)
{
    if (!strcmp(name, "--without"))
        return clear_bits(&c->options.faults, value, fault_bit);
    if (!strcmp(name, "--plain"))
        return clear_bits(&c->options.features, value, feature_bit);
    if (!strcmp(name, "--mutation")) {
        c->options.mutation = value;
        if (mutation_select(value))
            return true;
        fprintf(stderr, "sim: there is no mutation '%s'; --list shows all\n", value);
        return false;
    }
    if (take_number(c, name, value))
        return true;
    fputs(usage, stderr);
    return false;
}

bool options_read(command *c, int argc, char **argv)
{
    *c = (command){.from = 1, .jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), .shrink = true};
    sim_default_options(&c->options);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--trace"))
            c->options.trace = true;
        else if (!strcmp(argv[i], "--twice"))
            c->twice = true;
        else if (!strcmp(argv[i], "--no-shrink"))
            c->shrink = false;
        else if (!strcmp(argv[i], "--mutations"))
            c->mutations = true;
        else if (!strcmp(argv[i], "--list"))
            list_all();
        else if (i + 1 == argc || !take_value(c, argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return true;
}

static void write_bits(char *out, size_t size, const char *name, uint32_t bits, int count,
                       const char *(*word)(int i))
{
    bool any = false;

    for (int i = 0; i < count; i++) {
        size_t len = strlen(out);

        if (bits >> i & 1)
            continue;
        snprintf(out + len, size - len, "%s%s", any ? "," : name, word(i));
        any = true;
    }
}

static const char *fault_at(int i)
{
    return fault_word((enum fault)i);
}

static const char *feature_at(int i)
{
    return feature_word((enum feature)i);
}

void options_write(const sim_options *o, char *out, size_t size)
{
    snprintf(out, size, "--seed %" PRIu64 " --executions %u --minutes %u --steps %u --engines %u",
             o->seed, o->executions, o->minutes, o->steps, o->engines);
    write_bits(out, size, " --without ", o->faults, FAULTS, fault_at);
    write_bits(out, size, " --plain ", o->features, FEATURES, feature_at);
    if (o->mutation)
        snprintf(out + strlen(out), size - strlen(out), " --mutation %s", o->mutation);
}

/* Goal: kill -9 loses nothing that was accepted, ends nothing twice, and runs no checkpointed step again.
 *
 * A child process works under a mixed load that uses the whole language and all control (support/crash_load.h) on one file, and is
 * killed with SIGKILL at a random moment; ROUNDS times. Between two rounds the parent looks into the file: what is stored there is
 * marked in the side log that the steps keep. At the end a last child works everything off, and the verdict is:
 *   - every execution whose start returned has one end, and the right output;
 *   - no step was started after the mark that says its checkpoint is stored;
 *   - within one process no attempt was started twice;
 *   - what each family of the load says of its own: what was undone, started with a key, set, forked, copied.
 * Then ended executions are deleted, also under kills, until few are left, and those are whole. */
#include <errno.h>
#include <orch/orch.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/crash_load.h"
#include "support/crash_parent.h"

#define IN_FLIGHT 48

/* ---- the child ------------------------------------------------------------------------------------------- */

typedef struct flight {
    char id[LOAD_ID_ROOM];
    const load_kind *kind;
    long n;
} flight;

static orch_v2 *orch;
static int flying;

static void accepted(void *user_data, orch_execution *execution, orch_error *error)
{
    flight *f = user_data;

    CHECK(execution, "start of %s: %s", f->id, orch_error_message(error));
    load_say(f->kind->name, f->id, f->n);
    orch_execution_free(execution);
}

static void ended(void *user_data, orch_response *response)
{
    (void)user_data;
    flying--;
    orch_response_free(response);
}

static void launch(unsigned round, long number)
{
    static char input[LOAD_INPUT_ROOM];
    flight *f = malloc(sizeof *f);
    orch_start_options *o = orch_start_options_new();
    orch_error *error = NULL;

    CHECK(f && o, "memory");
    f->kind = load_any();
    f->n = rand() % 1000;
    snprintf(f->id, sizeof f->id, "r%u-%ld", round, number);
    snprintf(input, sizeof input, "{\"n\":%ld}", f->n);
    orch_start_options_set_id(o, f->id);
    if (f->kind->prepare)
        f->kind->prepare(o, f->n, input);
    CHECK(orch_v2_start_workflow_async(orch, f->kind->name, input, strlen(input), o, accepted,
                                       f->kind->needs_help ? NULL : ended, f, free, &error) == 0,
          "start: %s", orch_error_message(error));
    flying += !f->kind->needs_help;
    orch_start_options_free(o);
}

/* Works until it is killed. */
static int work(const char *dir, unsigned round)
{
    struct pollfd fd = {.events = POLLIN};

    srand(round * 7919u + 13);
    load_open_log(dir);
    orch = load_open("crash.db", NULL, NULL);
    load_define(orch);
    fd.fd = orch_v2_fd(orch);
    CHECK(fd.fd >= 0, "fd");
    for (long number = 0;; number++) {
        while (flying >= IN_FLIGHT || number % 4 == 3) {
            poll(&fd, 1, 10);
            orch_v2_dispatch(orch);
            if (flying < IN_FLIGHT)
                break;
        }
        launch(round, number);
        if (number % 30 == 10)
            load_help(orch, false);
    }
}

static void close_all(void)
{
    CHECK(orch_v2_stop(orch, 10000, NULL) == ORCH_OK, "stop");
    orch_v2_free(orch);
}

/* ---- the end: everything is worked off, then judged ------------------------------------------------------- */

static int finish(const char *dir)
{
    struct pollfd none;
    long judged;

    load_open_log(dir);
    orch = load_open("crash.db", NULL, NULL);
    load_define(orch);
    for (int turns = 0; load_count_open(orch); turns++) {
        CHECK(turns < 6000, "something does not come to its end");
        if (turns % 20 == 0)
            load_help(orch, true);
        poll(&none, 0, 10); /* until the next look; the condition is load_count_open */
    }
    judged = load_judge(orch);
    close_all();
    printf("%ld executions accepted, each with one right end\n", judged);
    return judged > 0 ? 0 : 1;
}

/* ---- and then: few are kept -------------------------------------------------------------------------------- */

#define KEPT "200"

static int prune(const char *dir, bool to_its_end)
{
    struct pollfd none;

    load_open_log(dir);
    orch = load_open("crash.db", "RETENTION_COUNT", KEPT);
    load_define(orch);
    for (int turns = 0; load_count_kept(orch) > (size_t)atoi(KEPT) || !to_its_end; turns++) {
        CHECK(turns < 6000, "what is to go does not go");
        poll(&none, 0, 10); /* until the next look, or the kill */
    }
    load_judge_kept(orch);
    close_all();
    return 0;
}

/* ---- the parent ------------------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    int rounds = crash_number("ROUNDS", 300);
    const char *tmp = getenv("TMPDIR");
    char dir[3000], command[4200];

    if (argc == 4 && !strcmp(argv[1], "work"))
        return work(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "finish"))
        return finish(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "prune"))
        return prune(argv[2], !strcmp(argv[3], "0"));
    srand((unsigned)crash_number("SEED", (int)time(NULL)));
    snprintf(dir, sizeof dir, "%s/orch-crash-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir), "%s: %s", dir, strerror(errno));
    load_open_log(dir);
    for (int i = 1; i <= rounds; i++) {
        crash_kill_at_random(crash_spawn("work", dir, i));
        crash_mark_stored(dir, "crash.db");
    }
    crash_run_to_end("finish", dir);
    crash_judge_log(CRASH_NONE_TWICE);
    for (int i = 1; i <= rounds / 10; i++)
        crash_kill_at_random(crash_spawn("prune", dir, i));
    crash_run_to_end("prune", dir);
    printf("%d kills\n", rounds);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1;
}

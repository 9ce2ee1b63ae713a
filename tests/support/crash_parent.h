/* What the parents of crash tests do: they start children, kill them, mark in the side log what is stored by then, and judge the log. */
#ifndef SUPPORT_CRASH_PARENT_H
#define SUPPORT_CRASH_PARENT_H

#include <sys/types.h>

/* The same program as a child: ROLE DIR ROUND. */
pid_t crash_spawn(const char *role, const char *dir, int round);
void crash_kill(pid_t pid);                               /* and it was this that ended it */
void crash_kill_at_random(pid_t pid);                     /* soon */
void crash_run_to_end(const char *role, const char *dir); /* dies if it fails */

/* Mark what is stored by now. The file is opened beside the orchestrator's back, and left as it was found. */
void crash_mark_stored(const char *dir, const char *file);
enum crash_verdict {
    CRASH_COUNTED, /* steps that were started after the mark that says their checkpoint is stored are counted, */
    CRASH_NONE_AGAIN, /* or there must be none, */
    CRASH_NONE_TWICE, /* and no attempt started twice in one process */
};
void crash_judge_log(enum crash_verdict verdict);

int crash_number(const char *name, int otherwise); /* from the environment */

#endif

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
/* From here on an orchestrator dies whose engines live: attempts that it had out start again, and are counted only. */
void crash_mark_dying(void);
enum crash_verdict {
    CRASH_NONE_AGAIN, /* no step was started after the mark that says its checkpoint is stored, */
    CRASH_NONE_TWICE, /* and no attempt was started twice in one process */
};
void crash_judge_log(enum crash_verdict verdict);

int crash_number(const char *name, int otherwise); /* from the environment */

#endif

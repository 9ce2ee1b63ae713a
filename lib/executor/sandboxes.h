/* A stock of Lua sandboxes, so that each piece of Lua on the pool finds a warm one. */
#ifndef EXECUTOR_SANDBOXES_H
#define EXECUTOR_SANDBOXES_H

#include "workflow/sandbox.h"

typedef struct sandboxes sandboxes;

int32_t sandboxes_new(const sandbox_limits *limits, sandboxes **out, orch_error **err);
void sandboxes_free(sandboxes *s); /* all have been given back */
/* Any thread. Takes one, making it if none is idle. */
int32_t sandboxes_take(sandboxes *s, sandbox **out, orch_error **err);
void sandboxes_give(sandboxes *s, sandbox *b);

#endif

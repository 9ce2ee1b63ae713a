#include "workflow/checkpoint.h"

const char *checkpoint_kind_name(int kind)
{
    static const char *const names[] = {
        [CHECKPOINT_DECIDED] = "decided",
        [CHECKPOINT_EXPANDED] = "expanded",
        [CHECKPOINT_WAITING] = "waiting",
        [CHECKPOINT_RETRYING] = "retrying",
        [CHECKPOINT_SUCCEEDED] = "succeeded",
        [CHECKPOINT_FAILED] = "failed",
        [CHECKPOINT_SKIPPED] = "skipped",
        [CHECKPOINT_CANCELLED] = "cancelled",
        [CHECKPOINT_CHILD] = "child",
        [CHECKPOINT_HEARTBEAT] = "heartbeat",
        [CHECKPOINT_CLOSING] = "closing",
        [CHECKPOINT_UNDO_RETRYING] = "undo_retrying",
        [CHECKPOINT_UNDONE] = "undone",
        [CHECKPOINT_UNDO_FAILED] = "undo_failed",
        [CHECKPOINT_HANDLER_RETRYING] = "handler_retrying",
        [CHECKPOINT_HANDLED] = "handled",
        [CHECKPOINT_HANDLER_FAILED] = "handler_failed",
    };

    return kind >= CHECKPOINT_DECIDED && kind <= CHECKPOINT_HANDLER_FAILED ? names[kind]
                                                                           : "unknown";
}

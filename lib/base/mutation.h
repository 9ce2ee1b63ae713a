/* Bugs of the kind that kill such systems, each a switch that only the simulator's build compiles: it must catch every one of
 * them, or it has a hole (tests/simulation/mutation.c). Everywhere else MUTATED() is 0, and nothing of it is left. */
#ifndef BASE_MUTATION_H
#define BASE_MUTATION_H

#ifdef ORCH_MUTATIONS

/* clang-format off */
#define MUTATION_LIST(X) \
    X(REFUSED_START_ANSWERED,  "a start that the store refused is answered as accepted") \
    X(STORE_NOT_AWAITED,       "a checkpoint counts as stored once it is sent") \
    X(ATTACH_TELLS_RECEIVED,   "after a break, what only came is told as stored") \
    X(REFUSED_REPORT_FORGOTTEN, "a report that the store refused for a moment is not sent again") \
    X(HISTORY_LEFT_OUT,        "an execution is handed over again without its history") \
    X(TERM_NOT_RAISED,         "the store's lease gives out the same term twice") \
    X(TERM_NOT_CHECKED,        "the store takes units of an orchestrator that has lost its lease") \
    X(EPOCH_NOT_CHECKED,       "what another epoch says is taken for what the hand-over says") \
    X(ENGINE_PLACE_LEAKED,     "the place of an execution that is taken back stays occupied") \
    X(SLOT_LEAKED_ON_STOP,     "a slot that is dropped is still counted") \
    X(WAKE_UP_LOST,            "what woke an execution in the store does not bring it in") \
    X(SUSPENDED_UNSEEN,        "an execution is suspended although its inbox holds what it has not seen") \
    X(SUSPENSION_LET_GO,       "a suspension that was refused is forgotten, and its execution with it") \
    X(TIMER_LOST_AT_RESTART,   "who is due is not looked for after a restart") \
    X(QUEUE_LOST_AT_RESTART,   "what waited for an engine is not looked for after a restart") \
    X(DELAY_IGNORED,           "a delayed start begins at once") \
    X(FAN_IN_OFF_BY_ONE,       "a step starts when all but one of its dependencies have ended") \
    X(FAILURE_NOT_AWAITED,     "steps start although a failure is not stored yet") \
    X(FAILURE_IGNORED,         "after a failure other steps go on to start") \
    X(PARALLEL_OFF_BY_ONE,     "one item more than max_parallel is in flight") \
    X(ITEMS_END_EARLY,         "a step with items ends before the last of them") \
    X(ATTEMPT_FORGOTTEN,       "after a restart the attempts that failed are counted anew") \
    X(BACKOFF_FORGOTTEN,       "a retry does not wait") \
    X(PAUSE_IGNORED,           "a paused execution starts steps") \
    X(DETAILS_LOST,            "the details of heartbeats are not kept over a restart") \
    X(SIGNAL_NOT_CONSUMED,     "the checkpoint of a wait does not consume its signal") \
    X(SIGNAL_TAKEN_TWICE,      "a signal ends every wait of its name that follows") \
    X(UNDO_OUT_OF_ORDER,       "compensation begins with the first that was done") \
    X(UNDO_LEFT_OUT,           "what completed while the run closed is not compensated") \
    X(CHILD_END_UNTOLD,        "the end of a child is not told to its parent") \
    X(CHILDREN_LEFT_BEHIND,    "what an ended parent leaves behind goes on") \
    X(CANCEL_LOST,             "a cancel of what waits for an engine is recorded and not acted upon") \
    X(LIMIT_OFF_BY_ONE,        "one execution more than the limit of its key is handed over") \
    X(START_KEY_IGNORED,       "a start key that was used before starts another execution") \
    X(RETRY_FROM_THE_START,    "a retry does again what had succeeded") \
    X(WAITER_FORGOTTEN,        "who waits for an end is not told of it") \
    X(DEADLINE_IGNORED,        "an execution goes on past its deadline") \
    X(KEY_WITHOUT_RUN,         "idempotency keys of different runs are the same") \
    X(VALUE_OF_ANOTHER_STEP,   "an expression sees the output of the step before the one that it names") \
    X(ITEM_OF_ANOTHER,         "every item of a step sees the first one's value") \
    X(VALUE_LOST_AT_RESTART,   "an execution that goes on elsewhere has lost what its steps left") \
    X(CONFIRMATION_NOT_AWAITED, "an engine starts steps of a hand-over that nobody has confirmed") \
    X(OLD_CONFIRMATION_COUNTS, "a confirmation counts from when it comes, not from when it was asked for") \
    X(ENGINES_NOT_AWAITED,     "an orchestrator hands over at once what another engine may still start steps of")
/* clang-format on */

enum mutation {
    MUTATION_NONE,
#    define MUTATION_ENUM(name, what) MUTATION_##name,
    MUTATION_LIST(MUTATION_ENUM)
#    undef MUTATION_ENUM
};

extern enum mutation mutation_chosen; /* the simulator's */

#    define MUTATED(name) (mutation_chosen == MUTATION_##name)

#else
#    define MUTATED(name) 0
#endif

#endif

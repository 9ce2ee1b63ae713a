/* Between the files that read an export. */
#ifndef API_EXPORTED_IMPL_H
#define API_EXPORTED_IMPL_H

#include "api/exported.h"
#include "api/exported_line.h"

/* exported_names.c */
uint32_t exported_find_closing(const char *name); /* enum run_state; 0 = none */
/* The member `state`, one of those that are an end if `end` is set. */
int32_t exported_take_state(const line *l, bool end, uint8_t *out);

/* exported_run.c: the records `run` and `checkpoint`. */
int32_t exported_read_run(const line *l, exported *e);
int32_t exported_read_checkpoint(const line *l, exported *e);

#endif

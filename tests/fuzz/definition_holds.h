/* What holds of a definition, however it was written. */
#ifndef FUZZ_DEFINITION_HOLDS_H
#define FUZZ_DEFINITION_HOLDS_H

#include <stddef.h>

/* It is refused with a reason; or its canonical text gives the same again, and a run of it begins. */
void definition_holds(const char *text, size_t len);

#endif

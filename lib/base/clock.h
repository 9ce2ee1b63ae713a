/* Real time. Only runtime/, adapters and tests read it; the cores are told the time. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* UTC, milliseconds since 1970 */
int64_t clock_monotonic_ns(void);
/* Monotonic; also counts while the machine sleeps, where there is such a clock. */
int64_t clock_steady_ms(void);

#endif

/* The registered definitions that are not deleted, as the store has them. */
#ifndef SERVICE_LISTED_H
#define SERVICE_LISTED_H

#include "store/store.h"

/* All of them. The page is cleared by the caller, also after a failure. */
int32_t listed_load(store *s, bool with_texts, definition_page *out, orch_error **err);

#endif

/* Definitions built by calls. */
#ifndef API_BUILDER_IMPL_H
#define API_BUILDER_IMPL_H

#include "api/api_impl.h"

/* Call the host's builder function and check what it built. */
int32_t builder_run(const char *id, const char *version, orch_workflow_builder build,
                    void *user_data, const definition_limits *limits, definition **out,
                    orch_error **err);

#endif

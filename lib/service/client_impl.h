/* The inside of a client. */
#ifndef SERVICE_CLIENT_IMPL_H
#define SERVICE_CLIENT_IMPL_H

#include <orch/client.h>

#include "service/service_impl.h"

#define CLIENT_PATH 160

struct orch_client {
    orch_v2 *host;         /* the runtime's */
    grpc_channel *channel; /* loop thread */
    char *endpoint;
};

struct orch_reply {
    char *json;
    size_t len;
};

/* A method by its name, and its path. NULL: there is none that is a stream, or is not. */
const ProtobufCMethodDescriptor *client_method(const char *name, bool stream,
                                               char path[CLIENT_PATH]);
int32_t client_pack(const char *json, size_t len, const ProtobufCMessageDescriptor *d, buf *out,
                    orch_error **err);
int32_t client_read(const bytes *data, const ProtobufCMessageDescriptor *d, orch_reply **out,
                    orch_error **err);
int32_t client_check(const orch_client *client, const char *method, int32_t timeout_ms,
                     orch_error **err);
/* What a call ended with. */
void client_error(int32_t code, const char *message, orch_error **err);

#endif

/* gRPC's statuses on the wire, and what HTTP/2's own ends mean in them. Codes are ORCH_E_…, 0 = OK. Source: gRPC's
 * PROTOCOL-HTTP2, http-grpc-status-mapping. */
#ifndef GRPC_STATUS_H
#define GRPC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* The value of grpc-status. What is no number, or none that there is, is UNKNOWN. */
int32_t grpc_status_parse(const char *text, size_t len);
int32_t grpc_status_of_http(int status);         /* of an answer without grpc-status */
int32_t grpc_status_of_reset(uint32_t h2_error); /* of a stream that was reset */

/* grpc-message: UTF-8, with % and what is not printable ASCII as %XX. */
void grpc_message_encode(buf *out, const char *text);
/* Never fails: what is no good escape stays as it is. */
void grpc_message_decode(buf *out, const char *text, size_t len);

#define GRPC_TIMEOUT_MAX 12
/* grpc-timeout: 1 to 8 digits and one of H M S m u n. False if it is not that. */
bool grpc_timeout_parse(const char *text, size_t len, int64_t *out_ns);
/* The least time that is not below `ns`, in 8 digits. How many characters. */
size_t grpc_timeout_format(int64_t ns, char out[GRPC_TIMEOUT_MAX]);

#endif

/* Files of descriptors (FileDescriptorProto, of descriptor.proto), and what is in them, by name. */
#ifndef GRPC_REFLECTION_FILES_H
#define GRPC_REFLECTION_FILES_H

#include <orch/error.h>
#include <stddef.h>
#include <stdint.h>

#include "grpc/pb.h"

#define PROTO_FILES 1024 /* at most */

typedef struct proto_file {
    unsigned index; /* in the order in which they were added */
    char *name;
    uint8_t *data;
    size_t len;
} proto_file;

typedef struct proto_extension {
    const proto_file *file;
    char *type; /* that it extends: "package.Message" */
    int32_t number;
} proto_extension;

typedef struct proto_files { /* zero-initialise */
    proto_file *files[PROTO_FILES];
    unsigned count;
    struct proto_symbol *symbols;
    proto_extension *extensions;
    size_t extension_count;
} proto_files;

/* A copy. The same bytes again are harmless. INVALID_ARGUMENT: this is no such file; ALREADY_EXISTS: another file has that name,
 * or one of its symbols; RESOURCE_EXHAUSTED. */
int32_t proto_files_add(proto_files *p, const uint8_t *data, size_t len, orch_error **err);
void proto_files_clear(proto_files *p);

/* NULL: there is none. Symbols: services, methods, messages, enums and their values, extensions, with their package. */
const proto_file *proto_files_named(const proto_files *p, const uint8_t *name, size_t len);
const proto_file *proto_files_with(const proto_files *p, const uint8_t *symbol, size_t len);
const proto_file *proto_files_extending(const proto_files *p, const uint8_t *type, size_t len,
                                        int32_t number);

#endif

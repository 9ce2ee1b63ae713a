#include "transport/protobuf.h"

#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"

/* protobuf-c does not say why it could not read a message: a failed allocation is noted here. */
static void *allocate(void *failed, size_t size)
{
    void *p = mem_alloc(size);

    if (!p)
        *(bool *)failed = true;
    return p;
}

static void release(void *unused, void *p)
{
    (void)unused;
    mem_free(p);
}

int32_t protobuf_unpack(const ProtobufCMessageDescriptor *d, const void *data, size_t len,
                        ProtobufCMessage **out, orch_error **err)
{
    static const uint8_t nothing;
    bool failed = false;
    ProtobufCAllocator allocator = {allocate, release, &failed};

    *out = protobuf_c_message_unpack(d, &allocator, len, len ? data : &nothing);
    if (*out)
        return 0;
    return failed ? error_no_memory(err)
                  : error_set(err, ORCH_E_INVALID_ARGUMENT, d->name, "what came is no %s", d->name);
}

void protobuf_free(ProtobufCMessage *m)
{
    ProtobufCAllocator allocator = {allocate, release, NULL};

    if (m)
        protobuf_c_message_free_unpacked(m, &allocator);
}

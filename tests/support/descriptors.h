/* Files of descriptors, made by hand for tests. */
#ifndef SUPPORT_DESCRIPTORS_H
#define SUPPORT_DESCRIPTORS_H

#include "base/buf.h"

/* base.proto: package t; message Base { message Inner { enum Kind { NONE = 0; } } extensions; } */
void descriptors_base(buf *out);
/* main.proto, which imports base.proto: package t; service S { rpc One; rpc Two; } extend Base { extra = 100; } */
void descriptors_main(buf *out);
/* A file that declares one message. */
void descriptors_message(buf *out, const char *file, const char *package, const char *message);

#endif

#include "executor/executor_impl.h"

#if ORCH_WITH_CURL
#    include <pthread.h>
#    include <stddef.h>

#    include "base/dynlib.h"
#    include "base/error.h"
#    include "executor/curl_impl.h"

curl_functions curl_api;

static const dynlib_symbol symbols[] = {
    {"curl_global_init", &curl_api.global_init},
    {"curl_easy_init", &curl_api.easy_init},
    {"curl_easy_cleanup", &curl_api.easy_cleanup},
    {"curl_easy_setopt", &curl_api.easy_setopt},
    {"curl_easy_getinfo", &curl_api.easy_getinfo},
    {"curl_easy_strerror", &curl_api.easy_strerror},
    {"curl_multi_init", &curl_api.multi_init},
    {"curl_multi_cleanup", &curl_api.multi_cleanup},
    {"curl_multi_setopt", &curl_api.multi_setopt},
    {"curl_multi_add_handle", &curl_api.multi_add_handle},
    {"curl_multi_remove_handle", &curl_api.multi_remove_handle},
    {"curl_multi_socket_action", &curl_api.multi_socket_action},
    {"curl_multi_info_read", &curl_api.multi_info_read},
    {"curl_multi_assign", &curl_api.multi_assign},
    {"curl_multi_timeout", &curl_api.multi_timeout},
    {"curl_slist_append", &curl_api.slist_append},
    {"curl_slist_free_all", &curl_api.slist_free_all},
    {NULL, NULL},
};

static dynlib library = {
    .names = {"libcurl.so.4", "libcurl-gnutls.so.4"},
    .symbols = symbols,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

static void start(void)
{
    started = curl_api.global_init(CURL_GLOBAL_DEFAULT);
}

int32_t curl_load(orch_error **err)
{
    int32_t rc = dynlib_load(&library, err);

    if (rc)
        return rc;
    pthread_once(&once, start);
    if (started != CURLE_OK)
        return error_set(err, ORCH_E_UNIMPLEMENTED, library.names[0], "%s cannot be used: %s",
                         library.names[0], curl_api.easy_strerror(started));
    return 0;
}

int32_t executor_http_check(orch_error **err)
{
    return curl_load(err);
}
#endif

/* The functions of libcurl, which is loaded when the first http step begins. */
#ifndef EXECUTOR_CURL_IMPL_H
#define EXECUTOR_CURL_IMPL_H

#include <curl/curl.h>
#include <orch/error.h>

typedef struct curl_functions {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *easy);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    const char *(*easy_strerror)(CURLcode code);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t socket, int events, int *running);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *left);
    CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t socket, void *data);
    CURLMcode (*multi_timeout)(CURLM *multi, long *timeout_ms);
    struct curl_slist *(*slist_append)(struct curl_slist *lines, const char *line);
    void (*slist_free_all)(struct curl_slist *lines);
} curl_functions;

extern curl_functions curl_api;

/* Any thread; may block on the disk. UNIMPLEMENTED names the library. */
int32_t curl_load(orch_error **err);

#endif

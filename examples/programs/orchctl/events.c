/* What happens, line by line, until it is interrupted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchctl.h"

static int32_t put_event(void *user_data, const char *json, size_t len)
{
    const ctl *c = user_data;
    json_t *e = json_loadb(json, len, 0, NULL);

    if (c->json) {
        printf("%.*s\n", (int)len, json);
    } else {
        if (number_of(e, "missed"))
            printf("(%lld missed)\n", (long long)number_of(e, "missed"));
        printf("%-8s %-22s %-28s %-20s %s\n", text_of(e, "severity"), text_of(e, "kind"),
               text_of(e, "execution_id"), text_of(e, "step"), text_of(e, "text"));
    }
    fflush(stdout);
    json_decref(e);
    return 0;
}

int show_events(ctl *c)
{
    json_t *request = json_pack("{s:s,s:s}", "execution_id", c->count ? c->args[0] : "",
                                "min_severity", c->level ? c->level : "SEVERITY_UNSPECIFIED");
    char *text = json_dumps(request, JSON_COMPACT);
    orch_error *err = NULL;
    int32_t code = orch_client_stream(c->client, "SubscribeEvents", text, text ? strlen(text) : 0,
                                      c->timeout_ms, put_event, c, &err);

    json_decref(request);
    free(text);
    if (code)
        ctl_fail(c, code, err);
    return EXIT_SUCCESS;
}

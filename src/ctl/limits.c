/* No state; prints to stdout. */
#include "ctl/limits.h"

#include <stdio.h>

static const char *const sentences[BOUNCE_LIMIT_COUNT] = {
    [BOUNCE_LIMIT_HEADER] = "its header: fields beyond 1,000, or beyond 256 kB, were not read",
    [BOUNCE_LIMIT_BODY] = "its body is longer than evidence.max_body: of the rest only the "
                          "beginnings of parts and lines of header fields were read",
    [BOUNCE_LIMIT_DEPTH] = "its parts: those deeper than 100 were searched as text",
    [BOUNCE_LIMIT_PARTS] = "its parts: those after 1,000 were searched as text",
    [BOUNCE_LIMIT_IDS] = "its Message-IDs: 200 were kept",
    [BOUNCE_LIMIT_STEPS] = "the search: it used up its steps before the end",
    [BOUNCE_LIMIT_LOOKUPS] = "the look-ups: not all Message-IDs and tags were looked up",
};

void limits_print(const struct content *content)
{
    for (enum bounce_limit i = 0; i < BOUNCE_LIMIT_COUNT; i++) {
        if (content_reached(content, i)) {
            printf("%-12s%s\n", "limit", sentences[i]);
        }
    }
    if (!content_searched(content)) {
        printf("%-12s%s\n", "",
               "the rest may hold a proof: without one, the bounce is deferred at worst");
    }
}

void limits_json(struct json *json, const struct content *content)
{
    bool opened = false;
    for (enum bounce_limit i = 0; i < BOUNCE_LIMIT_COUNT; i++) {
        if (content_reached(content, i)) {
            if (!opened) {
                json_open_array(json, "limits");
            }
            opened = true;
            json_text(json, NULL, bounce_limit_name(i));
        }
    }
    if (opened) {
        json_close(json);
    }
}

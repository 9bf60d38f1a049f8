/* No state; one thread. */
#include "mta/networks_file.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"

enum { FILE_MAX = 1024 * 1024 };

enum status networks_file_read(const char *path, bool (*take)(void *self, char *item), void *self)
{
    struct config_messages messages = {.items = NULL};
    const struct config_place named = {.file = path};
    unsigned line = 0;
    size_t length = 0;
    char *text = NULL;
    enum status status = config_file_read(path, FILE_MAX, named, &messages, &text, &length);
    char *at = text;
    for (char *item; status == STATUS_OK && (item = config_file_item(&at, &line)) != NULL;) {
        item[strcspn(item, " \t,")] = '\0';
        status = take(self, item) ? STATUS_OK : STATUS_NO_MEMORY;
    }
    free(text);
    config_messages_free(&messages);
    return status;
}

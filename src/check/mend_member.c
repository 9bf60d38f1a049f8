/*
 * What to write into batvd's configuration as it is: a setting or a group that is there already
 * must not be written a second time, and what a list holds has to stay.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "check/check.h"
#include "config/config_text.h"

/* The configuration; "" where it cannot be read any more. NULL: no memory. */
static char *read_text(const struct check *check)
{
    char *text = NULL;
    struct reason ignored;
    return file_read(check->config_path, &text, &ignored) == STATUS_OK ? text : strdup("");
}

/* The mend but for how batvd takes it. */
static char *place(const char *path, const char *text, const char *group, const char *name,
                   const char *value)
{
    unsigned line = config_text_line(text, group, name);
    unsigned group_line = group != NULL ? config_text_line(text, NULL, group) : 0;
    if (line > 0) {
        return mend_text("in %s, line %u, in place of %s%s%s there: %s = %s;", path, line,
                         group != NULL ? group : "", group != NULL ? "." : "", name, name, value);
    }
    if (group_line > 0) {
        return mend_text("in %s, line %u, put into %s: %s = %s;", path, group_line, group, name,
                         value);
    }
    return group != NULL ? mend_text("in %s: %s: { %s = %s; };", path, group, name, value)
                         : mend_text("in %s: %s = %s;", path, name, value);
}

static char *mend_in(const struct check *check, const char *text, const char *group,
                     const char *name, const char *value)
{
    char *placed =
        text != NULL && value != NULL ? place(check->config_path, text, group, name, value) : NULL;
    char *mend = NULL;
    if (placed != NULL) {
        mend = mend_text("%s%s%s", placed, check->reload[0] != '\0' ? " then " : "", check->reload);
    }
    free(placed);
    return mend;
}

char *mend_member(const struct check *check, const char *group, const char *name, const char *value)
{
    char *text = read_text(check);
    char *mend = mend_in(check, text, group, name, value);
    free(text);
    return mend;
}

char *mend_list(const struct check *check, const char *group, const char *name,
                const struct mend_items *change)
{
    char *text = read_text(check);
    bool set = text != NULL && config_text_line(text, group, name) > 0;
    char *kept = text == NULL ? NULL
                 : set        ? config_text_items(text, group, name, change->without)
                              : mend_text("%s", change->standard);
    char *value = NULL;
    if (kept != NULL) {
        value = mend_text("[ %s%s%s ]", kept,
                          kept[0] != '\0' && change->added[0] != '\0' ? ", " : "", change->added);
    }
    char *mend = mend_in(check, text, group, name, value);
    free(value);
    free(kept);
    free(text);
    return mend;
}

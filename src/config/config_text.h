/* The text of batvd's configuration, in which a setting is changed and all else is kept. */
#ifndef CONFIG_CONFIG_TEXT_H
#define CONFIG_CONFIG_TEXT_H

#include <stdbool.h>

/* True where the text, which must be without faults, has this setting outside groups. */
bool config_text_has(const char *text, const char *name);

/*
 * The text with `name = value;` in the setting's place; where it is not set, in place of the first
 * line "#name = ...;" that shows its default; else at the end. NULL: no memory. The caller frees.
 */
char *config_text_set(const char *text, const char *name, const char *value);

/* The same for a member of a group; a group that is not set is added with it alone. */
char *config_text_set_member(const char *text, const char *group, const char *name,
                             const char *value);
/* Gives every member of that name in the groups of a list another value. */
char *config_text_set_within(const char *text, const char *list, const char *name,
                             const char *value);
/* Adds an item to a list, behind its last one and in its layout; comments stay where they are. A
 * list that is empty or not set becomes one of this item. */
char *config_text_append(const char *text, const char *list, const char *item);

/* The line, from 1 on, where a setting begins, in this group or, with NULL, outside groups. 0: it
 * is not set. */
unsigned config_text_line(const char *text, const char *group, const char *name);
/* The items of such a list as they are written, on one line, but for strings that begin with
 * without (NULL: none). "": it is empty or not set. NULL: no memory. The caller frees. */
char *config_text_items(const char *text, const char *group, const char *name, const char *without);

#endif

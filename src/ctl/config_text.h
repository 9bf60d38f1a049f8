/* The text of batvd's configuration, in which a setting is changed and all else is kept. */
#ifndef CTL_CONFIG_TEXT_H
#define CTL_CONFIG_TEXT_H

#include <stdbool.h>

/* True where the text, which must be without faults, has this setting outside groups. */
bool config_text_has(const char *text, const char *name);

/*
 * The text with `name = value;` in the setting's place; where it is not set, in place of the first
 * line "#name = ...;" that shows its default; else at the end. NULL: no memory. The caller frees.
 */
char *config_text_set(const char *text, const char *name, const char *value);

#endif

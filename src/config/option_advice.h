/*
 * What a message about a wrong name or a wrong value expects instead, from the table of options:
 * the name that was probably meant, or some of those that may stand there.
 */
#ifndef CONFIG_OPTION_ADVICE_H
#define CONFIG_OPTION_ADVICE_H

#include "config/options.h"

/* For a name that may not stand in a group ("": at the top). NULL: no memory. The caller frees. */
char *option_advice_name(const char *group, const char *name);

/* For a value that the option does not take: "expected ..." or "did you mean ...?". text is the
 * value if it was a text, else NULL. NULL: no memory. The caller frees. */
char *option_advice_value(const struct config_option *option, const char *text);

/* For a word without double quotes, or an odd number, where the option's value should be or, with
 * entry, an entry of a list. option NULL: the value of a group. NULL: no memory. The caller frees.
 */
char *option_advice_bare(const struct config_option *option, const char *word, size_t length,
                         bool entry);

#endif

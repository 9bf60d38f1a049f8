/* Replaces batvd's configuration by a changed text of it, which is loaded first. */
#ifndef CTL_CONFIG_EDIT_H
#define CTL_CONFIG_EDIT_H

#include <stdbool.h>

#include "ctl/ctl.h"

/* Whether the configuration says what it should. False: the reason is on stderr. */
typedef bool config_fits(const struct config *config, void *context);

/*
 * Writes text beside the file, loads it as the daemon does and puts it in the file's place if it
 * has no fault and fits. Afterwards ctl->config is what is in force. An exit status: CTL_NO where
 * the text does not do, CTL_UNABLE where it could not be written; nothing was changed then, which
 * has been said.
 */
int config_edit(struct ctl *ctl, const char *text, config_fits *fits, void *context);

#endif

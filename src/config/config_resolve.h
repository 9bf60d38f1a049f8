/*
 * From the options' values, each good by itself, to the configuration: lists built, domains'
 * settings filled in from the general ones, and what depends on several options checked.
 */
#ifndef CONFIG_CONFIG_RESOLVE_H
#define CONFIG_CONFIG_RESOLVE_H

#include "batv/status.h"
#include "config/config.h"
#include "config/config_messages.h"
#include "config/options.h"

/* Reports what contradicts itself. path is the configuration's. Done also after other errors, to
 * find these too. */
void config_cross_check(struct raw_config *raw, const char *path, struct config_messages *messages);

/* Only where no error has been reported. Takes raw's texts. */
enum status config_resolve(struct raw_config *raw, const char *path, struct config **out);

#endif

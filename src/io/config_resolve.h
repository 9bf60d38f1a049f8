/*
 * From the options' values, each good by itself, to the configuration: lists built, domains'
 * settings filled in from the general ones, and what depends on several options checked.
 */
#ifndef IO_CONFIG_RESOLVE_H
#define IO_CONFIG_RESOLVE_H

#include "batv/status.h"
#include "io/config.h"
#include "io/config_messages.h"
#include "io/options.h"

/* Reports what contradicts itself. path is the configuration's. Done also after other errors, to
 * find these too. */
void config_cross_check(struct raw_config *raw, const char *path, struct config_messages *messages);

/* Only where no error has been reported. Takes raw's texts. */
enum status config_resolve(struct raw_config *raw, const char *path, struct config **out);

#endif

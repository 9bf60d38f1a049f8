/*
 * Single settings of a configuration that cannot be loaded: for what has to work in the night in
 * which somebody has made a mistake in the file.
 */
#ifndef IO_CONFIG_RESCUE_H
#define IO_CONFIG_RESCUE_H

#include <stdbool.h>

/*
 * *out becomes the value of an option that is a text and stands in no group: the file's where it
 * can be read there and is a value that the option takes, else the default. Returns whether it is
 * the file's. The caller frees *out, which is NULL where there is no memory.
 */
bool config_rescue(const char *path, const char *option, char **out);

#endif

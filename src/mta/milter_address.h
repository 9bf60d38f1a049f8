/* Where a milter listens, in our notation (config.h) and in Postfix's. */
#ifndef MTA_MILTER_ADDRESS_H
#define MTA_MILTER_ADDRESS_H

#include <stdbool.h>

/* The path of a unix listener, NULL for others; points into listen. */
const char *listen_path(const char *listen);

/* HOST and PORT of any other, as they stand there. False: no memory. The caller frees both. */
bool listen_host_port(const char *listen, char **host, char **port);

/* The rest of path where it lies below folder; NULL where it does not. */
const char *path_below(const char *path, const char *folder);

/* The host to connect to: where it stands for every address, the loopback one. */
const char *listen_reachable(const char *host);

/*
 * How a Postfix with this queue_directory has to name our listener: a path below that folder is
 * written relative to it, which is right in a chroot and out of it. NULL: no memory. The caller
 * frees.
 */
char *milter_name(const char *listen, const char *queue_directory);

/* True where a name of Postfix's leads to our listener, for a service in a chroot or not. */
bool milter_name_leads(const char *name, const char *listen, const char *queue_directory,
                       bool chroot);

/* The path to which a name of Postfix's leads, as this process sees it. NULL: it leads to a port,
 * or no memory. The caller frees. */
char *milter_name_path(const char *name, const char *queue_directory, bool chroot);
/* HOST and PORT of a name of Postfix's, the host without brackets. False: it leads to a path, is
 * none, or no memory. The caller frees both. */
bool milter_name_host(const char *name, char **host, char **port);

/* An item of smtpd_milters is a name, or "{ name, option=value ... }". */
/* The name. NULL: no memory. The caller frees. */
char *milter_item_name(const char *item);
/* True where the item leads to this listener, for a service in a chroot or out of it. */
bool milter_item_leads(const char *item, const char *listen, const char *queue_directory);
/* An option's value; NULL: it has none, or no memory. The caller frees. */
char *milter_item_option(const char *item, const char *option);
/* The item with another name (NULL: its own), and an option with another value (option NULL: as it
 * is). NULL: no memory. The caller frees. */
char *milter_item_with(const char *item, const char *name, const char *option, const char *value);

/* The first item of a list that leads to our listener; NULL: none, or no memory. The caller frees.
 */
char *milter_list_find(const char *list, const char *listen, const char *queue_directory,
                       bool chroot);

#endif

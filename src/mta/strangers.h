/* Whether a list of networks holds so much of the internet that it can hold nobody's own hosts. */
#ifndef MTA_STRANGERS_H
#define MTA_STRANGERS_H

#include <stdbool.h>

#include "batv/match.h"

/*
 * Asks for addresses all over the public internet. True where the list has more than one /8 of
 * IPv4, or a /12 of IPv6: nobody was ever given as much. Private and loopback networks do not
 * count.
 */
bool holds_strangers(bool (*holds)(const void *list, const struct ip *ip), const void *list);

/* The same for one of batvd's own lists. */
bool network_list_holds_strangers(const struct network_list *list);

#endif

/*
 * Two addresses far apart are asked for in each /8 of IPv4 and each /12 of IPv6, so that neither a
 * list of very many small networks nor the way in which a wide one is written matters. No state.
 */
#include "mta/strangers.h"

#include <stdio.h>

enum {
    V4_FIRST = 1,
    V4_LAST = 223,
    V4_PRIVATE = 10,
    V4_LOOPBACK = 127,
    V6_FIRST = 0x200, /* 2000::/3, which is all that is given out */
    V6_LAST = 0x3ff
};

typedef bool asker(const void *list, const struct ip *ip);

static bool has(asker *holds, const void *list, const char *text)
{
    struct ip ip;
    return ip_parse(text, &ip) && holds(list, &ip);
}

static bool has_v4(asker *holds, const void *list, int octet)
{
    char first[32];
    char second[32];
    snprintf(first, sizeof first, "%d.137.13.99", octet);
    snprintf(second, sizeof second, "%d.201.240.5", octet);
    return has(holds, list, first) && has(holds, list, second);
}

static bool has_v6(asker *holds, const void *list, int bits)
{
    char first[64];
    char second[64];
    snprintf(first, sizeof first, "%03x5:5bad:3::71", (unsigned)bits);
    snprintf(second, sizeof second, "%03xd:bad5:c::99", (unsigned)bits);
    return has(holds, list, first) && has(holds, list, second);
}

bool holds_strangers(asker *holds, const void *list)
{
    int found = 0;
    for (int octet = V4_FIRST; octet <= V4_LAST && found < 2; octet++) {
        found += octet != V4_PRIVATE && octet != V4_LOOPBACK && has_v4(holds, list, octet);
    }
    for (int bits = V6_FIRST; bits <= V6_LAST && found < 2; bits++) {
        found = has_v6(holds, list, bits) ? 2 : found;
    }
    return found >= 2;
}

static bool list_holds(const void *list, const struct ip *ip)
{
    return network_list_match(list, ip) != NULL;
}

bool network_list_holds_strangers(const struct network_list *list)
{
    return holds_strangers(list_holds, list);
}

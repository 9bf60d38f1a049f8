/* Addresses of hosts. Pure. */
#include "batv/ip.h"

#include <arpa/inet.h>
#include <string.h>

#include "batv/address.h"

enum { IP_OCTETS = 16, MAPPED_OCTETS = 12 };

static const uint8_t mapped[IP_OCTETS] = {[10] = 0xFF, [11] = 0xFF};

bool ip_is_v4(const struct ip *ip)
{
    return memcmp(ip->octets, mapped, MAPPED_OCTETS) == 0;
}

bool ip_parse(const char *text, struct ip *out)
{
    static const char tag[] = "ipv6:";
    struct in_addr v4;
    size_t i = 0;
    while (i < sizeof tag - 1 && ascii_lower(text[i]) == tag[i]) {
        i++;
    }
    if (i == sizeof tag - 1) {
        return inet_pton(AF_INET6, text + i, out->octets) == 1;
    }
    if (inet_pton(AF_INET, text, &v4) == 1) {
        memcpy(out->octets, mapped, sizeof mapped);
        memcpy(out->octets + MAPPED_OCTETS, &v4, sizeof v4);
        return true;
    }
    return inet_pton(AF_INET6, text, out->octets) == 1;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t loopback[IP_OCTETS] = {[15] = 1};
    return memcmp(ip->octets, loopback, IP_OCTETS) == 0 ||
           (ip_is_v4(ip) && ip->octets[MAPPED_OCTETS] == 127);
}

/* The address of a host, as lists of networks and the DNS have it. */
#ifndef BATV_IP_H
#define BATV_IP_H

#include <stdbool.h>
#include <stdint.h>

/* An IPv4 address is held as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2). */
struct ip {
    uint8_t octets[16];
};
/* Also with the "IPv6:" that Sendmail puts before one. */
bool ip_parse(const char *text, struct ip *out);
bool ip_is_loopback(const struct ip *ip);
bool ip_is_v4(const struct ip *ip);

#endif

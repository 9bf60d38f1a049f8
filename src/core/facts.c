/* What follows from a client's bare facts. Pure. */
#include "batv/facts.h"

#include <stddef.h>

#include "batv/address.h"

bool client_is_local(const char *name, const struct ip *ip, unsigned port)
{
    if (ip == NULL) {
        return name != NULL && ascii_equal(name, "localhost");
    }
    return port == 0 && ip_is_loopback(ip);
}

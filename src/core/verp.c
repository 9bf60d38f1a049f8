/* The form of VERP extensions. The host has no =, so the last one stands in front of it; what is
 * before that can be the mailbox's name as well as the sender's. No state. */
#include "batv/verp.h"

#include <string.h>

/* host.domain: a dot with something before and after it. */
static bool is_host(const char *text)
{
    const char *dot = *text != '\0' ? strchr(text + 1, '.') : NULL;
    return dot != NULL && *text != '.' && dot[1] != '\0' && strpbrk(text, "@\"<> \t") == NULL;
}

/* The = in front of the host, or NULL. */
static const char *find_host(const char *local)
{
    const char *equals = strrchr(local, '=');
    return equals != NULL && is_host(equals + 1) ? equals : NULL;
}

static bool is_delimiter(char c)
{
    return c == '+' || c == '-' || c == '=';
}

bool verp_is_extension(const char *text)
{
    const char *equals = find_host(text);
    return is_delimiter(*text) && equals != NULL && equals > text + 1;
}

size_t verp_cuts(const char *local, size_t cuts[static VERP_CUTS])
{
    const char *equals = find_host(local);
    size_t count = 0;
    /* The delimiter stands behind at least one octet, and one at least of the mailbox behind it. */
    for (size_t i = 1; equals != NULL && local + i + 1 < equals && count < VERP_CUTS; i++) {
        if (is_delimiter(local[i])) {
            cuts[count++] = i;
        }
    }
    return count;
}

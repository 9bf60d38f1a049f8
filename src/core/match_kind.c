/* The kinds of lists that the configuration has, behind one call each. No state. */
#include "batv/match.h"

enum status list_new(enum list_kind kind, const char *const entries[], size_t count, void *out,
                     size_t *bad)
{
    switch (kind) {
    case PATTERN_LIST:
        return pattern_list_new(entries, count, out, bad);
    case NETWORK_LIST:
        return network_list_new(entries, count, out, bad);
    case HOST_LIST:
        return host_list_new(entries, count, out, bad);
    case REGEX_LIST:
        return regex_list_new(entries, count, out, bad);
    }
    return STATUS_INVALID;
}

#define CHECK(kind)                                                                                \
    struct kind##_list *list = NULL;                                                               \
    status = kind##_list_new(&entry, 1, &list, &bad);                                              \
    kind##_list_free(list)

enum status list_check(enum list_kind kind, const char *entry)
{
    enum status status = STATUS_INVALID;
    size_t bad;
    if (kind == PATTERN_LIST) {
        CHECK(pattern);
    } else if (kind == NETWORK_LIST) {
        CHECK(network);
    } else if (kind == HOST_LIST) {
        CHECK(host);
    } else if (kind == REGEX_LIST) {
        CHECK(regex);
    }
    return status;
}

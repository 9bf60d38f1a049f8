/*
 * Whether clients are seen as they are. A proxy, network address translation or a container network
 * can put one address of ours in the place of all: then an exclusion by address accepts every
 * forged bounce, and strangers' mail is signed as ours.
 */
#include <inttypes.h>
#include <string.h>

#include "base/print.h"
#include "check/check.h"

enum { BOUNCES_MIN = 100 };

/* What to do where one address hides many. */
static char *mend_hidden(const struct check *check, const char *address)
{
    return mend_text(
        "if, and only if, %s is a proxy, gateway or container network of yours that brings mail "
        "from outside: let it send the PROXY protocol and set smtpd_upstream_proxy_protocol = "
        "haproxy for its service in master.cf (postscreen_upstream_proxy_protocol = haproxy "
        "where postscreen listens); in a container without a proxy use the host's network "
        "(docker run --network host, network_mode: host). Where neither can be done: in %s: add "
        "\"%s\" to relays, then %s",
        address, check->config_path, address, check->reload);
}

void check_clients(struct check *check)
{
    const struct settings *settings = check->config->settings;
    const struct status_report *status = check->status;
    const char *address = status->bounce_client;
    struct ip ip;
    bool known = ip_parse(address, &ip);
    bool relay = known && network_list_match(settings->relays, &ip) != NULL;
    bool excluded = known && settings->exclude_mail_servers &&
                    network_list_match(settings->mail_servers, &ip) != NULL;
    if (!relay && excluded && status->bounces_from_servers >= BOUNCES_MIN) {
        check_add(check, CHECK_WARN, mend_hidden(check, address),
                  "the last %" PRIu64
                  " bounces all came from mail_servers, the latest from %s: exclude.mail_servers "
                  "accepted those without a tag. If that address hides other clients, all "
                  "backscatter is accepted, and strangers' mail is signed",
                  status->bounces_from_servers, address);
    } else if (!relay && known && status->bounces_from_one >= BOUNCES_MIN) {
        check_add(check, CHECK_WARN, mend_hidden(check, address),
                  "the last %" PRIu64 " bounces all came from %s, as if it hid other clients",
                  status->bounces_from_one, address);
    } else if (relay) {
        check_ok(check, "the latest bounce came from %s, which is in relays", address);
    } else {
        check_ok(check, "bounces do not all come from one address, nor from mail_servers");
    }
}

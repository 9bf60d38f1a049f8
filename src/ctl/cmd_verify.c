/* batvctl verify: what the tag of each address is worth now, as the daemon sees it. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/print.h"
#include "batv/day.h"
#include "batv/tag.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"

struct looking {
    const struct settings *settings;
    const struct ring *ring;
    time_t now;
};

/* *plain becomes the address without its tag; the caller frees. False: an error of our own. */
static bool verify_one(const struct looking *look, const char *raw, struct tag_check *check,
                       char **plain)
{
    struct address address;
    char *local = NULL;
    *plain = NULL;
    *check = (struct tag_check){.result = RESULT_NOT_OURS, .key = -1};
    if (address_parse(raw, &address) != STATUS_OK) {
        return false;
    }
    if (settings_domain(look->settings, address.ascii) == NULL) {
        *plain = address_format(address.local, address.domain);
    } else if (tag_verify(look->ring, &address, look->settings->keys.lifetime_days, look->now,
                          check, &local) == STATUS_OK) {
        *plain = address_format(local, address.domain);
    }
    free(local);
    address_free(&address);
    return *plain != NULL && !check->internal_error;
}

static bool has_day(const struct tag_check *check)
{
    return check->result == RESULT_VALID || check->result == RESULT_EXPIRED;
}

static void print_line(const struct tag_check *check, const char *plain)
{
    printf("%s ", result_name(check->result));
    print_text(stdout, plain);
    if (check->key >= 0) {
        printf(" key=%d", check->key);
    }
    if (has_day(check)) {
        char day[DAY_TEXT];
        day_format(check->expires, day);
        printf(" expires=%s days=%d", day, check->days);
    }
    putchar('\n');
}

static void print_json(struct json *json, const char *raw, const struct tag_check *check,
                       const char *plain)
{
    json_open_object(json, NULL);
    json_text(json, "address", raw);
    json_text(json, "result", result_name(check->result));
    json_text(json, "plain", plain);
    if (check->key >= 0) {
        json_number(json, "key", check->key);
    } else {
        json_null(json, "key");
    }
    if (has_day(check)) {
        json_day(json, "expires", check->expires);
        json_number(json, "days", check->days);
    } else {
        json_null(json, "expires");
        json_null(json, "days");
    }
    json_close(json);
}

static int verify_all(const struct looking *look, char **addresses, struct json *json)
{
    int status = CTL_YES;
    for (char **a = addresses; *a != NULL && status != CTL_UNABLE; a++) {
        struct tag_check check;
        char *plain;
        if (!verify_one(look, *a, &check, &plain)) {
            print_error("an address could not be verified: out of memory, or OpenSSL failed");
            status = CTL_UNABLE;
        } else if (json != NULL) {
            print_json(json, *a, &check, plain);
        } else {
            print_line(&check, plain);
        }
        if (status == CTL_YES && check.result != RESULT_VALID) {
            status = CTL_NO;
        }
        free(plain);
    }
    return status;
}

int cmd_verify(struct ctl *ctl, int argc, char **argv)
{
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc < 2) {
        return ctl_usage_error(ctl, "which address?");
    }
    struct ring *ring;
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    struct looking look = {ctl->config->settings, ring, time(NULL)};
    struct json json;
    struct json *list = json_begin_list(&json, ctl->json);
    int status = verify_all(&look, argv + 1, list);
    json_end_list(list);
    ring_free(ring);
    return status;
}

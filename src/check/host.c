/*
 * What batvd itself needs: its configuration, its folder, its keys; and what the daemon tells about
 * itself in the status file. That file and the ring are read once and kept in struct check.
 */
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/print.h"
#include "base/words.h"
#include "batv/day.h"
#include "check/check.h"
#include "daemon/file_snapshot.h"
#include "mta/milter_address.h"
#include "mta/postfix_trust.h"
#include "mta/strangers.h"
#include "store/pause.h"
#include "store/ring_file.h"

enum { FEW = 10 }; /* findings of a kind told one by one */

/* The configuration. */

/* Lists by which strangers are taken for hosts of ours. True where there is one. */
static bool tell_wide_lists(struct check *check)
{
    const struct settings *settings = check->config->settings;
    bool internal = network_list_holds_strangers(settings->internal_networks);
    bool servers =
        settings->exclude_mail_servers && network_list_holds_strangers(settings->mail_servers);
    if (internal) {
        check_add(
            check, CHECK_FAIL,
            mend_config(check, "internal_networks = [ \"127.0.0.0/8\", \"::1/128\" ]; and "
                               "behind these only networks all of whose hosts are yours,"),
            "internal_networks contains strangers: batvd signs everybody's mail as yours, and "
            "accepts every bounce from mail_servers");
    } else if (servers) {
        check_add(check, CHECK_FAIL,
                  mend_config(check, "mail_servers = [ ]; and in it only servers of yours,"),
                  "mail_servers contains strangers: every bounce is accepted without a tag "
                  "(exclude.mail_servers)");
    }
    return internal || servers;
}

void check_configuration(struct check *check)
{
    const struct config_messages *messages = check->messages;
    const char *path = check->config_path;
    for (size_t i = 0; i < messages->count; i++) {
        char *text = config_message_format(&messages->items[i]);
        bool error = messages->items[i].level == CONFIG_ERROR;
        check_add(check, error ? CHECK_FAIL : CHECK_WARN,
                  mend_text("edit %s; batvd -n -c %s", path, check_conf(check)), "%s",
                  text != NULL ? text : "");
        free(text);
    }
    bool wide = check->config != NULL && tell_wide_lists(check);
    if (messages->count == 0 && check->config != NULL && !wide) {
        check_ok(check, "%s has no faults", path);
    }
}

void check_domains(struct check *check)
{
    const struct settings *settings = check->config->settings;
    struct listing listing = {.count = 0};
    size_t signing = 0;
    for (size_t i = 0; i < settings->domain_count; i++) {
        listing_add(&listing, settings->domain[i].name);
        signing += settings->domain[i].sign;
    }
    if (settings->domain_count == 0) {
        check_add(check, CHECK_WARN, mend_config(check, "domains = ( \"example.com\" );"),
                  "no domains are configured: batvd signs and verifies nothing");
    } else if (signing == 0) {
        check_add(check, CHECK_WARN, mend_member(check, "sign", "enabled", "true"),
                  "nothing is signed: sign.enabled, or every domain's sign, is false (%s)",
                  listing_end(&listing));
    } else {
        check_ok(check, "%zu, of which %zu are signed: %s", settings->domain_count, signing,
                 listing_end(&listing));
    }
}

/* The folder. */

/* True where the folder is batvd's alone: its keys, or nothing, are in it, and not the socket, to
 * which the MTA has to come. */
static bool is_own_folder(const struct check *check)
{
    const char *path = check->config->state_dir;
    const char *socket = listen_path(check->config->listen);
    DIR *folder = opendir(path);
    bool keys = false;
    bool empty = true;
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        keys = keys || strcmp(entry->d_name, "keyring") == 0;
        empty = empty && entry->d_name[0] == '.';
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return folder != NULL && (keys || empty) &&
           (socket == NULL || path_below(socket, path) == NULL);
}

/* The command, which is taken over, if the folder is batvd's alone. */
static char *mend_folder(struct check *check, char *command)
{
    if (is_own_folder(check)) {
        return command;
    }
    free(command);
    return mend_text(
        "in %s: state_dir = \"/var/lib/batvd\"; or another folder of batvd alone; move "
        "the keyring there; then %s",
        check->config_path, check->restart);
}

static void check_folder_mode(struct check *check, const struct stat *folder)
{
    const char *path = check->config->state_dir;
    unsigned mode = (unsigned)folder->st_mode & 07777;
    if ((mode & 022) != 0) {
        check_add(check, CHECK_FAIL,
                  mend_folder(check, mend_text("chmod 700 %s", check_word(check, path))),
                  "%s has mode %04o: users other than its owner can replace the keys in it", path,
                  mode);
    } else if ((mode & 055) != 0) {
        check_add(check, CHECK_WARN,
                  mend_folder(check, mend_text("chmod 700 %s", check_word(check, path))),
                  "%s has mode %04o, expected 0700: users other than its owner can read it", path,
                  mode);
    } else {
        check_ok(check, "%s is its owner's alone, mode %04o", path, mode);
    }
}

void check_state_dir(struct check *check)
{
    const char *path = check->config->state_dir;
    kept_ring_find(path, &check->kept);
    const char *user = check->config->user;
    const struct passwd *account = user != NULL ? getpwnam(user) : NULL;
    struct stat folder;
    if (user != NULL && account == NULL) {
        check_add(check, CHECK_FAIL,
                  mend_text("adduser --system --group --no-create-home --home %s %s",
                            check_word(check, path), check_word(check, user)),
                  "there is no user %s for batvd to run as", user);
    } else if (stat(path, &folder) != 0) {
        check_add(check, CHECK_FAIL,
                  mend_text("install -d -m 0700%s%s %s", user != NULL ? " -o " : "",
                            user != NULL ? check_word(check, user) : "", check_word(check, path)),
                  "%s: %s", path, strerror(errno));
    } else if (!S_ISDIR(folder.st_mode)) {
        check_add(check, CHECK_FAIL,
                  mend_text("mv %s %s.old", check_word(check, path), check_word(check, path)),
                  "%s is not a folder", path);
    } else if (account != NULL && account->pw_uid != folder.st_uid) {
        check_add(check, CHECK_FAIL,
                  mend_folder(check, mend_text("chown -R %s %s", check_word(check, user),
                                               check_word(check, path))),
                  "%s belongs to user id %lu, but batvd runs as %s", path,
                  (unsigned long)folder.st_uid, user);
    } else {
        check_folder_mode(check, &folder);
    }
}

/* The keys. */

void check_active_key(struct check *check)
{
    int active = ring_active(check->ring, check->now);
    if (active == RING_NO_SLOT) {
        check_add(check, CHECK_FAIL, mend_text("batvctl -c %s key rotate", check_conf(check)),
                  "no key signs");
        return;
    }
    char since[PRINT_TIME];
    format_moment(check->ring->keys[active].signs_from, since);
    check_ok(check, "key %d signs, since %s", active, since);
}

void check_next_slot(struct check *check)
{
    const struct key_policy *policy = &check->config->settings->keys;
    time_t due = ring_rotation_due(check->ring, policy, check->now);
    unsigned slot = ring_next_slot(check->ring);
    int64_t free_day = ring_free_day(check->ring, slot);
    int64_t wanted = day_of(due == RING_OPEN || due < check->now ? check->now : due);
    char *command = mend_text("batvctl -c %s key list", check_conf(check));
    if (free_day < 0) {
        check_add(check, CHECK_WARN, command,
                  "the next key would be number %u, which an endless key has: no key can be made",
                  slot);
    } else if (free_day > wanted) {
        char day[DAY_TEXT];
        day_format(free_day, day);
        check_add(check, CHECK_WARN, command,
                  "the next key can be made on %s only: until then tags by the former key %u may "
                  "still be valid",
                  day, slot);
    } else {
        free(command);
        check_ok(check, "the next key will be number %u, which is free", slot);
    }
}

void check_rotation(struct check *check)
{
    const struct key_policy *policy = &check->config->settings->keys;
    time_t due = ring_rotation_due(check->ring, policy, check->now);
    char when[PRINT_TIME];
    if (due == RING_OPEN) {
        check_ok(check, "%s",
                 policy->rotate_days == 0 ? "automatic rotation is off (keys.rotate_days = 0)"
                                          : "a new key is about to sign");
        return;
    }
    format_moment(due, when);
    if (due < check->now - DAY_SECONDS) {
        check_add(check, CHECK_WARN, mend_text("batvctl -c %s key rotate", check_conf(check)),
                  "a new key has been due since %s", when);
    } else {
        check_ok(check, "the next key is due on %s", when);
    }
}

/* The daemon. */

void check_daemon(struct check *check)
{
    struct report_look *look = &check->look;
    if (report_is_present(look)) {
        status_relayed_merge(&look->report);
        check->status = &look->report;
    }
    if (!look->running && process_with_keys(check) != 0) {
        check_add(check, CHECK_FAIL, mend_text("%s", check->restart),
                  "batvd runs, process %ld, but %s is another folder than the one that it started "
                  "with",
                  process_with_keys(check), check->config->state_dir);
    } else if (!look->running) {
        check_add(check, CHECK_FAIL, mend_text("%s", check->start), "no batvd is running on %s",
                  check->config->state_dir);
    } else if (check->status == NULL) {
        check_ok(check, "batvd is running");
    } else if (strcmp(look->report.version, BATV_VERSION) != 0) {
        check_add(check, CHECK_WARN, mend_text("%s", check->restart),
                  "batvd %s is running, but %s is installed", look->report.version, BATV_VERSION);
    } else {
        check_ok(check, "batvd %s is running, process %ld", look->report.version, look->report.pid);
    }
}

void check_reload(struct check *check)
{
    const struct status_report *status = check->status;
    const char *path = check->config_path;
    char *reload = mend_text("%s", check->reload);
    if (status->reload_error[0] != '\0') {
        check_add(check, CHECK_FAIL, reload,
                  "batvd could not load its configuration and keeps the former one: %s",
                  status->reload_error);
    } else if (report_is_outdated(status, check->config->path)) {
        check_add(check, CHECK_WARN, reload, "%s has changed since batvd read it", path);
    } else {
        free(reload);
        check_ok(check, "batvd uses the current %s", path);
    }
    if (status->ring_error[0] != '\0' && check->ring != NULL) {
        check_add(check, CHECK_FAIL, mend_text("batvctl -c %s key list", check_conf(check)),
                  "batvd could not load the keyring and keeps the former one: %s",
                  status->ring_error);
    }
}

void check_pause(struct check *check)
{
    time_t since = 0;
    if (!pause_since(check->config->state_dir, &since)) {
        check_ok(check, "not paused");
        return;
    }
    char when[PRINT_TIME];
    format_moment(since, when);
    check_add(check, CHECK_WARN, mend_text("batvctl -c %s resume", check_conf(check)),
              "paused since %s: nothing is rejected", when);
}

/* The clock is not before the ring: it jumped, and may be right now. */
static void tell_jumped(struct check *check, const char *command)
{
    char until[PRINT_TIME] = "an hour has passed";
    if (check->status->clock_until != 0) {
        format_moment(check->status->clock_until, until);
    }
    check_add(
        check, CHECK_WARN,
        mend_text("look at date -u: if it is right, wait until then; if it is wrong, %s", command),
        "the clock has jumped by more than a day: batvd makes no keys, and `auto` only logs, until "
        "%s; then batvd trusts the clock",
        until);
}

void check_clock(struct check *check)
{
    time_t newest = check->ring != NULL ? ring_newest_time(check->ring) : 0;
    static const char command[] = "timedatectl set-ntp true; without systemd: set it with date";
    if (newest > check->now + DAY_SECONDS) {
        char when[PRINT_TIME];
        format_moment(newest, when);
        check_add(check, CHECK_FAIL, mend_text("%s", command),
                  "the clock is wrong: the keyring was last changed on %s, which is in the future",
                  when);
    } else if (check->status != NULL && check->status->clock_wrong) {
        tell_jumped(check, command);
    } else {
        check_ok(check, "the clock agrees with the keyring");
    }
}

/* Mail of ours that goes out unsigned. */

/* Only an address that the MTA itself trusts may be ours: what strangers bring about must never
 * become advice to take their mail for ours. */
static char *mend_relayed(const struct check *check, const struct status_row *relayed)
{
    struct postfix_trust *trust = check->postfix != NULL ? postfix_trust_new(check->postfix) : NULL;
    bool trusted = postfix_trusts(trust, relayed->client);
    char *network = mend_text("\"%s\"", relayed->client);
    char *text = NULL;
    if (!trusted) {
        text = mend_text("find out why the MTA sends mail of %s to %s", relayed->client,
                         relayed->name);
    } else if (network != NULL) {
        text = mend_internal(check, "", network);
    }
    free(network);
    postfix_trust_free(trust);
    return text;
}

static void tell_relayed(struct check *check, const struct status_row *relayed)
{
    char when[PRINT_TIME];
    format_moment(relayed->last, when);
    check_add(check, CHECK_WARN, mend_relayed(check, relayed),
              "%llu messages of %s came from %s, which is not in internal_networks, and left "
              "without a tag, the last on %s to %s: their bounces will be rejected, and `auto` "
              "waits longer for a domain that does not reject yet",
              (unsigned long long)relayed->count, relayed->domain, relayed->client, when,
              relayed->name);
}

/* True where the configuration counts the client's mail as ours by now. */
static bool is_internal(const struct check *check, const char *client)
{
    struct ip ip;
    return ip_parse(client, &ip) &&
           network_list_match(check->config->settings->internal_networks, &ip) != NULL;
}

void check_relayed(struct check *check)
{
    const struct status_report *status = check->status;
    time_t recent = check->now - settings_wait(check->config->settings);
    size_t count = 0;
    for (size_t i = 0; i < status->relayed.count; i++) {
        if (status->relayed.rows[i].last < recent ||
            is_internal(check, status->relayed.rows[i].client)) {
            continue;
        }
        if (count++ < FEW) {
            tell_relayed(check, &status->relayed.rows[i]);
        }
    }
    if (count == 0) {
        check_ok(check, "no mail in your name has left past the filter");
    } else if (count > FEW) {
        check_add(check, CHECK_WARN, mend_text("batvctl -c %s status", check_conf(check)),
                  "and %zu more clients", count - FEW);
    }
}

void check_guessing(struct check *check)
{
    const struct status_report *status = check->status;
    char when[PRINT_TIME];
    for (size_t i = 0; i < status->guessed.count && i < FEW; i++) {
        format_moment(status->guessed.rows[i].until, when);
        check_add(check, CHECK_WARN, mend_text("batvctl -c %s status", check_conf(check)),
                  "many wrong tags arrived for %s: until %s, bounces to it need a proof in "
                  "addition to their tag",
                  status->guessed.rows[i].name, when);
    }
    if (status->guessed.count == 0) {
        check_ok(check, "nobody is guessing the tags of an address");
    } else if (status->guessed.count > FEW) {
        check_add(check, CHECK_WARN, mend_text("batvctl -c %s status", check_conf(check)),
                  "and %zu more addresses", status->guessed.count - FEW);
    }
}

/* The domains for which `auto` is in that state; *until becomes the latest end. */
static bool list_domains(const struct check *check, const struct snapshot *snapshot,
                         enum auto_state state, struct listing *listing, time_t *until)
{
    const struct settings *settings = snapshot->settings;
    *listing = (struct listing){.count = 0};
    *until = 0;
    for (size_t i = 0; i < settings->domain_count; i++) {
        const struct domain_settings *domain = &settings->domain[i];
        time_t end;
        if (domain->action == ACTION_AUTO &&
            snapshot_auto(snapshot, domain, check->now, &end) == state) {
            listing_add(listing, domain->name);
            *until = end > *until ? end : *until;
        }
    }
    return listing->count > 0;
}

/* Domains that reject by an explicit action before a tag of theirs is about. True: there are some.
 */
static bool tell_hasty(struct check *check)
{
    const struct settings *settings = check->config->settings;
    struct listing listing = {.count = 0};
    time_t first;
    for (size_t i = 0; i < settings->domain_count; i++) {
        const struct domain_settings *domain = &settings->domain[i];
        bool rejects = domain->action == ACTION_REJECT || domain->action == ACTION_DISCARD;
        if (domain->sign && rejects && !ring_first_signed(check->ring, domain->name, &first)) {
            listing_add(&listing, domain->name);
        }
    }
    if (listing.count > 0) {
        check_add(check, CHECK_WARN, mend_member(check, "verify", "action", "\"auto\""),
                  "verify.action rejects already, but nothing has been signed yet: genuine bounces "
                  "of earlier mail have no tag and are lost, for %s",
                  listing_end(&listing));
    }
    return listing.count > 0;
}

/* True: there was something to say. */
static bool tell_waiting(struct check *check, const struct snapshot *snapshot)
{
    struct listing listing;
    time_t until;
    bool told = false;
    if (list_domains(check, snapshot, AUTO_NEVER_SIGNED, &listing, &until)) {
        check_add(
            check, CHECK_WARN,
            mend_text("send a message from one of its addresses and look for `sign` in the log: %s",
                      check_log_place(check)),
            "nothing has been signed yet for %s: bounces are logged, not rejected",
            listing_end(&listing));
        told = true;
    }
    if (list_domains(check, snapshot, AUTO_WAITING, &listing, &until)) {
        char when[PRINT_TIME];
        format_moment(until, when);
        check_ok(check, "backscatter is only logged, until %s at the latest: %s", when,
                 listing_end(&listing));
        told = true;
    }
    if (list_domains(check, snapshot, AUTO_NO_TAG, &listing, &until)) {
        check_add(
            check, CHECK_WARN,
            mend_text("send a message from each of them to an external address that does not "
                      "exist, and look for `result=valid` in the log: %s",
                      check_log_place(check)),
            "no valid tag has come back from outside yet, so bounces are logged, not rejected: %s",
            listing_end(&listing));
        told = true;
    }
    return told;
}

void check_warm_up(struct check *check)
{
    struct file_snapshot files;
    struct listing listing;
    time_t until;
    if (file_snapshot_make(check->config, check->ring, &check->look, check->now, &files) !=
        STATUS_OK) {
        check->no_memory = true;
        return;
    }
    bool hasty = tell_hasty(check);
    bool waits = tell_waiting(check, &files.snapshot);
    if (list_domains(check, &files.snapshot, AUTO_ENFORCES, &listing, &until) ||
        (!hasty && !waits)) {
        check_ok(check, "no domain waits%s%s", listing.count > 0 ? "; enforcing: " : "",
                 listing_end(&listing));
    }
    file_snapshot_clear(&files);
}

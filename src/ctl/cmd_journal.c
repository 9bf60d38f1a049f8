/*
 * batvctl journal: what is in the journal of sent messages. The database is read while the daemon
 * may be running, in short transactions, never while this prints. What the daemon has taken in
 * within the last second is still in its memory and not seen.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/print.h"
#include "batv/address.h"
#include "batv/day.h"
#include "batv/evidence.h"
#include "content/evidence_returned.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "daemon/running.h"
#include "store/journal.h"

/* Everything that is no answer. Returns CTL_UNABLE. */
static int complain(const struct reason *why)
{
    print_error("%s", why->text);
    return CTL_UNABLE;
}

static bool has_operands(const struct ctl *ctl, int argc, char **argv, int count)
{
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return false;
    }
    if (argc - 1 != count) {
        (void)ctl_usage_error(ctl,
                              argc - 1 < count ? "journal %s: something is missing"
                                               : "journal %s: too many arguments",
                              argv[0]);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ stat */

static void print_size(const char *before, uint64_t octets)
{
    enum { MIB = 1024 * 1024 };
    printf("%s%.1f MiB", before, (double)octets / MIB);
}

static void print_moment(const char *before, time_t when)
{
    char moment[PRINT_TIME];
    format_moment(when, moment);
    printf("%s%s\n", before, moment);
}

static void print_stat(const struct ctl *ctl, const struct journal_stat *stat)
{
    uint64_t max_size = ctl->config->journal_max_size;
    print_moment("begun           ", stat->birth);
    printf("entries         %" PRIu64 "\n", stat->entries);
    if (stat->oldest_expires >= 0) {
        char day[DAY_TEXT];
        day_format(stat->oldest_expires, day);
        printf("oldest expires  %s\n", day);
    }
    print_size("in use          ", stat->used);
    printf(" of %.1f MiB, %.0f %%\n", (double)max_size / (1024 * 1024),
           max_size > 0 ? 100.0 * (double)stat->used / (double)max_size : 0.0);
    print_size("file            ", stat->size);
    putchar('\n');
    if (stat->forced > 0) {
        printf("it was full: %" PRIu64 " entries had to go before they expired", stat->forced);
        print_moment(", the last on ", stat->forced_at);
    }
    if (stat->damaged_aside) {
        print_format(stdout,
                     "an earlier journal was damaged and is set aside as %s/journal.damaged\n",
                     ctl->config->state_dir);
    }
    if (!ctl->config->settings->evidence.journal) {
        puts("it is off by the configuration: nothing is added to it, or asked of it");
    }
}

static void json_time_or_null(struct json *json, const char *name, time_t when)
{
    if (when != 0) {
        json_time(json, name, when);
    } else {
        json_null(json, name);
    }
}

static void print_stat_json(const struct ctl *ctl, const struct journal_stat *stat)
{
    struct json json;
    json_begin(&json, stdout);
    json_open_object(&json, NULL);
    json_bool(&json, "exists", stat->written);
    json_bool(&json, "enabled", ctl->config->settings->evidence.journal);
    json_time_or_null(&json, "begun", stat->birth);
    json_unsigned(&json, "entries", stat->entries);
    if (stat->oldest_expires >= 0) {
        json_day(&json, "oldest_expires", stat->oldest_expires);
    } else {
        json_null(&json, "oldest_expires");
    }
    json_unsigned(&json, "used", stat->used);
    json_unsigned(&json, "size", stat->size);
    json_unsigned(&json, "max_size", ctl->config->journal_max_size);
    json_unsigned(&json, "forced", stat->forced);
    json_time_or_null(&json, "forced_at", stat->forced_at);
    json_bool(&json, "damaged_aside", stat->damaged_aside);
    json_close(&json);
    json_end(&json);
}

int cmd_journal_stat(struct ctl *ctl, int argc, char **argv)
{
    struct journal *journal;
    struct journal_stat stat = {.oldest_expires = -1};
    struct reason why;
    if (!has_operands(ctl, argc, argv, 0)) {
        return CTL_UNABLE;
    }
    enum status status = journal_open_reader(ctl->config->state_dir, &journal, &why);
    if (status == STATUS_OK) {
        status = journal_stat(journal, &stat, &why);
    }
    journal_close(journal);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return complain(&why);
    }
    if (ctl->json) {
        print_stat_json(ctl, &stat);
    } else if (status == STATUS_OK) {
        print_stat(ctl, &stat);
    } else {
        puts(ctl->config->settings->evidence.journal
                 ? "there is no journal yet: batvd makes it when it starts"
                 : "there is no journal: it is off by the configuration");
    }
    return status == STATUS_OK ? CTL_YES : CTL_NO;
}

/* ---------------------------------------------------------------- lookup */

struct lookup {
    const char *raw, *message_id;
    enum journal_answer answer;
    struct journal_entry entry;
    time_t birth;
};

/* The address as entries are bound to it, with and without VERP extensions. NULL: told. The caller
 * frees. */
static struct evidence_names *name_address(const struct ctl *ctl, const char *raw)
{
    struct address address;
    struct evidence_names *names = NULL;
    if (address_parse(raw, &address) != STATUS_OK) {
        print_error("out of memory");
        return NULL;
    }
    if (address.local[0] == '\0' || address.ascii[0] == '\0') {
        (void)ctl_usage_error(ctl, "journal lookup: %s is no address", raw);
    } else if (evidence_names_new(address.local, address.ascii, &names) != STATUS_OK) {
        print_error("out of memory");
    }
    address_free(&address);
    return names;
}

/* False: it cannot be told, which has been said. */
static bool look(const struct ctl *ctl, const struct ring *ring, const struct evidence_names *names,
                 struct lookup *lookup)
{
    struct journal *journal;
    struct reason why;
    if (journal_open_reader(ctl->config->state_dir, &journal, &why) != STATUS_OK) {
        (void)complain(&why);
        return false;
    }
    lookup->birth = journal_birth(journal);
    struct message_use use = {.name = ""};
    lookup->answer = JOURNAL_NO;
    for (size_t i = 0; i < names->count && lookup->answer == JOURNAL_NO; i++) {
        lookup->answer =
            evidence_look(journal, ring, names->texts[i], lookup->message_id, time(NULL), &use);
    }
    lookup->entry = use.entry;
    if (lookup->answer == JOURNAL_UNAVAILABLE) {
        print_error("%s", journal_trouble(journal, &why) ? why.text : "the journal cannot be read");
    }
    journal_close(journal);
    return lookup->answer != JOURNAL_UNAVAILABLE;
}

static void print_lookup(const struct ctl *ctl, const struct lookup *lookup)
{
    const struct journal_entry *entry = &lookup->entry;
    if (lookup->answer != JOURNAL_NO) {
        char day[DAY_TEXT];
        day_format(entry->expires, day);
        printf("sent: proves bounces until %s; %u of %u used%s\n", day, entry->used, entry->allowed,
               lookup->answer == JOURNAL_EXHAUSTED ? ": exhausted" : "");
    } else if (lookup->birth == 0) {
        puts("not found: there is no journal");
    } else {
        print_moment("not found; what was sent is known since ", lookup->birth);
        if (daemon_is_running(ctl->config->state_dir)) {
            puts("What was sent within the last second is not seen yet.");
        }
    }
}

static void print_lookup_json(const struct lookup *lookup)
{
    bool found = lookup->answer != JOURNAL_NO;
    struct json json;
    json_begin(&json, stdout);
    json_open_object(&json, NULL);
    json_text(&json, "address", lookup->raw);
    json_text(&json, "message_id", lookup->message_id);
    json_bool(&json, "found", found);
    if (found) {
        json_day(&json, "expires", lookup->entry.expires);
        json_unsigned(&json, "used", lookup->entry.used);
        json_unsigned(&json, "allowed", lookup->entry.allowed);
    } else {
        json_null(&json, "expires");
        json_null(&json, "used");
        json_null(&json, "allowed");
    }
    json_bool(&json, "exhausted", lookup->answer == JOURNAL_EXHAUSTED);
    json_close(&json);
    json_end(&json);
}

/* Brackets around it come from the message or from the log: they go. */
static void take_brackets(char *message_id)
{
    size_t length = strlen(message_id);
    if (length >= 2 && message_id[0] == '<' && message_id[length - 1] == '>') {
        memmove(message_id, message_id + 1, length - 2);
        message_id[length - 2] = '\0';
    }
}

int cmd_journal_lookup(struct ctl *ctl, int argc, char **argv)
{
    struct ring *ring = NULL;
    if (!has_operands(ctl, argc, argv, 2)) {
        return CTL_UNABLE;
    }
    take_brackets(argv[2]);
    if (argv[2][strspn(argv[2], " \t\r\n<>")] == '\0') {
        return ctl_usage_error(ctl, "journal lookup: the Message-ID is empty");
    }
    struct lookup lookup = {.raw = argv[1], .message_id = argv[2]};
    struct evidence_names *names = name_address(ctl, lookup.raw);
    bool told = names != NULL && ctl_load_ring(ctl, &ring) && look(ctl, ring, names, &lookup);
    ring_free(ring);
    evidence_names_free(names);
    if (!told) {
        return CTL_UNABLE;
    }
    if (ctl->json) {
        print_lookup_json(&lookup);
    } else {
        print_lookup(ctl, &lookup);
    }
    return lookup.answer != JOURNAL_NO ? CTL_YES : CTL_NO;
}

/* ---------------------------------------------------------------- expire */

int cmd_journal_expire(struct ctl *ctl, int argc, char **argv)
{
    uint64_t removed;
    struct reason why;
    if (!has_operands(ctl, argc, argv, 0)) {
        return CTL_UNABLE;
    }
    enum status status = journal_expire(ctl->config->state_dir, time(NULL), &removed, &why);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return complain(&why);
    }
    if (ctl->json) {
        struct json json;
        json_begin(&json, stdout);
        json_open_object(&json, NULL);
        json_unsigned(&json, "removed", removed);
        json_close(&json);
        json_end(&json);
    } else if (status == STATUS_NOT_FOUND) {
        puts("there is no journal");
    } else {
        printf("%" PRIu64 " %s had expired and %s gone\n", removed,
               removed == 1 ? "entry" : "entries", removed == 1 ? "is" : "are");
    }
    return CTL_YES;
}

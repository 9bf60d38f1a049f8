/* The site that the sessions under fuzzing use, and the stand-ins for what brings chance in. */
#include "site.h"

#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"

struct site site;

static const char site_text[] =
    "listen = \"inet:8891@127.0.0.1\"; state_dir = \"/s\"; log: { target = \"stderr\"; };\n"
    "domains = ( \"example.com\", { name = \"example.net\"; syntax = \"subaddress\"; },\n"
    "  { name = \"log.example\"; verify_action = \"log\"; },\n"
    "  { name = \"mark.example\"; verify_action = \"mark\"; },\n"
    "  { name = \"quarantine.example\"; verify_action = \"quarantine\"; },\n"
    "  { name = \"tempfail.example\"; verify_action = \"tempfail\"; },\n"
    "  { name = \"reject.example\"; verify_action = \"reject\"; },\n"
    "  { name = \"discard.example\"; verify_action = \"discard\"; },\n"
    "  { name = \"off.example\"; verify_action = \"reject\"; sign = false;\n"
    "    message_id_patterns = [ \"@off\\\\.example$\" ]; },\n"
    "  { name = \".sub.example\"; verify_action = \"reject\"; } );\n"
    "internal_networks = [ \"10.0.0.0/8\", \"127.0.0.0/8\", \"::1\" ];\n"
    "mail_servers = [ \"198.51.100.0/24\" ]; relays = [ \"10.9.9.9\" ];\n"
    "exclude: { networks = [ \"203.0.113.0/24\" ]; hosts = [ \"*.partner.test\" ]; };\n"
    "exclude_sign: { senders = [ \"nosign@*\" ]; recipients = [ \"*@lists.test\" ];\n"
    "  clients = [ \"10.5.0.0/16\" ]; };\n";

/* Ours alone to change, as long as nobody holds a message. */
static struct settings *site_settings(size_t config)
{
    return shared_config_get(site.configs[config])->settings;
}

const struct ring *site_ring(size_t ring)
{
    return shared_ring_get(site.rings[ring]);
}

/* ------------------------------------------------------------------ making */

static struct shared_config *site_load(void)
{
    char path[64];
    struct config *config = NULL;
    struct config_messages messages = {0};
    int fd = memfd_create("conf", MFD_CLOEXEC);
    size_t length = sizeof site_text - 1;
    require(fd >= 0 && write(fd, site_text, length) == (ssize_t)length);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    enum status status = config_load(path, &config, &messages);
    if (status != STATUS_OK) {
        config_messages_print(&messages, stderr);
    }
    require(status == STATUS_OK);
    config_messages_free(&messages);
    close(fd);
    struct shared_config *shared = shared_config_new(config);
    require(shared != NULL);
    return shared;
}

static void site_turn(struct ring *ring, time_t when, int seed)
{
    struct key_policy policy = {.rotate_days = 7, .retain_days = 7, .lifetime_days = SITE_LIFETIME};
    uint8_t octets[SECRET_SIZE];
    memset(octets, seed, sizeof octets);
    require(ring_rotate(ring, &policy, ALGORITHM_HMAC_SHA256, when, 0, octets, NULL) == STATUS_OK);
    ring->generation++;
}

time_t site_noon(int days)
{
    return ((time_t)SITE_DAY + days) * DAY_SECONDS + DAY_SECONDS / 2;
}

static void site_make_rings(void)
{
    bool changed;
    uint8_t evidence[SECRET_SIZE] = {0xe1};
    struct ring *first = ring_new();
    require(first != NULL);
    site_turn(first, site_noon(-13), 1);
    site_turn(first, site_noon(-6), 2);
    require(ring_rotate_evidence(first, evidence) == STATUS_OK);
    ring_domain_add(first, "example.com", site_noon(-30), &changed);
    ring_domain_add(first, "example.net", site_noon(-1), &changed);
    ring_domain_tag_seen(first, "example.com", site_noon(-20));
    struct ring *second = ring_copy(first);
    require(second != NULL);
    site_turn(second, site_noon(0) - 60, 3);
    struct ring *third = ring_copy(second);
    require(third != NULL);
    site_turn(third, site_noon(0) - 30, 4);
    site.rings[0] = shared_ring_new(first);
    site.rings[1] = shared_ring_new(second);
    site.rings[2] = shared_ring_new(third);
}

void site_make(void)
{
    mime_init();
    log_open(LOG_TARGET_STDERR, LOG_MAIL, -1);
    for (size_t i = 0; i < SITE_CONFIGS; i++) {
        site.configs[i] = site_load();
    }
    site_make_rings();
    site.pool = content_pool_new(1 << 22, 1);
    require(site.pool != NULL);
}

static struct shared_snapshot *site_snapshot(const struct site_state *state)
{
    time_t *relayed = calloc(site_settings(state->config)->domain_count, sizeof *relayed);
    require(relayed != NULL);
    relayed[0] = state->relayed ? site_noon(-1) : 0;
    const struct snapshot_parts parts = {.config = site.configs[state->config],
                                         .ring = site.rings[state->ring],
                                         .observed = {.relayed = relayed},
                                         .journal_birth =
                                             state->journal_young ? site_noon(0) : site_noon(-365),
                                         .paused = state->paused,
                                         .clock_wrong = state->clock_wrong};
    struct shared_snapshot *snapshot = shared_snapshot_new(&parts);
    require(snapshot != NULL);
    return snapshot;
}

void site_set(const struct site_state *state)
{
    site.state = *state;
    current_publish(&site.current, site_snapshot(state));
}

void site_begin(const struct site_state *state)
{
    struct reason why;
    site.state = *state;
    current_init(&site.current, site_snapshot(state));
    require(journal_open(NULL, 0, 0, &site.journal, &why) == STATUS_OK);
    site.uses = uses_new(site.journal);
    site.sample = sample_new();
    require(site.uses != NULL && site.sample != NULL);
}

void site_end(void)
{
    sample_free(site.sample);
    uses_free(site.uses);
    journal_close(site.journal);
    current_destroy(&site.current);
}

void site_configure(size_t config, struct input *input)
{
    static const enum action actions[] = {ACTION_AUTO,       ACTION_LOG,      ACTION_MARK,
                                          ACTION_QUARANTINE, ACTION_TEMPFAIL, ACTION_REJECT,
                                          ACTION_DISCARD,    ACTION_AUTO};
    static const enum action follows[] = {ACTION_FOLLOW,     ACTION_LOG,      ACTION_MARK,
                                          ACTION_QUARANTINE, ACTION_TEMPFAIL, ACTION_REJECT,
                                          ACTION_DISCARD,    ACTION_ACCEPT};
    struct settings *settings = site_settings(config);
    unsigned bits = take_number(input);
    unsigned choice = take_number(input);
    static const enum action senders[] = {ACTION_ACCEPT, ACTION_ACCEPT, ACTION_TEMPFAIL,
                                          ACTION_REJECT};
    settings->reject_at_rcpt = (bits & 1) != 0;
    settings->forged_sender = senders[bits >> 14 & 3];
    settings->restore = (bits & 2) == 0;
    settings->exclude_authenticated = (bits & 4) == 0;
    settings->exclude_mail_servers = (bits & 8) == 0;
    settings->on_error = (bits & 16) != 0 ? ACTION_ACCEPT : ACTION_TEMPFAIL;
    settings->evidence.enabled = (bits & 32) == 0;
    settings->evidence.header = (bits & 64) == 0;
    settings->evidence.tag_in_body = (bits & 128) == 0;
    settings->evidence.journal = (bits & 256) == 0;
    settings->evidence.max_body = (bits & 512) != 0 ? 64 : 65536;
    settings->keys.lifetime_days = (bits & 1024) != 0 ? 3 : SITE_LIFETIME;
    settings->domain[0].action = actions[choice % 8];
    settings->domain[1].sign = (bits & 2048) == 0;
    for (size_t i = 0; i < settings->domain_count; i++) {
        struct domain_settings *domain = &settings->domain[i];
        domain->expired = follows[choice / 8 % 8];
        domain->forged = (bits & 4096) != 0 ? actions[choice / 64 % 8] : ACTION_AUTO;
        for (size_t c = 0; c < BOUNCE_CLASS_COUNT; c++) {
            domain->classes[c] =
                (bits & 8192) != 0 ? follows[(choice / 512 + c) % 8] : ACTION_FOLLOW;
        }
    }
}

/* --------------------------------------------------------------- stand-ins */

time_t time(time_t *out)
{
    if (out != NULL) {
        *out = site.state.now;
    }
    return site.state.now;
}

enum status random_octets(void *out, size_t length, struct reason *why)
{
    memset(out, 0x5a, length);
    return site.state.random ? STATUS_OK : reason_set(why, STATUS_IO, "none");
}

struct shared_snapshot *keeper_acquire(struct keeper *keeper)
{
    (void)keeper;
    return current_acquire(&site.current);
}

struct shared_snapshot *keeper_newest(struct keeper *keeper)
{
    if (site.state.blind) {
        if (site.on_blind != NULL) {
            site.on_blind();
        }
        return NULL;
    }
    if (site.state.disk > site.state.ring) {
        struct site_state state = site.state;
        state.ring = state.disk;
        site_set(&state);
    }
    return keeper_acquire(keeper);
}

struct sample *keeper_sample(const struct keeper *keeper)
{
    (void)keeper;
    return site.sample;
}

void keeper_decide(struct keeper *keeper, const struct decision *decision)
{
    (void)keeper;
    char line[DECISION_LINE];
    size_t length = decision_format(decision, line, sizeof line);
    require(length > 0 && length < sizeof line && strlen(line) == length);
    require(strpbrk(line, "\r\n") == NULL);
    if (site.on_decision != NULL) {
        site.on_decision(decision);
    }
}

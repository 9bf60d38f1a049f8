/*
 * The configuration: what is in force by default, what each option does, and for everything that
 * can be wrong the file, the line and the words of the message. At last the sample configuration
 * with random damage, which must give an answer each time.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "../suite.h"
#include "batv/match.h"
#include "config/config.h"

static const char sample[] = "conf/batvd.conf";

static char folder[64];
static char conf[96];
static char list_file[96];
static struct config_messages messages;
static struct config *config;

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/batv-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(conf, sizeof conf, "%s/conf", folder);
    snprintf(list_file, sizeof list_file, "%s/list", folder);
    messages = (struct config_messages){0};
    config = NULL;
}

static void teardown(void)
{
    config_free(config);
    config_messages_free(&messages);
    unlink(conf);
    unlink(list_file);
    rmdir(folder);
}

static void write_octets(const char *path, const char *octets, size_t length)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fchmod(fileno(file), 0644), 0);
    ck_assert_uint_eq(fwrite(octets, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_text(const char *path, const char *text)
{
    write_octets(path, text, strlen(text));
}

/* Loads text as a configuration; a LIST in it stands for the list file's path. */
static enum status load_text(const char *text)
{
    char *filled = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&filled, &size);
    ck_assert_ptr_nonnull(stream);
    for (const char *at = text; *at != '\0'; at++) {
        if (strncmp(at, "LIST", 4) == 0) {
            fputs(list_file, stream);
            at += 3;
        } else {
            fputc(*at, stream);
        }
    }
    ck_assert_int_eq(fclose(stream), 0);
    write_octets(conf, filled, size);
    free(filled);
    config_free(config);
    config = NULL;
    return config_load(conf, &config, &messages);
}

/* All messages, the folder's name left out of them. */
static char *told(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(stream);
    config_messages_print(&messages, stream);
    ck_assert_int_eq(fclose(stream), 0);
    size_t skip = strlen(folder) + 1;
    for (char *at; (at = strstr(text, folder)) != NULL;) {
        memmove(at, at + skip, strlen(at + skip) + 1);
    }
    return text;
}

static void load_good(const char *text)
{
    enum status status = load_text(text);
    char *said = told();
    ck_assert_msg(status == STATUS_OK, "%s%s", text, said);
    ck_assert_msg(said[0] == '\0', "%s%s", text, said);
    free(said);
}

/* -------------------------------------------------------------- defaults */

static bool in_networks(const struct network_list *list, const char *text)
{
    struct ip ip;
    ck_assert(ip_parse(text, &ip));
    return network_list_match(list, &ip) != NULL;
}

static void check_default_lists(const struct settings *settings)
{
    static const char *const excluded[] = {
        "postmaster@example.com",    "abuse@example.com",         "SRS0=x=y=z=a@example.com",
        "srs0+x=y=z=a@example.com",  "SRS0-x=y=z=a@example.com",  "SRS1=x=y==z=a@example.com",
        "SRS1+x=y=+z=a@example.com", "srs1-x=y=-z=a@example.com",
    };
    ck_assert(in_networks(settings->internal_networks, "127.9.9.9"));
    ck_assert(in_networks(settings->internal_networks, "::1"));
    ck_assert(!in_networks(settings->internal_networks, "10.0.0.1"));
    ck_assert(in_networks(settings->mail_servers, "127.0.0.1"));
    ck_assert(!in_networks(settings->relays, "127.0.0.1"));
    ck_assert(!settings->relays_local);
    ck_assert(host_list_match(settings->own_names, "mx.example.com") == NULL);
    ck_assert(pattern_list_match(settings->envelope_only, "www-data@example.com") != NULL);
    ck_assert(pattern_list_match(settings->envelope_only, "apache@example.com") != NULL);
    ck_assert(pattern_list_match(settings->envelope_only, "nobody@example.com") != NULL);
    ck_assert(pattern_list_match(settings->envelope_only, "root@example.com") == NULL);
    ck_assert(!in_networks(settings->exclude_networks, "127.0.0.1"));
    ck_assert(pattern_list_match(settings->bounce_senders, "MAILER-DAEMON@b.test") != NULL);
    ck_assert(pattern_list_match(settings->bounce_senders, "mailer-daemon") != NULL);
    ck_assert(pattern_list_match(settings->bounce_senders, "postmaster@b.test") == NULL);
    for (size_t i = 0; i < COUNT_OF(excluded); i++) {
        ck_assert_msg(pattern_list_match(settings->exclude_recipients, excluded[i]) != NULL, "%s",
                      excluded[i]);
    }
    ck_assert(pattern_list_match(settings->exclude_recipients, "alice@example.com") == NULL);
    ck_assert(pattern_list_match(settings->exclude_sign_senders, "a@b") == NULL);
    ck_assert(pattern_list_match(settings->exclude_sign_recipients, "a@b") == NULL);
    ck_assert(host_list_match(settings->exclude_hosts, "localhost") == NULL);
    ck_assert(host_list_match(settings->exclude_sign_hosts, "localhost") == NULL);
    ck_assert(!in_networks(settings->exclude_sign_networks, "127.0.0.1"));
}

static void check_default_evidence(const struct settings *settings)
{
    ck_assert(settings->evidence.enabled);
    ck_assert(settings->evidence.header);
    ck_assert(settings->evidence.tag_in_body);
    ck_assert(settings->evidence.journal);
    ck_assert_uint_eq(settings->evidence.max_body, 1048576);
    ck_assert_uint_eq(settings->evidence.retain_days, 30);
    ck_assert_uint_eq(config->evidence_max_memory, 67108864);
    ck_assert_uint_eq(config->evidence_parsers, 4);
    ck_assert_uint_eq(config->journal_max_size, 1073741824);
}

static void check_defaults(void)
{
    const struct settings *settings = config->settings;
    ck_assert_str_eq(config->listen, "unix:/var/spool/postfix/batvd/milter.sock");
    ck_assert_uint_eq(config->listen_mode, 0660);
    ck_assert_str_eq(config->listen_group, "postfix");
    ck_assert_ptr_null(config->user);
    ck_assert_str_eq(config->state_dir, "/var/lib/batvd");
    ck_assert_int_eq(config->log_target, LOG_TARGET_SYSLOG);
    ck_assert_int_eq(config->log_facility, LOG_MAIL);
    ck_assert_int_eq(config->log_level, LOG_INFO);
    ck_assert_uint_eq(settings->domain_count, 0);
    ck_assert_ptr_null(settings_domain(settings, "example.com"));
    ck_assert_int_eq(settings->on_error, ACTION_TEMPFAIL);
    ck_assert_uint_eq(settings->keys.rotate_days, 7);
    ck_assert_uint_eq(settings->keys.retain_days, 7);
    ck_assert_uint_eq(settings->keys.lifetime_days, 7);
    ck_assert_uint_eq(settings->keys.publish_seconds, 0);
    ck_assert_int_eq(settings->keys.algorithm, ALGORITHM_HMAC_SHA256);
    ck_assert_int_eq(settings->forged_sender, ACTION_ACCEPT);
    ck_assert(!settings->reject_at_rcpt);
    ck_assert(settings->restore);
    ck_assert_str_eq(settings->mark_header, "X-Batv-Result");
    ck_assert_uint_gt(strlen(settings->text), 20);
    ck_assert(settings->exclude_authenticated);
    ck_assert(settings->exclude_mail_servers);
    check_default_lists(settings);
    check_default_evidence(settings);
}

START_TEST(test_defaults)
{
    static const char *const rows[] = {
        "",
        "# nothing",
        "// nothing\n",
        "/* nothing */",
        "\n\n\r\n\t\f",
        "keys: { }; sign = { }\nverify: { }, exclude: { }; exclude_sign: { }; log: { };",
    };
    load_good(rows[_i]);
    ck_assert_str_eq(config->path, conf);
    check_defaults();
}
END_TEST

/* The sample has a warning where the tree is kept writable for a group, as some umasks have it. */
static void load_sample(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(sample, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(getdelim(&text, &size, '\0', file), 0);
    ck_assert_int_eq(fclose(file), 0);
    load_good(text);
    free(text);
}

START_TEST(test_sample_is_the_defaults)
{
    load_sample();
    check_defaults();
}
END_TEST

/* --------------------------------------------------------------- options */

START_TEST(test_the_daemons_own)
{
    load_good("listen = \"inet:8891@127.0.0.1\"; listen_mode = \"600\"; listen_group = \"\";\n"
              "user = \"batvd\"; state_dir = \"/srv/batvd\";\n"
              "log: { target = \"journald\"; facility = \"local3\"; level = \"debug\"; };");
    ck_assert_str_eq(config->listen, "inet:8891@127.0.0.1");
    ck_assert_uint_eq(config->listen_mode, 0600);
    ck_assert_ptr_null(config->listen_group);
    ck_assert_str_eq(config->user, "batvd");
    ck_assert_str_eq(config->state_dir, "/srv/batvd");
    ck_assert_int_eq(config->log_target, LOG_TARGET_JOURNALD);
    ck_assert_int_eq(config->log_facility, LOG_LOCAL3);
    ck_assert_int_eq(config->log_level, LOG_DEBUG);
}
END_TEST

START_TEST(test_the_simple_settings)
{
    load_good("on_error = \"accept\";\n"
              "keys: { rotate_days = 0x1E; retain_days = 60L; algorithm = \"hmac-sha1\";\n"
              "        publish_seconds = 300; };\n"
              "sign: { lifetime_days = 10; };\n"
              "verify: { reject_at = \"rcpt\"; restore = FALSE; mark_header = \"X-Back\";\n"
              "          forged_sender = \"reject\";\n"
              "          text = \"see \" /* joined */ \"https://example.com/\"\n"
              "                 \"batv\"; };\n"
              "exclude: { authenticated = false; mail_servers = false; };");
    const struct settings *settings = config->settings;
    ck_assert_int_eq(settings->on_error, ACTION_ACCEPT);
    ck_assert_uint_eq(settings->keys.rotate_days, 30);
    ck_assert_uint_eq(settings->keys.retain_days, 60);
    ck_assert_uint_eq(settings->keys.publish_seconds, 300);
    ck_assert_uint_eq(settings->keys.lifetime_days, 10);
    ck_assert_int_eq(settings->keys.algorithm, ALGORITHM_HMAC_SHA1);
    ck_assert_int_eq(settings->forged_sender, ACTION_REJECT);
    ck_assert(settings->reject_at_rcpt);
    ck_assert(!settings->restore);
    ck_assert_str_eq(settings->mark_header, "X-Back");
    ck_assert_str_eq(settings->text, "see https://example.com/batv");
    ck_assert(!settings->exclude_authenticated);
    ck_assert(!settings->exclude_mail_servers);
}
END_TEST

START_TEST(test_lists)
{
    load_good("internal_networks = ( \"192.0.2.0/24\" ); mail_servers = [ ];\n"
              "relays = [ \"198.51.100.1\", ]; bounce_senders = ( \"bounce@*\", );\n"
              "exclude: { networks = [ \"203.0.113.0/24\" ]; hosts = [ \"*.example.org\" ];\n"
              "           recipients = [ ]; };\n"
              "exclude_sign: { senders = [ \"*@news.example.com\" ];\n"
              "    recipients = [ \"*@lists.example.net\" ];\n"
              "    clients = [ \"2001:db8::/32\", \"app.example.com\", \"192.0.2.9\" ]; };");
    const struct settings *settings = config->settings;
    ck_assert(in_networks(settings->internal_networks, "192.0.2.1"));
    ck_assert(!in_networks(settings->internal_networks, "127.0.0.1"));
    ck_assert(!in_networks(settings->mail_servers, "192.0.2.1"));
    ck_assert(in_networks(settings->relays, "198.51.100.1"));
    ck_assert(pattern_list_match(settings->bounce_senders, "bounce@a") != NULL);
    ck_assert(pattern_list_match(settings->bounce_senders, "mailer-daemon@a") == NULL);
    ck_assert(in_networks(settings->exclude_networks, "203.0.113.7"));
    ck_assert(host_list_match(settings->exclude_hosts, "a.example.org") != NULL);
    ck_assert(pattern_list_match(settings->exclude_recipients, "postmaster@a") == NULL);
    ck_assert(pattern_list_match(settings->exclude_sign_senders, "a@news.example.com") != NULL);
    ck_assert(pattern_list_match(settings->exclude_sign_recipients, "a@lists.example.net") != NULL);
    ck_assert(in_networks(settings->exclude_sign_networks, "2001:db8::1"));
    ck_assert(in_networks(settings->exclude_sign_networks, "192.0.2.9"));
    ck_assert(host_list_match(settings->exclude_sign_hosts, "app.example.com") != NULL);
}
END_TEST

START_TEST(test_who_hands_in)
{
    load_good("relays = [ \"local\" ]; own_names = [ \"*.example.com\" ];\n"
              "evidence: { envelope_only = [ \"shop@*\" ]; };");
    const struct settings *settings = config->settings;
    ck_assert(settings->relays_local);
    ck_assert(!in_networks(settings->relays, "127.0.0.1"));
    ck_assert(host_list_match(settings->own_names, "MX1.example.com") != NULL);
    ck_assert(pattern_list_match(settings->envelope_only, "shop@example.com") != NULL);
    ck_assert(pattern_list_match(settings->envelope_only, "www-data@example.com") == NULL);
    load_good("relays = [ \"192.0.2.1\", \"local\", \"192.0.2.2\" ];");
    ck_assert(config->settings->relays_local);
    ck_assert(in_networks(config->settings->relays, "192.0.2.1"));
    ck_assert(in_networks(config->settings->relays, "192.0.2.2"));
    load_good("relays = [ \"192.0.2.1\" ];");
    ck_assert(!config->settings->relays_local);
}
END_TEST

START_TEST(test_mail_servers_are_the_internal_networks_unless_given)
{
    load_good("internal_networks = [ \"192.0.2.0/24\" ];");
    ck_assert(in_networks(config->settings->mail_servers, "192.0.2.1"));
    ck_assert(!in_networks(config->settings->mail_servers, "127.0.0.1"));
    load_good("internal_networks = [ \"192.0.2.0/24\" ]; mail_servers = [ \"10.0.0.1\" ];");
    ck_assert(in_networks(config->settings->mail_servers, "10.0.0.1"));
    ck_assert(!in_networks(config->settings->mail_servers, "192.0.2.1"));
}
END_TEST

static const struct domain_settings *settings_of(const char *name)
{
    const struct domain_settings *domain = settings_domain(config->settings, name);
    ck_assert_msg(domain != NULL, "%s", name);
    return domain;
}

START_TEST(test_domains)
{
    load_good("domains = ( \"Example.COM\", \".example.org\", \"b\xc3\xbc"
              "cher.example\",\n"
              "  { name = \"example.net\"; verify_action = \"log\"; syntax = \"subaddress\";\n"
              "    sign = false; },\n"
              "  { name = \".Sub.example.net\" } );\n"
              "verify: { action = \"reject\"; expired = \"mark\"; forged = \"log\"; };");
    ck_assert_uint_eq(config->settings->domain_count, 5);
    const struct domain_settings *domain = settings_of("example.com");
    ck_assert_str_eq(domain->name, "example.com");
    ck_assert(domain->sign);
    ck_assert_int_eq(domain->syntax, TAG_PREFIX);
    ck_assert_int_eq(domain->action, ACTION_REJECT);
    ck_assert_int_eq(domain->expired, ACTION_MARK);
    ck_assert_int_eq(domain->forged, ACTION_LOG);
    ck_assert_ptr_null(settings_domain(config->settings, "example.org"));
    ck_assert_str_eq(settings_of("a.b.example.org")->name, ".example.org");
    ck_assert_str_eq(settings_of("xn--bcher-kva.example")->name, "xn--bcher-kva.example");
    domain = settings_of("example.net");
    ck_assert(!domain->sign);
    ck_assert_int_eq(domain->syntax, TAG_SUBADDRESS);
    ck_assert_int_eq(domain->action, ACTION_LOG);
    domain = settings_of("a.sub.example.net");
    ck_assert_str_eq(domain->name, ".sub.example.net");
    ck_assert_int_eq(domain->action, ACTION_REJECT);
    ck_assert_int_eq(domain->syntax, TAG_PREFIX);
    ck_assert(domain->sign);
}
END_TEST

START_TEST(test_general_settings_reach_the_domains)
{
    load_good("domains = ( \"a.test\", { name = \"b.test\"; sign = true; syntax = \"prefix\" } );\n"
              "sign: { enabled = false; syntax = \"subaddress\"; };");
    ck_assert(!settings_of("a.test")->sign);
    ck_assert(!settings_of("b.test")->sign);
    ck_assert_int_eq(settings_of("a.test")->syntax, TAG_SUBADDRESS);
    ck_assert_int_eq(settings_of("b.test")->syntax, TAG_PREFIX);
    ck_assert_int_eq(settings_of("a.test")->action, ACTION_AUTO);
    ck_assert_int_eq(settings_of("a.test")->expired, ACTION_FOLLOW);
    ck_assert_int_eq(settings_of("a.test")->forged, ACTION_AUTO);
}
END_TEST

START_TEST(test_classes)
{
    load_good("domains = ( \"a.test\" );");
    const enum action *classes = settings_of("a.test")->classes;
    ck_assert_int_eq(classes[BOUNCE_MDN], ACTION_AUTO);
    ck_assert_int_eq(classes[BOUNCE_CALENDAR], ACTION_AUTO);
    ck_assert_int_eq(classes[BOUNCE_REPORT], ACTION_FOLLOW);
    ck_assert_int_eq(classes[BOUNCE_AUTOREPLY], ACTION_FOLLOW);
    ck_assert_int_eq(classes[BOUNCE_DSN], ACTION_FOLLOW);
    ck_assert_int_eq(classes[BOUNCE_OTHER], ACTION_FOLLOW);

    load_good(
        "domains = ( \"a.test\", { name = \"b.test\"; sign = false; } );\n"
        "verify: { class: { mdn = \"reject\"; calendar = \"\"; report = \"accept\";\n"
        "                   autoreply = \"mark\"; dsn = \"discard\"; other = \"tempfail\" };\n"
        "          action = \"reject\"; };");
    for (int i = 0; i < 2; i++) {
        classes = settings_of(i == 0 ? "a.test" : "b.test")->classes;
        ck_assert_int_eq(classes[BOUNCE_MDN], ACTION_REJECT);
        ck_assert_int_eq(classes[BOUNCE_CALENDAR], ACTION_FOLLOW);
        ck_assert_int_eq(classes[BOUNCE_REPORT], ACTION_ACCEPT);
        ck_assert_int_eq(classes[BOUNCE_AUTOREPLY], ACTION_MARK);
        ck_assert_int_eq(classes[BOUNCE_DSN], ACTION_DISCARD);
        ck_assert_int_eq(classes[BOUNCE_OTHER], ACTION_TEMPFAIL);
        ck_assert_int_eq(settings_of("a.test")->action, ACTION_REJECT);
    }
}
END_TEST

START_TEST(test_evidence)
{
    load_good("evidence: { enabled = true; header = false; tag_in_body = false;\n"
              "            max_body = 65536; max_memory = 8589934592L; parsers = 64; };\n"
              "journal: { enabled = false; retain_days = 365; max_size = 1099511627776L; };");
    const struct evidence_policy *evidence = &config->settings->evidence;
    ck_assert(evidence->enabled);
    ck_assert(!evidence->header);
    ck_assert(!evidence->tag_in_body);
    ck_assert(!evidence->journal);
    ck_assert_uint_eq(evidence->max_body, 65536);
    ck_assert_uint_eq(evidence->retain_days, 365);
    ck_assert_uint_eq(config->evidence_max_memory, 8589934592);
    ck_assert_uint_eq(config->evidence_parsers, 64);
    ck_assert_uint_eq(config->journal_max_size, 1099511627776);

    /* Without evidence there is no journal. */
    load_good("evidence: { enabled = false; }; journal: { enabled = true; retain_days = 1; };");
    evidence = &config->settings->evidence;
    ck_assert(!evidence->enabled);
    ck_assert(!evidence->journal);
    ck_assert_uint_eq(evidence->retain_days, 1);
}
END_TEST

START_TEST(test_sizes_in_every_spelling)
{
    static const struct {
        const char *conf;
        size_t size;
    } sizes[] = {
        {"journal: { max_size = 1073741824; };", 1073741824},
        {"journal: { max_size = 1073741824L; };", 1073741824},
        {"journal: { max_size = 1073741824LL; };", 1073741824},
        {"journal: { max_size = 0x40000000; };", 1073741824},
        {"journal: { max_size = 0x40000000L; };", 1073741824},
        {"journal: { max_size = 2147483647; };", 2147483647},
        {"journal: { max_size = 2147483648L; };", 2147483648},
        {"journal: { max_size = 4294967296L; };", 4294967296},
        {"journal: { max_size = 0x100000000L; };", 4294967296},
        {"journal: { max_size = 16777216; };", 16777216},
    };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        load_good(sizes[i].conf);
        ck_assert_uint_eq(config->journal_max_size, sizes[i].size);
    }
}
END_TEST

/* With a budget of its own. */
static const char *match(const struct regex_list *list, const char *text)
{
    struct budget budget = budget_of(strlen(text));
    return regex_list_match(list, text, &budget, NULL);
}

START_TEST(test_message_id_patterns)
{
    write_text(list_file, "# of the old server\n^old\\.\\d+@\n@[^@]*#x$ # and another\n");
    load_good(
        "domains = ( \"a.test\",\n"
        "    { name = \"b.test\"; message_id_patterns = [ \"@b\\\\.test$\", \"file:LIST\" ];\n"
        "      sign = false; },\n"
        "    { name = \"c.test\"; message_id_patterns = ( \"^c\" ); sign = false },\n"
        "    { name = \"d.test\"; sign = false; message_id_patterns = [ ]; } );");
    ck_assert_ptr_null(settings_of("a.test")->message_ids);
    ck_assert_ptr_null(settings_of("d.test")->message_ids);
    const struct regex_list *list = settings_of("b.test")->message_ids;
    ck_assert_str_eq(match(list, "1@B.test"), "@b\\.test$");
    ck_assert_str_eq(match(list, "old.12@b"), "^old\\.\\d+@");
    ck_assert_str_eq(match(list, "a@b#x"), "@[^@]*#x$");
    ck_assert_ptr_null(match(list, "1@bxtest"));
    ck_assert_ptr_null(match(list, "c@x"));
    ck_assert_str_eq(match(settings_of("c.test")->message_ids, "c@x"), "^c");

    /* One that signs has something better; a warning says so. */
    ck_assert_int_eq(
        load_text("domains = ( { name = \"b.test\"; message_id_patterns = [ \"x\" ]; } );"),
        STATUS_OK);
    ck_assert_ptr_null(settings_of("b.test")->message_ids);
    ck_assert_uint_eq(messages.count, 1);
}
END_TEST

START_TEST(test_list_files)
{
    write_text(list_file, "# a comment\n\n  a.test  \r\n.b.test # another\n\tc.test\t#\n"
                          "#d.test\nxn--e.test");
    load_good("domains = ( \"first.test\", \"file:LIST\", \"last.test\" );");
    static const char *const names[] = {"first.test", "a.test",     ".b.test",
                                        "c.test",     "xn--e.test", "last.test"};
    ck_assert_uint_eq(config->settings->domain_count, COUNT_OF(names));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        ck_assert_str_eq(config->settings->domain[i].name, names[i]);
    }
    write_text(list_file, "a#b@example.com\n#\n \n");
    load_good("exclude: { recipients = [ \"file:LIST\", \"c@d\", \"file:LIST\" ]; };");
    ck_assert(pattern_list_match(config->settings->exclude_recipients, "a#b@example.com") != NULL);
    ck_assert(pattern_list_match(config->settings->exclude_recipients, "c@d") != NULL);
    write_text(list_file, "");
    load_good("domains = ( \"file:LIST\" );");
    ck_assert_uint_eq(config->settings->domain_count, 0);
}
END_TEST

enum { MANY = 100000 };

START_TEST(test_a_hundred_thousand_entries)
{
    FILE *file = fopen(list_file, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < MANY; i++) {
        fprintf(file, "d%d.example\n", i);
    }
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(list_file, 0644), 0);
    load_good("domains = ( \"file:LIST\" ); exclude: { recipients = [ \"file:LIST\" ]; };");
    ck_assert_uint_eq(config->settings->domain_count, MANY);
    ck_assert_str_eq(settings_of("d99999.example")->name, "d99999.example");
}
END_TEST

/* ---------------------------------------------------------------- faults */

/* What stands in the configuration, in the list file, and what is said: fragments, all of which
 * have to be there. There must be no other errors. */
static const struct {
    const char *conf;
    const char *list;
    const char *said[5];
} faults[] = {
    /* names */
    {"lissten = 1;", NULL, {"conf:1: error: lissten: unknown name, did you mean listen?\n"}},
    {"domans = ( \"a.test\" );",
     NULL,
     {"conf:1: error: domans: unknown name, did you mean domains?"}},
    {"rotate_days = 7;", NULL, {"conf:1: error: rotate_days: unknown name, did you mean keys.rot"}},
    {"\n\nverify: {\n acton = 1; };",
     NULL,
     {"conf:4: error: verify.acton: unknown name, did you mean verify.action?"}},
    {"Verify: { };", NULL, {"conf:1: error: Verify: unknown name, did you mean verify?"}},
    {"metrics: { listen = \"\"; };", NULL, {"conf:1: error: metrics: unknown name"}},
    {"verify: { class: { mdn = \"log\";\nreceipt = \"log\"; }; };",
     NULL,
     {"conf:2: error: verify.class.receipt: unknown name, expected one of mdn, calendar, report, "
      "autoreply, dsn or another that batvd.conf(5) lists"}},
    {"class: { mdn = \"log\"; };",
     NULL,
     {"conf:1: error: class: unknown name, did you mean verify.class?"}},
    {"verify: { class: { mdn: { action = \"log\"; }; }; };",
     NULL,
     {"conf:1: error: verify.class.mdn: found a group { }, expected \"\", \"auto\", \"accept\", "
      "\"log\", \"mark\" or another that batvd.conf(5) lists"}},
    {"journal: { size = 1; };",
     NULL,
     {"conf:1: error: journal.size: unknown name, expected one of enabled, retain_days, max_size"}},
    {"domains = ( { name = \"a.test\"; keys = 1 } );",
     NULL,
     {"conf:1: error: domains.keys: unknown name, did you mean keys?"}},
    {"domains: { name = \"a.test\"; };",
     NULL,
     {"conf:1: error: domains: found a group { }, expected a list ( ) or [ ]"}},
    {"a = 1;\nb = 2;\nc = 3;",
     NULL,
     {"conf:1: error: a: unknown", "conf:2: error: b: unknown", "conf:3: error: c: unknown"}},

    /* types */
    {"verify = \"reject\";",
     NULL,
     {"conf:1: error: verify: found \"reject\", expected a group { }"}},
    {"verify: {\n class = \"reject\"; };",
     NULL,
     {"conf:2: error: verify.class: found \"reject\", expected a group { }"}},
    {"verify: { class: (\n\"reject\" ); };",
     NULL,
     {"conf:1: error: verify.class: found a list, expected a group { }"}},
    {"evidence: { max_body = \"1M\"; max_memory = 1e9; parsers = true; header = 1; };",
     NULL,
     {"conf:1: error: evidence.max_body: found \"1M\", expected an integer from 65536 to 67108864",
      "conf:1: error: evidence.max_memory: found 1e9, expected an integer from 1048576 to "
      "8589934592",
      "conf:1: error: evidence.parsers: found true, expected an integer from 1 to 64",
      "conf:1: error: evidence.header: found 1, expected true or false"}},
    {"listen = 8891;", NULL, {"conf:1: error: listen: found 8891, expected unix:/PATH"}},
    {"listen = { a = 1; };", NULL, {"conf:1: error: listen: found a group { }, expected unix:"}},
    {"listen_mode = 660;",
     NULL,
     {"conf:1: error: listen_mode: found 660, expected a string of octal digits"}},
    {"relays = \"192.0.2.1\";",
     NULL,
     {"conf:1: error: relays: found \"192.0.2.1\", expected a list ( ) or [ ]"}},
    {"relays = [ 1 ];", NULL, {"conf:1: error: relays: found 1, expected a network such as"}},
    {"relays = [ \"Local\" ];",
     NULL,
     {"conf:1: error: relays: found \"Local\", expected a network such as 192.0.2.0/24 or "
      "2001:db8::/32, with no bit set after its prefix, or \"local\""}},
    {"own_names = [ \"a b\" ];",
     NULL,
     {"conf:1: error: own_names: found \"a b\", expected a host name such as mx.example.org or "
      "*.example.org"}},
    {"relays = ( { } );", NULL, {"conf:1: error: relays: found a group { }, expected a network"}},
    {"relays = ( [ ] );", NULL, {"conf:1: error: relays: found a list, expected a network"}},
    {"domains = ( 5 );", NULL, {"conf:1: error: domains: found 5, expected a domain such as"}},
    {"keys: { rotate_days = \"7\"; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found \"7\", expected an integer from 0 to 365, without "
      "quotes"}},
    {"keys: { rotate_days = 7.5; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 7.5, expected an integer from 0 to 365\n"}},
    {"sign: { enabled = \"yes\"; };",
     NULL,
     {"conf:1: error: sign.enabled: found \"yes\", expected true or false, without quotes"}},
    {"sign: { enabled = 1; };",
     NULL,
     {"conf:1: error: sign.enabled: found 1, expected true or false"}},
    {"on_error = false;",
     NULL,
     {"conf:1: error: on_error: found false, expected \"tempfail\" or \"accept\""}},

    /* words and ranges */
    {"verify: { action = \"Reject\"; };",
     NULL,
     {"conf:1: error: verify.action: found \"Reject\", did you mean \"reject\"?"}},
    {"verify: { action = \"\"; };", NULL, {"conf:1: error: verify.action: found \"\", expected"}},
    {"verify: { action = \"accept\"; };", NULL, {"conf:1: error: verify.action: found"}},
    {"verify: { expired = \"auto\"; };", NULL, {"conf:1: error: verify.expired: found \"auto\""}},
    {"verify: { forged = \"discard\"; };",
     NULL,
     {"conf:1: error: verify.forged: found \"discard\", expected \"auto\", \"log\", \"tempfail\" "
      "or \"reject\""}},
    {"verify: { forged_sender = \"log\"; };",
     NULL,
     {"conf:1: error: verify.forged_sender: found \"log\", expected \"accept\", \"tempfail\" or "
      "\"reject\""}},
    {"verify: { reject_at = \"data\"; };",
     NULL,
     {"conf:1: error: verify.reject_at: found \"data\", expected \"eom\" or \"rcpt\""}},
    {"domains = ( { name = \"a.test\"; verify_action = \"expired\"; } );",
     NULL,
     {"conf:1: error: domains.verify_action: found \"expired\", expected \"\", \"auto\", \"log\", "
      "\"mark\", \"quarantine\" or another that batvd.conf(5) lists"}},
    {"domains = ( { name = \"a.test\"; sign = 0; },\n{ name = \"b.test\"; syntax = \"x\"; } );",
     NULL,
     {"conf:1: error: domains.sign: found 0, expected true or false",
      "conf:2: error: domains.syntax: found \"x\", expected \"\", \"prefix\" or \"subaddress\""}},
    {"keys: { algorithm = \"md5\"; };",
     NULL,
     {"conf:1: error: keys.algorithm: found \"md5\", expected \"hmac-sha256\" or \"hmac-sha1\""}},
    {"keys: { rotate_days = 366; retain_days = -1; publish_seconds = 86401; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 366, expected an integer from 0 to 365",
      "conf:1: error: keys.retain_days: found -1, expected an integer from 0 to 3650",
      "conf:1: error: keys.publish_seconds: found 86401, expected an integer from 0 to 86400"}},
    {"sign: { lifetime_days = 0; };",
     NULL,
     {"conf:1: error: sign.lifetime_days: found 0, expected an integer from 1 to 60"}},
    {"sign: {\nlifetime_days\n= 61; };",
     NULL,
     {"conf:2: error: sign.lifetime_days: found 61, expected an integer from 1 to 60"}},
    {"verify: { class: { mdn = \"often\";\nother = \"no\"; dsn = 5; }; };",
     NULL,
     {"conf:1: error: verify.class.mdn: found \"often\", expected \"\", \"auto\", \"accept\", "
      "\"log\", \"mark\" or another that batvd.conf(5) lists",
      "conf:2: error: verify.class.other: found \"no\"",
      "conf:2: error: verify.class.dsn: found 5"}},
    {"evidence: { max_body = 65535; max_memory = 8589934593L; parsers = 65; };",
     NULL,
     {"conf:1: error: evidence.max_body: found 65535, expected an integer from 65536 to 67108864",
      "conf:1: error: evidence.max_memory: found 8589934593, expected",
      "conf:1: error: evidence.parsers: found 65, expected an integer from 1 to 64"}},
    {"journal: { retain_days = 366; max_size = 16777215; };",
     NULL,
     {"conf:1: error: journal.retain_days: found 366, expected an integer from 1 to 365",
      "conf:1: error: journal.max_size: found 16777215, expected an integer from 16777216 to "
      "1099511627776"}},
    {"journal: { max_size = 1099511627777L; retain_days = 0; };",
     NULL,
     {"conf:1: error: journal.max_size: found 1099511627777, expected",
      "conf:1: error: journal.retain_days: found 0"}},
    {"journal: { max_size = -1; };", NULL, {"conf:1: error: journal.max_size: found -1, expected"}},
    {"evidence: { max_memory = 16777216;\nmax_body = 33554432; };",
     NULL,
     {"conf:2: error: evidence.max_body = 33554432 is more than a fifth of evidence.max_memory = "
      "16777216: a bounce of that size could never be read"}},
    {"evidence: {\nmax_memory = 5242879; };",
     NULL,
     {"conf:2: error: evidence.max_body = 1048576 is more than a fifth of evidence.max_memory"}},
    {"log: { target = \"file\"; facility = \"kern\"; level = \"notice\"; };",
     NULL,
     {"conf:1: error: log.target: found \"file\", expected \"syslog\", \"stderr\" or \"journald\"",
      "conf:1: error: log.facility: found \"kern\"",
      "conf:1: error: log.level: found \"notice\", expected \"error\", \"warning\", \"info\" or "
      "\"debug\""}},

    /* texts */
    {"listen = \"/run/batvd.sock\";", NULL, {"conf:1: error: listen: found \"/run/batvd.sock\""}},
    {"listen = \"unix:run/batvd.sock\";", NULL, {"conf:1: error: listen: found"}},
    {"listen = \"inet:0@127.0.0.1\";", NULL, {"conf:1: error: listen: found"}},
    {"listen = \"inet:65536@127.0.0.1\";", NULL, {"conf:1: error: listen: found"}},
    {"listen = \"inet:8891\";", NULL, {"conf:1: error: listen: found \"inet:8891\""}},
    {"listen = \"inet:8891@\";", NULL, {"conf:1: error: listen: found"}},
    {"listen = \"inet:@::1\";", NULL, {"conf:1: error: listen: found"}},
    {"listen = \"\";", NULL, {"conf:1: error: listen: found \"\""}},
    {"listen = "
     "\"unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\";",
     NULL,
     {"conf:1: error: listen: found \"unix:/aaaa", "...\", expected"}},
    {"listen_mode = \"0880\";", NULL, {"conf:1: error: listen_mode: found \"0880\""}},
    {"listen_mode = \"01000\";", NULL, {"conf:1: error: listen_mode: found \"01000\""}},
    {"listen_mode = \"4755\";", NULL, {"conf:1: error: listen_mode: found \"4755\""}},
    {"listen_mode = \"\";", NULL, {"conf:1: error: listen_mode: found \"\""}},
    {"listen_mode = \"u+rw\";", NULL, {"conf:1: error: listen_mode: found \"u+rw\""}},
    {"user = \"a b\"; listen_group = \"a:b\";",
     NULL,
     {"conf:1: error: user: found \"a b\"", "conf:1: error: listen_group: found \"a:b\""}},
    {"state_dir = \"var/lib\";",
     NULL,
     {"conf:1: error: state_dir: found \"var/lib\", expected an absolute path"}},
    {"state_dir = \"\";", NULL, {"conf:1: error: state_dir: found \"\""}},
    {"verify: { mark_header = \"X Y\"; };",
     NULL,
     {"conf:1: error: verify.mark_header: found \"X Y\", expected the name of a header field"}},
    {"verify: { mark_header = \"X-Y:\"; };", NULL, {"conf:1: error: verify.mark_header: found"}},
    {"verify: { mark_header = \"\"; };", NULL, {"conf:1: error: verify.mark_header: found \"\""}},
    {"verify: { text = \"a\\r\\nb\"; };",
     NULL,
     {"conf:1: error: verify.text: found \"a\\x0d\\x0ab\", expected 1 to 400 printable ASCII"}},
    {"verify: { text = \"gr\xc3\xbc\xc3\x9f\"; };", NULL, {"conf:1: error: verify.text: found"}},
    {"verify: { text = \"\"; };", NULL, {"conf:1: error: verify.text: found \"\""}},

    /* entries of lists, each in its own line */
    {"relays = [ \"192.0.2.1/24\",\n\"192.0.2.0/24\",\n\n\"x\", # y\n\"z\"\n\n\n];",
     NULL,
     {"conf:1: error: relays: found \"192.0.2.1/24\", expected a network such as 192.0.2.0/24 or "
      "2001:db8::/32, with no bit set after its prefix",
      "conf:4: error: relays: found \"x\"", "conf:5: error: relays: found \"z\""}},
    {"relays = (\n\"x\"\n,\n\"y\"\n// ) \n)\n;\na = 1;",
     NULL,
     {"conf:2: error: relays: found \"x\"", "conf:4: error: relays: found \"y\"",
      "conf:8: error: a: unknown"}},
    {"relays = [\n\"x\",\n\n]; a = 1;",
     NULL,
     {"conf:2: error: relays: found \"x\"", "conf:4: error: a: unknown"}},
    {"exclude: { hosts = [ \"192.0.2.1\" ]; recipients = [ \"<a@b>\" ]; };",
     NULL,
     {"conf:1: error: exclude.hosts: found \"192.0.2.1\", expected a host name such as",
      "conf:1: error: exclude.recipients: found \"<a@b>\", expected an address without < and >"}},
    {"exclude_sign: { clients = [ \"192.0.2.1/24\", \"a b\" ]; };",
     NULL,
     {"conf:1: error: exclude_sign.clients: found \"192.0.2.1/24\", expected a network such as",
      "conf:1: error: exclude_sign.clients: found \"a b\""}},
    {"domains = ( { name = \"a.test\"; message_id_patterns = [ \"@a\\\\.test$\",\n\"x(y\" ]; sign "
     "= "
     "false; },\n{ name = \"b.test\"; message_id_patterns = ( \"\", 5, \"@b$\" ); } );",
     NULL,
     {"conf:2: error: domains.message_id_patterns: found \"x(y\", expected a PCRE2 regular "
      "expression of at most 1000 characters",
      "conf:3: error: domains.message_id_patterns: found \"\", expected a PCRE2 regular",
      "conf:3: error: domains.message_id_patterns: found 5, expected a PCRE2 regular"}},
    {"domains = ( { name = \"a.test\"; sign = false; message_id_patterns = [ \"file:LIST\" ]; } );",
     "# ours\n@a\\.test$\n\n[a-\n",
     {"list:4: error: domains.message_id_patterns: found \"[a-\", expected a PCRE2 regular "
      "expression"}},
    {"domains = ( { message_id_patterns = [ \"a\" ]; }, { name = \"a b\"; message_id_patterns = "
     "[ \"b\" ]; } );",
     NULL,
     {"conf:1: error: domains: found a group without name",
      "conf:1: error: domains.name: found \"a b\""}},
    {"domains = ( { name = \"a.test\"; message_id_patterns = \"x\"; } );",
     NULL,
     {"conf:1: error: domains.message_id_patterns: found \"x\", expected a list ( ) or [ ]"}},
    {"domains = ( \"a b\",\n\"*.a.test\",\n\"user@a.test\",\n\"..a.test\" );",
     NULL,
     {"conf:1: error: domains: found \"a b\"", "conf:2: error: domains: found \"*.a.test\"",
      "conf:3: error: domains: found \"user@a.test\"", "conf:4: error: domains: found \"..a"}},
    {"domains = (\n{ sign = true; },\n{ name = \"\"; } );",
     NULL,
     {"conf:2: error: domains: found a group without name, expected name = \"example.com\"",
      "conf:3: error: domains.name: found \"\", expected a domain"}},

    /* files of lists */
    {"relays = [\n\"file:LIST\" ];",
     "192.0.2.1\n\nx\n  192.0.2.1/24 # y\n",
     {"list:3: error: relays: found \"x\", expected a network",
      "list:4: error: relays: found \"192.0.2.1/24\", expected a network"}},
    {"relays = [\n\"file:LIST.not\"\n];",
     NULL,
     {"conf:2: error: relays: list.not: No such file or directory"}},
    {"relays = [ \"file:list\", \"file:\" ];",
     NULL,
     {"conf:1: error: relays: found \"list\", expected an absolute path after \"file:\"",
      "conf:1: error: relays: found \"\", expected an absolute path"}},
    {"relays = [ \"file:/\" ];",
     NULL,
     {"conf:1: error: relays: /: is a directory, expected a file"}},
    {"relays = [ \"file:/dev/zero\" ];",
     NULL,
     {"conf:1: error: relays: /dev/zero: is not a regular file"}},
    {"exclude: { recipients = [ \"file:LIST\" ]; };",
     "file:/etc/passwd\n",
     {"list:1: error: exclude.recipients: found \"file:/etc/passwd\", expected an entry itself"}},

    /* what belongs together */
    {"domains = ( \"a.test\",\n\"b.test\",\n\"A.test\" );",
     NULL,
     {"conf:3: error: domains: found \"A.test\" twice, first in line 1"}},
    {"domains = ( \"b\xc3\xbc"
     "cher.test\",\n{ name = \"xn--bcher-kva.test\"; } );",
     NULL,
     {"conf:2: error: domains: found \"xn--bcher-kva.test\" twice, first in line 1"}},
    {"domains = ( \"a.test\", \"file:LIST\" );",
     "b.test\na.test\nb.test\n",
     {"list:2: error: domains: found \"a.test\" twice, first in conf:1",
      "list:3: error: domains: found \"b.test\" twice, first in line 1"}},
    {"keys: {\nrotate_days = 1;\n};", NULL, {""}}, /* seven kept and three: just enough */
    {"keys: {\nrotate_days = 1;\nretain_days = 8; };",
     NULL,
     {"conf:3: error: keys.rotate_days = 1, keys.retain_days = 8 and sign.lifetime_days = 7 need "
      "11 keys at a time, expected at most 10: set keys.rotate_days to at least 2"}},
    {"sign: { lifetime_days = 60; };\nkeys: { rotate_days = 8; retain_days = 0; };",
     NULL,
     {"conf:2: error: keys.rotate_days = 8, keys.retain_days = 0 and sign.lifetime_days = 60 need "
      "11 keys",
      "at least 9"}},
    {"keys: { rotate_days = 1;\nretain_days = 3651; };",
     NULL,
     {"conf:2: error: keys.retain_days: found 3651"}},

    /* integers that libconfig would wrap */
    {"keys: {\nrotate_days = 4294967296; };",
     NULL,
     {"conf:2: error: keys.rotate_days: found 4294967296, expected an integer from 0 to 365"}},
    {"keys: { rotate_days = 4294967303; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 42949"}},
    {"keys: { rotate_days = -4294967289; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found -429"}},
    {"keys: { rotate_days = 0x100000007; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 0x10"}},
    {"keys: { rotate_days = 0xFFFFFFFF; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 0xFFF"}},
    {"keys: { rotate_days = 4294967303L; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 4294967303, expected an integer from 0 to 365"}},
    {"keys: { rotate_days = 18446744073709551623; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 18446744073709551623, expected"}},
    {"keys: { rotate_days = 18446744073709551623L; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 18446744073709551623L, expected"}},
    {"keys: { rotate_days = 0xFFFFFFFFFFFFFFFF1L; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 0xFFFFFFFFFFFFFFFF1L, expected"}},
    {"journal: { max_size = 4294967296; };",
     NULL,
     {"conf:1: error: journal.max_size: found 4294967296, expected an integer from 16777216 to "
      "1099511627776; one that does not fit 32 bits needs an L behind it\n"}},
    {"journal: { max_size = 18446744074783293440L; };", /* 2^64 + 2^30 */
     NULL,
     {"conf:1: error: journal.max_size: found 18446744074783293440L, expected"}},
    {"evidence: { max_memory = 0x100000000; };",
     NULL,
     {"conf:1: error: evidence.max_memory: found 0x100000000, expected"}},
    {"relays = [ 4294967296 ];", NULL, {"conf:1: error: relays: found 4294967296, expected"}},
    {"keys: { rotate_days = 4294967296; };\nkeys: { };\nx = 1;",
     NULL,
     {"conf:1: error: keys.rotate_days: found 4294967296",
      "conf:2: error: keys: given twice, "
      "first in line 1",
      "conf:3: error: x: unknown"}},

    /* a leading zero, which not all versions of libconfig read alike */
    {"listen_mode = 0660;",
     NULL,
     {"conf:1: error: listen_mode: found 0660, expected a string of octal digits, \"0000\" to "
      "\"0777\"; a number with a leading zero is octal to some versions of libconfig\n"}},
    {"keys: {\nrotate_days = 07; retain_days = 08; publish_seconds = 0600; };",
     NULL,
     {"conf:2: error: keys.rotate_days: found 07, expected an integer from 0 to 365; a number with "
      "a leading zero is octal",
      "conf:2: error: keys.retain_days: found 08, expected an integer from 0 to 3650; a",
      "conf:2: error: keys.publish_seconds: found 0600, expected"}},
    {"keys: { rotate_days = 00; retain_days = -01; publish_seconds = +01L; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 00, expected an integer",
      "conf:1: error: keys.retain_days: found -01, expected an integer",
      "conf:1: error: keys.publish_seconds: found +01L, expected an integer"}},
    {"relays = [ 010 ]; user = 007;\nx = 1;",
     NULL,
     {"conf:1: error: relays: found 010, expected double quotes: \"010\"; a number with a leading",
      "conf:1: error: user: found 007, expected double quotes: \"007\"; a number",
      "conf:2: error: x: unknown"}},
    {"keys: { rotate_days = 0x0A; retain_days = 0; publish_seconds = 0L; };\n# 08\n"
     "user = \"08\"; /* 08 */ // 08",
     NULL,
     {""}},
    {"keys: { rotate_days = +7; retain_days = -0; publish_seconds = 0X00; };", NULL, {""}},

    /* other notations of later versions */
    {"keys: { rotate_days = 0b111; retain_days = 0o17; publish_seconds = 0q7; };",
     NULL,
     {"conf:1: error: keys.rotate_days: found 0b111, expected an integer from 0 to 365\n",
      "conf:1: error: keys.retain_days: found 0o17, expected an integer",
      "conf:1: error: keys.publish_seconds: found 0q7, expected an integer"}},

    /* without double quotes */
    {"sign: { enabled = yes;\nadd_message_id = on; }; evidence: { header = 'true'; };",
     NULL,
     {"conf:1: error: sign.enabled: found yes, expected true or false\n",
      "conf:2: error: sign.add_message_id: found on, expected true or false\n",
      "conf:2: error: evidence.header: found 'true', expected true or false\n"}},
    {"user = unquoted;\nlisten = 'unix:/a'; state_dir = /var/lib/batvd // there\nlisten_group=a;",
     NULL,
     {"conf:1: error: user: found unquoted, expected double quotes: \"unquoted\"\n",
      "conf:2: error: listen: found 'unix:/a', expected double quotes: \"unix:/a\"\n",
      "conf:2: error: state_dir: found /var/lib/batvd, expected double quotes: "
      "\"/var/lib/batvd\"\n",
      "conf:3: error: listen_group: found a, expected double quotes: \"a\"\n"}},
    {"listen = unix:/a/b; user = 12ab; state_dir = b\xc3\xbc\x63her;\nlisten_group = -",
     NULL,
     {"conf:1: error: listen: found unix:/a/b, expected double quotes: \"unix:/a/b\"\n",
      "conf:1: error: user: found 12ab, expected double quotes: \"12ab\"\n",
      "conf:1: error: state_dir: found b\xc3\xbc\x63her, expected double quotes",
      "conf:2: error: listen_group: found -, expected double quotes: \"-\"\n"}},
    {"verify: { action = reject; forged = 'log'; expired = rejct; };",
     NULL,
     {"conf:1: error: verify.action: found reject, expected double quotes: \"reject\"\n",
      "conf:1: error: verify.forged: found 'log', expected double quotes: \"log\"\n",
      "conf:1: error: verify.expired: found rejct, did you mean \"reject\"?\n"}},
    {"relays = [ 10.0.0.0/8, '192.0.2.1',\n2001:db8::/32, \"x\" ]; x = 1;",
     NULL,
     {"conf:1: error: relays: found 10.0.0.0/8, expected double quotes: \"10.0.0.0/8\"\n",
      "conf:1: error: relays: found '192.0.2.1', expected double quotes: \"192.0.2.1\"\n",
      "conf:2: error: relays: found 2001:db8::/32, expected double quotes: \"2001:db8::/32\"\n",
      "conf:2: error: relays: found \"x\", expected a network such as",
      "conf:2: error: x: unknown"}},
    {"domains = example.com;\nrelays = '10.0.0.1'; verify = reject;",
     NULL,
     {"conf:1: error: domains: found example.com, expected a list ( ) or [ ] with its entries in",
      "conf:2: error: relays: found '10.0.0.1', expected a list ( ) or [ ]",
      "conf:2: error: verify: found reject, expected a group { }\n"}},
    {"domains = ( a.test, { name = \"b.test\"; sign = no; },\n{ name = \"c.test\"; sign = 5; },\n"
     "*.d.test );",
     NULL,
     {"conf:1: error: domains: found a.test, expected double quotes: \"a.test\"\n",
      "conf:1: error: domains.sign: found no, expected true or false\n",
      "conf:2: error: domains.sign: found 5, expected true or false\n",
      "conf:3: error: domains: found *.d.test, expected double quotes: \"*.d.test\"\n"}},
    {"keys: { rotate_days = 7d; retain_days = 7,5; };\n",
     NULL,
     {"conf:1: error: keys.rotate_days: found 7d, expected an integer from 0 to 365\n",
      "conf:1: error: keys: found \"5\", expected ; or } or the name of an option\n"}},
    {"journal: { max_size = 1G; };",
     NULL,
     {"conf:1: error: journal.max_size: found 1G, expected an integer from 16777216 to"}},
    {"enabeld = yes; sign: { enabeld = yes; };\ndomans = ( a, b, 'c' ); x: { y = yes; };",
     NULL,
     {"conf:1: error: enabeld: unknown name, did you mean sign.enabled?\n",
      "conf:1: error: sign.enabeld: unknown name, did you mean sign.enabled?\n",
      "conf:2: error: domans: unknown name, did you mean domains?\n",
      "conf:2: error: x: unknown name, expected one of"}},
    {"verify: { text = 'say \"x\"'; mark_header = 'a\n'; };",
     NULL,
     {"conf:1: error: verify.text: found 'say \"x\"', expected double quotes\n",
      "conf:1: error: verify.mark_header: found 'a, expected double quotes: \"'a\"\n",
      "conf:2: error: verify: found \"'\", expected ; or }"}},
    {"'user' = \"a\";", NULL, {"conf:1: error: found \"'user'\", expected the name of an option"}},
    {"user = 0x;", NULL, {"conf:1: error: user: found 0x, expected double quotes: \"0x\"\n"}},

    /* names given twice */
    {"listen = \"unix:/a\";\nuser = \"a\"\nlisten = \"unix:/b\";\nx = 1;",
     NULL,
     {"conf:3: error: listen: given twice, first in line 1", "conf:4: error: x: unknown"}},
    {"keys: { rotate_days = 7;\nrotate_days = 8 };",
     NULL,
     {"conf:2: error: keys.rotate_days: given twice, first in line 1"}},
    {"domains = ( { name = \"a.test\"; name = \"b.test\"; } );",
     NULL,
     {"conf:1: error: domains.name: given twice, first in line 1"}},
    {"domains = ( { name = \"a.test\"; },\n{ name = \"b.test\"; } );", NULL, {""}},
    {"keys: { rotate_days = 7; };\nkeys: { rotate_days = 8; };\nx = 1;\nx = 2;\nx*3 = 5;",
     NULL,
     {"conf:2: error: keys: given twice, first in line 1", "conf:3: error: x: unknown",
      "conf:4: error: x: given twice, first in line 3", "conf:5: error: x*3: unknown"}},

    /* structure */
    {"listen", NULL, {"conf:1: error: listen: the file ends, expected = and a value"}},
    {"listen =", NULL, {"conf:1: error: listen: the file ends, expected a value"}},
    {"listen = ;", NULL, {"conf:1: error: listen: found \";\", expected a value"}},
    {"\nlisten \"unix:/a\";",
     NULL,
     {"conf:2: error: listen: found \"unix:/a\", expected = and a value"}},
    {"\"unix:/a\"", NULL, {"conf:1: error: found \"unix:/a\", expected the name of an option"}},
    {"user = \"a\";;", NULL, {"conf:1: error: found \";\", expected the name of an option"}},
    {"user =\nlisten = \"unix:/a\";",
     NULL,
     {"conf:2: error: user: found \"listen\", expected a value"}},
    {"keys: { rotate_days = 7;\n\n",
     NULL,
     {"conf:1: error: keys: the file ends, expected ; or } or the name of an option"}},
    {"keys: { rotate_days = 7 );", NULL, {"conf:1: error: keys: found \")\", expected ; or }"}},
    {"}", NULL, {"conf:1: error: found \"}\", expected the name of an option"}},
    {"own_names = [ \"a\"\n\"b\" ];",
     NULL,
     {"conf:2: error: own_names: found \"b\", expected , or ]"}},
    {"relays = ( \"10.0.0.1\" ];", NULL, {"conf:1: error: relays: found \"]\", expected , or )"}},
    {"relays = [ , ];", NULL, {"conf:1: error: relays: found \",\", expected a value or ]"}},
    {"relays = [ \"10.0.0.1\",, ];",
     NULL,
     {"conf:1: error: relays: found \",\", expected a value"}},
    {"relays = [ \"a\", 5 ];",
     NULL,
     {"conf:1: error: relays: found \"a\", expected a network",
      "conf:1: error: relays: found 5, expected a network"}},
    {"relays = [ { } ];", NULL, {"conf:1: error: relays: found \"{\", expected a value or ]"}},
    {"user = \"a\nlisten = \"b\";",
     NULL,
     {"conf:1: error: a string begins here that does not end on its line"}},
    {"user = \"a\\\"", NULL, {"conf:1: error: a string begins here that does not end"}},
    {"\nuser = \"a\"; /* comment\nlisten = 5;",
     NULL,
     {"conf:2: error: a comment begins here that does not end"}},
    {"@include \"other\"", NULL, {"conf:1: error: @include is not supported"}},
    {"user = \"a\"; ?", NULL, {"conf:1: error: found \"?\", expected the name of an option"}},
    {"user = \"a\"; \x01", NULL, {"conf:1: error: found \"\\x01\", expected the name of an o"}},
    {"a = (((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
     NULL,
     {"conf:1: error: a: found \"(\", expected fewer brackets within each other",
      "conf:1: error: a: unknown name"}},
    /* what stands before a broken structure has been read, and only that is judged */
    {"keys: { rotate_days = 1; };\nsign: { lifetime_days = 61;\nenabled = 5 ?",
     NULL,
     {"conf:2: error: sign.lifetime_days: found 61", "conf:3: error: sign.enabled: found 5",
      "conf:3: error: sign: found \"?\", expected ; or }"}},
    {"domains = ( \"a.test\", \"a.test\", { sign = false;\n= }",
     NULL,
     {"conf:2: error: domains: found \"=\", expected ; or }"}},
};

START_TEST(test_faults)
{
    const char *first = faults[_i].said[0];
    if (faults[_i].list != NULL) {
        write_text(list_file, faults[_i].list);
    }
    enum status status = load_text(faults[_i].conf);
    char *said = told();
    size_t expected = 0;
    for (size_t i = 0; i < COUNT_OF(faults[_i].said) && faults[_i].said[i] != NULL; i++) {
        const char *fragment = faults[_i].said[i];
        ck_assert_msg(strstr(said, fragment) != NULL, "%s\nsaid: %s\nexpected: %s", faults[_i].conf,
                      said, fragment);
        expected += strstr(fragment, ": error: ") != NULL;
    }
    ck_assert_msg(messages.errors == expected, "%s\nsaid: %s", faults[_i].conf, said);
    ck_assert_int_eq(status, first[0] == '\0' ? STATUS_OK : STATUS_INVALID);
    ck_assert((config != NULL) == (status == STATUS_OK));
    free(said);
}
END_TEST

static const struct {
    const char *conf;
    const char *said;
} warnings[] = {
    {"listen_mode = \"0666\";", "conf:1: warning: listen_mode: found \"0666\", which lets every"},
    {"listen_mode = \"0002\";", "conf:1: warning: listen_mode: found \"0002\""},
    {"listen_mode = \"0774\";", NULL},
    {"keys: { rotate_days = 30;\nretain_days = 3; };",
     "conf:2: warning: keys.retain_days: found 3, expected 0 or at least sign.lifetime_days = 7: a "
     "former key is kept for 7 days"},
    {"sign: { lifetime_days = 8; };",
     "conf:1: warning: keys.retain_days: found 7, expected 0 or at least sign.lifetime_days = 8"},
    {"keys: { retain_days = 0; };", NULL},
    {"keys: { rotate_days = 0; retain_days = 3650; };", NULL},
    {"domains = ( \"a.test\",\n{ name = \"b.test\";\nmessage_id_patterns = [ \"@b\" ]; } );",
     "conf:3: warning: domains.message_id_patterns: not used while the domain signs, expected sign "
     "= false for \"b.test\" or sign.enabled = false\n"},
    {"domains = ( { name = \"b.test\"; message_id_patterns = [ \"@b\" ]; sign = false; } );", NULL},
    {"domains = ( { name = \"b.test\"; message_id_patterns = [ ]; } );", NULL},
    {"domains = ( { name = \"b.test\"; message_id_patterns = [ \"@b\" ]; } );\n"
     "sign: { enabled = false; };",
     NULL},
    {"evidence: { max_memory = 5242880; };", NULL},
};

START_TEST(test_warnings)
{
    enum status status = load_text(warnings[_i].conf);
    char *said = told();
    ck_assert_msg(status == STATUS_OK, "%s", said);
    if (warnings[_i].said == NULL) {
        ck_assert_str_eq(said, "");
    } else {
        ck_assert_msg(strstr(said, warnings[_i].said) == said, "%s", said);
        ck_assert_uint_eq(messages.count, 1);
    }
    free(said);
}
END_TEST

/* ------------------------------------------------------- the daemon's own */

static const struct {
    const char *conf;
    const char *state_dir; /* NULL: not found, the default */
    const char *listen;    /* NULL: the default */
} owns[] = {
    {"", NULL, NULL},
    {"state_dir = \"/a\";", "/a", NULL},
    {"x y z state_dir = \"/a\"", "/a", NULL},
    {"((((((((((((((((((((( state_dir\n:\n/* x */ \"/a\"", "/a", NULL},
    {"user = \"x;\nstate_dir = \"/a\"; listen = \"unix:/b\";", "/a", "unix:/b"},
    {"/* never ended\nstate_dir = \"/a\";", "/a", NULL},
    {"/* state_dir = \"/no\"; */ # state_dir = \"/no\";\nstate_dir = \"/a\";;", "/a", NULL},
    {"x = \"state_dir = \\\"/no\\\";\"; state_dir = \"/a\"", "/a", NULL},
    {"m: { state_dir = \"/no\"; listen = \"unix:/no\"; }; state_dir = \"/a\";", "/a", NULL},
    {"m: { \nstate_dir = \"/a\"; listen = \"unix:/b\"", "/a", "unix:/b"},
    {"state_dir = \"/a\"; state_dir = \"/b\";", "/a", NULL},
    {"state_dir = \"/a b\\x2f\";", "/a b/", NULL},
    {"state_dir = \"relative\"; listen = \"unix:/b\";", NULL, "unix:/b"},
    {"state_dir = '/a';", NULL, NULL},
    {"state_dir = /a;", NULL, NULL},
    {"state_dir = 5; state_dirs = \"/no\"; my_state_dir = \"/no\";", NULL, NULL},
    {"state_dir \"/no\";", NULL, NULL},
    {"state_dir: \"/a\"\n", "/a", NULL},
    {"  state_dir\n=\n\"/a\"", "/a", NULL},
    {"verify: { action = yes; };\nstate_dir = \"/a\";\n", "/a", NULL},
    {"verify: { action = ';\nstate_dir = \"/a\";\n};\n", NULL, NULL},
    {"domans = ( \"example.com\" );\nstate_dir = \"/a\";\n", "/a", NULL},
    {"domains = ( \"example.com\";\nstate_dir = \"/a\";\n", "/a", NULL},
    {"state_dir = \"/a\";\ndomains = ( \"example.com\";\n", "/a", NULL},
    {"text = \"unended;\nstate_dir = \"/a\";\n", "/a", NULL},
    {"}}; state_dir = \"/a\";\n", "/a", NULL},
    {"# state_dir = \"/b\";\nstate_dir = \"/a\";\n", "/a", NULL},
    {"state_dir = \"/a\"; // state_dir = \"/b\";\n", "/a", NULL},
    {"/* state_dir = \"/b\"; */ state_dir = \"/a\";\n", "/a", NULL},
    {"x = \"state_dir = /b\"; state_dir = \"/a\";\n", "/a", NULL},
    {"x = \"\\\"state_dir = \"; state_dir = \"/a\";\n", "/a", NULL},
    {"store: { state_dir = \"/b\"; };\n", NULL, NULL},
    {"my_state_dir = \"/b\";\nstate_dir2 = \"/b\";\n", NULL, NULL},
    {"state_dir = \"relative\";\n", NULL, NULL},
    {"state_dir = \"/a;\nlisten = \"unix:/b\";\n", NULL, "unix:/b"},
    {"state_dir", NULL, NULL},
    {"/* state_dir = \"/a\";\n", NULL, NULL},
    {"state_dir = ", NULL, NULL},
    {"state_dir = \"", NULL, NULL},
    {"\x01\xff\n@include \"x\"\nstate_dir = \"/a\"", "/a", NULL},
};

START_TEST(test_the_daemons_own_is_found)
{
    bool found = owns[_i].state_dir == NULL;
    write_text(conf, owns[_i].conf);
    ck_assert_int_eq(config_load_own(conf, &config, &found), STATUS_OK);
    ck_assert_str_eq(config->state_dir,
                     owns[_i].state_dir != NULL ? owns[_i].state_dir : "/var/lib/batvd");
    ck_assert(found == (owns[_i].state_dir != NULL));
    ck_assert_str_eq(config->listen, owns[_i].listen != NULL
                                         ? owns[_i].listen
                                         : "unix:/var/spool/postfix/batvd/milter.sock");
    ck_assert_str_eq(config->path, conf);
    ck_assert_uint_eq(config->settings->domain_count, 0);
}
END_TEST

START_TEST(test_the_daemons_own_without_a_file)
{
    bool found = true;
    ck_assert_int_eq(config_load_own(conf, &config, &found), STATUS_OK);
    ck_assert(!found);
    check_defaults();
}
END_TEST

/* ----------------------------------------------------------------- files */

static void load_said(enum status expected, const char *fragment)
{
    enum status status = config_load(conf, &config, &messages);
    char *said = told();
    ck_assert_msg(strstr(said, fragment) == said, "said: %s\nexpected: %s", said, fragment);
    ck_assert_int_eq(status, expected);
    ck_assert((config != NULL) == (status == STATUS_OK));
    free(said);
}

START_TEST(test_file_that_is_not_there)
{
    load_said(STATUS_IO, "conf: error: No such file or directory\n");
}
END_TEST

START_TEST(test_file_that_is_a_folder)
{
    ck_assert_int_eq(mkdir(conf, 0755), 0);
    load_said(STATUS_IO, "conf: error: is a directory, expected a file\n");
    ck_assert_int_eq(rmdir(conf), 0);
}
END_TEST

/* Without a writer, opening it the usual way would wait forever. */
START_TEST(test_file_that_is_a_fifo)
{
    ck_assert_int_eq(mkfifo(conf, 0644), 0);
    load_said(STATUS_IO, "conf: error: is not a regular file\n");
}
END_TEST

START_TEST(test_file_that_links_to_itself)
{
    ck_assert_int_eq(symlink("conf", conf), 0);
    load_said(STATUS_IO, "conf: error: Too many levels of symbolic links\n");
}
END_TEST

START_TEST(test_file_with_a_nul)
{
    static const char octets[] = "user = \"a\";\n# \0\nlisten = 1;\n";
    write_octets(conf, octets, sizeof octets - 1);
    load_said(STATUS_INVALID, "conf:2: error: a NUL octet, expected text\n");
}
END_TEST

START_TEST(test_file_of_garbage)
{
    enum { SIZE = 10000000 };
    char *octets = malloc(SIZE);
    unsigned long long state = 20778;
    ck_assert_ptr_nonnull(octets);
    for (size_t i = 0; i < SIZE; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        octets[i] = (char)(state >> 56);
    }
    write_octets(conf, octets, SIZE);
    load_said(STATUS_IO, "conf: error: is far too large\n");
    config_messages_free(&messages);
    write_octets(conf, octets, 1 << 20);
    load_said(STATUS_INVALID, "conf:");
    free(octets);
}
END_TEST

/* As much as may be of what makes a parser nest, recurse, or grow. */
START_TEST(test_file_of_one_thing)
{
    static const char *const things[] = {"(",       "[",  "{", "a:{", "a=(",   "a=[(",
                                         "\"",      "/*", "a", "1",   "\"a\"", "a=1;",
                                         "b=\"x\"", "\\", "-", ",",   "\n"};
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE + 1);
    size_t length = strlen(things[_i]);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = things[_i][i % length];
    }
    text[SIZE] = '\0';
    enum status status = load_text(text);
    ck_assert_int_eq(status, text[0] == '\n' ? STATUS_OK : STATUS_INVALID);
    ck_assert((messages.errors > 0) == (status != STATUS_OK));
    free(text);
}
END_TEST

START_TEST(test_file_that_others_can_change)
{
    static const mode_t modes[] = {0664, 0646, 0666, 0620};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        char expected[128];
        write_text(conf, "");
        write_text(list_file, "");
        ck_assert_int_eq(chmod(conf, modes[i]), 0);
        snprintf(expected, sizeof expected,
                 "conf: warning: mode %04o lets users other than its owner", (unsigned)modes[i]);
        load_said(STATUS_OK, expected);
        config_messages_free(&messages);
        config_free(config);
        config = NULL;
    }
    ck_assert_int_eq(chmod(list_file, 0666), 0);
    ck_assert_int_eq(load_text("relays = [ \"file:LIST\" ];"), STATUS_OK);
    char *said = told();
    ck_assert_msg(strstr(said, "list: warning: mode 0666") == said, "%s", said);
    free(said);
}
END_TEST

START_TEST(test_messages_show_no_control_characters)
{
    load_text("relays = [ \"file:/no\\x1b[31m\\nwhere\" ];");
    char *said = told();
    ck_assert_str_eq(said, "conf:1: error: relays: /no?[31m?where: No such file or directory\n");
    free(said);
}
END_TEST

START_TEST(test_messages_have_an_end)
{
    FILE *file = fopen(list_file, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 20000; i++) {
        fputs("no network\n", file);
    }
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(list_file, 0644), 0);
    ck_assert_int_eq(load_text("relays = [ \"file:LIST\" ];"), STATUS_INVALID);
    ck_assert_uint_eq(messages.errors, 20000);
    ck_assert_uint_lt(messages.count, 1000);
    char *said = told();
    ck_assert_ptr_nonnull(strstr(said, "and 19500 more\n"));
    free(said);
}
END_TEST

/* ---------------------------------------------------------------- damage */

static unsigned long long chance = 20778;

static size_t below(size_t limit)
{
    chance = chance * 6364136223846793005ULL + 1442695040888963407ULL;
    return (size_t)(chance >> 33) % limit;
}

/* Changes text somewhere; there is room for twice its length. */
static size_t damage(char *text, size_t length)
{
    static const char signs[] = "\"\"\\(){}[];,=:#/*@\n\r 09-.xL\x01\x80\xff";
    size_t at = below(length);
    size_t run = 1 + below(40);
    run = at + run > length ? length - at : run;
    switch (below(5)) {
    case 0:
        text[at] = signs[below(sizeof signs - 1)];
        return length;
    case 1:
        text[at] = (char)(below(256));
        return length;
    case 2:
        memmove(text + at, text + at + run, length - at - run);
        return length - run;
    case 3:
        memmove(text + at + run, text + at, length - at);
        return length + run;
    default:
        text[at] = text[below(length)];
        return length;
    }
}

START_TEST(test_damage_has_an_answer)
{
    struct timespec start, now;
    char original[32768], text[65536];
    FILE *file = fopen(sample, "r");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(original, 1, sizeof original, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert(size > 1000 && size < sizeof original);
    /* All options are there, not only commented out. */
    for (size_t i = 0; i + 1 < size; i++) {
        if (original[i] == '#' && original[i + 1] >= 'a' && original[i + 1] <= 'z') {
            original[i] = ' ';
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    now = start;
    for (int i = 0; i < 5000 && now.tv_sec - start.tv_sec < 3; i++) {
        size_t length = size;
        bool found;
        memcpy(text, original, size);
        for (size_t n = 1 + below(4); n > 0; n--) {
            length = damage(text, length);
        }
        write_octets(conf, text, length);
        enum status status = config_load(conf, &config, &messages);
        ck_assert(status == STATUS_OK || (status == STATUS_INVALID && messages.errors > 0));
        ck_assert((config != NULL) == (status == STATUS_OK));
        for (size_t m = 0; m < messages.count; m++) {
            /* libconfig's own words, which tell nobody what to mend and come with lost memory. */
            ck_assert_str_ne(messages.items[m].text, "syntax error");
        }
        config_free(config);
        config = NULL;
        config_messages_free(&messages);
        ck_assert_int_eq(config_load_own(conf, &config, &found), STATUS_OK);
        config_free(config);
        config = NULL;
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 20);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *values = add_case(suite, "values");
    tcase_add_loop_test(values, test_defaults, 0, 6);
    tcase_add_test(values, test_sample_is_the_defaults);
    tcase_add_test(values, test_the_daemons_own);
    tcase_add_test(values, test_the_simple_settings);
    tcase_add_test(values, test_lists);
    tcase_add_test(values, test_who_hands_in);
    tcase_add_test(values, test_mail_servers_are_the_internal_networks_unless_given);
    tcase_add_test(values, test_domains);
    tcase_add_test(values, test_general_settings_reach_the_domains);
    tcase_add_test(values, test_classes);
    tcase_add_test(values, test_evidence);
    tcase_add_test(values, test_sizes_in_every_spelling);
    tcase_add_test(values, test_message_id_patterns);
    tcase_add_test(values, test_list_files);
    tcase_add_test(values, test_a_hundred_thousand_entries);

    TCase *wrong = add_case(suite, "faults");
    tcase_add_loop_test(wrong, test_faults, 0, COUNT_OF(faults));
    tcase_add_loop_test(wrong, test_warnings, 0, COUNT_OF(warnings));
    tcase_add_loop_test(wrong, test_the_daemons_own_is_found, 0, COUNT_OF(owns));
    tcase_add_test(wrong, test_the_daemons_own_without_a_file);

    TCase *files = add_case(suite, "files");
    tcase_add_test(files, test_file_that_is_not_there);
    tcase_add_test(files, test_file_that_is_a_folder);
    tcase_add_test(files, test_file_that_is_a_fifo);
    tcase_add_test(files, test_file_that_links_to_itself);
    tcase_add_test(files, test_file_with_a_nul);
    tcase_add_test(files, test_file_of_garbage);
    tcase_add_loop_test(files, test_file_of_one_thing, 0, 17);
    tcase_add_test(files, test_file_that_others_can_change);
    tcase_add_test(files, test_messages_show_no_control_characters);
    tcase_add_test(files, test_messages_have_an_end);
    tcase_add_test(files, test_damage_has_an_answer);
    return suite_run(suite);
}

/*
 * The configuration under libFuzzer. The input is a few files, divided by lines of `%%`: the
 * configuration, and the lists that it may name as "file:/1", "file:/2", "file:/3". There are no
 * others: this program's open() knows nothing else while a configuration is loaded.
 *
 * It is either taken or refused with a message; what is taken is within its bounds; each message is
 * one line about a line that there is; and an empty line on top moves all of them by one.
 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { FILES = 4 };

static int memory[FILES]; /* the files' contents */
static const char *const names[FILES] = {"/conf", "/1", "/2", "/3"};
static unsigned lines[FILES];
static bool loading;

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    for (size_t i = 0; loading && i < FILES; i++) {
        char real[64];
        if (strcmp(path, names[i]) == 0) {
            snprintf(real, sizeof real, "/proc/self/fd/%d", memory[i]);
            return openat(AT_FDCWD, real, flags);
        }
    }
    if (loading) {
        errno = ENOENT;
        return -1;
    }
    return openat(AT_FDCWD, path, flags, mode);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < FILES; i++) {
        memory[i] = memfd_create(names[i], MFD_CLOEXEC);
        require(memory[i] >= 0 && fchmod(memory[i], 0600) == 0);
    }
    return 0;
}

/* Puts text into the index-th file, behind this many empty lines. */
static void fill(size_t index, const uint8_t *text, size_t length, unsigned empty)
{
    require(ftruncate(memory[index], 0) == 0);
    lines[index] = empty + 1;
    if (empty > 0) {
        require(pwrite(memory[index], "\n\n\n\n", empty, 0) == (ssize_t)empty);
    }
    require(pwrite(memory[index], text, length, empty) == (ssize_t)length);
    for (size_t i = 0; i < length; i++) {
        lines[index] += text[i] == '\n';
    }
}

static void fill_all(const uint8_t *data, size_t size, unsigned empty)
{
    static const char divider[] = "\n%%\n";
    for (size_t i = 0; i < FILES; i++) {
        const uint8_t *end = i + 1 < FILES ? memmem(data, size, divider, sizeof divider - 1) : NULL;
        size_t length = end != NULL ? (size_t)(end - data) : size;
        size_t skip = end != NULL ? sizeof divider - 1 : 0;
        fill(i, data, length, i == 0 ? empty : 0);
        data += length + skip;
        size -= length + skip;
    }
}

static void check_message(const struct config_message *message)
{
    size_t file = 0;
    char *text = config_message_format(message);
    require(text != NULL);
    while (file < FILES && strcmp(message->file, names[file]) != 0) {
        file++;
    }
    require(file < FILES && message->line <= lines[file]);
    require(message->text[0] != '\0');
    for (const char *c = text; *c != '\0'; c++) {
        require((unsigned char)*c >= ' ' && *c != 0x7f);
    }
    free(text);
}

static bool in_range(long long value, long long min, long long max)
{
    return value >= min && value <= max;
}

static void check_rules(const struct settings *settings, const struct domain_settings *domain)
{
    require(domain->name[0] != '\0');
    require(domain->name[0] == '.' || settings_domain(settings, domain->name) == domain);
    require(in_range(domain->action, ACTION_LOG, ACTION_DISCARD) || domain->action == ACTION_AUTO);
    require(in_range(domain->forged, ACTION_ACCEPT, ACTION_DISCARD) ||
            domain->forged == ACTION_AUTO);
    require(in_range(domain->expired, ACTION_ACCEPT, ACTION_DISCARD) ||
            domain->expired == ACTION_FOLLOW);
    for (size_t i = 0; i < BOUNCE_CLASS_COUNT; i++) {
        require(in_range(domain->classes[i], ACTION_ACCEPT, ACTION_DISCARD) ||
                domain->classes[i] == ACTION_FOLLOW || domain->classes[i] == ACTION_AUTO);
    }
    require(domain->message_ids == NULL || !domain->sign);
}

static void check_config(const struct config *config)
{
    const struct settings *settings = config->settings;
    require(strcmp(config->path, names[0]) == 0 && settings != NULL);
    require(strncmp(config->listen, "unix:/", 6) == 0 || strncmp(config->listen, "inet", 4) == 0);
    require(config->state_dir[0] == '/' && config->listen_mode <= 0777);
    require(in_range(settings->keys.lifetime_days, 1, RING_LIFETIME_MAX));
    require(settings->keys.retain_days <= RING_RETAIN_MAX);
    require(settings->on_error == ACTION_TEMPFAIL || settings->on_error == ACTION_ACCEPT);
    require(config->evidence_parsers > 0 && settings->evidence.retain_days > 0);
    require(settings->mark_header[0] != '\0');
    require(strpbrk(settings->mark_header, " \t\r\n:") == NULL);
    require(strpbrk(settings->text, "\r\n") == NULL);
    for (size_t i = 0; i < settings->domain_count; i++) {
        check_rules(settings, &settings->domain[i]);
    }
}

/* Whatever the file is, the daemon's own options are valid; of a valid one they are the same. */
static void load_own(const struct config *whole)
{
    struct config *own = NULL;
    bool found = false;
    loading = true;
    enum status status = config_load_own(names[0], &own, &found);
    loading = false;
    require(status == STATUS_OK && own != NULL);
    check_config(own);
    require(whole == NULL || strcmp(whole->state_dir, own->state_dir) == 0);
    config_free(own);
}

static enum status load(struct config_messages *messages)
{
    struct config *config = NULL;
    *messages = (struct config_messages){0};
    loading = true;
    enum status status = config_load(names[0], &config, messages);
    loading = false;
    require((status == STATUS_OK) == (config != NULL));
    require((status == STATUS_OK) == (messages->errors == 0));
    require(status == STATUS_OK || status == STATUS_INVALID || status == STATUS_IO);
    require(!messages->no_memory && messages->errors <= messages->count + messages->left_out);
    for (size_t i = 0; i < messages->count; i++) {
        check_message(&messages->items[i]);
    }
    if (config != NULL) {
        check_config(config);
    }
    load_own(config);
    config_free(config);
    return status;
}

/* Messages that name another line in their text (of a name that is given twice) are as long. */
static void check_moved(const struct config_messages *before, const struct config_messages *after)
{
    require(before->count == after->count && before->errors == after->errors);
    for (size_t i = 0; i < before->count; i++) {
        const struct config_message *a = &before->items[i];
        const struct config_message *b = &after->items[i];
        unsigned moved = a->line > 0 && strcmp(a->file, names[0]) == 0;
        require(strcmp(a->file, b->file) == 0 && a->level == b->level);
        require(b->line == a->line + moved);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_messages before;
    struct config_messages after;
    fill_all(data, size, 0);
    enum status status = load(&before);
    fill_all(data, size, 1);
    require(load(&after) == status);
    check_moved(&before, &after);
    config_messages_free(&before);
    config_messages_free(&after);
    return 0;
}

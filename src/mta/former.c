/*
 * How a former address of batvd's own is known: from what the daemon and `setup` wrote down, from
 * the copies of main.cf that `setup` keeps, which end where it added batvd, or from its name. The
 * first two read files once, when struct formers is made. Whether anybody answers is tried each
 * time. One thread.
 */
#include "mta/former.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/words.h"
#include "daemon/listeners.h"
#include "daemon/running.h"
#include "mta/main_cf.h"
#include "mta/milter_address.h"
#include "mta/milter_probe.h"
#include "mta/postfix_needs.h"

enum { COPIES_MAX = 16 };

static const char map_file[] = "/batv.pcre";

struct formers {
    const struct postfix *postfix;
    const char *listen;
    bool running; /* a daemon, at the newest of listeners */
    char *listeners[LISTENERS_MAX];
    size_t count;
    struct words appended; /* items that stand where `setup` added batvd */
};

/* Whether the daemon's present address stands in the list. */
static bool has_present(const struct formers *formers, const struct words *list)
{
    const char *queue = need_queue_directory(formers->postfix);
    bool has = false;
    for (size_t i = 0; i < list->count && !has; i++) {
        has = milter_item_leads(list->items[i], formers->listen, queue);
    }
    return has;
}

/* Where the present list goes on behind what the copy has, the next item is what `setup` added;
 * not where batvd stands in it by its present address: then that is what was added. */
static bool take_list(struct formers *formers, const char *text, const char *name)
{
    struct words then = {.items = NULL};
    struct words now = {.items = NULL};
    char *value = main_cf_value(text, name);
    bool done = words_split(value != NULL ? value : "", &then) &&
                words_split(postfix_get_raw(formers->postfix, name), &now);
    size_t same = 0;
    while (same < then.count && same < now.count &&
           strcmp(then.items[same], now.items[same]) == 0) {
        same++;
    }
    if (done && same == then.count && same < now.count && !has_present(formers, &now)) {
        done = words_add(&formers->appended, now.items[same]);
    }
    words_free(&then);
    words_free(&now);
    free(value);
    return done;
}

/* Of a copy from before batvd came. Later ones have it in their lists already. */
static bool take_copy(struct formers *formers, const char *path)
{
    struct reason why;
    char *text = NULL;
    bool done = true;
    if (file_read(path, &text, &why) != STATUS_OK) {
        return true;
    }
    char *maps = main_cf_value(text, need_name(NEED_MAPS));
    if (maps == NULL || strstr(maps, map_file) == NULL) {
        done = take_list(formers, text, need_name(NEED_MILTERS)) &&
               take_list(formers, text, need_name(NEED_NON_SMTPD));
    }
    free(maps);
    free(text);
    return done;
}

/* The newest copies; their names end in dates. They tell nothing where batvd has been taken out
 * since, and its map with it. */
static bool take_copies(struct formers *formers)
{
    glob_t found;
    bool done = true;
    if (strstr(postfix_get(formers->postfix, need_name(NEED_MAPS)), map_file) == NULL) {
        return true;
    }
    int result = main_cf_copies(formers->postfix, &found);
    size_t skip = found.gl_pathc > COPIES_MAX ? found.gl_pathc - COPIES_MAX : 0;
    for (size_t i = skip; result == 0 && i < found.gl_pathc && done; i++) {
        done = take_copy(formers, found.gl_pathv[i]);
    }
    globfree(&found);
    return done && result != GLOB_NOSPACE;
}

struct formers *formers_new(const struct config *config, const struct postfix *postfix)
{
    struct formers *formers = calloc(1, sizeof *formers);
    if (formers == NULL) {
        return NULL;
    }
    formers->postfix = postfix;
    formers->listen = config->listen;
    formers->count = listeners_read(config->state_dir, formers->listeners);
    formers->running = daemon_is_running(config->state_dir);
    if (postfix != NULL && !take_copies(formers)) {
        formers_free(formers);
        return NULL;
    }
    return formers;
}

void formers_free(struct formers *formers)
{
    if (formers == NULL) {
        return;
    }
    for (size_t i = 0; i < formers->count; i++) {
        free(formers->listeners[i]);
    }
    words_free(&formers->appended);
    free(formers);
}

/* True where the socket, or the folder that it is in, is named after batvd. */
static bool has_our_name(const char *name, const char *queue_directory, bool chroot)
{
    static const char ours[] = "/batvd";
    char *path = milter_name_path(name, queue_directory, chroot);
    bool has = false;
    if (path != NULL) {
        char *file = strrchr(path, '/');
        has = strcmp(file, "/batvd") == 0 || strcmp(file, "/batvd.sock") == 0;
        *file = '\0';
        char *folder = strrchr(path, '/');
        has = has || (folder != NULL && strcmp(folder, ours) == 0);
    }
    free(path);
    return has;
}

static bool name_is_former(const struct formers *formers, const char *item, const char *name,
                           bool chroot)
{
    struct reason why;
    const char *queue = need_queue_directory(formers->postfix);
    bool noted = false;
    bool newest = false;
    if (milter_item_leads(item, formers->listen, queue)) {
        return false;
    }
    for (size_t i = 0; i < formers->count; i++) {
        bool leads = milter_name_leads(name, formers->listeners[i], queue, chroot);
        noted = noted || leads;
        newest = leads && i + 1 == formers->count;
    }
    bool known = noted || words_has(&formers->appended, item) || has_our_name(name, queue, chroot);
    return known && ((newest && formers->running) ||
                     probe_milter(name, queue, chroot, &why) == PROBE_NOBODY);
}

bool former_is(const struct formers *formers, const char *item, bool chroot)
{
    char *name = milter_item_name(item);
    bool is = name != NULL && name_is_former(formers, item, name, chroot);
    free(name);
    return is;
}

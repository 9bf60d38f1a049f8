/*
 * Changing the configuration file. The new text is loaded, as a draft beside the file, by the code
 * that the daemon loads it with, so that a reader never meets a faulty or half a file. One thread.
 */
#include "ctl/config_edit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/draft.h"
#include "base/print.h"

/* Loads the draft and puts it in place. An exit status. */
static int put_in_place(struct draft *draft, config_fits *fits, void *context)
{
    struct config_messages messages = {.items = NULL};
    struct config *config = NULL;
    struct reason why = {""};
    int exit = CTL_NO;
    if (config_load(draft->path, &config, &messages) != STATUS_OK) {
        config_messages_print(&messages, stderr);
    } else if (!fits(config, context)) {
        exit = CTL_NO;
    } else if (draft_commit(draft, &why) == STATUS_OK) {
        exit = CTL_YES;
    } else {
        print_error("%s; nothing was changed", why.text);
        exit = CTL_UNABLE;
    }
    config_messages_free(&messages);
    config_free(config);
    return exit;
}

/* The folder of a path, made where only it is missing. */
static void make_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL && slash > path ? strndup(path, (size_t)(slash - path)) : NULL;
    if (folder != NULL) {
        (void)mkdir(folder, 0755); /* writing the file tells what is wrong */
    }
    free(folder);
}

int config_edit(struct ctl *ctl, const char *text, config_fits *fits, void *context)
{
    struct draft draft;
    struct reason why = {""};
    make_parent(ctl->config_path);
    if (draft_write(&draft, ctl->config_path, text, 0644, &why) != STATUS_OK) {
        print_error("%s; nothing was changed%s", why.text,
                    geteuid() != 0 ? "; run this as root" : "");
        return CTL_UNABLE;
    }
    int exit = put_in_place(&draft, fits, context);
    draft_drop(&draft);
    if (exit == CTL_YES) {
        config_free(ctl->config); /* what it was before */
        ctl->config = NULL;
        exit = ctl_load_config(ctl) ? CTL_YES : CTL_UNABLE;
    }
    return exit;
}

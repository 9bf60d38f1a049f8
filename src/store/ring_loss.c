/*
 * When to write a lost keyring file back, and what to say of it. Whoever has a struct ring_loss
 * guards it. The copy is a memfd: it needs no disk, is no file that could be forgotten somewhere,
 * and ends with the process; only root can open it, since the process is not dumpable.
 */
#include "store/ring_loss.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/program.h"
#include "batv/ring_text.h"
#include "batv/secret.h"

/* ----------------------------------------------------------------- judging */

static const char *const back_names[] = {
    [RING_BACK_WAITS] = "waits",   [RING_BACK_DUE] = "due",     [RING_BACK_FORGET] = "forget",
    [RING_BACK_FOLDER] = "folder", [RING_BACK_NEWER] = "newer", [RING_BACK_FAILED] = "failed",
};

enum { BACKS = sizeof back_names / sizeof back_names[0] };

const char *ring_back_name(enum ring_loss_kind kind, enum ring_back back)
{
    return kind == RING_THERE ? "" : back_names[back];
}

bool ring_back_from_name(const char *name, enum ring_back *out)
{
    for (size_t i = 0; i < BACKS; i++) {
        if (strcmp(name, back_names[i]) == 0) {
            *out = (enum ring_back)i;
            return true;
        }
    }
    return false;
}

void ring_loss_note(struct ring_loss *loss, enum ring_loss_kind kind, bool changed,
                    uint64_t generation, time_t now)
{
    if (kind != loss->kind || changed) {
        loss->since = now;
        loss->retry_at = 0;
    }
    loss->kind = kind;
    loss->newest = generation > loss->newest ? generation : loss->newest;
}

enum ring_back ring_loss_judge(const struct ring_loss *loss, uint64_t generation,
                               unsigned retain_days, bool same_folder, time_t now)
{
    if (!same_folder) {
        return RING_BACK_FOLDER;
    }
    if (retain_days == 0) {
        return RING_BACK_FORGET;
    }
    if (loss->newest > generation) {
        return RING_BACK_NEWER;
    }
    if (now - loss->since < RING_LOSS_WAIT) {
        return RING_BACK_WAITS;
    }
    if (loss->kind == RING_UNREADABLE || now < loss->retry_at) {
        return RING_BACK_FAILED;
    }
    return RING_BACK_DUE;
}

/* ---------------------------------------------------------------- the copy */

void ring_copy_name(const char *state_dir, char out[static RING_COPY_NAME])
{
    snprintf(out, RING_COPY_NAME, "keyring of %s", state_dir);
}

/* An empty file of size octets in memory, mapped at *text. -1: there is none. */
static int map_file(const char *state_dir, size_t size, void **text)
{
    char name[RING_COPY_NAME];
    ring_copy_name(state_dir, name);
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    *text = MAP_FAILED;
    if (fchmod(fd, 0400) == 0 && ftruncate(fd, (off_t)size) == 0) {
        *text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (*text == MAP_FAILED) {
        close(fd);
        return -1;
    }
    (void)mlock(*text, size); /* as far as the limit allows */
    return fd;
}

bool ring_copy_make(struct ring_copy *copy, const struct ring *ring, const char *state_dir)
{
    char *text = NULL;
    size_t length = 0;
    if (copy->fd >= 0) {
        return true;
    }
    if (ring_format(ring, &text, &length) != STATUS_OK) {
        return false;
    }
    copy->fd = map_file(state_dir, length, &copy->text);
    if (copy->fd >= 0) {
        copy->size = length;
        memcpy(copy->text, text, length);
    }
    ring_text_free(text, length);
    return copy->fd >= 0;
}

void ring_copy_end(struct ring_copy *copy)
{
    if (copy->fd >= 0) {
        secret_wipe_memory(copy->text, copy->size);
        munmap(copy->text, copy->size);
        close(copy->fd);
    }
    *copy = (struct ring_copy){.fd = -1};
}

/* ---------------------------------------------------------------- in words */

char *ring_plight_text(const struct ring_plight *plight)
{
    char *text = NULL;
    int length = -1;
    switch (plight->back) {
    case RING_BACK_WAITS:
    case RING_BACK_DUE:
        length = asprintf(&text,
                          "batvd still has the keys, and writes the file back when nothing has "
                          "changed there for %d seconds: until then do not restart it, and make no "
                          "new keys, or bounces to all present tags are rejected",
                          RING_LOSS_WAIT);
        break;
    case RING_BACK_FORGET:
        length = asprintf(&text, "do not restart batvd if you still need its keys: it does not "
                                 "write them back, because keys.retain_days is 0. To forget them, "
                                 "stop batvd and make new ones: batvctl key init");
        break;
    case RING_BACK_FOLDER:
        length = asprintf(&text,
                          "do not restart batvd before you have copied its keys: it does not write "
                          "them back, because %s is not the folder that it started with",
                          plight->state_dir);
        break;
    case RING_BACK_NEWER:
        length = asprintf(
            &text, "do not restart batvd: it does not write its keys back, because it has lost a "
                   "newer keyring. Restore that from a backup; without one, copy batvd's keys");
        break;
    case RING_BACK_FAILED:
        length = asprintf(
            &text,
            "do not restart batvd: it still has the keys, but cannot write the file (%s). After "
            "you correct that, it does so within two minutes; until then, save a copy",
            plight->why);
        break;
    }
    return length < 0 ? NULL : text;
}

/* Into the place of the file, never over one that is there. False: no memory. */
static bool put_command(FILE *line, const struct ring_plight *plight, const struct stat *folder)
{
    char path[4096];
    char copy[sizeof path + 8];
    char aside[sizeof path + 8];
    snprintf(path, sizeof path, "%s/keyring", plight->state_dir);
    snprintf(copy, sizeof copy, "%s.copy", path);
    snprintf(aside, sizeof aside, "%s.broken", path);
    char *to = program_quote(path);
    char *from = program_quote(copy);
    char *away = program_quote(aside);
    bool ok = to != NULL && from != NULL && away != NULL;
    if (ok && plight->kind == RING_DAMAGED) {
        fprintf(line, "mv --backup=numbered -T %s %s && ", to, away);
    }
    if (ok) {
        fprintf(line, "install -m 600 -o %lu -g %lu /proc/%ld/fd/%d %s && ln %s %s && rm %s",
                (unsigned long)folder->st_uid, (unsigned long)folder->st_gid, plight->pid,
                plight->fd, from, from, to, from);
    }
    free(to);
    free(from);
    free(away);
    return ok;
}

char *ring_plight_command(const struct ring_plight *plight)
{
    struct stat folder;
    char *text = NULL;
    size_t size;
    bool waits = plight->back == RING_BACK_WAITS || plight->back == RING_BACK_DUE;
    if (waits || plight->pid == 0 || plight->fd < 0) {
        return NULL;
    }
    FILE *line = open_memstream(&text, &size);
    if (line == NULL) {
        return NULL;
    }
    bool ok = true;
    if (plight->back == RING_BACK_FAILED || stat(plight->state_dir, &folder) != 0) {
        fprintf(line, "install -m 600 /proc/%ld/fd/%d batvd-keyring", plight->pid, plight->fd);
    } else {
        ok = put_command(line, plight, &folder);
    }
    if (fclose(line) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}

bool ring_was_there(const char *state_dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/status", state_dir);
    return access(path, F_OK) == 0;
}

const char *ring_lost_advice(const char *state_dir, enum status status, bool running,
                             unsigned retain_days)
{
    if (status != STATUS_NOT_FOUND && status != STATUS_INVALID) {
        return NULL;
    }
    if (running && retain_days == 0) {
        return "batvd is running and still has the keys, but does not write them back, because "
               "keys.retain_days is 0. To forget them, stop it first, then make new ones: `batvctl "
               "key init`. To keep them, do not restart it, and run `batvctl check` as root, which "
               "prints the command that copies them";
    }
    if (running) {
        return "batvd is running and still has the keys: it writes the file back within two "
               "minutes. Do not restart it, and make no new keys, or bounces to all present tags "
               "are rejected. If the file does not come back, run `batvctl check` as root, which "
               "prints the reason";
    }
    if (status == STATUS_INVALID || ring_was_there(state_dir)) {
        return "put a copy from a backup in its place. Without one, move the rest of the file away "
               "and make new keys with `batvctl key init`: bounces to all earlier tags are then "
               "rejected";
    }
    return "make one: batvctl key init";
}

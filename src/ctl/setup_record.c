/*
 * The record of `setup`. It lies in a folder of the daemon's user, so whoever reads it must not
 * believe more than that a value which still stands in main.cf may go. Read and written as that
 * user: root would follow links there. One thread.
 */
#include "ctl/setup_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/draft.h"
#include "base/file.h"
#include "batv/day.h"
#include "daemon/owner.h"

#define RECORD "setup"

static const char heading[] = "# What `batvctl setup` wrote into Postfix's settings, for `batvctl "
                              "setup --undo` (batvctl(8)).\n"
                              "format 1\n";

bool setup_record_put(char **member, const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    if (text != NULL && copy == NULL) {
        return false;
    }
    free(*member);
    *member = copy;
    return true;
}

void setup_record_free(struct setup_record *record)
{
    free(record->folder);
    free(record->listen);
    free(record->map);
    for (int i = 0; i < NEED_COUNT; i++) {
        free(record->set[i]);
        free(record->was[i]);
    }
    *record = (struct setup_record){.folder = NULL};
}

/* The text. */

static void put_line(FILE *out, const char *name, const char *value)
{
    if (value != NULL) {
        fprintf(out, "%s %s\n", name, value);
    }
}

static void put_setting(FILE *out, const char *word, enum need need, const char *value)
{
    if (value != NULL) {
        fprintf(out, "%s %s = %s\n", word, need_name(need), value);
    }
}

char *setup_record_format(const struct setup_record *record)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return NULL;
    }
    fputs(heading, out);
    put_line(out, "folder", record->folder);
    put_line(out, "listen", record->listen);
    put_line(out, "map", record->map);
    for (int i = 0; i < NEED_COUNT; i++) {
        put_setting(out, "was", (enum need)i, record->was[i]);
        put_setting(out, "set", (enum need)i, record->set[i]);
    }
    if (record->last_signed > 0) {
        char day[DAY_TEXT];
        day_format(record->last_signed, day);
        put_line(out, "last-signed", day);
    }
    if (fclose(out) != 0) {
        free(text);
        text = NULL;
    }
    return text;
}

/* name = value */
static bool take_setting(char *text, char *members[])
{
    char *equals = strstr(text, " =");
    if (equals == NULL) {
        return false;
    }
    *equals = '\0';
    for (int i = 0; i < NEED_COUNT; i++) {
        if (strcmp(text, need_name((enum need)i)) == 0) {
            const char *value = equals + 2;
            return setup_record_put(&members[i], value + (*value == ' '));
        }
    }
    return false;
}

static bool take_line(char *line, struct setup_record *out)
{
    const char *word = strsep(&line, " ");
    if (line == NULL) {
        return false;
    }
    if (strcmp(word, "folder") == 0) {
        return setup_record_put(&out->folder, line);
    }
    if (strcmp(word, "listen") == 0) {
        return setup_record_put(&out->listen, line);
    }
    if (strcmp(word, "map") == 0) {
        return setup_record_put(&out->map, line);
    }
    if (strcmp(word, "set") == 0) {
        return take_setting(line, out->set);
    }
    if (strcmp(word, "was") == 0) {
        return take_setting(line, out->was);
    }
    return strcmp(word, "last-signed") == 0 && day_parse(line, &out->last_signed);
}

enum status setup_record_parse(char *text, struct setup_record *out)
{
    bool format = false;
    for (char *line = strsep(&text, "\n"); line != NULL; line = strsep(&text, "\n")) {
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        if (!format ? strcmp(line, "format 1") != 0 : !take_line(line, out)) {
            return STATUS_INVALID;
        }
        format = true;
    }
    return format ? STATUS_OK : STATUS_INVALID;
}

/* The file. */

/* NULL: no memory. The caller frees. */
static char *record_path(const char *state_dir, struct reason *why)
{
    char *path = NULL;
    if (asprintf(&path, "%s/" RECORD, state_dir) < 0) {
        reason_write(why, "out of memory");
        return NULL;
    }
    return path;
}

static enum status read_record(const char *path, struct setup_record *out, struct reason *why)
{
    char *text = NULL;
    enum status status = file_read(path, &text, why);
    if (status == STATUS_OK && setup_record_parse(text, out) != STATUS_OK) {
        status = reason_set(why, STATUS_INVALID, "%s is damaged", path);
    }
    free(text);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status setup_record_load(const char *state_dir, struct setup_record *out, struct reason *why)
{
    char *path = record_path(state_dir, why);
    *out = (struct setup_record){.folder = NULL};
    enum status status = path != NULL ? owner_borrow(state_dir, why) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        status = owner_return(read_record(path, out, why), why);
    }
    free(path);
    return status;
}

enum status setup_record_save(const char *state_dir, const struct setup_record *record,
                              struct reason *why)
{
    char *path = record_path(state_dir, why);
    char *text = setup_record_format(record);
    enum status status = path != NULL && text != NULL
                             ? owner_borrow(state_dir, why)
                             : reason_set(why, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK) {
        status = owner_return(draft_replace(path, text, 0600, why), why);
    }
    free(text);
    free(path);
    return status;
}

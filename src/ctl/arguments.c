/*
 * Arguments, taken apart by a command's own table. Nothing is copied: values point into argv. No
 * state; one thread.
 */
#include "ctl/arguments.h"

#include <string.h>

/* Where reading has come to. */
struct reading {
    const struct ctl *ctl;
    const struct argument *known;
    int argc;
    char **argv;
    int at;
    int kept;
    bool in_list;
    bool ended;
};

/* The row for text, which is --name or --name=VALUE; *value is what follows the =, or NULL. */
static const struct argument *find(const struct argument *known, const char *text,
                                   const char **value)
{
    size_t length = strcspn(text, "=");
    *value = text[length] == '=' ? text + length + 1 : NULL;
    for (const struct argument *row = known; row != NULL && row->name != NULL; row++) {
        if (strlen(row->name) == length && strncmp(row->name, text, length) == 0) {
            return row;
        }
    }
    return NULL;
}

static bool has_list(const struct argument *known)
{
    const struct argument *row = known;
    while (row != NULL && row->name != NULL && row->kind != ARGUMENT_LIST) {
        row++;
    }
    return row != NULL && row->name != NULL;
}

static bool fail(const struct reading *r, const char *problem, const char *text)
{
    (void)ctl_usage_error(r->ctl, "%s: %s", text, problem);
    return false;
}

static bool take_operand(struct reading *r, char *text)
{
    if (has_list(r->known) && !r->in_list) {
        return fail(r, "unexpected argument", text);
    }
    r->argv[r->kept++] = text;
    return true;
}

static bool take_value(struct reading *r, const struct argument *row, const char *value)
{
    if (value == NULL && r->at + 1 >= r->argc) {
        return fail(r, "a value is missing", row->name);
    }
    if (*row->value != NULL) {
        return fail(r, "given twice", row->name);
    }
    *row->value = value != NULL ? value : r->argv[++r->at];
    return true;
}

static bool take_option(struct reading *r, char *text)
{
    const char *value;
    const struct argument *row = find(r->known, text, &value);
    if (row == NULL) {
        return fail(r, "unknown option", text);
    }
    r->in_list = row->kind == ARGUMENT_LIST;
    switch (row->kind) {
    case ARGUMENT_VALUE:
        return take_value(r, row, value);
    case ARGUMENT_LIST:
        return value == NULL || take_operand(r, text + (value - text));
    case ARGUMENT_FLAG:
        break;
    }
    if (value != NULL) {
        return fail(r, "takes no value", row->name);
    }
    *row->flag = true;
    return true;
}

bool arguments_parse(const struct ctl *ctl, const struct argument *known, int *argc, char **argv)
{
    struct reading r = {.ctl = ctl, .known = known, .argc = *argc, .argv = argv, .kept = 1};
    for (r.at = 1; r.at < r.argc; r.at++) {
        char *text = argv[r.at];
        if (!r.ended && strcmp(text, "--") == 0) {
            r.ended = true;
        } else if (r.ended || text[0] != '-' || text[1] == '\0') {
            if (!take_operand(&r, text)) {
                return false;
            }
        } else if (!take_option(&r, text)) {
            return false;
        }
    }
    argv[r.kept] = NULL;
    *argc = r.kept;
    return true;
}

bool argument_number(const char *text, unsigned long max, unsigned long *out)
{
    unsigned long value = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || value > (max - (unsigned long)(*p - '0')) / 10) {
            return false;
        }
        value = value * 10 + (unsigned long)(*p - '0');
    }
    *out = value;
    return text[0] != '\0';
}

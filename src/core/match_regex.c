/*
 * Lists of regular expressions, by PCRE2, which is named in no other file.
 *
 * The expressions are the administrator's, but the text is a stranger's, and an expression that is
 * quick on every Message-ID of ours may take years on one that is made for it. So the work is
 * counted: each expression is compiled with a callout before each of its items, and what is left to
 * be spent goes down by one for every item that is tried and for every octet that one has moved
 * over. PCRE2's own match limit would not do by itself, since it begins anew wherever in the text a
 * match might begin. Once nothing is left the expression does not match. The bounce's budget pays
 * for all matches together.
 *
 * A list is immutable and may be shared by threads: what a match writes to is made for each.
 */
#include "batv/match.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "batv/bounce.h"

enum {
    ENTRY_MAX = 1000, /* octets of an expression */
    NEST_MAX = 50,    /* brackets within each other */
    WORK_MAX = 15000, /* a clumsy one needs half of it for the longest Message-ID */
    MATCH_MAX = 15000,
    DEPTH_MAX = 5000,
    HEAP_MAX = 2048,  /* KiB */
    MATCH_STEPS = 40, /* of the bounce's budget, for a match */
    WORK_STEPS = 6    /* and for what it spends, each */
};

struct regex {
    char *entry; /* as it was written */
    pcre2_code *code;
};

struct regex_list {
    size_t count;
    struct regex items[];
};

/* What a match has left to spend. */
struct work {
    size_t left;
    size_t at; /* where the last callout was */
};

/* Expressions are for octets: a Message-ID may have some that are no UTF-8. */
static enum status regex_compile(const char *entry, pcre2_compile_context *context,
                                 pcre2_code **out)
{
    static const uint32_t options =
        PCRE2_CASELESS | PCRE2_AUTO_CALLOUT | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF;
    size_t length = strlen(entry);
    int error = 0;
    PCRE2_SIZE where = 0;
    *out = NULL;
    if (length == 0 || length > ENTRY_MAX) {
        return STATUS_INVALID;
    }
    *out = pcre2_compile((PCRE2_SPTR)entry, length, options, &error, &where, context);
    if (*out != NULL) {
        return STATUS_OK;
    }
    return error == PCRE2_ERROR_HEAP_FAILED ? STATUS_NO_MEMORY : STATUS_INVALID;
}

static enum status regex_new(const char *entry, pcre2_compile_context *context, struct regex *out)
{
    enum status status = regex_compile(entry, context, &out->code);
    if (status == STATUS_OK && (out->entry = strdup(entry)) == NULL) {
        status = STATUS_NO_MEMORY;
    }
    return status;
}

enum status regex_list_new(const char *const entries[], size_t count, struct regex_list **out,
                           size_t *bad)
{
    *out = NULL;
    if (count == 0) {
        return STATUS_OK;
    }
    struct regex_list *list = calloc(1, sizeof *list + count * sizeof *list->items);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    enum status status = list == NULL || context == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK) {
        pcre2_set_parens_nest_limit(context, NEST_MAX);
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        list->count = i + 1;
        status = regex_new(entries[i], context, &list->items[i]);
        *bad = i;
    }
    pcre2_compile_context_free(context);
    if (status == STATUS_OK) {
        *out = list;
    } else {
        regex_list_free(list);
    }
    return status;
}

void regex_list_free(struct regex_list *list)
{
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].entry);
        pcre2_code_free(list->items[i].code);
    }
    free(list);
}

/* Called by PCRE2 before each item of an expression. Not 0: the match ends, without one. */
static int spend(pcre2_callout_block *callout, void *data)
{
    struct work *work = data;
    size_t at = callout->current_position;
    size_t cost = 1 + (at > work->at ? at - work->at : work->at - at);
    work->at = at;
    if (cost > work->left) {
        return PCRE2_ERROR_MATCHLIMIT;
    }
    work->left -= cost;
    return 0;
}

static bool regex_matches(const struct regex *regex, const char *text, size_t length,
                          struct budget *budget, pcre2_match_data *data,
                          pcre2_match_context *context, enum status *status)
{
    struct work work = {.left = WORK_MAX};
    pcre2_set_callout(context, spend, &work);
    int result = pcre2_match(regex->code, (PCRE2_SPTR)text, length, 0, 0, data, context);
    budget_spend(budget, MATCH_STEPS + length / 4 + WORK_STEPS * (WORK_MAX - work.left));
    *status = result == PCRE2_ERROR_NOMEMORY ? STATUS_NO_MEMORY : *status;
    return result >= 0;
}

const char *regex_list_match(const struct regex_list *list, const char *text, struct budget *budget,
                             enum status *status)
{
    size_t length = strnlen(text, BOUNCE_ID_MAX + 1);
    enum status ignored = STATUS_OK;
    status = status != NULL ? status : &ignored;
    *status = STATUS_OK;
    if (list == NULL || length > BOUNCE_ID_MAX) {
        return NULL;
    }
    const char *found = NULL;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    *status = data == NULL || context == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (*status == STATUS_OK) {
        pcre2_set_match_limit(context, MATCH_MAX);
        pcre2_set_depth_limit(context, DEPTH_MAX);
        pcre2_set_heap_limit(context, HEAP_MAX);
        for (size_t i = 0; i < list->count && found == NULL && !budget_used_up(budget); i++) {
            if (regex_matches(&list->items[i], text, length, budget, data, context, status)) {
                found = list->items[i].entry;
            }
        }
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    return found;
}

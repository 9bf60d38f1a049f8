/*
 * The conversation with Sendmail's test mode: what its rules do to addresses nobody can tell from
 * sendmail.cf, so Sendmail itself answers. One run of the program for each question. One thread.
 */
#include "mta/sendmail_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"
#include "base/words.h"

static enum status no_memory(struct reason *why)
{
    return reason_set(why, STATUS_NO_MEMORY, "out of memory");
}

/* Runs it in test mode; *text is what it says, the caller frees. */
static enum status ask(const struct sendmail *sendmail, const char *input, char **text,
                       struct reason *why)
{
    const char *program = sendmail_program(sendmail);
    const char *const argv[] = {program, "-C", sendmail_cf(sendmail), "-bt", NULL};
    struct program_output output;
    *text = NULL;
    if (program == NULL) {
        return reason_set(why, STATUS_IO, "the program sendmail cannot be found");
    }
    enum status status = program_run(argv, input, &output, why);
    if (status != STATUS_OK) {
        return status;
    }
    if (output.exit != 0) {
        const char *said = output.err[0] != '\0' ? output.err : output.out;
        status = reason_set(why, STATUS_IO, "sendmail -bt: exit status %d: %.*s", output.exit,
                            (int)strcspn(said, "\n"), said);
    } else {
        *text = output.out;
        output.out = NULL;
    }
    program_output_free(&output);
    return status;
}

/* A line for each address, in front and behind what the command needs. NULL: no memory. */
static char *make_input(const char *first, const char *before, const char *const addresses[],
                        size_t count)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return NULL;
    }
    fputs(first, out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s%s\n", before, addresses[i]);
    }
    fputs("/quit\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void answers_clear(char *answers[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(answers[i]);
        answers[i] = NULL;
    }
}

/* What stands behind the mark in the last line that has it, from `at` to the next prompt. */
static char *last_answer(const char *at, const char *end, const char *mark)
{
    const char *found = NULL;
    for (const char *hit = strstr(at, mark); hit != NULL && hit < end;
         hit = strstr(hit + 1, mark)) {
        found = hit + strlen(mark);
    }
    return found == NULL ? NULL : words_trimmed(found, found + strcspn(found, "\n"));
}

/*
 * Sendmail answers each address by many lines, of which the last one with the mark counts. The
 * first begins with a prompt, "> ", or with several where a command before had no answer.
 */
static enum status take_answers(const char *text, const char *mark, size_t count, char *answers[],
                                struct reason *why)
{
    const char *at = strstr(text, "\n> ");
    for (size_t i = 0; i < count; i++) {
        const char *next = at != NULL ? strstr(at + 1, "\n> ") : NULL;
        answers[i] =
            at != NULL ? last_answer(at, next != NULL ? next : at + strlen(at), mark) : NULL;
        if (answers[i] == NULL) {
            answers_clear(answers, count);
            return reason_set(why, STATUS_IO, "sendmail -bt gave no answer for an address");
        }
        at = next;
    }
    return STATUS_OK;
}

static enum status ask_all(const struct sendmail *sendmail, const char *first, const char *before,
                           const char *mark, const char *const addresses[], size_t count,
                           char *answers[], struct reason *why)
{
    char *text = NULL;
    for (size_t i = 0; i < count; i++) {
        answers[i] = NULL;
    }
    char *input = make_input(first, before, addresses, count);
    enum status status = input != NULL ? ask(sendmail, input, &text, why) : no_memory(why);
    if (status == STATUS_OK) {
        status = take_answers(text, mark, count, answers, why);
    }
    free(text);
    free(input);
    return status;
}

enum status sendmail_resolve(const struct sendmail *sendmail, const char *const addresses[],
                             size_t count, char *answers[], struct reason *why)
{
    return ask_all(sendmail, "", "3,0 ", "parse            returns: ", addresses, count, answers,
                   why);
}

enum status sendmail_host(const struct sendmail *sendmail, char **name, struct reason *why)
{
    char *text;
    *name = NULL;
    enum status status = ask(sendmail, "$j\n/quit\n", &text, why);
    if (status == STATUS_OK) {
        const char *answer = strstr(text, "\n> ");
        answer = answer != NULL ? answer + 3 : "";
        *name = words_trimmed(answer, answer + strcspn(answer, "\n"));
        status = *name != NULL ? STATUS_OK : no_memory(why);
    }
    free(text);
    return status;
}

enum status sendmail_send_as(const struct sendmail *sendmail, const char *mailer,
                             const char *const addresses[], size_t count, char *answers[],
                             struct reason *why)
{
    char *before = NULL;
    if (asprintf(&before, "/try %s ", mailer) < 0) {
        return no_memory(why);
    }
    enum status status =
        ask_all(sendmail, "/tryflags ES\n", before, ", addr = ", addresses, count, answers, why);
    free(before);
    return status;
}

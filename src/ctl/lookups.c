/* Copies of what the resolver answered, as the answers themselves go at once. One thread. */
#include "ctl/lookups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"

void lookups_take(void *context, const struct resolver_question *question,
                  const struct resolver_answer *answer)
{
    struct lookups *lookups = context;
    struct lookup_note *grown =
        lookups->closed ? NULL
                        : reallocarray(lookups->items, lookups->count + 1, sizeof *lookups->items);
    if (grown == NULL) {
        return;
    }
    lookups->items = grown;
    struct lookup_note note = {.name = strdup(question->name),
                               .mx = question->mx,
                               .addresses = calloc(answer->count + 1, sizeof *note.addresses),
                               .count = answer->count,
                               .trouble = answer->trouble};
    if (note.name == NULL || note.addresses == NULL) {
        free(note.name);
        free(note.addresses);
        return;
    }
    if (answer->count > 0) {
        memcpy(note.addresses, answer->addresses, answer->count * sizeof *note.addresses);
    }
    grown[lookups->count++] = note;
}

void lookups_print(const struct lookups *lookups, const char *label)
{
    for (size_t i = 0; i < lookups->count; i++) {
        const struct lookup_note *note = &lookups->items[i];
        printf("%-12s%s of %s:", i == 0 ? label : "", note->mx ? "MX hosts" : "addresses",
               note->name);
        for (size_t n = 0; n < note->count; n++) {
            putchar(' ');
            print_ip(stdout, &note->addresses[n]);
        }
        if (note->trouble != NULL) {
            printf(" (%s%s)", note->count > 0 ? "not all: " : "not known: ", note->trouble);
        } else if (note->count == 0) {
            fputs(" none", stdout);
        }
        putchar('\n');
    }
}

void lookups_free(struct lookups *lookups)
{
    for (size_t i = 0; i < lookups->count; i++) {
        free(lookups->items[i].name);
        free(lookups->items[i].addresses);
    }
    free(lookups->items);
    *lookups = (struct lookups){NULL, 0, false};
}

/*
 * A row for each address that got wrong tags, with what tells these guesses apart; its hour begins
 * with the first. A full table gives up the row with the fewest tags, so that a stranger who tries
 * a tag on each of many addresses does not save the one that he guesses at. One mutex; a row is
 * looked for only where a tag is wrong, or while some address is under guessing.
 */
#include "daemon/guessing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "base/random.h"
#include "content/oracle.h"
#include "store/status_file.h"

struct row {
    char *mailbox;
    time_t since;
    size_t count;
    uint64_t *guesses; /* GUESSING_TAGS + 1 of them: one more than may be */
};

struct guessing {
    pthread_mutex_t lock;
    uint64_t seed;      /* nobody can choose guesses that look alike */
    atomic_size_t held; /* rows under guessing, some of which may be over */
    struct row rows[GUESSING_ADDRESSES];
    size_t count;
};

struct guessing *guessing_new(void)
{
    struct guessing *guessing = calloc(1, sizeof *guessing);
    if (guessing != NULL) {
        struct reason ignored; /* without randomness the seed is 0 */
        (void)random_octets(&guessing->seed, sizeof guessing->seed, &ignored);
        pthread_mutex_init(&guessing->lock, NULL);
        atomic_init(&guessing->held, 0);
    }
    return guessing;
}

static bool is_held(const struct row *row)
{
    return row->count > GUESSING_TAGS;
}

static void row_remove(struct guessing *guessing, struct row *row)
{
    guessing->held -= is_held(row);
    free(row->mailbox);
    free(row->guesses);
    *row = guessing->rows[--guessing->count];
}

void guessing_free(struct guessing *guessing)
{
    if (guessing == NULL) {
        return;
    }
    while (guessing->count > 0) {
        row_remove(guessing, &guessing->rows[guessing->count - 1]);
    }
    pthread_mutex_destroy(&guessing->lock);
    free(guessing);
}

/* A clock that was set back begins the hour anew. */
static bool is_over(const struct row *row, time_t now)
{
    return now < row->since || now - row->since >= GUESSING_SECONDS;
}

/* The row of this mailbox whose hour is not over; NULL: none. */
static struct row *find(struct guessing *guessing, const char *mailbox, time_t now)
{
    for (size_t i = 0; i < guessing->count; i++) {
        struct row *row = &guessing->rows[i];
        if (strcmp(row->mailbox, mailbox) == 0) {
            if (!is_over(row, now)) {
                return row;
            }
            row_remove(guessing, row);
            return NULL;
        }
    }
    return NULL;
}

/* Makes room: what is over goes first, then the row with the fewest tags. */
static void drop_one(struct guessing *guessing, time_t now)
{
    struct row *least = &guessing->rows[0];
    for (size_t i = 0; i < guessing->count; i++) {
        struct row *row = &guessing->rows[i];
        if (is_over(row, now)) {
            least = row;
            break;
        }
        least = row->count < least->count ? row : least;
    }
    row_remove(guessing, least);
}

/* NULL: no memory. */
static struct row *row_add(struct guessing *guessing, const char *mailbox, time_t now)
{
    struct row fresh = {strdup(mailbox), now, 0, calloc(GUESSING_TAGS + 1, sizeof(uint64_t))};
    if (fresh.mailbox == NULL || fresh.guesses == NULL) {
        free(fresh.mailbox);
        free(fresh.guesses);
        return NULL;
    }
    if (guessing->count == GUESSING_ADDRESSES) {
        drop_one(guessing, now);
    }
    guessing->rows[guessing->count] = fresh;
    return &guessing->rows[guessing->count++];
}

/* The address without what stands behind its first `+`. NULL: no memory. */
static char *mailbox_of(const char *plain)
{
    const char *domain = strrchr(plain, '@');
    const char *plus = strchr(plain, '+');
    char *out = strdup(plain);
    if (out != NULL && domain != NULL && plus != NULL && plus > plain && plus < domain) {
        memcpy(out + (plus - plain), domain, strlen(domain) + 1);
    }
    return out;
}

static uint64_t mix(uint64_t sum, const void *octets, size_t length)
{
    const uint8_t *at = octets;
    for (size_t i = 0; i < length; i++) { /* FNV-1a */
        sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return sum;
}

/* A tag for another address of the same mailbox is another guess. */
static uint64_t guess_of(const struct guessing *guessing, const char *address, uint64_t tag)
{
    return mix(mix(guessing->seed, &tag, sizeof tag), address, strlen(address));
}

static bool has_guess(const struct row *row, uint64_t guess)
{
    for (size_t i = 0; i < row->count; i++) {
        if (row->guesses[i] == guess) {
            return true;
        }
    }
    return false;
}

/* Under the lock. */
static bool note(struct guessing *guessing, const char *mailbox, uint64_t guess, time_t now)
{
    struct row *row = find(guessing, mailbox, now);
    row = row != NULL ? row : row_add(guessing, mailbox, now);
    if (row == NULL || is_held(row) || has_guess(row, guess)) {
        return false;
    }
    row->guesses[row->count++] = guess;
    guessing->held += is_held(row);
    return is_held(row);
}

bool guessing_note(struct guessing *guessing, const char *plain, const char *address, uint64_t tag,
                   time_t now)
{
    char *mailbox = mailbox_of(plain);
    if (mailbox == NULL) {
        return false;
    }
    pthread_mutex_lock(&guessing->lock);
    bool now_held = note(guessing, mailbox, guess_of(guessing, address, tag), now);
    pthread_mutex_unlock(&guessing->lock);
    free(mailbox);
    return now_held;
}

bool guessing_holds(struct guessing *guessing, const char *plain, time_t now)
{
    char *mailbox = atomic_load(&guessing->held) > 0 ? mailbox_of(plain) : NULL;
    if (mailbox == NULL) {
        return false;
    }
    pthread_mutex_lock(&guessing->lock);
    const struct row *row = find(guessing, mailbox, now);
    bool holds = row != NULL && is_held(row);
    pthread_mutex_unlock(&guessing->lock);
    free(mailbox);
    return holds;
}

void guessing_report(struct guessing *guessing, time_t now, struct status_report *report)
{
    pthread_mutex_lock(&guessing->lock);
    for (size_t i = 0; i < guessing->count; i++) {
        const struct row *row = &guessing->rows[i];
        if (is_held(row) && !is_over(row, now)) {
            status_add(
                report, &report->guessed,
                &(struct status_row){.name = row->mailbox, .until = row->since + GUESSING_SECONDS});
        }
    }
    pthread_mutex_unlock(&guessing->lock);
}

/* One guess at each mailbox of which the recipient may be an address; the shortest names it. */
static void note_wrong(struct guessing *guessing, const struct tried *tried, time_t now)
{
    for (size_t i = 1; i <= tried->count; i++) {
        const char *plain = tried->plain[i % tried->count];
        if (guessing_note(guessing, plain, tried->plain[0], tried->tag, now)) {
            log_line(LOG_WARNING,
                     "more than %d different wrong tags for <%s> arrived within an hour: until "
                     "that hour is over, a bounce to this address needs a proof besides its tag",
                     GUESSING_TAGS, plain);
        }
    }
}

static struct finding ask(void *self, const struct question *q, const struct exhibits *exhibits)
{
    const struct tried *tried = &q->tried;
    bool holds = false;
    (void)exhibits;
    if (tried->wrong) {
        note_wrong(self, tried, q->now);
    }
    for (size_t i = 0; i < tried->count; i++) {
        holds = holds || guessing_holds(self, tried->plain[i], q->now);
    }
    return (struct finding){.answer = holds ? ANSWER_YES : ANSWER_NO};
}

void guessing_oracle(struct guessing *guessing, struct oracle_set *out)
{
    out->by_fact[FACT_GUESSING] = (struct oracle){ask, guessing};
}

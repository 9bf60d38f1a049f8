/*
 * The site that sessions are held with under libFuzzer: a configuration of which an input sets the
 * switches, three rings of keys, one rotation apart, a clock that stands until it is moved, and
 * stand-ins for the two parts that would bring chance in, the keeper and randomness. All else is
 * what batvd is made of.
 */
#ifndef BATV_FUZZ_SITE_H
#define BATV_FUZZ_SITE_H

#include <time.h>

#include "batv/day.h"
#include "content/evidence_returned.h"
#include "content/mime.h"
#include "daemon/keeper.h"
#include "fuzz.h"
#include "milter/adapter.h"

enum { SITE_DAY = 20779, SITE_RINGS = 3, SITE_CONFIGS = 2, SITE_LIFETIME = 7 };

/* What changes under the eyes of messages. Small, so that it can be remembered and come again. */
struct site_state {
    time_t now;
    uint8_t config;
    uint8_t ring; /* the one in force */
    uint8_t disk; /* the one in the state folder, not older */
    bool blind;   /* the state folder cannot be read */
    bool random;  /* there is randomness */
    bool paused;
    bool clock_wrong;
    bool journal_young;
    bool relayed;
};

struct site {
    struct site_state state;
    struct shared_config *configs[SITE_CONFIGS];
    struct shared_ring *rings[SITE_RINGS];
    struct current current;
    struct journal *journal;
    struct uses *uses;
    struct sample *sample;
    struct content_pool *pool;
    void (*on_decision)(const struct decision *decision);
    void (*on_blind)(void);
};
extern struct site site;

const struct ring *site_ring(size_t ring);

/* ------------------------------------------------------------------ making */

time_t site_noon(int days);

/* Once a process. */
void site_make(void);

void site_set(const struct site_state *state);

void site_begin(const struct site_state *state);

void site_end(void);

/* The switches of a configuration. */
void site_configure(size_t config, struct input *input);

#endif

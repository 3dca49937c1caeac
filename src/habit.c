/* SPDX-License-Identifier: MIT */
/*
 * What an endpoint learns about its waits, and what follows from it: whether
 * the next wait spins before it sleeps, for how long, and whether it yields its
 * CPU to the peer. Nothing here reads a clock or calls the system: times are
 * what spin.c has measured.
 *
 * The price of a sleep is what it adds to a wait: the time from the wake-up call
 * to the moment that the sleeper runs. Spinning for the whole of a wait is worth
 * it while a sleep would make the wait longer by a fifth or more: that is, for
 * waits up to five times the price. Whether the next wait is so short is
 * told from the average of the latest ones, which counts the time until what was
 * waited for was there, however the wait was spent: so a sleep does not make
 * the average longer, and does not lead to the next sleep. No wait counts as
 * longer than twice what is worth spinning, so a single long one changes
 * nothing, and after any number of long ones four short ones are enough.
 */
#include "endpoint.h"

/* A sleep that adds less than this part of a wait is cheap. */
enum { PART = 5 };

/* Until the first sleep has shown its price. */
#define PRICE_GUESS_NS INT64_C(10000)

/* A wake-up that takes longer has waited for a CPU, or the peer lies: no wait spins
 * for more than a millisecond. */
#define PRICE_MOST_NS INT64_C(200000)

/* A yield that takes so many times as long as a wait with a sleep: another thread
 * has had a turn. */
enum { LATE = 8 };

/* Then there is no yield for so many times as long, and twice as long when it
 * happens again soon; at most for a second. */
enum { PAUSE = 8 };
#define PAUSE_MOST_NS INT64_C(1000000000)

void sluice_priv_habit_begin(struct sluice_priv_habit *h)
{
        const struct sluice_priv_habit fresh = {.price_ns = {PRICE_GUESS_NS, PRICE_GUESS_NS}};

        *h = fresh;
}

int64_t sluice_priv_habit_worth_ns(const struct sluice_priv_habit *h, bool together)
{
        return PART * h->price_ns[together];
}

int64_t sluice_priv_habit_budget_ns(const struct sluice_priv_habit *h)
{
        const int64_t worth = sluice_priv_habit_worth_ns(h, false);

        return h->usual_ns < worth ? worth : 0;
}

void sluice_priv_habit_waited(struct sluice_priv_habit *h, bool together, int64_t ns)
{
        const int64_t most = 2 * sluice_priv_habit_worth_ns(h, together);

        h->usual_ns += ((ns < most ? ns : most) - h->usual_ns) / 4;
}

/* A sleeper that another program kept waiting says little about the price: so it
 * rises by a quarter at most. */
void sluice_priv_habit_slept(struct sluice_priv_habit *h, bool together, int64_t ns)
{
        int64_t *price = &h->price_ns[together];
        const int64_t sample = ns < PRICE_MOST_NS ? ns : PRICE_MOST_NS;
        const int64_t more = (sample - *price) / 4, most = *price / 4 + 1;

        *price += more < most ? more : most;
}

bool sluice_priv_habit_yields(const struct sluice_priv_habit *h, int64_t now)
{
        return now >= h->paused_until_ns;
}

/* The scheduler lets a thread that yields wait for longer than one that has slept:
 * beside a thread that computes, for a whole turn of that thread. */
void sluice_priv_habit_yielded(struct sluice_priv_habit *h, int64_t now, int64_t took)
{
        const bool again = now - h->paused_until_ns < h->pause_ns;
        int64_t pause = again ? 2 * h->pause_ns : 0;

        if (took <= LATE * (h->usual_ns + h->price_ns[true]))
                return;
        if (pause < PAUSE * took)
                pause = PAUSE * took;
        h->pause_ns = pause < PAUSE_MOST_NS ? pause : PAUSE_MOST_NS;
        h->paused_until_ns = now + h->pause_ns;
}

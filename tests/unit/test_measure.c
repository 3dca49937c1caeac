/* SPDX-License-Identifier: MIT */
/* What `sluice bench`, the benchmarks and the demo measure with. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <math.h>

#include "../../src/measure/cpus.h"
#include "../../src/measure/ends.h"
#include "../../src/measure/figures.h"
#include "../../src/measure/roundtrip.h"

/* ---- Payload ------------------------------------------------------ */

Test(payload, is_good_only_as_it_was_written)
{
        unsigned char message[64];

        payload_fill(message, 7, sizeof message);
        cr_assert(payload_good(message, 7, sizeof message));
        cr_assert(!payload_good(message, 8, sizeof message));
        for (size_t i = 0; i < sizeof message; i++) {
                message[i] ^= 1;
                cr_assert(!payload_good(message, 7, sizeof message), "byte %zu", i);
                cr_assert_eq(payload_check(message, 7, sizeof message), WRONG);
                message[i] ^= 1;
        }
}

Test(payload, check_tells_the_last_message_from_a_wrong_one)
{
        unsigned char message[16];

        payload_fill(message, 3, sizeof message);
        cr_assert_eq(payload_check(message, 3, sizeof message), 0);
        cr_assert_eq(payload_check(message, 4, sizeof message), WRONG);
        payload_fill(message, PAYLOAD_LAST, sizeof message);
        cr_assert_eq(payload_check(message, 4, sizeof message), ENDED);
}

/* ---- Loops -------------------------------------------------------- */

/* Each step in the order in which it was made: p2 is put of number 2. */
struct record {
        char steps[64];
        size_t len;
        char fails; /* the step that does, with message 2 */
};

static int note(struct record *r, char step, uint64_t number)
{
        r->steps[r->len++] = step;
        r->steps[r->len++] = (char)('0' + number);
        return number == 2 && step == r->fails ? -EIO : 0;
}

static int put(void *way, uint64_t number)
{
        return note(way, 'p', number);
}

static int get(void *way, uint64_t number)
{
        return note(way, 'g', number);
}

static int turned(void *way, uint64_t number)
{
        return note(way, 't', number);
}

Test(roundtrip, near_side_sends_first)
{
        struct record r = {.fails = 0};

        cr_assert_eq(roundtrip_initiator(&r, put, get, NULL, 3), 0);
        cr_assert_str_eq(r.steps, "p1g1p2g2p3g3");
}

Test(roundtrip, far_side_answers)
{
        struct record r = {.fails = 0};

        cr_assert_eq(roundtrip_reflector(&r, put, get, 3), 0);
        cr_assert_str_eq(r.steps, "g1p1g2p2g3p3");
}

Test(roundtrip, ends_at_the_step_that_fails)
{
        static const char *const near[] = {"p1g1t1p2", "p1g1t1p2g2", "p1g1t1p2g2t2"};
        static const char *const far[] = {"g1p1g2p2", "g1p1g2"};

        for (int i = 0; i < 3; i++) {
                struct record r = {.fails = "pgt"[i]};

                cr_assert_eq(roundtrip_initiator(&r, put, get, turned, 3), -EIO);
                cr_assert_str_eq(r.steps, near[i]);
        }
        for (int i = 0; i < 2; i++) {
                struct record r = {.fails = "pg"[i]};

                cr_assert_eq(roundtrip_reflector(&r, put, get, 3), -EIO);
                cr_assert_str_eq(r.steps, far[i]);
        }
}

/* ---- Ends --------------------------------------------------------- */

QTest(ends, carry_messages_there_and_back)
{
        struct ends near, far;

        call(sluice_create("there", NULL), 0);
        call(sluice_create("back", NULL), 0);
        call(ends_open(&near, "there", "back", NULL), 0);
        call(ends_open(&far, "back", "there", NULL), 0);
        call(queue_put(&near.out, 1, 48), 0);
        call(queue_get(&far.in, 1, 48, SLUICE_FOREVER), 0);
        call(queue_put(&far.out, 1, 48), 0);
        call(queue_get(&near.in, 2, 48, SLUICE_FOREVER), WRONG);
        call(queue_put(&near.out, PAYLOAD_LAST, 48), 0);
        call(queue_get(&far.in, 2, 48, SLUICE_FOREVER), ENDED);
        call(queue_put(&near.out, 3, 40), 0);
        call(queue_get(&far.in, 3, 48, SLUICE_FOREVER), WRONG);
        ends_close(&near);
        ends_close(&far);
        call(sluice_remove("there"), 0);
        call(sluice_remove("back"), 0);
}

QTest(ends, open_both_or_none)
{
        struct ends e;
        struct sluice_producer p;

        call(sluice_create("there", NULL), 0);
        call(ends_open(&e, "there", "back", NULL), -ENOENT);
        call(ends_open(&e, "back", "there", NULL), -ENOENT);
        call(sluice_producer_open(&p, "there", NULL), 0);
        sluice_producer_close(&p);
        call(sluice_remove("there"), 0);
}

Test(ends, pipe_tells_its_end)
{
        int fd[2];

        cr_assert_eq(pipe(fd), 0);
        cr_assert_eq(pipe_put(fd[1], 1, 48), 0);
        cr_assert_eq(pipe_get(fd[0], 1, 48), 0);
        cr_assert_eq(pipe_put(fd[1], 2, 40), 0);
        cr_assert_eq(pipe_get(fd[0], 2, 48), WRONG);
        close(fd[1]);
        cr_assert_eq(pipe_get(fd[0], 3, 48), -EPIPE);
        close(fd[0]);
        cr_assert_eq(pipe_get(fd[0], 3, 48), -EBADF);
}

/* ---- Figures ------------------------------------------------------ */

Test(histogram, is_exact_below_half_a_microsecond)
{
        static struct histogram h;

        cr_assert(isnan(histogram_percentile(&h, 50)));
        for (int64_t ns = 1; ns <= 100; ns++)
                histogram_add(&h, ns);
        histogram_add(&h, -5); /* clocks of two reads: nothing is below 0 */
        cr_assert_eq(histogram_percentile(&h, 0), 0);
        cr_assert_eq(histogram_percentile(&h, 50), 50);
        cr_assert_eq(histogram_percentile(&h, 100), 100);
        cr_assert_eq(h.max_ns, 100);
}

Test(histogram, is_within_half_a_percent_above)
{
        for (int64_t ns = 512; ns < INT64_C(1) << 40; ns += ns / 7) {
                static struct histogram h;
                double found;

                h = (struct histogram){0};
                histogram_add(&h, ns);
                histogram_add(&h, INT64_MAX);
                found = histogram_percentile(&h, 50);
                cr_assert(fabs(found - (double)ns) < 0.005 * (double)ns, "%lld", (long long)ns);
        }
}

Test(histogram, merges)
{
        static struct histogram a, b;

        histogram_add(&a, 10);
        histogram_add(&b, 20);
        histogram_add(&b, 30);
        histogram_merge(&a, &b);
        cr_assert_eq(a.count, 3);
        cr_assert_eq(a.max_ns, 30);
        cr_assert_eq(histogram_percentile(&a, 50), 20);
}

Test(figures, percentile_lies_between_its_neighbours)
{
        double list[] = {4, 1, 3, 2};

        figures_sort(list, 4);
        cr_assert_eq(list[0], 1);
        cr_assert_eq(list[3], 4);
        cr_assert_eq(figures_percentile(list, 4, 0), 1);
        cr_assert_eq(figures_percentile(list, 4, 50), 2.5);
        cr_assert_eq(figures_percentile(list, 4, 100), 4);
        cr_assert_eq(figures_percentile(list, 1, 99), 1);
        cr_assert(isnan(figures_percentile(list, 0, 50)));
}

/* ---- Processors --------------------------------------------------- */

Test(cpus, chosen_are_allowed_and_can_be_pinned_to)
{
        struct cpus allowed, now;
        int cpu[2];

        cr_assert_eq(cpus_get(&allowed), 0);
        cpus_choose(&allowed, cpu);
        for (int i = 0; i < 2; i++) {
                cr_assert(cpus_has(&allowed, cpu[i]));
                cr_assert_eq(cpus_pin(cpu[i]), 0);
                cr_assert_eq(cpus_get(&now), 0);
                cr_assert(cpus_has(&now, cpu[i]));
                cr_assert(cpu[0] == cpu[1] || !cpus_has(&now, cpu[!i]));
                cr_assert_eq(cpus_set(&allowed), 0);
        }
        cr_assert_eq(cpus_pin(-1), -EINVAL);
        cr_assert_eq(cpus_pin(CPUS_MAX), -EINVAL);
        cr_assert(!cpus_has(&allowed, -1) && !cpus_has(&allowed, CPUS_MAX));
}

Test(cpus, only_one_is_chosen_twice)
{
        struct cpus one;
        int cpu[2];

        memset(&one, 0, sizeof one);
        CPU_SET_S(5, sizeof one.set, one.set);
        cpus_choose(&one, cpu);
        cr_assert(cpu[0] == 5 && cpu[1] == 5);
        cr_assert_str_eq(cpus_placement(5, 5), "the only one");
}

/* SPDX-License-Identifier: MIT */
/* The life of a named queue whose endpoints leave in order: create, open,
 * close, remove. */
#define _GNU_SOURCE
#include "queue_util.h"

/* ---- create ------------------------------------------------------- */

QTest(create, is_exclusive)
{
        make("q", 0);
        refused(sluice_create("q", NULL), -EEXIST);
        call(sluice_remove("q"), 0);
        make("q", 0);
        call(sluice_remove("q"), 0);
        refused(sluice_remove("q"), -ENOENT);
}

QTest(create, defaults)
{
        struct sluice_queue_stat st;

        call(sluice_create("q", NULL), 0);
        st = look("q");
        eq(st.capacity, 256 * 1024);
        eq(st.record_align, 64);
        eq(st.mode, 0600);
        eq(st.producer.position, 0);
        call(sluice_remove("q"), 0);
}

/* From the smallest: the longest message passes at every offset. */
static void longest_messages(uint32_t align, size_t capacity)
{
        struct sluice_options o = opt(capacity);
        const size_t longest = capacity / 2 - 8;
        unsigned char *out = malloc(longest + 1), *in = malloc(longest + 1);
        struct sluice_producer p;
        struct sluice_consumer c;

        o.record_align = align;
        call(sluice_create("q", &o), 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        eq(sluice_producer_max_len(&p), longest);
        eq(sluice_consumer_max_len(&c), longest);
        for (size_t i = 0; i < 2 * capacity / align + 3; i++) {
                memset(out, (int)(i & 0xff), longest);
                call(sluice_send(&p, out, longest, SLUICE_NOW), 0);
                call(sluice_recv(&c, in, longest, SLUICE_NOW), longest);
                eq(memcmp(in, out, longest), 0);
                call(send_number(&p, i, SLUICE_NOW), 0);
                call(recv_number(&c, SLUICE_NOW), i);
        }
        call(sluice_send(&p, out, longest + 1, SLUICE_NOW), -EMSGSIZE);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        free(out);
        free(in);
}

QTest(create, capacities_from_the_smallest_up)
{
        for (uint32_t align = 8; align <= 128; align *= 2)
                for (size_t capacity = 4 * align; capacity <= 1024; capacity *= 2)
                        longest_messages(align, capacity);
}

QTest(create, a_large_one)
{
        const struct sluice_options o = opt((size_t)1 << 30);
        struct sluice_producer p;

        call(sluice_create("q", &o), 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        eq(look("q").capacity, 1 << 30);
        eq(sluice_producer_max_len(&p), (1 << 29) - 8);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

static void modes_under(mode_t mask, mode_t mode, mode_t directory)
{
        struct sluice_options o = opt(0);
        struct semid_ds ds;
        union {
                int val;
                struct semid_ds *buf;
        } arg = {.buf = &ds};

        o.mode = mode;
        umask(mask);
        call(sluice_create("q", &o), 0);
        umask(0);
        eq(look("q").mode, mode);
        eq(semctl(look("q").semid, 0, IPC_STAT, arg), 0);
        eq(ds.sem_perm.mode, mode);
        /* A user who may only read the queue may not open the pipes. */
        eq(mode_of(in_queues("q/readable")), mode == 0660 || mode == 0666 ? mode : 0600);
        eq(mode_of(in_queues("q/writable")), mode_of(in_queues("q/readable")));
        eq(mode_of(in_queues("q")), directory);
        call(sluice_remove("q"), 0);
}

QTest(create, modes_are_exact_under_any_umask)
{
        static const mode_t masks[] = {0, 022, 027, 077, 0277, 0777};

        for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
                modes_under(masks[i], 0600, 0700);
                modes_under(masks[i], 0640, 0750);
                modes_under(masks[i], 0660, 0750);
                modes_under(masks[i], 0666, 0755);
                modes_under(masks[i], 0604, 0705);
                modes_under(masks[i], 0644, 0755);
        }
}

QTest(create, leaves_an_empty_directory_as_it_was_after_a_failure)
{
        const struct sluice_options o = opt(100);

        eq(mkdir(in_queues("q"), 0711), 0);
        refused(sluice_create("q", &o), -ERANGE);
        eq(mode_of(in_queues("q")), 0711);
        call(sluice_create("q", NULL), 0); /* an empty directory may become a queue */
        eq(mode_of(in_queues("q")), 0700);
        call(sluice_remove("q"), 0);
}

/* ---- open and close ----------------------------------------------- */

QTest(open, role_is_busy_until_closed)
{
        struct sluice_producer p, p2;
        struct sluice_consumer c, c2;

        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        refused(sluice_producer_open(&p2, "q", NULL), -EBUSY);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        refused(sluice_consumer_open(&c2, "q", NULL), -EBUSY);
        call(send_number(&p, 5, SLUICE_NOW), 0); /* the holders are undisturbed */
        call(recv_number(&c, SLUICE_NOW), 5);
        call(sluice_producer_close(&p), 0);
        call(sluice_producer_open(&p2, "q", NULL), 0);
        refused(sluice_producer_open(&p, "q", NULL), -EBUSY);
        call(sluice_producer_close(&p2), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_consumer_open(&c2, "q", NULL), 0);
        call(sluice_consumer_close(&c2), 0);
        call(sluice_remove("q"), 0);
}

static int finds_both_busy(void *ctx)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        (void)ctx;
        refused(sluice_producer_open(&p, "q", NULL), -EBUSY);
        refused(sluice_consumer_open(&c, "q", NULL), -EBUSY);
        return 0;
}

QTest(open, role_is_busy_for_other_processes)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        run(finds_both_busy, NULL);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(open, one_process_may_hold_many_queues)
{
        struct sluice_producer p[20];
        struct sluice_consumer c[20];
        char name[20];

        for (int i = 0; i < 20; i++) {
                const struct sluice_options o = opt_wake(i % 2);

                snprintf(name, sizeof name, "q%d", i);
                make(name, 0);
                call(sluice_producer_open(&p[i], name, &o), 0);
                call(sluice_consumer_open(&c[i], name, &o), 0);
                call(send_number(&p[i], (uint64_t)i, SLUICE_NOW), 0);
        }
        for (int i = 0; i < 20; i++) /* closed in another order than opened */
                call(sluice_producer_close(&p[(i * 7) % 20]), 0);
        for (int i = 0; i < 20; i++) {
                const int k = (i * 13) % 20;

                call(recv_number(&c[k], soon()), k);
                call(recv_number(&c[k], soon()), -EPIPE);
                call(sluice_consumer_close(&c[k]), 0);
                snprintf(name, sizeof name, "q%d", k);
                call(sluice_remove(name), 0);
        }
}

QTest(open, creates_only_when_asked)
{
        struct sluice_options o = opt(4096);
        struct sluice_producer p;
        struct sluice_consumer c;

        refused(sluice_producer_open(&p, "q", &o), -ENOENT);
        o.flags = SLUICE_CREATE;
        o.mode = 0640;
        call(sluice_producer_open(&p, "q", &o), 0);
        eq(look("q").capacity, 4096);
        eq(look("q").mode, 0640);
        o.capacity = 8192; /* there is one: only joined */
        call(sluice_consumer_open(&c, "q", &o), 0);
        eq(look("q").capacity, 4096);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(open, creates_nothing_that_it_cannot_open)
{
        struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_producer p;
        struct sluice_consumer c;

        o.flags = SLUICE_CREATE;
        refused(sluice_producer_open(&p, "key:0x5151", &o), -EOPNOTSUPP);
        refused(sluice_consumer_open(&c, "key:0x5151", &o), -EOPNOTSUPP);
        o.wake = SLUICE_WAKE_FUTEX;
        o.capacity = 100;
        refused(sluice_producer_open(&p, "q", &o), -ERANGE);
}

QTest(close, of_the_producer_ends_the_stream)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        struct sluice_message m = {0};

        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        for (uint64_t i = 0; i < 3; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0); /* only afterwards */
        for (uint64_t i = 0; i < 3; i++)
                call(recv_number(&c, soon()), i);
        call(sluice_peek(&c, &m, soon()), -EPIPE);
        call(sluice_peek(&c, &m, SLUICE_NOW), -EPIPE);
        call(sluice_peek(&c, &m, 1), -EPIPE);
        /* A successor's messages are found by the next call. */
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), -EAGAIN);
        eq(sluice_producer_messages(&p), 3);
        call(send_number(&p, 3, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 3);
        eq(sluice_producer_position(&p), 4 * 64);
        eq(sluice_consumer_position(&c), 4 * 64);
        eq(sluice_consumer_messages(&c), 4);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(close, of_a_producer_forgets_what_is_staged)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        void *payload;

        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        call(sluice_stage(&p, 8), 0);
        call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        call(recv_number(&c, SLUICE_NOW), -EPIPE);
        eq(look("q").pending, 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(close, of_the_consumer_is_told_to_a_full_producer)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        uint64_t n;

        make("q", 256);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        n = fill_numbers(&p, 0);
        eq(n, 3);
        call(recv_number(&c, SLUICE_NOW), 0);
        call(send_number(&p, 3, SLUICE_NOW), 0);
        call(sluice_consumer_close(&c), 0);
        call(send_number(&p, 9, SLUICE_NOW), -EPIPE);
        call(send_number(&p, 9, sluice_after(MS(30))), -EPIPE);
        /* What was not released stays for the next. */
        call(sluice_consumer_open(&c, "q", NULL), 0);
        eq(sluice_consumer_messages(&c), 1);
        call(send_number(&p, 9, SLUICE_NOW), -EAGAIN);
        for (int i = 1; i < 4; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        call(send_number(&p, 4, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 4);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(close, keeps_what_was_peeked_and_not_released)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        struct sluice_message m = {0};

        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        for (uint64_t i = 0; i < 4; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        call(sluice_advance(&c), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        eq(m.position, 64);
        for (int i = 1; i < 4; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

/* ---- remove ------------------------------------------------------- */

QTest(remove, pollers_drain_then_hear_of_it)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;
        struct sluice_consumer c;
        int64_t r;

        o.slice_ns = MS(1);
        make("q", 256);
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(send_number(&p, 0, SLUICE_NOW), 0);
        call(sluice_remove("q"), 0);
        check(!exists(in_queues("q")));
        call(send_number(&p, 1, SLUICE_NOW), 0); /* there is room: the peer is not checked */
        call(recv_number(&c, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 1);
        until((r = recv_number(&c, SLUICE_NOW)) != -EAGAIN);
        eq(r, -ESTALE);
        for (int i = 0; i < 3; i++)
                call(send_number(&p, 2, SLUICE_NOW), 0);
        until((r = send_number(&p, 2, SLUICE_NOW)) != -EAGAIN);
        eq(r, -ESTALE);
        call(sluice_producer_await_peer(&p, soon()), -ESTALE);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -ESTALE);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
}

QTest(remove, and_make_again_under_open_handles)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p, p2;
        struct sluice_consumer c, c2;
        uint64_t generation;

        make("q", 0);
        generation = look("q").generation;
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(sluice_remove("q"), 0);
        make("q", 0);
        check(look("q").generation != generation);
        call(sluice_producer_open(&p2, "q", &o), 0); /* the new roles are free */
        call(sluice_consumer_open(&c2, "q", &o), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0); /* the old one is apart */
        call(recv_number(&c2, SLUICE_NOW), -EAGAIN);
        call(send_number(&p2, 2, SLUICE_NOW), 0);
        call(recv_number(&c, soon()), 1);
        call(recv_number(&c, soon()), -ESTALE);
        call(recv_number(&c2, soon()), 2);
        call(sluice_producer_close(&p), 0); /* gives back nothing of the new one */
        call(sluice_consumer_close(&c), 0);
        eq(look("q").producer.held, 1);
        eq(look("q").consumer.held, 1);
        call(sluice_producer_close(&p2), 0);
        call(sluice_consumer_close(&c2), 0);
        call(sluice_remove("q"), 0);
}

/* ---- await_peer --------------------------------------------------- */

QTest(await_peer, answers_at_once)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        int64_t begin = sluice_now_ns();

        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_producer_await_peer(&p, SLUICE_NOW), -EAGAIN);
        call(sluice_producer_await_peer(&p, 1), -ETIMEDOUT);
        call(sluice_producer_await_peer(&p, sluice_after(MS(30))), -ETIMEDOUT);
        check(sluice_now_ns() - begin >= MS(30));
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_producer_await_peer(&p, SLUICE_NOW), 0);
        call(sluice_consumer_await_peer(&c, SLUICE_FOREVER), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

static int opens_later(void *ctx)
{
        struct sluice_producer p;

        await_event(ctx);
        pause_ms(5); /* most likely the other sleeps by now; else: no harm */
        call(sluice_producer_open(&p, "q", NULL), 0);
        await_event(ctx);
        call(sluice_producer_close(&p), 0);
        return 0;
}

QTest(await_peer, is_woken_by_it)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct event e = event_new();
        struct sluice_consumer c;
        int64_t begin;
        pid_t child;

        o.slice_ns = MS(60000); /* a slice that ends would be too late */
        make("q", 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        child = spawn(opens_later, &e);
        begin = sluice_now_ns();
        signal_event(&e);
        call(sluice_consumer_await_peer(&c, soon()), 0);
        check(sluice_now_ns() - begin < MS(5000));
        signal_event(&e);
        eq(reap(child), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        event_free(&e);
}

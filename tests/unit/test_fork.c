/* SPDX-License-Identifier: MIT */
/* A child of fork(2) may not use the handles of its parent, and cannot
 * disturb it. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct sluice_producer p;
static struct sluice_consumer c;

static void open_both(int wake)
{
        const struct sluice_options o = opt_wake(wake);

        make("q", 1024);
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
}

static void close_both(void)
{
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

static int handler(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        check(0);
        return 0;
}

static int tries_every_producer_call(void *ctx)
{
        struct iovec iov = {&p, 8};
        void *payload;

        (void)ctx;
        for (int i = 0; i < 2; i++) {
                call(sluice_reserve(&p, 0, &payload, SLUICE_NOW), -EPERM);
                call(sluice_reserve(&p, 8, &payload, soon()), -EPERM);
                call(sluice_reserve(&p, 504, &payload, SLUICE_FOREVER), -EPERM);
                call(sluice_reserve(&p, 100000, &payload, SLUICE_FOREVER), -EPERM);
                call(sluice_commit(&p, 0), -EPERM);
                call(sluice_commit(&p, 8), -EPERM);
                call(sluice_stage(&p, 8), -EPERM);
                call(sluice_publish(&p), -EPERM);
                call(send_number(&p, 1, SLUICE_FOREVER), -EPERM);
                call(sluice_sendv(&p, &iov, 1, SLUICE_FOREVER), -EPERM);
                call(sluice_sendv(&p, &iov, -1, SLUICE_NOW), -EPERM);
                sluice_abort(&p);
                sluice_set_tag(&p, 3);
                call(sluice_producer_fd(&p), -EPERM);
                call(sluice_producer_arm(&p, 8), -EPERM);
                call(sluice_producer_disarm(&p), -EPERM);
                call(sluice_producer_interrupt(&p), -EPERM);
                call(sluice_producer_await_peer(&p, SLUICE_FOREVER), -EPERM);
                call(sluice_producer_enable_sleep(&p, NULL), -EPERM);
                sluice_producer_detach(&p);
                call(sluice_producer_close(&p), -EPERM);
        }
        return 0;
}

static int tries_every_consumer_call(void *ctx)
{
        struct sluice_message m;

        (void)ctx;
        for (int i = 0; i < 2; i++) {
                call(sluice_peek(&c, &m, SLUICE_NOW), -EPERM);
                call(sluice_peek(&c, &m, SLUICE_FOREVER), -EPERM);
                call(sluice_advance(&c), -EPERM);
                call(sluice_release(&c), -EPERM);
                call(recv_number(&c, SLUICE_FOREVER), -EPERM);
                call(sluice_drain(&c, handler, NULL, 10), -EPERM);
                call(sluice_consumer_fd(&c), -EPERM);
                call(sluice_consumer_arm(&c), -EPERM);
                call(sluice_consumer_disarm(&c), -EPERM);
                call(sluice_consumer_interrupt(&c), -EPERM);
                call(sluice_consumer_await_peer(&c, SLUICE_FOREVER), -EPERM);
                call(sluice_consumer_enable_sleep(&c, NULL), -EPERM);
                sluice_consumer_detach(&c);
                call(sluice_consumer_close(&c), -EPERM);
        }
        return 0;
}

static void refuses_the_child(int wake)
{
        struct sluice_message m;
        void *payload;

        open_both(wake);
        for (uint64_t i = 0; i < 3; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
        /* In the middle of everything. */
        call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        call(sluice_stage(&p, 8), 0);
        call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        call(sluice_advance(&c), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        run(tries_every_producer_call, NULL);
        run(tries_every_consumer_call, NULL);
        eq(look("q").producer.held, 1);
        eq(look("q").consumer.held, 1);
        eq(look("q").producer.closed, 0);
        eq(look("q").consumer.closed, 0);
        call(sluice_release(&c), 0);
        call(sluice_commit(&p, 8), 0);
        call(recv_number(&c, soon()), 2);
        close_both();
}

QTest(child, is_refused_futex)
{
        refuses_the_child(SLUICE_WAKE_FUTEX);
}

QTest(child, is_refused_fifo)
{
        refuses_the_child(SLUICE_WAKE_FIFO);
}

static int has_nothing(void *ctx)
{
        const struct world *fork_free = ctx;
        const struct world now = world_now();

        eq(now.mappings, fork_free->mappings);
        eq(now.fds, fork_free->fds);
        eq(attached_to("q"), 2); /* two endpoints, one process: not four */
        return 0;
}

QTest(child, inherits_no_mapping_and_no_descriptor)
{
        struct world before = world_now();

        open_both(SLUICE_WAKE_FIFO);
        eq(attached_to("q"), 2);
        run(has_nothing, &before);
        eq(attached_to("q"), 2);
        close_both();
}

/* Only those that are open at the time. */
static int opens_its_own(void *ctx)
{
        struct sluice_producer own;

        call(sluice_producer_open(&own, "q", NULL), -EBUSY);
        call(sluice_producer_open(&p, ctx, NULL), 0); /* the handle may be used anew */
        call(send_number(&p, 5, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        return 0;
}

QTest(child, may_open_for_itself)
{
        static char word[] = "r";

        open_both(SLUICE_WAKE_FUTEX);
        make("r", 0);
        run(opens_its_own, word);
        eq(look("r").pending, 1);
        call(sluice_remove("r"), 0);
        close_both();
}

static int just_exits(void *ctx)
{
        (void)ctx;
        return 0;
}

static int exits_by_exec(void *ctx)
{
        (void)ctx;
        execl("/bin/true", "true", (char *)NULL);
        return 1;
}

static int grandchild(void *ctx)
{
        run(tries_every_producer_call, ctx);
        return 0;
}

QTest(child, may_come_and_go_in_any_way)
{
        open_both(SLUICE_WAKE_FIFO);
        for (uint64_t i = 0; i < 5; i++) {
                call(send_number(&p, i, SLUICE_NOW), 0);
                run(just_exits, NULL);
                run(exits_by_exec, NULL);
                run(grandchild, NULL);
                call(recv_number(&c, soon()), i);
                call(recv_number(&c, sluice_after(MS(2))), -ETIMEDOUT); /* nobody is dead */
        }
        close_both();
}

/* ---- The parent dies, the child lives ----------------------------- */

struct family {
        struct event ready, go;
        int wake;
        bool producer;
        pid_t *grandchild; /* shared memory */
};

static int lives_on(void *ctx)
{
        const struct family *f = ctx;

        await_event(&f->go);
        return 0;
}

static int parent(void *ctx)
{
        struct family *f = ctx;
        const struct sluice_options o = opt_wake(f->wake);
        pid_t pid;

        if (f->producer)
                call(sluice_producer_open(&p, "q", &o), 0);
        else
                call(sluice_consumer_open(&c, "q", &o), 0);
        pid = fork(); /* without the death signal of spawn() */
        if (pid == 0)
                _exit(lives_on(f));
        *f->grandchild = pid;
        signal_event(&f->ready);
        pause_ms(60000);
        return 0;
}

static void death_is_noticed(int wake, bool producer)
{
        struct family f = {event_new(), event_new(), wake, producer, NULL};
        const struct sluice_options o = opt_wake(wake);
        const int64_t begin = sluice_now_ns();
        pid_t pid;

        f.grandchild = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        make("q", 256);
        if (producer)
                call(sluice_consumer_open(&c, "q", &o), 0);
        else
                call(sluice_producer_open(&p, "q", &o), 0);
        pid = spawn(parent, &f);
        await_event(&f.ready);
        kill_and_reap(pid);
        if (producer) {
                call(recv_number(&c, soon()), -EOWNERDEAD);
        } else {
                fill_numbers(&p, 0);
                call(send_number(&p, 9, soon()), -EOWNERDEAD);
        }
        eq(kill(*f.grandchild, 0), 0); /* lives */
        check(sluice_now_ns() - begin < MS(5000));
        /* And the role is free. */
        if (producer) {
                call(sluice_producer_open(&p, "q", &o), 0);
        } else {
                call(sluice_consumer_open(&c, "q", &o), 0);
        }
        signal_event(&f.go);
        close_both();
        munmap(f.grandchild, 4096);
        event_free(&f.ready);
        event_free(&f.go);
}

QTest(parent_death, is_noticed_though_a_child_lives_futex)
{
        death_is_noticed(SLUICE_WAKE_FUTEX, true);
        death_is_noticed(SLUICE_WAKE_FUTEX, false);
}

QTest(parent_death, is_noticed_though_a_child_lives_fifo)
{
        death_is_noticed(SLUICE_WAKE_FIFO, true);
        death_is_noticed(SLUICE_WAKE_FIFO, false);
}

/* ---- Other threads fork while queues are opened and closed -------- */

static volatile bool forking;

static void *forks(void *ctx)
{
        (void)ctx;
        while (forking) {
                const pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                waitpid(pid, NULL, 0);
        }
        return NULL;
}

QTest(thread, may_fork_at_any_time)
{
        pthread_t t;

        make("q", 0);
        forking = true;
        t = thread_start(forks, NULL);
        for (uint64_t i = 0; i < 200; i++) {
                const struct sluice_options o = opt_wake(i % 2);

                call(sluice_producer_open(&p, "q", &o), 0);
                call(sluice_consumer_open(&c, "q", &o), 0);
                call(send_number(&p, i, SLUICE_NOW), 0);
                call(recv_number(&c, soon()), i);
                call(sluice_producer_close(&p), 0);
                call(sluice_consumer_close(&c), 0);
        }
        forking = false;
        thread_join(t);
        call(sluice_remove("q"), 0);
}

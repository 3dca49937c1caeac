/* SPDX-License-Identifier: MIT */
/* Holders of a role that close descriptors which are not theirs, leave
 * their semaphore undo list, or become another program: never two holders, no
 * call that fails for ever. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* ---- Two processes without a descriptor between them -------------- */

struct shared {
        atomic_int stage;
        atomic_ulong sent;
        int wake;
        int (*untidy)(void); /* what the holder does after it has opened */
        bool producer;
};

static struct shared *shared_new(int (*untidy)(void), int wake)
{
        struct shared *s =
                mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        check(s != MAP_FAILED);
        s->untidy = untidy;
        s->wake = wake;
        s->producer = true;
        return s;
}

static void shared_free(struct shared *s)
{
        munmap(s, sizeof *s);
}

static int close_descriptors(void)
{
        closefrom(3);
        return 0;
}

static int leave_undo_list(void)
{
        return unshare(CLONE_SYSVSEM);
}

/* Sends one number at each even stage, until it is killed. */
static int sends_on(void *ctx)
{
        struct shared *s = ctx;
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FUTEX);
        struct sluice_producer p;

        call(sluice_producer_open(&p, "q", &o), 0);
        eq(s->untidy(), 0);
        for (unsigned long i = 0;; i++) {
                atomic_fetch_add(&s->stage, 1);
                until(atomic_load(&s->stage) % 2 == 0);
                call(send_number(&p, i, SLUICE_NOW), 0);
                atomic_fetch_add(&s->sent, 1);
        }
}

static int receives_on(void *ctx)
{
        struct shared *s = ctx;
        struct sluice_consumer c;

        call(sluice_consumer_open(&c, "q", NULL), 0);
        eq(s->untidy(), 0);
        for (unsigned long i = 0;; i++) {
                atomic_fetch_add(&s->stage, 1);
                until(atomic_load(&s->stage) % 2 == 0);
                call(recv_number(&c, soon()), i);
                atomic_fetch_add(&s->sent, 1);
        }
}

static void step(struct shared *s, unsigned long n)
{
        until(atomic_load(&s->stage) % 2 == 1);
        atomic_fetch_add(&s->stage, 1);
        until(atomic_load(&s->sent) == n);
}

static void producer_stays_alone(int (*untidy)(void), int wake)
{
        struct shared *s = shared_new(untidy, wake);
        const struct sluice_options o = opt_wake(wake);
        struct sluice_producer second;
        struct sluice_consumer c;
        int64_t cpu;
        pid_t pid;

        make("q", 1024);
        call(sluice_consumer_open(&c, "q", &o), 0);
        pid = spawn(sends_on, s);
        until(atomic_load(&s->stage) == 1);
        for (unsigned long i = 0; i < 3; i++) {
                call(sluice_producer_open(&second, "q", &o), -EBUSY);
                step(s, i + 1);
                call(recv_number(&c, soon()), i);
                cpu = cpu_ns();
                call(recv_number(&c, sluice_after(MS(150))), -ETIMEDOUT); /* it is alive */
                check(cpu_ns() - cpu < MS(75));
        }
        step(s, 4);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_open(&second, "q", &o), -EBUSY); /* with no peer */
        call(sluice_consumer_open(&c, "q", &o), 0);
        kill_and_reap(pid);
        call(recv_number(&c, soon()), 3);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        call(sluice_producer_open(&second, "q", &o), 0);
        eq(sluice_producer_messages(&second), 4);
        call(sluice_producer_close(&second), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        shared_free(s);
}

static void consumer_stays_alone(int (*untidy)(void), int wake)
{
        struct shared *s = shared_new(untidy, wake);
        const struct sluice_options o = opt_wake(wake);
        struct sluice_producer p;
        struct sluice_consumer second;
        pid_t pid;

        make("q", 256);
        call(sluice_producer_open(&p, "q", &o), 0);
        pid = spawn(receives_on, s);
        until(atomic_load(&s->stage) == 1);
        for (unsigned long i = 0; i < 3; i++) {
                call(sluice_consumer_open(&second, "q", &o), -EBUSY);
                call(send_number(&p, i, SLUICE_NOW), 0);
                step(s, i + 1);
        }
        fill_numbers(&p, 3);
        call(send_number(&p, 9, sluice_after(MS(150))), -ETIMEDOUT);
        kill_and_reap(pid);
        call(send_number(&p, 9, soon()), -EOWNERDEAD);
        call(sluice_consumer_open(&second, "q", &o), 0);
        call(recv_number(&second, SLUICE_NOW), 3);
        call(sluice_consumer_close(&second), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
        shared_free(s);
}

QTest(holder, that_closes_its_descriptors_stays_alone_futex)
{
        producer_stays_alone(close_descriptors, SLUICE_WAKE_FUTEX);
        consumer_stays_alone(close_descriptors, SLUICE_WAKE_FUTEX);
}

QTest(holder, that_closes_its_descriptors_stays_alone_fifo)
{
        producer_stays_alone(close_descriptors, SLUICE_WAKE_FIFO);
        consumer_stays_alone(close_descriptors, SLUICE_WAKE_FIFO);
}

QTest(holder, that_leaves_its_undo_list_stays_alone_futex)
{
        producer_stays_alone(leave_undo_list, SLUICE_WAKE_FUTEX);
        consumer_stays_alone(leave_undo_list, SLUICE_WAKE_FUTEX);
}

QTest(holder, that_leaves_its_undo_list_stays_alone_fifo)
{
        producer_stays_alone(leave_undo_list, SLUICE_WAKE_FIFO);
        consumer_stays_alone(leave_undo_list, SLUICE_WAKE_FIFO);
}

static void is_not_reaped(util_body *body)
{
        struct shared *s = shared_new(leave_undo_list, SLUICE_WAKE_FUTEX);
        struct sluice_queue_stat st;
        pid_t pid;

        make("q", 1024);
        st = look("q");
        pid = spawn(body, s);
        until(atomic_load(&s->stage) == 1);
        refused(sluice_reap(&st, SLUICE_REAP_PENDING | SLUICE_REAP_DRY_RUN), -EBUSY);
        refused(sluice_reap(&st, SLUICE_REAP_PENDING), -EBUSY);
        kill_and_reap(pid);
        refused(sluice_reap(&st, SLUICE_REAP_DRY_RUN), 0);
        call(sluice_reap(&st, 0), 0);
        shared_free(s);
}

QTest(holder, that_leaves_its_undo_list_is_not_reaped)
{
        is_not_reaped(sends_on);
        is_not_reaped(receives_on);
}

/* It has closed its end of the pipe as well: the queue is checked every
 * millisecond instead, and arm sets the loop's timer to that. */
QTest(holder, that_closes_its_descriptors_does_not_make_a_loop_spin)
{
        struct shared *s = shared_new(close_descriptors, SLUICE_WAKE_FIFO);
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_consumer c;
        int64_t end, turns = 0;
        pid_t pid;

        make("q", 1024);
        call(sluice_consumer_open(&c, "q", &o), 0);
        pid = spawn(sends_on, s);
        until(atomic_load(&s->stage) == 1);
        for (end = sluice_now_ns() + MS(100); sluice_now_ns() < end; turns++) {
                call(recv_number(&c, SLUICE_NOW), -EAGAIN);
                if (sluice_consumer_arm(&c) == 0)
                        poll_fd(sluice_consumer_fd(&c), POLLIN, 100);
                call(sluice_consumer_disarm(&c), 0);
        }
        check(turns <= 110);
        step(s, 1);
        for (int64_t r = -EAGAIN; r != 0;) {
                if (sluice_consumer_arm(&c) == 0)
                        poll_fd(sluice_consumer_fd(&c), POLLIN, 10000);
                call(sluice_consumer_disarm(&c), 0);
                r = recv_number(&c, SLUICE_NOW);
        }
        kill_and_reap(pid);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        shared_free(s);
}

/* Nor does one that knows the queue by its bare key only, and has never
 * had a pipe. */
static int holds_by_key(void *ctx)
{
        struct shared *s = ctx;
        struct sluice_producer p;
        char name[20];

        snprintf(name, sizeof name, "key:0x%x", (unsigned)key_of("q"));
        call(sluice_producer_open(&p, name, NULL), 0);
        atomic_store(&s->stage, 1);
        until(atomic_load(&s->stage) == 2);
        call(send_number(&p, 7, SLUICE_NOW), 0);
        pause_ms(60000);
        return 0;
}

QTest(holder, that_came_by_the_bare_key_is_waited_for)
{
        struct shared *s = shared_new(NULL, 0);
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_producer second;
        struct sluice_consumer c;
        int64_t cpu;
        pid_t pid;

        make("q", 0);
        pid = spawn(holds_by_key, s);
        until(atomic_load(&s->stage) == 1);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(sluice_producer_open(&second, "q", &o), -EBUSY);
        cpu = cpu_ns();
        call(recv_number(&c, sluice_after(MS(150))), -ETIMEDOUT);
        check(cpu_ns() - cpu < MS(75));
        atomic_store(&s->stage, 2);
        call(recv_number(&c, soon()), 7);
        kill_and_reap(pid);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        call(sluice_producer_open(&second, "q", &o), 0);
        call(sluice_producer_close(&second), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        shared_free(s);
}

/* ---- The survivor itself is untidy -------------------------------- */

/* It cannot hold its own pipe open any more while it is alone. */
static int waits_without_another_descriptor(void *ctx)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        const struct rlimit none = {3, 3};
        struct sluice_consumer c;
        int64_t cpu;

        (void)ctx;
        call(sluice_consumer_open(&c, "q", &o), 0);
        eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        cpu = cpu_ns();
        call(recv_number(&c, sluice_after(MS(150))), -ETIMEDOUT);
        check(cpu_ns() - cpu < MS(75));
        call(sluice_consumer_close(&c), 0);
        return 0;
}

QTest(survivor, that_cannot_open_a_descriptor_does_not_spin)
{
        make("q", 0);
        run(waits_without_another_descriptor, NULL);
        call(sluice_remove("q"), 0);
}

static int survives_without_descriptors(void *ctx)
{
        struct shared *s = ctx;
        struct sluice_consumer c;

        call(sluice_consumer_open(&c, "q", NULL), 0);
        closefrom(3);
        atomic_store(&s->stage, 1);
        until(atomic_load(&s->stage) == 2);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        return 0;
}

static int just_holds(void *ctx)
{
        struct shared *s = ctx;
        struct sluice_producer p;

        call(sluice_producer_open(&p, "q", NULL), 0);
        atomic_store(&s->stage, 3);
        pause_ms(60000);
        return 0;
}

QTest(survivor, without_descriptors_is_told_of_a_death)
{
        struct shared *s = shared_new(NULL, 0);
        pid_t survivor, holder;

        make("q", 0);
        survivor = spawn(survives_without_descriptors, s);
        until(atomic_load(&s->stage) == 1);
        holder = spawn(just_holds, s);
        until(atomic_load(&s->stage) == 3);
        kill_and_reap(holder);
        atomic_store(&s->stage, 2);
        eq(reap(survivor), 0);
        call(sluice_remove("q"), 0);
        shared_free(s);
}

/* ---- exec --------------------------------------------------------- */

static int opens_and_becomes_another(void *ctx)
{
        struct sluice_producer p;
        int r;

        (void)ctx;
        while ((r = sluice_producer_open(&p, "q", NULL)) == -EBUSY)
                continue;
        eq(r, 0);
        execl("/bin/sleep", "sleep", "60", (char *)NULL);
        return 97;
}

/* Until exec closes what it closes. */
static void until_exec(const struct event *e)
{
        check(poll_fd(e->fd[0], POLLHUP, 10000) & POLLHUP);
}

/* While the other program runs, and as soon as exec has succeeded. */
static void opens_while_it_lives(struct sluice_producer *p, pid_t pid)
{
        int r;

        until((r = sluice_producer_open(p, "q", NULL)) != -EBUSY);
        eq(r, 0);
        eq(kill(pid, 0), 0);
}

/* A child that opens and becomes another program. */
static pid_t spawn_exec(void)
{
        struct event e = event_new();
        const pid_t pid = spawn(opens_and_becomes_another, NULL);

        close(e.fd[1]);
        until_exec(&e);
        close(e.fd[0]);
        return pid;
}

QTest(exec, gives_the_role_up_while_the_other_end_lives)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        pid_t pid;

        make("q", 0);
        for (int i = 0; i < 10; i++) {
                call(sluice_consumer_open(&c, "q", NULL), 0);
                pid = spawn_exec();
                opens_while_it_lives(&p, pid);
                call(send_number(&p, 1, SLUICE_NOW), 0);
                call(recv_number(&c, soon()), 1);
                call(sluice_producer_close(&p), 0);
                call(sluice_consumer_close(&c), 0);
                kill_and_reap(pid);
        }
        call(sluice_remove("q"), 0);
}

static void exec_is_told(int wake)
{
        const struct sluice_options o = opt_wake(wake);
        struct sluice_consumer c;
        pid_t pid;

        make("q", 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        pid = spawn_exec();
        call(recv_number(&c, soon()), -EOWNERDEAD);
        call(sluice_consumer_close(&c), 0);
        kill_and_reap(pid);
        call(sluice_remove("q"), 0);
}

QTest(exec, is_told_as_a_death)
{
        exec_is_told(SLUICE_WAKE_FUTEX);
        exec_is_told(SLUICE_WAKE_FIFO);
}

/* A process maps the queue and holds neither lock nor role that can be seen:
 * it may be the holder, so the role is not taken over while it does. */
QTest(exec, is_not_told_from_a_living_holder_while_a_stranger_maps)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        void *mem;
        pid_t pid;

        make("q", 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        pid = spawn_exec();
        mem = shmat(look("q").shmid, NULL, SHM_RDONLY);
        check(mem != (void *)-1);
        call(sluice_producer_open(&p, "q", NULL), -EBUSY);
        call(recv_number(&c, sluice_after(MS(150))), -ETIMEDOUT);
        eq(shmdt(mem), 0);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        opens_while_it_lives(&p, pid);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        kill_and_reap(pid);
        call(sluice_remove("q"), 0);
}

static int looks_until_it_is_killed(void *ctx)
{
        struct event *looked = ctx;
        struct sluice_queue_stat st;

        for (bool told = false;; told = true) {
                const int r = sluice_stat("q", &st);

                check(r == 0 || r == -EAGAIN);
                if (!told)
                        signal_event(looked);
        }
}

QTest(exec, gives_the_role_up_under_the_eyes_of_an_observer)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        struct event looked = event_new();
        pid_t observer;

        make("q", 0);
        observer = spawn(looks_until_it_is_killed, &looked);
        await_event(&looked);
        for (int i = 0; i < 10; i++) {
                const pid_t pid = spawn_exec();

                call(sluice_consumer_open(&c, "q", NULL), 0);
                opens_while_it_lives(&p, pid);
                call(sluice_producer_close(&p), 0);
                call(sluice_consumer_close(&c), 0);
                kill_and_reap(pid);
        }
        kill_and_reap(observer);
        event_free(&looked);
        call(sluice_remove("q"), 0);
}

static int opens_and_closes(void *ctx)
{
        struct shared *s = ctx;
        struct sluice_producer p;

        call(sluice_producer_open(&p, "q", NULL), 0);
        atomic_store(&s->stage, 1);
        until(atomic_load(&s->stage) == 2);
        call(sluice_producer_close(&p), 0);
        return 0;
}

/* The successor knocks while its predecessor closes, and becomes another
 * program at once: however tight the hand-over, that is noticed. */
QTest(exec, after_a_busy_hand_over_is_noticed)
{
        struct sluice_producer p;

        make("q", 0);
        for (int i = 0; i < 150; i++) {
                struct shared *s = shared_new(NULL, 0);
                const pid_t first = spawn(opens_and_closes, s);
                struct event e = event_new();
                pid_t second;

                until(atomic_load(&s->stage) == 1);
                second = spawn(opens_and_becomes_another, NULL);
                close(e.fd[1]);
                atomic_store(&s->stage, 2);
                eq(reap(first), 0);
                until_exec(&e);
                close(e.fd[0]);
                opens_while_it_lives(&p, second);
                call(sluice_producer_close(&p), 0);
                kill_and_reap(second);
                shared_free(s);
        }
        call(sluice_remove("q"), 0);
}

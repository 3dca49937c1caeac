/* SPDX-License-Identifier: MIT */
/* Holders of a role that close descriptors which are not theirs, leave
 * their semaphore undo list, give up their privileges, become another
 * program, or are cancelled: never two holders, no call that fails for
 * ever, nothing left behind. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
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

/* ---- Descriptor numbers that refer to other files by now ---------- */

enum { NUMBERS = 40 };

struct reuse {
        int64_t (*use)(void *handle); /* what is called then */
        int wake;
        bool producer;
};

static off_t file_size = 1;
static struct sluice_producer reused_p;
static struct sluice_consumer reused_c;

/* All descriptors from 3 on are closed, and the numbers are files', each with
 * a byte to be read and a lock. */
static void take_numbers(void)
{
        closefrom(3);
        for (int fd = 3; fd < NUMBERS; fd++) {
                struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
                char path[4096];

                snprintf(path, sizeof path, "%s/%d", in_tmp(""), fd);
                eq(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), fd);
                eq(write(fd, "x", 1), 1);
                eq(lseek(fd, 0, SEEK_SET), 0);
                eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
        }
}

/* Open, unread, unwritten, and locked. */
static void numbers_are_untouched(void)
{
        for (int fd = 3; fd < NUMBERS; fd++) {
                struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
                struct stat st;
                char path[4096];
                int other;

                snprintf(path, sizeof path, "%s/%d", in_tmp(""), fd);
                eq(fstat(fd, &st), 0);
                eq(st.st_size, file_size);
                eq(lseek(fd, 0, SEEK_CUR), 0);
                other = open(path, O_RDWR | O_CLOEXEC);
                eq(fcntl(other, F_OFD_GETLK, &lock), 0);
                check(lock.l_type == F_WRLCK);
                close(other);
        }
}

static void remove_files(void)
{
        for (int fd = 3; fd < NUMBERS; fd++) {
                char path[4096];

                snprintf(path, sizeof path, "%s/%d", in_tmp(""), fd);
                eq(unlink(path), 0);
        }
}

static int uses_after_reuse(void *ctx)
{
        const struct reuse *x = ctx;
        const struct sluice_options o = opt_wake(x->wake);
        void *handle = x->producer ? (void *)&reused_p : (void *)&reused_c;

        if (x->producer)
                call(sluice_producer_open(&reused_p, "q", &o), 0);
        else
                call(sluice_consumer_open(&reused_c, "q", &o), 0);
        take_numbers();
        x->use(handle);
        if (x->producer)
                call(sluice_producer_close(&reused_p), 0);
        else
                call(sluice_consumer_close(&reused_c), 0);
        numbers_are_untouched();
        remove_files();
        return 0;
}

static int64_t only_closes(void *handle)
{
        (void)handle;
        return 0;
}

/* A pipe that is empty, by all that is asked, is written to. */
static int64_t sends_to_a_sleeper(void *handle)
{
        file_size = 0;
        for (int fd = 3; fd < NUMBERS; fd++)
                eq(ftruncate(fd, file_size), 0);
        call(send_number(handle, 1, SLUICE_NOW), 0);
        return 0;
}

static int64_t waits_for_a_message(void *handle)
{
        call(recv_number(handle, sluice_after(MS(20))), -ETIMEDOUT);
        return 0;
}

static int64_t arms(void *handle)
{
        call(sluice_consumer_arm(handle), -EBADF);
        call(sluice_consumer_fd(handle), -EBADF);
        return 0;
}

static int64_t interrupts_itself(void *handle)
{
        call(sluice_consumer_interrupt(handle), 0);
        call(recv_number(handle, soon()), -ECANCELED);
        return 0;
}

static int does_nothing(void *ctx)
{
        (void)ctx;
        numbers_are_untouched();
        return 0;
}

static int64_t forks(void *handle)
{
        (void)handle;
        run(does_nothing, NULL);
        return 0;
}

static void are_left_alone(int64_t (*use)(void *), bool producer, int wake)
{
        struct reuse x = {use, wake, producer};

        run(uses_after_reuse, &x);
}

QTest(number, of_a_closed_descriptor_is_left_to_its_new_owner)
{
        make("q", 0);
        for (int wake = SLUICE_WAKE_FUTEX; wake <= SLUICE_WAKE_FIFO; wake++) {
                are_left_alone(only_closes, true, wake);
                are_left_alone(only_closes, false, wake);
                are_left_alone(waits_for_a_message, false, wake);
                are_left_alone(interrupts_itself, false, wake);
                are_left_alone(forks, false, wake);
        }
        are_left_alone(arms, false, SLUICE_WAKE_FIFO);
        call(sluice_remove("q"), 0);
}

QTest(number, of_a_closed_descriptor_is_not_written_to_to_wake)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_consumer c;

        make("q", 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(sluice_consumer_arm(&c), 0); /* it wants a byte */
        are_left_alone(sends_to_a_sleeper, true, SLUICE_WAKE_FUTEX);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), 1);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
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

/* ---- Root, then another user -------------------------------------- */

struct dropped {
        struct event ready, go;
        const char *name;
        int wake;
        int64_t expected;
};

static void drop_privileges(void)
{
        eq(setresgid(USER_A, USER_A, USER_A), 0);
        eq(setresuid(USER_A, USER_A, USER_A), 0);
}

static int receives_without_privileges(void *ctx)
{
        const struct dropped *d = ctx;
        const struct sluice_options o = opt_wake(d->wake);
        struct sluice_consumer c;
        int64_t cpu;

        call(sluice_consumer_open(&c, d->name, &o), 0);
        drop_privileges();
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
        cpu = cpu_ns();
        call(recv_number(&c, sluice_after(MS(250))), -ETIMEDOUT); /* alone */
        check(cpu_ns() - cpu < MS(125));
        signal_event(&d->ready);
        call(sluice_consumer_await_peer(&c, soon()), 0);
        call(recv_number(&c, soon()), 1);
        cpu = cpu_ns();
        call(recv_number(&c, sluice_after(MS(250))), -ETIMEDOUT); /* it is alive */
        check(cpu_ns() - cpu < MS(125));
        signal_event(&d->ready);
        call(recv_number(&c, soon()), d->expected);
        if (d->expected != -ESTALE) {
                until(sluice_consumer_await_peer(&c, SLUICE_NOW) == -EAGAIN);
                call(sluice_consumer_await_peer(&c, sluice_after(MS(100))), -ETIMEDOUT);
        }
        call(sluice_consumer_close(&c), 0);
        return 0;
}

static int sends_one(void *ctx)
{
        const struct dropped *d = ctx;
        struct sluice_producer p;

        call(sluice_producer_open(&p, "q", NULL), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        await_event(&d->go);
        call(sluice_producer_close(&p), 0);
        return 0;
}

static void dropped_hears(int wake, int64_t expected)
{
        struct dropped d = {event_new(), event_new(), "q", wake, expected};
        struct sluice_consumer c;
        pid_t consumer, producer;

        make("q", 0);
        consumer = spawn(receives_without_privileges, &d);
        await_event(&d.ready);
        producer = spawn(sends_one, &d);
        await_event(&d.ready);
        if (expected == -EPIPE) {
                signal_event(&d.go);
                eq(reap(producer), 0);
        } else if (expected == -EOWNERDEAD) {
                kill_and_reap(producer);
        } else {
                call(sluice_remove("q"), 0);
                kill_and_reap(producer);
        }
        eq(reap(consumer), 0);
        if (expected != -ESTALE) {
                call(sluice_consumer_open(&c, "q", NULL), 0);
                call(sluice_consumer_close(&c), 0);
                call(sluice_remove("q"), 0);
        }
        event_free(&d.ready);
        event_free(&d.go);
}

QTest(privileges, given_up_after_open_leave_waits_as_they_were_futex)
{
        needs_root();
        dropped_hears(SLUICE_WAKE_FUTEX, -EPIPE);
        dropped_hears(SLUICE_WAKE_FUTEX, -EOWNERDEAD);
        dropped_hears(SLUICE_WAKE_FUTEX, -ESTALE);
}

QTest(privileges, given_up_after_open_leave_waits_as_they_were_fifo)
{
        needs_root();
        dropped_hears(SLUICE_WAKE_FIFO, -EPIPE);
        dropped_hears(SLUICE_WAKE_FIFO, -EOWNERDEAD);
        dropped_hears(SLUICE_WAKE_FIFO, -ESTALE);
}

static int polls_without_privileges(void *ctx)
{
        const struct dropped *d = ctx;
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_consumer c;
        int64_t r, end, turns = 0;

        call(sluice_consumer_open(&c, d->name, &o), 0);
        drop_privileges();
        signal_event(&d->ready);
        for (r = -EAGAIN; r != 1; r = recv_number(&c, SLUICE_NOW)) {
                if (sluice_consumer_arm(&c) == 0)
                        poll_fd(sluice_consumer_fd(&c), POLLIN, 10000);
                call(sluice_consumer_disarm(&c), 0);
        }
        signal_event(&d->ready);
        until(recv_number(&c, SLUICE_NOW) == -EOWNERDEAD);
        call(sluice_consumer_arm(&c), 0); /* reported: waits for a successor */
        call(sluice_consumer_disarm(&c), 0);
        for (end = sluice_now_ns() + MS(100); sluice_now_ns() < end; turns++) {
                if (sluice_consumer_arm(&c) == 0)
                        poll_fd(sluice_consumer_fd(&c), POLLIN, 100);
                call(sluice_consumer_disarm(&c), 0);
        }
        check(turns <= 110);
        call(sluice_consumer_close(&c), 0);
        return 0;
}

QTest(privileges, given_up_after_open_do_not_make_a_loop_spin)
{
        struct dropped d;
        pid_t consumer, producer;

        needs_root();
        d = (struct dropped){event_new(), event_new(), "q", SLUICE_WAKE_FIFO, 0};
        make("q", 0);
        consumer = spawn(polls_without_privileges, &d);
        await_event(&d.ready);
        producer = spawn(sends_one, &d);
        await_event(&d.ready);
        kill_and_reap(producer);
        eq(reap(consumer), 0);
        call(sluice_remove("q"), 0);
        event_free(&d.ready);
        event_free(&d.go);
}

/* Without a pipe the kernel cannot be asked: a peer that has attached counts
 * as present. The removal is noticed. */
static int waits_on_a_key(void *ctx)
{
        const struct dropped *d = ctx;
        struct sluice_consumer c;

        call(sluice_consumer_open(&c, d->name, NULL), 0);
        drop_privileges();
        call(recv_number(&c, sluice_after(MS(150))), -ETIMEDOUT);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN); /* none has */
        signal_event(&d->ready);
        call(recv_number(&c, soon()), -ESTALE);
        call(sluice_consumer_close(&c), 0);
        return 0;
}

QTest(privileges, given_up_after_open_of_a_key_leave_removal)
{
        struct dropped d;
        pid_t pid;

        needs_root();
        d = (struct dropped){event_new(), event_new(), "key:0x51075107", 0, 0};
        make(d.name, 0);
        pid = spawn(waits_on_a_key, &d);
        await_event(&d.ready);
        call(sluice_remove(d.name), 0);
        eq(reap(pid), 0);
        event_free(&d.ready);
        event_free(&d.go);
}

/* ---- pthread_cancel ----------------------------------------------- */

static struct sluice_producer p, second;
static struct sluice_consumer c;

static int cancel_create(void)
{
        return sluice_create("q", NULL);
}

static int cancel_producer_open(void)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);

        return sluice_producer_open(&p, "q", &o);
}

static int cancel_second_open(void)
{
        return sluice_producer_open(&second, "q", NULL);
}

static int cancel_consumer_open(void)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);

        return sluice_consumer_open(&c, "q", &o);
}

static int cancel_consumer_wait(void)
{
        return (int)recv_number(&c, sluice_after(MS(20)));
}

static int cancel_producer_wait(void)
{
        return send_number(&p, 9, sluice_after(MS(20)));
}

static int cancel_consumer_await(void)
{
        return sluice_consumer_await_peer(&c, sluice_after(MS(20)));
}

static int cancel_producer_await(void)
{
        return sluice_producer_await_peer(&p, SLUICE_NOW);
}

static int cancel_consumer_arm(void)
{
        return sluice_consumer_arm(&c);
}

static int cancel_producer_arm(void)
{
        return sluice_producer_arm(&p, 8);
}

static int cancel_consumer_interrupt(void)
{
        return sluice_consumer_interrupt(&c);
}

static int cancel_producer_interrupt(void)
{
        return sluice_producer_interrupt(&p);
}

static int cancel_interrupted(void)
{
        return (int)recv_number(&c, soon());
}

static int cancel_send(void)
{
        return send_number(&p, 1, SLUICE_NOW);
}

static int cancel_stat(void)
{
        struct sluice_queue_stat st;

        return sluice_stat("q", &st);
}

static int list_fn(void *ctx, const struct sluice_queue_stat *st)
{
        (void)ctx, (void)st;
        return 0;
}

static int cancel_list(void)
{
        return sluice_list(list_fn, NULL) > 0 ? 0 : -1;
}

static int dump_fn(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

static int cancel_dump(void)
{
        return (int)sluice_dump("q", dump_fn, NULL);
}

static int cancel_producer_close(void)
{
        return sluice_producer_close(&p);
}

static int cancel_consumer_close(void)
{
        return sluice_consumer_close(&c);
}

static int cancel_remove(void)
{
        return sluice_remove("q");
}

static int cancel_ring(void)
{
        static _Alignas(4096) unsigned char memory[12288 + 4096];
        const struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        struct sluice_producer rp;
        struct sluice_consumer rc;
        int r = sluice_ring_format(memory, sizeof memory, &g);

        r = r ? r : sluice_producer_attach(&rp, memory, sizeof memory);
        r = r ? r : sluice_consumer_attach(&rc, memory, sizeof memory);
        r = r ? r : sluice_producer_enable_sleep(&rp, NULL);
        r = r ? r : sluice_consumer_enable_sleep(&rc, NULL);
        r = r ? r : sluice_producer_close(&rp);
        return r ? r : sluice_consumer_close(&rc);
}

struct cancelled {
        struct event ready, go;
        int (*body)(void);
        int result;
        bool returned;
};

/* The cancellation is pending when the call begins. */
static void *calls_cancelled(void *ctx)
{
        struct cancelled *x = ctx;

        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        signal_event(&x->ready);
        await_event(&x->go);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        x->result = x->body();
        x->returned = true;
        pthread_testcancel();
        x->returned = false; /* the state is as it was: it is never here */
        return NULL;
}

static void completes(int (*body)(void), int expected)
{
        struct cancelled x = {event_new(), event_new(), body, 0, false};
        pthread_t t = thread_start(calls_cancelled, &x);

        await_event(&x.ready);
        eq(pthread_cancel(t), 0);
        signal_event(&x.go);
        thread_join(t);
        check(x.returned);
        eq(x.result, expected);
        event_free(&x.ready);
        event_free(&x.go);
}

QTest(cancellation, waits_until_the_call_is_through)
{
        completes(cancel_create, 0);
        completes(cancel_create, -EEXIST);
        completes(cancel_consumer_open, 0);
        completes(cancel_consumer_await, -ETIMEDOUT);
        completes(cancel_consumer_arm, 0);
        call(sluice_consumer_disarm(&c), 0);
        completes(cancel_producer_open, 0);
        completes(cancel_second_open, -EBUSY);
        completes(cancel_producer_close, 0);
        completes(cancel_producer_close, -EINVAL);
        completes(cancel_consumer_close, 0);
        completes(cancel_remove, 0);
}

QTest(cancellation, leaves_a_queue_that_works)
{
        for (int i = 0; i < 20; i++) {
                completes(cancel_create, 0);
                completes(cancel_consumer_open, 0);
                completes(cancel_producer_open, 0);
                completes(cancel_stat, 0);
                completes(cancel_list, 0);
                completes(cancel_consumer_wait, -ETIMEDOUT);
                call(sluice_consumer_arm(&c), 0);
                completes(cancel_send, 0); /* wakes */
                completes(cancel_dump, 1);
                completes(cancel_producer_await, 0);
                call(recv_number(&c, soon()), 1);
                call(sluice_consumer_disarm(&c), 0);
                completes(cancel_consumer_interrupt, 0);
                completes(cancel_interrupted, -ECANCELED);
                completes(cancel_producer_interrupt, 0);
                call(send_number(&p, 1, SLUICE_NOW), 0);
                fill_numbers(&p, 2);
                call(sluice_producer_await_peer(&p, SLUICE_NOW), 0);
                completes(cancel_producer_arm, 1);
                completes(cancel_producer_wait, -ECANCELED);
                completes(cancel_producer_wait, -ETIMEDOUT);
                completes(cancel_producer_close, 0);
                completes(cancel_consumer_close, 0);
                completes(cancel_remove, 0);
                completes(cancel_remove, -ENOENT);
                completes(cancel_ring, 0);
        }
}

/* SPDX-License-Identifier: MIT */
/*
 * 2 to 64 processes race for each role while holders are killed, call
 * exec, or leave a child behind: ten thousand acquisitions,
 * and never two holders at once. Then two thousand hand-overs from one
 * that closes to one that tries to open all the time and then calls exec
 * at once: each exec is noticed while the new program runs.
 *
 * The process that gets the role writes its number into a word of its own memory
 * and looks at it until it leaves. Two holders: the newcomer finds a
 * number whose process was not doomed, or the old one finds another
 * number than its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "traffic.h"

#define NAME "stress-role"

enum {
        PRODUCER,
        CONSUMER,
        WORKERS = 64,
        NUMBERS = 1 << 20,
        ACQUISITIONS = 10000,
        HAND_OVERS = 1000 /* for each role */
};

static const unsigned sizes[] = {2, 3, 8, 16, 32, 64};

struct arena {
        atomic_uint holder; /* number of the present holder, 0: none */
        atomic_ulong acquired, overlaps, execs, forks, refused, broken;
        atomic_uchar doomed[NUMBERS]; /* about to be killed, or to become another */
};

static struct arena *arena;

static void pause_ns(long ns)
{
        const struct timespec t = {0, ns};

        nanosleep(&t, NULL);
}

/* ---- A worker ----------------------------------------------------- */

struct endpoint {
        int role;
        struct sluice_producer p;
        struct sluice_consumer c;
};

static int take(struct endpoint *e, const struct sluice_options *o)
{
        return e->role == PRODUCER ? sluice_producer_open(&e->p, NAME, o)
                                   : sluice_consumer_open(&e->c, NAME, o);
}

static int give(struct endpoint *e)
{
        return e->role == PRODUCER ? sluice_producer_close(&e->p) : sluice_consumer_close(&e->c);
}

/* Uses the role, once. */
static int use(struct endpoint *e)
{
        char buf[64];
        const int r = e->role == PRODUCER ? sluice_send(&e->p, "message", 7, SLUICE_NOW)
                                          : (int)sluice_recv(&e->c, buf, sizeof buf, SLUICE_NOW);

        return r;
}

static void enter(unsigned number)
{
        const unsigned before = atomic_exchange(&arena->holder, number);

        if (before != 0 && !atomic_load(&arena->doomed[before]))
                atomic_fetch_add(&arena->overlaps, 1);
        atomic_fetch_add(&arena->acquired, 1);
}

static void stay(struct endpoint *e, unsigned number, unsigned turns)
{
        for (unsigned i = 0; i < turns; i++) {
                use(e);
                if (atomic_load(&arena->holder) != number) {
                        atomic_fetch_add(&arena->overlaps, 1);
                        return;
                }
                if (i % 16 == 15)
                        sched_yield();
        }
}

static void leave(unsigned number)
{
        unsigned expected = number;

        if (!atomic_compare_exchange_strong(&arena->holder, &expected, 0))
                atomic_fetch_add(&arena->overlaps, 1);
}

/* The role is not served from here on, whatever the semaphore says. */
static void become_another(unsigned number)
{
        atomic_store(&arena->doomed[number], 1);
        atomic_fetch_add(&arena->execs, 1);
        execlp("sleep", "sleep", "0.2", (char *)NULL);
        _exit(1);
}

/* A child outlives the holder, and may not use what it has inherited. */
static void leave_child(struct endpoint *e)
{
        const pid_t pid = fork();

        if (pid == 0) {
                if (use(e) == -EPERM)
                        atomic_fetch_add(&arena->refused, 1);
                pause_ns(20000000);
                _exit(0);
        }
        if (pid > 0)
                atomic_fetch_add(&arena->forks, 1);
}

static int work(int role, unsigned number, unsigned workers, uint64_t random)
{
        struct endpoint e = {.role = role};

        for (;;) {
                struct sluice_options o = SLUICE_OPTIONS_INIT;
                int r;

                o.wake = (int)(traffic_random(&random) & 1);
                r = take(&e, &o);
                if (r == -EBUSY) {
                        pause_ns((long)(traffic_random(&random) % (workers * 20000)));
                        continue;
                }
                if (r) {
                        fprintf(stderr, "worker: %s\n", sluice_strerror(r));
                        atomic_fetch_add(&arena->broken, 1);
                        return 1;
                }
                enter(number);
                if (traffic_random(&random) % 16 == 0)
                        leave_child(&e);
                stay(&e, number, (unsigned)(traffic_random(&random) % 256));
                if (traffic_random(&random) % 128 == 0)
                        become_another(number);
                leave(number);
                if (give(&e) != 0)
                        atomic_fetch_add(&arena->broken, 1);
        }
}

/* ---- The race ----------------------------------------------------- */

struct race {
        int role;
        unsigned workers, next; /* number of the next worker */
        uint64_t random;
        unsigned long kills, in_role;
        pid_t pids[WORKERS];
        unsigned numbers[WORKERS];
};

static void start(struct race *race, unsigned slot)
{
        const unsigned number = race->next++ % (NUMBERS - 1) + 1;
        const uint64_t random = traffic_random(&race->random);
        pid_t pid;

        atomic_store(&arena->doomed[number], 0);
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(work(race->role, number, race->workers, random));
        }
        race->pids[slot] = pid;
        race->numbers[slot] = number;
}

/* Every other time the present holder, if there is one. */
static unsigned victim(struct race *race)
{
        const unsigned holder = atomic_load(&arena->holder);

        if (traffic_random(&race->random) & 1)
                for (unsigned i = 0; i < race->workers; i++)
                        if (race->numbers[i] == holder)
                                return i;
        return (unsigned)(traffic_random(&race->random) % race->workers);
}

static void kill_one(struct race *race)
{
        const unsigned slot = victim(race), number = race->numbers[slot];

        atomic_store(&arena->doomed[number], 1);
        kill(race->pids[slot], SIGKILL);
        waitpid(race->pids[slot], NULL, 0);
        race->in_role += atomic_load(&arena->holder) == number;
        race->kills++;
        start(race, slot);
}

/* Those who have become `sleep` and are through with it. */
static void reap(struct race *race)
{
        pid_t pid;

        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
                for (unsigned i = 0; i < race->workers; i++)
                        if (race->pids[i] == pid)
                                start(race, i);
}

static int run(int role, unsigned workers, uint64_t seed)
{
        static const char *const names[] = {"producer", "consumer"};
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct race race = {.role = role, .workers = workers, .random = seed};
        const unsigned long runs = 2 * sizeof sizes / sizeof *sizes;
        const unsigned long target = ((unsigned long)traffic_scale(ACQUISITIONS) + runs - 1) / runs;
        const int64_t end = sluice_now_ns() + INT64_C(60000000000);
        struct sluice_queue_stat st;
        int failed = 0;

        memset(arena, 0, sizeof *arena);
        o.capacity = 4096;
        if (sluice_create(NAME, &o) != 0)
                return 1;
        for (unsigned i = 0; i < workers; i++)
                start(&race, i);
        while (atomic_load(&arena->acquired) < target && sluice_now_ns() < end) {
                pause_ns((long)(traffic_random(&race.random) % 500000));
                kill_one(&race);
                reap(&race);
        }
        for (unsigned i = 0; i < workers; i++)
                atomic_store(&arena->doomed[race.numbers[i]], 1);
        for (unsigned i = 0; i < workers; i++)
                kill(race.pids[i], SIGKILL);
        for (unsigned i = 0; i < workers; i++)
                waitpid(race.pids[i], NULL, 0);
        failed |= sluice_stat(NAME, &st) != 0 || st.producer.held || st.consumer.held;
        failed |= sluice_remove(NAME) != 0;
        failed |= atomic_load(&arena->acquired) < target || atomic_load(&arena->overlaps) != 0 ||
                  atomic_load(&arena->broken) != 0;
        printf("%s, %2u processes: %5lu acquisitions, %4lu kills (%4lu in the role), %3lu execs, "
               "%3lu children (%3lu refused), %lu overlaps  %s\n",
               names[role], workers, atomic_load(&arena->acquired), race.kills, race.in_role,
               atomic_load(&arena->execs), atomic_load(&arena->forks), atomic_load(&arena->refused),
               atomic_load(&arena->overlaps), failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

/* ---- Hand-over ---------------------------------------------------- */

static bool stage_comes(unsigned stage)
{
        const int64_t end = sluice_now_ns() + INT64_C(10000000000);

        while (atomic_load(&arena->holder) != stage && sluice_now_ns() < end)
                sched_yield();
        return atomic_load(&arena->holder) == stage;
}

static int hold_and_close(int role)
{
        struct endpoint e = {.role = role};

        if (take(&e, NULL) != 0)
                return 1;
        atomic_store(&arena->holder, 1);
        return !stage_comes(2) || give(&e) != 0;
}

static int knock_and_become_another(int role)
{
        struct endpoint e = {.role = role};
        int r;

        while ((r = take(&e, NULL)) == -EBUSY)
                continue;
        if (r == 0)
                execlp("sleep", "sleep", "60", (char *)NULL);
        return 1;
}

static pid_t fork_to(int (*body)(int), int role)
{
        const pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(body(role));
        }
        return pid;
}

/* In the role of a process that has called exec, and still runs. */
static bool succeed(int role)
{
        const int64_t end = sluice_now_ns() + INT64_C(5000000000);
        struct endpoint e = {.role = role};
        int r;

        while ((r = take(&e, NULL)) == -EBUSY && sluice_now_ns() < end)
                pause_ns(100000);
        return r == 0 && give(&e) == 0;
}

static bool hand_over(int role, uint64_t *random)
{
        pid_t first, second;
        struct pollfd through;
        int ends[2], status;
        bool good;

        atomic_store(&arena->holder, 0);
        first = fork_to(hold_and_close, role);
        good = stage_comes(1) && pipe2(ends, O_CLOEXEC) == 0;
        if (!good)
                return false;
        second = fork_to(knock_and_become_another, role);
        close(ends[1]); /* the other copy is closed by exec */
        pause_ns((long)(traffic_random(random) % 1000000));
        atomic_store(&arena->holder, 2);
        good &= waitpid(first, &status, 0) == first && status == 0;
        through = (struct pollfd){ends[0], POLLIN, 0};
        good &= poll(&through, 1, 10000) == 1 && succeed(role) &&
                waitpid(second, NULL, WNOHANG) == 0;
        kill(second, SIGKILL);
        waitpid(second, NULL, 0);
        close(ends[0]);
        return good;
}

static int hand_overs(int role, uint64_t seed)
{
        static const char *const names[] = {"producer", "consumer"};
        const unsigned long n = (unsigned long)traffic_scale(HAND_OVERS);
        unsigned long good = 0;
        bool failed = sluice_create(NAME, NULL) != 0;

        for (unsigned long i = 0; i < n; i++)
                good += hand_over(role, &seed);
        failed |= sluice_remove(NAME) != 0 || good < n;
        printf("%s, hand-over and exec: %lu of %lu noticed  %s\n", names[role], good, n,
               failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

int main(int argc, char **argv)
{
        uint64_t seed = traffic_seed(argc, argv);
        int failed = 0, n = 0;

        arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
        if (arena == MAP_FAILED)
                return 1;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                for (int role = PRODUCER; role <= CONSUMER; role++, n++)
                        failed += run(role, sizes[i], traffic_random(&seed));
        for (int role = PRODUCER; role <= CONSUMER; role++, n++)
                failed += hand_overs(role, traffic_random(&seed));
        printf("%d passed, %d failed\n", n - failed, failed);
        return failed != 0;
}

/* SPDX-License-Identifier: MIT */
/* The two sides of a trial, and the yardstick between them. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { YARD_TURNS = 4000, YARD_BYTES = 8 << 20, YARD_LINE = 128, HANG_SECONDS = 120 };

_Static_assert(YARD_TURNS % BENCH_YARD_PAIRS == 0, "each pair has as many turns");

enum bench_fate bench_fate;
struct bench_side *bench_mine, *bench_theirs;

struct pair {
        _Atomic uint64_t *ping, *pong;
};

/* Words that both sides use, each on lines of its own. */
static struct meeting {
        MEASURE_APART _Atomic int here, go;
        int expected;                         /* on the other side */
        MEASURE_APART _Atomic uint32_t calls; /* of the partner; it sleeps on this */
        bench_side_fn *theirs;
        MEASURE_APART _Atomic uint32_t answers;
        MEASURE_APART struct pair pair[BENCH_YARD_PAIRS];
        uint64_t turns; /* of all yardsticks before */
        MEASURE_APART char end;
} * meeting;

static unsigned char *yard_lines;
static pid_t partner;

/* ---- What happened to a side in its timed part -------------------- */

static double clock_ns(clockid_t which)
{
        struct timespec t;

        clock_gettime(which, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Ready to run, but not running: ns of this thread so far. */
static double ready_ns(void)
{
        char text[96];
        unsigned long long ran = 0, ready = 0;
        const int fd = open("/proc/thread-self/schedstat", O_RDONLY);
        const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

        if (fd >= 0)
                close(fd);
        text[n < 0 ? 0 : n] = 0;
        return sscanf(text, "%llu %llu", &ran, &ready) == 2 ? (double)ready : 0;
}

/* Of one thread that never sleeps. */
static void spin_count(struct bench_side *s, double sign)
{
        struct rusage u;

        getrusage(RUSAGE_THREAD, &u);
        s->preempted += (long)sign * u.ru_nivcsw;
        s->faults += (long)sign * u.ru_minflt;
        s->busy += sign * clock_ns(CLOCK_THREAD_CPUTIME_ID);
        s->waited += sign * bench_now();
}

static bool spin_broken(const struct bench_side *s)
{
        return s->preempted != 0 && s->waited - s->busy > 0.03 * (s->end - s->begin);
}

/* Of a process that may sleep, and have threads. */
static double child_waits(void)
{
        const double others =
                clock_ns(CLOCK_PROCESS_CPUTIME_ID) - clock_ns(CLOCK_THREAD_CPUTIME_ID);

        return ready_ns() - others;
}

static void child_count(struct bench_side *s, double sign)
{
        struct rusage u;

        getrusage(RUSAGE_SELF, &u);
        s->slept += sign * (double)u.ru_nvcsw;
        s->preempted += (long)sign * u.ru_nivcsw;
        s->busy += sign * clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static bool child_broken(const struct bench_side *s)
{
        return s->waited > 0.03 * (s->end - s->begin);
}

void bench_timed_begin(struct bench_side *s)
{
        s->waited = -child_waits(); /* takes long: outside of what is timed */
        child_count(s, -1);
        s->begin = bench_now();
}

void bench_timed_end(struct bench_side *s)
{
        s->end = bench_now();
        child_count(s, 1);
        s->waited += child_waits();
}

/* bench_place: processors, or BENCH_ANYWHERE. */
static int places[2];
static bool is_placed;

void bench_place(int mine, int theirs)
{
        places[0] = mine;
        places[1] = theirs;
        is_placed = true;
}

static void go_to_place(int side)
{
        if (!is_placed)
                bench_pin(bench_options.cpu[side]);
        else if (places[side] == BENCH_ANYWHERE)
                bench_unpin();
        else
                bench_pin(places[side]);
}

static enum bench_fate preempted(bool broken(const struct bench_side *))
{
        return broken(bench_mine) || broken(bench_theirs) ? BENCH_PREEMPTED : BENCH_FINE;
}

/* ---- Both ways to run two sides that spin ------------------------- */

static void set_out(void *a, void *b, uint64_t n)
{
        struct bench_side *const sides[] = {bench_mine, bench_theirs};

        for (int i = 0; i < 2; i++) {
                struct bench_side *s = sides[i];

                s->a = a;
                s->b = b;
                s->n = n;
                s->number = 0;
                s->crowded = false;
                s->begin = s->end = s->busy = s->slept = s->waited = 0;
                s->preempted = s->faults = 0;
        }
        meeting->expected = 1;
        atomic_store(&meeting->here, 0);
        atomic_store(&meeting->go, 0);
        alarm(HANG_SECONDS);
}

static void come(void)
{
        atomic_store(&meeting->here, 1);
        while (!atomic_load(&meeting->go))
                bench_relax();
}

static void await(void)
{
        while (atomic_load(&meeting->here) < meeting->expected)
                bench_relax();
        atomic_store(&meeting->go, 1);
}

static void spin(bench_side_fn *fn, struct bench_side *side)
{
        void (*const meet)(void) = side == bench_mine ? await : come;

        spin_count(side, -1);
        meet();
        side->begin = bench_now();
        fn(side);
        side->end = bench_now();
        spin_count(side, 1);
}

static double duration(uint64_t n)
{
        const double end =
                bench_mine->end > bench_theirs->end ? bench_mine->end : bench_theirs->end;

        alarm(0);
        return (end - bench_mine->begin) / (double)n;
}

/* Runs on that processor from its start: on this one it would wait for the next tick. */
static pthread_t start_on(int cpu, void *(*fn)(void *), void *arg)
{
        pthread_attr_t attributes;
        pthread_t thread;
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        if (pthread_attr_init(&attributes) != 0 ||
            pthread_attr_setaffinity_np(&attributes, sizeof set, &set) != 0 ||
            pthread_create(&thread, &attributes, fn, arg) != 0)
                bench_die("no thread");
        pthread_attr_destroy(&attributes);
        return thread;
}

static void *other_thread(void *theirs)
{
        spin(*(bench_side_fn **)theirs, bench_theirs);
        return NULL;
}

double bench_threads(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n)
{
        pthread_t thread;

        set_out(a, b, n);
        thread = start_on(bench_options.cpu[1], other_thread, &theirs);
        spin(mine, bench_mine);
        pthread_join(thread, NULL);
        bench_fate = preempted(spin_broken);
        return duration(n);
}

/* ---- A crowd ------------------------------------------------------ */

struct one_of_crowd {
        struct bench_side side;
        bench_side_fn *fn;
        pthread_t thread;
};

static void *crowd_thread(void *arg)
{
        struct one_of_crowd *const c = arg;

        atomic_fetch_add(&meeting->here, 1);
        while (!atomic_load(&meeting->go))
                sched_yield(); /* others may not have come yet */
        c->fn(&c->side);
        return NULL;
}

double bench_crowd(bench_side_fn *mine, bench_side_fn *theirs, unsigned crowd, void *a, uint64_t n)
{
        static struct one_of_crowd all[BENCH_CROWD];
        const uint64_t each = n / crowd;

        set_out(a, NULL, each * crowd);
        meeting->expected = (int)crowd;
        for (unsigned i = 0; i < crowd; i++) {
                all[i].side = (struct bench_side){
                        .a = a, .n = each, .number = i, .crowded = crowd > bench_other_cpus()};
                all[i].fn = theirs;
                all[i].thread = start_on(bench_other_cpu(i), crowd_thread, &all[i]);
        }
        spin(mine, bench_mine);
        for (unsigned i = 0; i < crowd; i++)
                pthread_join(all[i].thread, NULL);
        bench_fate = spin_broken(bench_mine) ? BENCH_PREEMPTED : BENCH_FINE;
        return duration(each * crowd);
}

/* ---- The partner -------------------------------------------------- */

static __attribute__((noreturn)) void be_partner(void)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        bench_pin(bench_options.cpu[1]);
        bench_memory_map();
        for (size_t i = 0; i < YARD_BYTES; i += 4096)
                (void)((volatile unsigned char *)yard_lines)[i];
        for (size_t i = 0; i < BENCH_BUFFER; i += 4096)
                (void)((volatile unsigned char *)bench_theirs->buf)[i];
        atomic_store(&meeting->here, 1);
        for (uint32_t answered = 0;; answered++) {
                while (atomic_load(&meeting->calls) == answered)
                        syscall(SYS_futex, &meeting->calls, FUTEX_WAIT, answered, NULL, NULL, 0);
                spin(meeting->theirs, bench_theirs);
                atomic_store(&meeting->answers, answered + 1);
        }
}

static void partner_gone(int sig)
{
        static const char text[] = "bench: the second process has ended\n";

        (void)sig;
        if (waitpid(partner, NULL, WNOHANG) != partner)
                return;
        (void)!write(2, text, sizeof text - 1);
        _exit(1);
}

void bench_sides_begin(void)
{
        struct sigaction act = {.sa_handler = partner_gone, .sa_flags = SA_RESTART};

        meeting = bench_shared(sizeof *meeting);
        bench_mine = bench_shared(sizeof *bench_mine);
        bench_theirs = bench_shared(sizeof *bench_theirs);
        bench_mine->buf = bench_shared(BENCH_BUFFER);
        bench_theirs->buf = bench_shared(BENCH_BUFFER);
        yard_lines = bench_shared(YARD_BYTES);
        fflush(NULL);
        partner = fork();
        if (partner < 0)
                bench_die("fork: %s", strerror(errno));
        if (partner == 0)
                be_partner();
        sigaction(SIGCHLD, &act, NULL);
        while (!atomic_load(&meeting->here))
                usleep(100); /* it has to leave this processor first */
}

double bench_processes(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n)
{
        uint32_t call;

        if (bench_options.threads)
                return bench_threads(mine, theirs, a, b, n);
        set_out(a, b, n);
        meeting->theirs = theirs;
        call = atomic_fetch_add(&meeting->calls, 1) + 1;
        syscall(SYS_futex, &meeting->calls, FUTEX_WAKE, 1, NULL, NULL, 0);
        spin(mine, bench_mine);
        while (atomic_load(&meeting->answers) != call)
                bench_relax();
        bench_fate = preempted(spin_broken);
        if (bench_mine->faults > BENCH_FAULTS || bench_theirs->faults > BENCH_FAULTS)
                bench_fate = BENCH_FAULTED;
        return duration(n);
}

/* ---- Two children ------------------------------------------------- */

static __attribute__((noreturn)) void be_child(bench_side_fn *fn, struct bench_side *side)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGCHLD, SIG_DFL);
        alarm(HANG_SECONDS);
        if (side == bench_mine)
                await();
        else
                come();
        fn(side);
        _exit(0);
}

/* Until both have ended. When one of them fails, the other is killed: false. */
static bool reap_both(const pid_t pid[2])
{
        bool fine = true;

        for (int left = 2; left > 0;) {
                int status;
                const pid_t gone = wait(&status);

                if (gone == partner)
                        bench_die("the partner has gone");
                if (gone != pid[0] && gone != pid[1])
                        continue;
                left--;
                if (status == 0 || !fine)
                        continue;
                fine = false;
                fprintf(stderr, "bench: %s: a side ended with status %#x\n", bench_running,
                        (unsigned)status);
                kill(gone == pid[0] ? pid[1] : pid[0], SIGKILL);
        }
        return fine;
}

/* Both sides are children: libraries with threads of their own live for one
 * trial, and none of them meets a fork. */
double bench_children(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n)
{
        bench_side_fn *const fn[] = {mine, theirs};
        pid_t pid[2];

        set_out(a, b, n);
        alarm(0); /* a child has its own, and its end is noticed */
        fflush(NULL);
        for (int i = 1; i >= 0; i--) {
                go_to_place(i); /* each starts where it stays */
                pid[i] = fork();
                if (pid[i] < 0)
                        bench_die("fork: %s", strerror(errno));
                if (pid[i] == 0)
                        be_child(fn[i], i ? bench_theirs : bench_mine);
        }
        if (!reap_both(pid)) {
                bench_fate = BENCH_FAILED;
                return -1;
        }
        bench_fate = is_placed ? BENCH_FINE : preempted(child_broken);
        return (bench_mine->end - bench_mine->begin) / (double)n;
}

/* ---- The yardstick ------------------------------------------------ */

/* Numbers go on from one yardstick to the next: what a line holds from an
 * earlier one is never the number that is waited for. */
static MEASURE_NOINLINE void yard_ping(struct bench_side *s)
{
        const uint64_t turns = s->n / BENCH_YARD_PAIRS;
        uint64_t i = meeting->turns;

        for (int k = 0; k < BENCH_YARD_PAIRS; k++) {
                const struct pair p = meeting->pair[k];

                for (const uint64_t last = i + turns; i < last;) {
                        atomic_store_explicit(p.ping, ++i, memory_order_release);
                        while (atomic_load_explicit(p.pong, memory_order_acquire) != i)
                                ;
                }
        }
}

static MEASURE_NOINLINE void yard_pong(struct bench_side *s)
{
        const uint64_t turns = s->n / BENCH_YARD_PAIRS;
        uint64_t i = meeting->turns;

        for (int k = 0; k < BENCH_YARD_PAIRS; k++) {
                const struct pair p = meeting->pair[k];

                for (const uint64_t last = i + turns; i < last;) {
                        ++i;
                        while (atomic_load_explicit(p.ping, memory_order_acquire) != i)
                                ;
                        atomic_store_explicit(p.pong, i, memory_order_release);
                }
        }
}

static _Atomic uint64_t *yard_line(void)
{
        return (void *)(yard_lines + bench_random() % (YARD_BYTES / YARD_LINE) * YARD_LINE);
}

static void draw_pairs(void)
{
        for (int k = 0; k < BENCH_YARD_PAIRS; k++) {
                struct pair *p = &meeting->pair[k];

                p->ping = yard_line();
                do {
                        p->pong = yard_line();
                } while (p->pong == p->ping);
        }
}

double bench_yardstick(void)
{
        double ns = 0;

        bench_fate = BENCH_PREEMPTED;
        for (int i = 0; i < 4 && bench_fate != BENCH_FINE; i++) {
                draw_pairs();
                ns = bench_processes(yard_ping, yard_pong, NULL, NULL, YARD_TURNS);
                meeting->turns += YARD_TURNS;
        }
        if (bench_fate == BENCH_FINE)
                bench_note_yard(ns);
        return ns;
}

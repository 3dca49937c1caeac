/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { YARD_TURNS = 4000, HANG_SECONDS = 120 };

struct bench_options bench_options;
struct bench_side *bench_mine, *bench_theirs;
uint16_t bench_mix[256];

bool bench_disturbed;

static uint64_t random_state;
const char *bench_running = "?";

/* Words that both sides use, each on lines of its own. */
struct meeting {
        BENCH_APART _Atomic int here, go;
        BENCH_APART _Atomic uint64_t ping;
        BENCH_APART _Atomic uint64_t pong;
        BENCH_APART char end;
};

static struct meeting *meeting;

void bench_die(const char *format, ...)
{
        va_list list;

        va_start(list, format);
        fprintf(stderr, "bench: ");
        vfprintf(stderr, format, list);
        fprintf(stderr, "\n");
        va_end(list);
        exit(1);
}

void bench_corrupt(const char *who, uint64_t number)
{
        bench_die("%s: message %llu arrived damaged, or out of order", who,
                  (unsigned long long)number);
}

double bench_now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_switches(void)
{
        struct rusage u;

        getrusage(RUSAGE_SELF, &u);
        return (double)u.ru_nvcsw;
}

void bench_pin(int cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0)
                bench_die("cannot run on processor %d: %s", cpu, strerror(errno));
}

uint64_t bench_random(void)
{
        uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

void *bench_shared(size_t bytes)
{
        void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        if (mem == MAP_FAILED)
                bench_die("no memory for %zu bytes", bytes);
        return mem;
}

void bench_unshare(void *mem, size_t bytes)
{
        munmap(mem, bytes);
}

static void mix_make(void)
{
        for (size_t i = 0; i < 256; i++) {
                const double part = (double)(bench_random() >> 11) / 9007199254740992.0;
                const double len = 8 * pow(BENCH_MIX_MAX / 8.0 + 0.999, part);

                bench_mix[i] = (uint16_t)((unsigned)len / 8 * 8);
        }
}

double bench_mix_mean(void)
{
        double sum = 0;

        for (size_t i = 0; i < 256; i++)
                sum += bench_mix[i];
        return sum / 256;
}

/* ---- Command line ------------------------------------------------- */

static void two_cpus(void)
{
        cpu_set_t set;
        int found = 0;

        if (sched_getaffinity(0, sizeof set, &set) != 0)
                bench_die("sched_getaffinity: %s", strerror(errno));
        for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
                if (CPU_ISSET((size_t)i, &set))
                        bench_options.cpu[found++] = i;
        if (found < 2) {
                fprintf(stderr, "bench: two processors are needed\n");
                exit(77);
        }
}

static void usage(void)
{
        fprintf(stderr, "usage: bench_... [--suite NAME] [--seconds N] [--out DIR] [--seed N]\n"
                        "       [--cpus A,B] [--only PART-OF-A-NAME] [--long]\n");
        exit(2);
}

static void hangs(int sig)
{
        static const char text[] = "bench: a trial hangs\n";

        (void)sig;
        (void)!write(2, text, sizeof text - 1);
        _exit(1);
}

void bench_begin(int argc, char **argv, const char *suite, double seconds)
{
        struct bench_options *o = &bench_options;

        o->suite = suite;
        o->seconds = seconds;
        o->seed = (uint64_t)time(NULL);
        two_cpus();
        for (int i = 1; i < argc; i++) {
                const char *value = i + 1 < argc ? argv[i + 1] : NULL;

                if (strcmp(argv[i], "--long") == 0) {
                        o->long_run = true;
                        continue;
                }
                if (!value)
                        usage();
                if (strcmp(argv[i], "--suite") == 0)
                        o->suite = value;
                else if (strcmp(argv[i], "--seconds") == 0)
                        o->seconds = atof(value);
                else if (strcmp(argv[i], "--out") == 0)
                        o->out = value;
                else if (strcmp(argv[i], "--only") == 0)
                        o->only = value;
                else if (strcmp(argv[i], "--seed") == 0)
                        o->seed = strtoull(value, NULL, 0);
                else if (strcmp(argv[i], "--cpus") != 0 ||
                         sscanf(value, "%d,%d", &o->cpu[0], &o->cpu[1]) != 2)
                        usage();
                i++;
        }
        random_state = o->seed;
        bench_pin(o->cpu[0]);
        meeting = bench_shared(sizeof *meeting);
        bench_mine = bench_shared(sizeof *bench_mine);
        bench_theirs = bench_shared(sizeof *bench_theirs);
        bench_mine->buf = bench_shared(BENCH_BUFFER);
        bench_theirs->buf = bench_shared(BENCH_BUFFER);
        mix_make();
        signal(SIGALRM, hangs);
        fprintf(stderr, "%s: seed %llu, processors %d and %d\n", o->suite,
                (unsigned long long)o->seed, o->cpu[0], o->cpu[1]);
}

void bench_progress(const char *what, double part, unsigned trials, unsigned dropped)
{
        static double last;
        const double now = bench_now();

        if (!isatty(2) || (now - last < 2e8 && part < 1))
                return;
        last = now;
        fprintf(stderr, "\r%s %-40.40s %3.0f %%, %u trials, %u dropped\033[K", bench_options.suite,
                what, part * 100, trials, dropped);
        if (part >= 1)
                fprintf(stderr, "\n");
}

/* ---- Two sides ---------------------------------------------------- */

static void meet(void)
{
        atomic_store(&meeting->here, 1);
        while (!atomic_load(&meeting->go))
                bench_relax();
}

/* One side's stay on its processor. */
struct stay {
        long preemptions;
        double cpu, wall;
};

static void stay_look(struct stay *s)
{
        struct rusage u;
        struct timespec t;

        getrusage(RUSAGE_THREAD, &u);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        s->preemptions = u.ru_nivcsw;
        s->cpu = (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
        s->wall = bench_now();
}

static bool stay_broken(const struct stay *from, const struct stay *to)
{
        const double wall = to->wall - from->wall, cpu = to->cpu - from->cpu;

        return to->preemptions != from->preemptions && wall - cpu > 0.03 * wall;
}

struct helper {
        bench_side_fn *theirs;
        bool broken;
};

static void *other_thread(void *arg)
{
        struct helper *h = arg;
        struct stay from, to;

        bench_pin(bench_options.cpu[1]);
        stay_look(&from);
        meet();
        h->theirs(bench_theirs);
        bench_theirs->end = bench_now();
        stay_look(&to);
        h->broken = stay_broken(&from, &to);
        return NULL;
}

static void set_out(void *a, void *b, uint64_t n)
{
        struct bench_side *const sides[] = {bench_mine, bench_theirs};

        for (int i = 0; i < 2; i++) {
                sides[i]->a = a;
                sides[i]->b = b;
                sides[i]->n = n;
                sides[i]->end = sides[i]->took = sides[i]->busy = sides[i]->slept = 0;
        }
        atomic_store(&meeting->here, 0);
        atomic_store(&meeting->go, 0);
        alarm(HANG_SECONDS);
}

static double run_mine(bench_side_fn *mine)
{
        double start;

        while (!atomic_load(&meeting->here))
                bench_relax();
        start = bench_now();
        atomic_store(&meeting->go, 1);
        mine(bench_mine);
        bench_mine->end = bench_now();
        return start;
}

static double duration(double start, uint64_t n)
{
        const double end =
                bench_mine->end > bench_theirs->end ? bench_mine->end : bench_theirs->end;

        alarm(0);
        return (end - start) / (double)n;
}

double bench_threads(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n)
{
        struct helper helper = {.theirs = theirs};
        struct stay from, to;
        pthread_t thread;
        double start;

        set_out(a, b, n);
        if (pthread_create(&thread, NULL, other_thread, &helper) != 0)
                bench_die("no thread");
        stay_look(&from);
        start = run_mine(mine);
        stay_look(&to);
        pthread_join(thread, NULL);
        bench_disturbed = stay_broken(&from, &to) || helper.broken;
        return duration(start, n);
}

static __attribute__((noreturn)) void be_side(bench_side_fn *fn, struct bench_side *side)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(HANG_SECONDS);
        bench_pin(bench_options.cpu[side == bench_theirs]);
        if (side == bench_theirs) {
                meet();
        } else {
                while (!atomic_load(&meeting->here))
                        bench_relax();
                atomic_store(&meeting->go, 1);
        }
        side->begin = bench_now();
        fn(side);
        side->end = bench_now();
        _exit(0);
}

/* Both sides are children: libraries with threads of their own live for one
 * trial, and none of them meets a fork. */
double bench_processes(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n)
{
        bench_side_fn *const fn[] = {mine, theirs};
        pid_t pid[2];

        set_out(a, b, n);
        fflush(NULL);
        for (int i = 0; i < 2; i++) {
                pid[i] = fork();
                if (pid[i] < 0)
                        bench_die("fork: %s", strerror(errno));
                if (pid[i] == 0)
                        be_side(fn[i], i ? bench_theirs : bench_mine);
        }
        for (int left = 2; left > 0;) {
                int status;
                const pid_t gone = wait(&status);

                if (gone != pid[0] && gone != pid[1])
                        continue;
                if (status != 0) { /* the other dies with us: PR_SET_PDEATHSIG */
                        kill(gone == pid[0] ? pid[1] : pid[0], SIGKILL);
                        bench_die("%s: a side ended with status %#x", bench_running,
                                  (unsigned)status);
                }
                left--;
        }
        return duration(bench_mine->begin, n);
}

/* ---- The yardstick ------------------------------------------------ */

static BENCH_NOINLINE void yard_ping(struct bench_side *s)
{
        const uint64_t n = s->n;
        struct meeting *m = meeting;

        for (uint64_t i = 1; i <= n; i++) {
                atomic_store_explicit(&m->ping, i, memory_order_release);
                while (atomic_load_explicit(&m->pong, memory_order_acquire) != i)
                        ;
        }
}

static BENCH_NOINLINE void yard_pong(struct bench_side *s)
{
        const uint64_t n = s->n;
        struct meeting *m = meeting;

        for (uint64_t i = 1; i <= n; i++) {
                while (atomic_load_explicit(&m->ping, memory_order_acquire) != i)
                        ;
                atomic_store_explicit(&m->pong, i, memory_order_release);
        }
}

double bench_yardstick(void)
{
        double ns = 0;

        bench_disturbed = true;
        for (int i = 0; i < 4 && bench_disturbed; i++) {
                atomic_store(&meeting->ping, 0);
                atomic_store(&meeting->pong, 0);
                ns = bench_threads(yard_ping, yard_pong, NULL, NULL, YARD_TURNS);
        }
        bench_note_yard(ns);
        return ns;
}

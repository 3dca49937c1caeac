/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../src/measure/cpus.h"
#include "harness.h"
#include "ticks.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct bench_options bench_options;
uint16_t bench_mix[256];

static uint64_t random_state;
const char *bench_running = "?";

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

void bench_pin(int cpu)
{
        const int r = cpus_pin(cpu);

        if (r)
                bench_die("cannot run on processor %d: %s", cpu, strerror(-r));
}

static struct cpus allowed;

void bench_unpin(void)
{
        const int r = cpus_set(&allowed);

        if (r)
                bench_die("cannot leave a processor: %s", strerror(-r));
}

unsigned bench_other_cpus(void)
{
        unsigned n = 0;

        for (int cpu = 0; cpu < CPUS_MAX; cpu++)
                n += cpu != bench_options.cpu[0] && cpus_has(&allowed, cpu);
        return n;
}

int bench_other_cpu(unsigned k)
{
        int cpu = bench_options.cpu[1];

        for (k %= bench_other_cpus(); k > 0; k--)
                do {
                        cpu = (cpu + 1) % CPUS_MAX;
                } while (cpu == bench_options.cpu[0] || !cpus_has(&allowed, cpu));
        return cpu;
}

uint64_t bench_random(void)
{
        uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
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
        const int r = cpus_get(&allowed);

        if (r)
                bench_die("sched_getaffinity: %s", strerror(-r));
        cpus_choose(&allowed, bench_options.cpu);
        if (bench_options.cpu[0] == bench_options.cpu[1]) {
                fprintf(stderr, "bench: two processors are needed\n");
                exit(77);
        }
}

static void usage(void)
{
        fprintf(stderr, "usage: bench_... [--suite NAME] [--seconds N] [--out DIR] [--seed N]\n"
                        "       [--cpus A,B] [--only PART-OF-A-NAME] [--long] [--threads]\n");
        exit(2);
}

static void hangs(int sig)
{
        static const char text[] = "bench: a trial hangs\n";

        (void)sig;
        (void)!write(2, text, sizeof text - 1);
        _exit(1);
}

/* An option that has a value. */
static void take_option(const char *name, const char *value)
{
        struct bench_options *o = &bench_options;

        if (strcmp(name, "--suite") == 0)
                o->suite = value;
        else if (strcmp(name, "--seconds") == 0)
                o->seconds = atof(value);
        else if (strcmp(name, "--out") == 0)
                o->out = value;
        else if (strcmp(name, "--only") == 0)
                o->only = value;
        else if (strcmp(name, "--seed") == 0)
                o->seed = strtoull(value, NULL, 0);
        else if (strcmp(name, "--cpus") != 0 || sscanf(value, "%d,%d", &o->cpu[0], &o->cpu[1]) != 2)
                usage();
}

static void take_options(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                const bool is_long = strcmp(argv[i], "--long") == 0;
                const bool is_threads = strcmp(argv[i], "--threads") == 0;

                bench_options.long_run |= is_long;
                bench_options.threads |= is_threads;
                if (is_long || is_threads)
                        continue;
                if (i + 1 == argc)
                        usage();
                take_option(argv[i], argv[i + 1]);
                i++;
        }
}

void bench_begin(int argc, char **argv, const char *suite, double seconds)
{
        struct bench_options *o = &bench_options;

        o->suite = suite;
        o->seconds = seconds;
        o->seed = (uint64_t)time(NULL);
        two_cpus();
        take_options(argc, argv);
        random_state = o->seed;
        bench_pin(o->cpu[0]);
        mix_make();
        signal(SIGALRM, hangs);
        bench_memory_begin();
        bench_ticks_begin();
        bench_sides_begin();
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

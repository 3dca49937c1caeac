/* SPDX-License-Identifier: MIT */
/*
 * tuned CPU CPU [huge]: a round trip between two processors, as fast as this machine
 * can: each side bound to its own, spinning, its memory there before and locked.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIPS = 100000 };

static int pin(int cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        return sched_setaffinity(0, sizeof set, &set);
}

/* The child sends back what comes, the parent measures. */
static int trips(const char *to, const char *from, int first, const struct sluice_options *o)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        int64_t sent, back, best = INT64_MAX;
        int r = sluice_producer_open(&p, to, o);

        if (r == 0)
                r = sluice_consumer_open(&c, from, o);
        for (int i = 0; i < TRIPS && r == 0; i++) {
                sent = sluice_now_ns();
                if (first)
                        r = sluice_send(&p, &sent, sizeof sent, SLUICE_FOREVER);
                if (r == 0 && sluice_recv(&c, &back, sizeof back, SLUICE_FOREVER) != sizeof back)
                        r = -1;
                if (!first && r == 0)
                        r = sluice_send(&p, &back, sizeof back, SLUICE_FOREVER);
                sent = sluice_now_ns() - sent;
                best = sent < best ? sent : best;
        }
        if (first && r == 0)
                printf("%d round trips, the fastest %lld ns\n", TRIPS, (long long)best);
        return r != 0;
}

int main(int argc, char **argv)
{
        struct sluice_options o = {.size = sizeof o, .capacity = 16384};
        pid_t child;
        int status, r = 0, cpu[2] = {argc > 1 ? atoi(argv[1]) : 0, argc > 2 ? atoi(argv[2]) : 1};

        if (cpu[0] != cpu[1]) /* two that spin on one would get nowhere */
                o.spin_ns = SLUICE_SPIN_FOREVER;
        o.flags = SLUICE_PREFAULT | SLUICE_LOCK;
        o.flags |= argc > 3 && strcmp(argv[3], "huge") == 0 ? SLUICE_HUGETLB : 0;
        r = sluice_create("there", &o);
        if (r == 0 && (r = sluice_create("back", &o)) != 0)
                sluice_remove("there");
        if (r)
                return fprintf(stderr, "tuned: %s %s\n", sluice_strerror(r), sluice_limit()), 1;
        child = fork();
        if (child == 0)
                _exit(pin(cpu[1]) || trips("back", "there", 0, &o));
        status = child < 0 || pin(cpu[0]) || trips("there", "back", 1, &o);
        if (child > 0 && status)
                kill(child, SIGKILL); /* it may wait for us */
        if (child > 0)
                waitpid(child, &r, 0);
        return sluice_remove("there") || sluice_remove("back") || status || r;
}

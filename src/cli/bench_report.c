/* SPDX-License-Identifier: MIT */
/* sluice bench: the results, as a table and as JSON. */
#include <math.h>

#include "bench.h"

static const char *const link_name[] = {"queue", "futex", "FIFO", "pipe"};

/* The same figure measured through a pipe: the base of the ratio. */
static const struct bench_result *pipe_beside(const struct bench *b, const struct bench_figure *f)
{
        for (unsigned i = 0; i < BENCH_FIGURES; i++)
                if (bench_figures[i].link == BENCH_PIPE && bench_figures[i].part == f->part &&
                    bench_figures[i].len == f->len)
                        return &b->shared->result[i];
        return NULL;
}

/* Ratio of a figure to its base; NAN: it has no base. */
static double ratio_of(const struct bench *b, const struct bench_figure *f,
                       const struct bench_result *r)
{
        const struct bench_result *const pipe = pipe_beside(b, f);

        if (f->part == BENCH_ROUND_TRIP)
                return bench_median(r->ratio, b->rounds);
        return pipe ? bench_ratio(r->value, pipe->value, b->rounds) : NAN;
}

/* ---- For people --------------------------------------------------- */

static void show_ratio(double ratio)
{
        if (isnan(ratio))
                printf("  %8s", "");
        else
                printf("  %8.2f", ratio);
}

static void show_turns(const char *label, const struct histogram *h, double unit, double ratio)
{
        printf("  %-10s", label);
        for (unsigned i = 0; i < 3; i++) {
                static const double percent[] = {50, 99, 99.9};

                printf("  %9.*f", unit > 1 ? 1 : 0, histogram_percentile(h, percent[i]) / unit);
        }
        printf("  %9.*f", unit > 1 ? 1 : 0, (double)h->max_ns / unit);
        show_ratio(ratio);
        putchar('\n');
}

/* System calls, by the queue's own counters. */
static void show_calls(const struct bench_figure *f, const struct bench_result *r)
{
        const unsigned long long calls = r->parks + r->wakes;

        if (f->link == BENCH_PIPE)
                printf("  two per message\n");
        else
                printf("  %llu in %.3g million\n", calls, (double)r->messages / 1e6);
}

static void show_stream(const struct bench *b, const struct bench_figure *f,
                        const struct bench_result *r)
{
        const double rate = bench_median(r->value, b->rounds);
        char label[16];

        snprintf(label, sizeof label, "%zu B%s", f->len, f->link == BENCH_PIPE ? ", pipe" : "");
        printf("  %-10s  %9.2f  %9.0f", label, rate / 1e6, rate * (double)f->len / 1e6);
        show_ratio(ratio_of(b, f, r));
        show_calls(f, r);
}

static void show_figure(const struct bench *b, const struct bench_figure *f,
                        const struct bench_result *r)
{
        char label[16];

        if (f->part == BENCH_STREAM) {
                show_stream(b, f, r);
                return;
        }
        snprintf(label, sizeof label, "%zu B", f->len);
        show_turns(f->part == BENCH_SLEEP ? link_name[f->link] : label, &r->turns,
                   f->part == BENCH_SLEEP ? 1e3 : 1, ratio_of(b, f, r));
}

static void show_heading(const struct bench *b, enum bench_part part)
{
        static const char *const heading[] = {
                "\nRound trip, ns: there and back through two queues, both sides poll.\n"
                "                    p50        p99      p99.9        max  / bare lines\n",
                "\nStream through one queue, default options; 64 B also through a pipe.\n"
                "              million/s       MB/s    / pipe  sleeps and wake-ups\n",
                "\nSleeping, us: round trip of 56 B, both sides sleep for each message.\n"
                "                    p50        p99      p99.9        max    / pipe\n"};

        fputs(heading[part], stdout);
        if (part == BENCH_ROUND_TRIP)
                show_turns("bare lines", &b->shared->yard, 1, NAN);
}

static void show_all(const struct bench *b)
{
        int part = -1;

        printf("sluice %s: %.3g s, %u rounds, processor", sluice_version(),
               (double)b->cli->seconds_ns / 1e9, b->rounds);
        if (b->cpu[0] == b->cpu[1])
                printf(" %d, %s\n", b->cpu[0], b->placement);
        else
                printf("s %d and %d: %s\n", b->cpu[0], b->cpu[1], b->placement);
        for (unsigned i = 0; i < BENCH_FIGURES; i++) {
                const struct bench_figure *const f = &bench_figures[i];

                if (!bench_possible(b, f))
                        continue;
                if ((int)f->part != part)
                        show_heading(b, f->part);
                part = (int)f->part;
                show_figure(b, f, &b->shared->result[i]);
        }
        puts("\nEvery byte of the payload was written and compared. Ratios are medians of the\n"
             "ratios within each round, and drift less than the absolute figures.");
}

/* ---- For programs ------------------------------------------------- */

static void json_number(const char *key, double value)
{
        if (isfinite(value))
                printf("\"%s\": %.6g", key, value);
        else
                printf("\"%s\": null", key);
}

static void json_turns(const struct histogram *h)
{
        static const struct {
                const char *key;
                double percent;
        } points[] = {{"p50_ns", 50}, {"p99_ns", 99}, {"p99_9_ns", 99.9}, {"max_ns", 100}};

        for (unsigned i = 0; i < 4; i++) {
                json_number(points[i].key, histogram_percentile(h, points[i].percent));
                fputs(", ", stdout);
        }
        printf("\"turns\": %llu", (unsigned long long)h->count);
}

static void json_stream(const struct bench *b, const struct bench_figure *f,
                        const struct bench_result *r)
{
        const double rate = bench_median(r->value, b->rounds);

        json_number("messages_per_second", rate);
        fputs(", ", stdout);
        json_number("bytes_per_second", rate * (double)f->len);
        printf(", \"messages\": %llu", (unsigned long long)r->messages);
        if (f->link != BENCH_PIPE)
                printf(", \"stalls\": %llu, \"parks\": %llu, \"wakes\": %llu",
                       (unsigned long long)r->stalls, (unsigned long long)r->parks,
                       (unsigned long long)r->wakes);
}

static void json_figure(const struct bench *b, const struct bench_figure *f,
                        const struct bench_result *r)
{
        printf("  {\"through\": \"%s\", \"bytes\": %zu, ", link_name[f->link], f->len);
        if (f->part == BENCH_STREAM)
                json_stream(b, f, r);
        else
                json_turns(&r->turns);
        fputs(", ", stdout);
        json_number("ratio", ratio_of(b, f, r));
        putchar('}');
}

/* An array of the figures of one part, which may be empty. */
static void json_part(const struct bench *b, const char *key, enum bench_part part)
{
        const char *separator = "\n";

        printf(",\n \"%s\": [", key);
        for (unsigned i = 0; i < BENCH_FIGURES; i++) {
                if (bench_figures[i].part != part || !bench_possible(b, &bench_figures[i]))
                        continue;
                fputs(separator, stdout);
                json_figure(b, &bench_figures[i], &b->shared->result[i]);
                separator = ",\n";
        }
        putchar(']');
}

static void json_all(const struct bench *b)
{
        printf("{\"version\": \"%s\", ", sluice_version());
        json_number("seconds", (double)b->cli->seconds_ns / 1e9);
        printf(", \"rounds\": %u, \"processors\": [%d", b->rounds, b->cpu[0]);
        if (b->cpu[0] != b->cpu[1])
                printf(", %d", b->cpu[1]);
        printf("], \"placement\": \"%s\", \"clock_ns\": %lld,\n \"yardstick\": {", b->placement,
               (long long)b->shared->clock_ns);
        json_turns(&b->shared->yard);
        putchar('}');
        json_part(b, "round_trips", BENCH_ROUND_TRIP);
        json_part(b, "streams", BENCH_STREAM);
        json_part(b, "sleeping", BENCH_SLEEP);
        puts("}");
}

int bench_report(const struct bench *b)
{
        if (b->cli->json)
                json_all(b);
        else
                show_all(b);
        return cli_finish(b->cli, 0);
}

/* SPDX-License-Identifier: MIT */
/* How results are written: a table for people, JSON for programs,
 * tab-separated values for gnuplot. */
#define _GNU_SOURCE
#include "../src/measure/figures.h"
#include "harness.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct bench_row *rows;
static size_t row_count, row_room;
static char notes[4096];

enum { MAX_COLUMNS = 32, LEAST_TRIALS = 10 };

struct bench_spread bench_spread_of(double *values, size_t n)
{
        struct bench_spread s = {NAN, NAN, NAN};

        if (n == 0)
                return s;
        figures_sort(values, n);
        s.low = figures_percentile(values, n, 10);
        s.median = figures_percentile(values, n, 50);
        s.high = figures_percentile(values, n, 90);
        return s;
}

static void *grow(void *list, size_t count, size_t *room, size_t size)
{
        if (count < *room)
                return list;
        *room = *room ? 2 * *room : 256;
        list = realloc(list, *room * size);
        if (!list)
                bench_die("no memory");
        return list;
}

void bench_note(const char *format, ...)
{
        const size_t used = strlen(notes);
        va_list list;

        va_start(list, format);
        vsnprintf(notes + used, sizeof notes - used, format, list);
        va_end(list);
}

void bench_add_row(const struct bench_row *row)
{
        rows = grow(rows, row_count, &row_room, sizeof *rows);
        rows[row_count++] = *row;
}

double bench_ratio(const char *metric, const char *contender, const char *label,
                   const char *placement)
{
        const struct bench_row *best = NULL;

        for (size_t i = 0; i < row_count; i++)
                if (strcmp(rows[i].metric, metric) == 0 &&
                    strcmp(rows[i].contender, contender) == 0 &&
                    strcmp(rows[i].label, label) == 0 &&
                    (!placement || strcmp(rows[i].placement, placement) == 0) &&
                    (!best || rows[i].trials > best->trials))
                        best = &rows[i];
        return best && best->trials >= LEAST_TRIALS ? best->ratio.median : -1;
}

/* ---- Tables ------------------------------------------------------- */

/* A rate in the largest unit that leaves a digit in front. */
static void print_number(FILE *to, double v, int width)
{
        if (isnan(v))
                fprintf(to, " %*s", width, "-");
        else if (v >= 99999.5)
                fprintf(to, " %*.2g", width, v);
        else
                fprintf(to, " %*.*f", width, v < 9.995 ? 2 : v < 999.5 ? 1 : 0, v);
}

enum column { RATIO, RATE, NS };

static double cell(const struct bench_row *r, enum column what)
{
        if (what == RATIO)
                return r->ratio.median;
        return what == RATE ? 1e3 / r->value.median : r->value.median;
}

static bool same_table(const struct bench_row *a, const struct bench_row *b)
{
        return strcmp(a->metric, b->metric) == 0 && strcmp(a->placement, b->placement) == 0;
}

/* Is this the first row of its table with this contender, or label? */
static bool first_with(const struct bench_row *table, size_t i, bool label)
{
        for (size_t j = 0; j < i; j++)
                if (same_table(&rows[j], table) &&
                    strcmp(label ? rows[j].label : rows[j].contender,
                           label ? rows[i].label : rows[i].contender) == 0)
                        return false;
        return same_table(&rows[i], table);
}

/* The columns of a table: rows that bear its labels, by x. */
static size_t columns_of(const struct bench_row *table, size_t *columns)
{
        size_t n = 0;

        for (size_t i = 0; i < row_count; i++) {
                size_t k = n;

                if (!first_with(table, i, true) || n == MAX_COLUMNS)
                        continue;
                for (; k > 0 && rows[columns[k - 1]].x > rows[i].x; k--)
                        columns[k] = columns[k - 1];
                columns[k] = i;
                n++;
        }
        return n;
}

static void print_line(FILE *to, const struct bench_row *table, size_t contender, enum column what)
{
        size_t columns[MAX_COLUMNS];
        const size_t n = columns_of(table, columns);

        fprintf(to, "%-26.26s", rows[contender].contender);
        for (size_t k = 0; k < n; k++) {
                double v = NAN;

                for (size_t i = 0; i < row_count; i++)
                        if (same_table(&rows[i], table) &&
                            strcmp(rows[i].contender, rows[contender].contender) == 0 &&
                            strcmp(rows[i].label, rows[columns[k]].label) == 0)
                                v = cell(&rows[i], what);
                print_number(to, v, 8);
        }
        fprintf(to, "\n");
}

static void print_table(FILE *to, const struct bench_row *table, enum column what)
{
        size_t columns[MAX_COLUMNS];
        const size_t n = columns_of(table, columns);

        fprintf(to, "\n%s", table->metric);
        if (table->yard > 0)
                fprintf(to, ", placement %s (%.0f ns)", table->placement, table->yard);
        fprintf(to, ": ");
        if (what == RATIO && table->ratio_only)
                fprintf(to, "median of ratios");
        else if (what == RATIO)
                fprintf(to, "median of ratios to the %s", table->ratio_of);
        else if (what == RATE)
                fprintf(to, "millions per second");
        else
                fprintf(to, "%s", table->unit);
        fprintf(to, "\n%-26s", "");
        for (size_t k = 0; k < n; k++)
                fprintf(to, " %8.8s", rows[columns[k]].label);
        fprintf(to, "\n");
        for (size_t i = 0; i < row_count; i++)
                if (first_with(table, i, false))
                        print_line(to, table, i, what);
}

static void print_tables(FILE *to)
{
        for (size_t i = 0; i < row_count; i++) {
                bool first = !rows[i].series;

                for (size_t j = 0; j < i && first; j++)
                        first = !same_table(&rows[i], &rows[j]);
                if (!first)
                        continue;
                if (rows[i].ratio_of[0])
                        print_table(to, &rows[i], RATIO);
                if (!rows[i].ratio_only)
                        print_table(to, &rows[i], rows[i].rate ? RATE : NS);
        }
}

static void print_all_rows(FILE *to)
{
        fprintf(to, "\n%-14s %-26s %-8s %-8s %6s %5s  %-30s %s\n", "metric", "contender", "at",
                "placed", "trials", "drop", "median (p10 .. p90)", "ratio (p10 .. p90)");
        for (size_t i = 0; i < row_count; i++) {
                const struct bench_row *r = &rows[i];

                fprintf(to, "%-14s %-26s %-8s %-8s %6u %5u  %.4g (%.4g .. %.4g) %s", r->metric,
                        r->contender, r->label, r->placement, r->trials, r->dropped,
                        r->value.median, r->value.low, r->value.high, r->unit);
                if (r->ratio_of[0])
                        fprintf(to, "  %.3f (%.3f .. %.3f) x %s", r->ratio.median, r->ratio.low,
                                r->ratio.high, r->ratio_of);
                fprintf(to, "\n");
        }
}

/* ---- Files -------------------------------------------------------- */

static void json_number(FILE *to, const char *name, double v)
{
        if (isnan(v) || isinf(v))
                fprintf(to, "\"%s\":null", name);
        else
                fprintf(to, "\"%s\":%.6g", name, v);
}

static void json_spread(FILE *to, const char *name, struct bench_spread s)
{
        fprintf(to, "\"%s\":{", name);
        json_number(to, "p10", s.low);
        fprintf(to, ",");
        json_number(to, "median", s.median);
        fprintf(to, ",");
        json_number(to, "p90", s.high);
        fprintf(to, "}");
}

static void json_row(FILE *to, const struct bench_row *r)
{
        fprintf(to, "{\"metric\":\"%s\",\"contender\":\"%s\",\"at\":\"%s\",", r->metric,
                r->contender, r->label);
        json_number(to, "x", r->x);
        fprintf(to, ",\"placement\":\"%s\",", r->placement);
        json_number(to, "yardstick", r->yard > 0 ? r->yard : NAN);
        fprintf(to, ",\"trials\":%u,\"dropped\":%u,\"unit\":\"%s\",", r->trials, r->dropped,
                r->unit);
        json_number(to, "bytes", r->bytes);
        fprintf(to, ",");
        json_spread(to, "value", r->value);
        if (r->ratio_of[0]) {
                fprintf(to, ",\"ratio_of\":\"%s\",", r->ratio_of);
                json_spread(to, "ratio", r->ratio);
        }
        fprintf(to, "}");
}

static void json_placements(FILE *to, const struct bench_placements *where)
{
        fprintf(to, "\"placements\":{\"unit\":\"ns\",\"disagree\":%g,\"found\":[", BENCH_DISAGREE);
        for (int k = 0; k < where->count; k++) {
                fprintf(to, "%s{\"placement\":\"%s\",\"count\":%zu,", k ? "," : "",
                        bench_placement_name(k), where->at[k].count);
                json_spread(to, "yardstick", where->at[k].yard);
                fprintf(to, "}");
        }
        fprintf(to, "]}");
}

static void write_json(FILE *to)
{
        const struct bench_options *o = &bench_options;
        const time_t now = time(NULL);
        char date[32];

        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
        fprintf(to, "{\"suite\":\"%s\",\"date\":\"%s\",\"seed\":%llu,\"seconds\":%g,\n", o->suite,
                date, (unsigned long long)o->seed, o->seconds);
        bench_machine_json(to);
        fprintf(to, ",\n");
        json_placements(to, bench_where());
        fprintf(to, ",\n\"rows\":[");
        for (size_t i = 0; i < row_count; i++) {
                fprintf(to, i ? ",\n" : "\n");
                json_row(to, &rows[i]);
        }
        fprintf(to, "\n]}\n");
}

static void write_tsv(FILE *to)
{
        fprintf(to, "#metric\tplacement\tcontender\tat\tx\tbytes\tunit\tp10\tmedian\tp90\tratio_p10"
                    "\tratio\tratio_p90\ttrials\tratio_of\tyardstick\n");
        for (size_t i = 0; i < row_count; i++) {
                const struct bench_row *r = &rows[i];

                fprintf(to, "%s\t%s\t%s\t%s\t%g\t%g\t%s\t%g\t%g\t%g\t%g\t%g\t%g\t%u\t%s\t%g\n",
                        r->metric, r->placement, r->contender, r->label, r->x, r->bytes, r->unit,
                        r->value.low, r->value.median, r->value.high, r->ratio.low, r->ratio.median,
                        r->ratio.high, r->trials, r->ratio_of, r->yard);
        }
}

static void print_placements(FILE *to, const struct bench_placements *where)
{
        for (int k = 0; k < where->count; k++)
                if (where->at[k].count > 0)
                        fprintf(to, "placement %s: yardstick %.0f ns (%.0f .. %.0f), %zu times\n",
                                bench_placement_name(k), where->at[k].yard.median,
                                where->at[k].yard.low, where->at[k].yard.high, where->at[k].count);
}

static void write_text(FILE *to)
{
        fprintf(to, "%s: seed %llu\n", bench_options.suite, (unsigned long long)bench_options.seed);
        bench_machine_text(to);
        print_placements(to, bench_where());
        fputs(notes, to);
        print_tables(to);
}

static FILE *open_out(const char *suffix)
{
        char path[4096];
        FILE *f;

        mkdir(bench_options.out, 0777);
        snprintf(path, sizeof path, "%s/%s.%s", bench_options.out, bench_options.suite, suffix);
        f = fopen(path, "w");
        if (!f)
                bench_die("cannot write %s", path);
        return f;
}

static void close_out(FILE *f)
{
        if (ferror(f) | fclose(f))
                bench_die("cannot write to %s", bench_options.out);
}

void bench_end(void)
{
        FILE *f;

        write_text(stdout);
        if (!bench_options.out)
                return;
        f = open_out("json");
        write_json(f);
        close_out(f);
        f = open_out("tsv");
        write_tsv(f);
        close_out(f);
        f = open_out("txt");
        write_text(f);
        print_all_rows(f);
        close_out(f);
}

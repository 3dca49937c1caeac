/* SPDX-License-Identifier: MIT */
/* What the figures were measured on. Commands that are not there leave an
 * empty text. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef BENCH_FLAGS
#define BENCH_FLAGS ""
#endif

#define PACKAGES                                                                           \
        "libboost-dev libck-dev libconcurrentqueue-dev libdpdk-dev libiceoryx-posh-dev "   \
        "libjack-jackd2-dev libnng-dev libqb-dev libreaderwriterqueue-dev libspa-0.2-dev " \
        "liburcu-dev libzmq3-dev"

/* The first line of what a command prints, fit for JSON. */
static void first_line(char *to, size_t room, const char *command)
{
        FILE *f = popen(command, "r");

        to[0] = 0;
        if (!f)
                return;
        if (!fgets(to, (int)room, f))
                to[0] = 0;
        pclose(f);
        to[strcspn(to, "\n")] = 0;
        for (char *c = to; *c; c++)
                if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
                        *c = ' ';
}

/* Features that decide what transferring a line costs, or a copy. */
static const char *const features[] = {"3dnowprefetch", "cldemote", "clflushopt",   "clwb",
                                       "erms",          "fsrm",     "constant_tsc", "nonstop_tsc"};

/* "cpu family 25, model 1, stepping 1", or what other processors say of this. */
#define MODEL                                                                                  \
        "awk -F '[[:space:]]*: ' '/^(cpu family|model|stepping|CPU (implementer|variant|part|" \
        "revision))[[:space:]]*:/ && !seen[$1]++ {printf \"%s%s %s\", sep, $1, $2; sep = \", " \
        "\"}' "                                                                                \
        "/proc/cpuinfo"

struct facts {
        char cpu[128], model[128], has[256], lacks[256], hypervisor[64], l2[32], l3[32], huge[64],
                governor[64], packages[1024], commit[80];
        struct utsname kernel;
        long processors, memory_mib;
};

static void append(char *to, size_t room, const char *word)
{
        const size_t used = strlen(to);

        snprintf(to + used, room - used, "%s%s", used ? " " : "", word);
}

static void sort_features(struct facts *f)
{
        char flags[8192] = " ", wanted[32];

        first_line(flags + 1, sizeof flags - 2,
                   "sed -n 's/^flags[[:space:]]*: //p' /proc/cpuinfo | head -1");
        strcat(flags, " ");
        for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
                snprintf(wanted, sizeof wanted, " %s ", features[i]);
                if (strstr(flags, wanted))
                        append(f->has, sizeof f->has, features[i]);
                else
                        append(f->lacks, sizeof f->lacks, features[i]);
        }
}

static const struct facts *facts(void)
{
        static struct facts f;
        const char *commit = getenv("BENCH_COMMIT");

        if (f.processors)
                return &f;
        uname(&f.kernel);
        f.processors = sysconf(_SC_NPROCESSORS_ONLN);
        f.memory_mib = sysconf(_SC_PHYS_PAGES) / 1024 * (sysconf(_SC_PAGESIZE) / 1024);
        first_line(f.cpu, sizeof f.cpu,
                   "sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1");
        first_line(f.model, sizeof f.model, MODEL);
        sort_features(&f);
        first_line(f.hypervisor, sizeof f.hypervisor,
                   "LC_ALL=C lscpu 2>/dev/null | sed -n 's/^Hypervisor vendor: *//p'");
        first_line(f.l2, sizeof f.l2, "getconf LEVEL2_CACHE_SIZE 2>/dev/null");
        first_line(f.l3, sizeof f.l3, "getconf LEVEL3_CACHE_SIZE 2>/dev/null");
        first_line(f.huge, sizeof f.huge,
                   "cat /sys/kernel/mm/transparent_hugepage/shmem_enabled 2>/dev/null");
        first_line(f.governor, sizeof f.governor,
                   "cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null");
        first_line(f.packages, sizeof f.packages,
                   "dpkg-query -W -f='${Package} ${Version}, ' " PACKAGES " 2>/dev/null");
        snprintf(f.commit, sizeof f.commit, "%s", commit ? commit : "");
        return &f;
}

void bench_machine_json(FILE *to)
{
        const struct facts *f = facts();

        fprintf(to,
                "\"machine\":{\"cpu\":\"%s\",\"model\":\"%s\",\"features\":\"%s\",\"lacks\":\"%s\","
                "\"hypervisor\":\"%s\",\"arch\":\"%s\",\"processors\":%ld,\"memory_mib\":%ld,"
                "\"l2_bytes\":\"%s\",\"l3_bytes\":\"%s\",\"governor\":\"%s\","
                "\"thp_shmem\":\"%s\"},\n",
                f->cpu, f->model, f->has, f->lacks, f->hypervisor, f->kernel.machine, f->processors,
                f->memory_mib, f->l2, f->l3, f->governor, f->huge);
        fprintf(to,
                "\"kernel\":\"%s %s\",\"compiler\":\"%s\",\"flags\":\"%s\","
                "\"commit\":\"%s\",\n\"packages\":\"%s\"",
                f->kernel.sysname, f->kernel.release, __VERSION__, BENCH_FLAGS, f->commit,
                f->packages);
}

void bench_machine_text(FILE *to)
{
        const struct facts *f = facts();

        fprintf(to, "%s (%s), %ld processors, L2 %s, L3 %s%s%s\n", f->cpu, f->model, f->processors,
                f->l2, f->l3, f->hypervisor[0] ? ", hypervisor " : "", f->hypervisor);
        fprintf(to, "has: %s; lacks: %s\n%s %s; compiler %s, %s\n", f->has, f->lacks,
                f->kernel.sysname, f->kernel.release, __VERSION__, BENCH_FLAGS);
        if (f->commit[0])
                fprintf(to, "commit %s\n", f->commit);
}

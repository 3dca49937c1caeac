/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "step.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sluice/wait.h"

/* A test that has failed so often is given up. */
#define FAILURES 3

enum { STEPS_MAX = 1 << 16, CALLS_MAX = 512 };

/* What a call executes from its beginning to its end. */
struct map {
        unsigned steps; /* instructions */
        unsigned calls; /* system calls among them */
        struct {
                unsigned at; /* instructions before it */
                bool sleeps;
        } call[CALLS_MAX];
        uint64_t pc[STEPS_MAX]; /* of each instruction */
};

/* Seen by parent and child: a store to it is all that marks the first
 * and the last instruction. */
static struct {
        volatile int begun, ended, result;
} * marks;

static bool alone; /* in our IPC namespace */

/* Where a child is stopped. */
enum { STOPPED = 0, ASLEEP = 1, LOST = -1 };

#define TUNABLES "GLIBC_TUNABLES"

bool step_start(char **argv)
{
        cpu_set_t set;

        /* Copying and clearing without string instructions, which are a step
         * for each byte; and every function bound before it is called. */
        if (!getenv(TUNABLES)) {
                setenv(TUNABLES,
                       "glibc.cpu.x86_rep_movsb_threshold=1000000000:"
                       "glibc.cpu.x86_rep_stosb_threshold=1000000000",
                       1);
                setenv("LD_BIND_NOW", "1", 1);
                execv("/proc/self/exe", argv);
        }
        alone = unshare(CLONE_NEWIPC) == 0;
        /* Parent and child hand each other the CPU at every step. */
        CPU_ZERO(&set);
        CPU_SET((size_t)sched_getcpu(), &set);
        sched_setaffinity(0, sizeof set, &set);
        marks = mmap(NULL, sizeof *marks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
#if defined __x86_64__ || defined __aarch64__
        return marks != MAP_FAILED;
#else
        return false;
#endif
}

/* The child's text is our own: it was forked from us. */
static bool is_system_call(uint64_t pc)
{
#if defined __x86_64__
        static const unsigned char code[2] = {0x0f, 0x05};
#else
        static const unsigned char code[4] = {0x01, 0x00, 0x00, 0xd4};
#endif
        return memcmp((const void *)(uintptr_t)pc, code, sizeof code) == 0;
}

static uint64_t program_counter(pid_t pid)
{
        struct __ptrace_syscall_info info;

        if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
                return (uintptr_t)&is_system_call;
        return info.instruction_pointer;
}

bool step_asleep(pid_t pid)
{
        char path[32], text[256];
        const char *state;
        ssize_t n;
        int fd;

        snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (fd >= 0)
                close(fd);
        if (n <= 0)
                return false;
        text[n] = '\0';
        state = strrchr(text, ')');
        return state && state[1] == ' ' && state[2] == 'S';
}

/* ---- One child ---------------------------------------------------- */

static _Noreturn void child(const struct step_script *s)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (s->set_up() != 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
                _exit(1);
        kill(getpid(), SIGSTOP);
        marks->begun = 1;
        marks->result = s->call();
        marks->ended = 1;
        for (;;)
                kill(getpid(), SIGSTOP);
}

static int resume(pid_t pid, enum __ptrace_request how)
{
        int status;

        if (ptrace(how, pid, NULL, NULL) != 0 || waitpid(pid, &status, 0) != pid)
                return LOST;
        return WIFSTOPPED(status) ? STOPPED : LOST;
}

/* A call that still sleeps this many milliseconds after its wake-up. */
#define WAKE_MS 2000

/* The same over a system call that may sleep. Without wake: ASLEEP, and
 * there it stays. */
static int resume_sleeper(pid_t pid, enum __ptrace_request how, void (*wake)(void), bool *slept)
{
        const struct timespec moment = {0, 1000000};
        unsigned woken = 0;
        int status;
        pid_t r;

        if (ptrace(how, pid, NULL, NULL) != 0)
                return LOST;
        while ((r = waitpid(pid, &status, WNOHANG)) == 0) {
                if (!step_asleep(pid)) {
                        sched_yield();
                        continue;
                }
                *slept = true;
                if (!wake)
                        return ASLEEP;
                if (woken == 0)
                        wake();
                if (woken++ == WAKE_MS)
                        return LOST; /* it is not to be woken */
                nanosleep(&moment, NULL);
        }
        return r == pid && WIFSTOPPED(status) ? STOPPED : LOST;
}

static int reap(pid_t pid)
{
        int status;

        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) == pid)
                if (WIFSIGNALED(status))
                        return WTERMSIG(status) == SIGKILL ? 0 : -1;
                else if (WIFEXITED(status))
                        return -1;
        return -1;
}

/* A child that is stopped before the first instruction of the call. */
static pid_t start(const struct step_script *s)
{
        int status;
        pid_t pid;

        marks->begun = marks->ended = 0;
        pid = fork();
        if (pid == 0)
                child(s);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
                return -1;
        if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) == 0 &&
            (!s->ready || s->ready() == 0)) {
                while (!marks->begun && resume(pid, PTRACE_SINGLESTEP) == STOPPED)
                        continue;
                if (marks->begun)
                        return pid;
        }
        reap(pid);
        return -1;
}

/* ---- The calls ---------------------------------------------------- */

static int count(struct map *map, const struct step_script *s)
{
        const pid_t pid = start(s);
        int r = pid < 0 ? LOST : STOPPED;

        memset(map, 0, sizeof *map);
        while (r == STOPPED && !marks->ended) {
                const uint64_t pc = program_counter(pid);

                if (map->steps == STEPS_MAX || map->calls == CALLS_MAX) {
                        r = LOST;
                } else if (!is_system_call(pc)) {
                        r = resume(pid, PTRACE_SINGLESTEP);
                } else {
                        map->call[map->calls].at = map->steps;
                        r = s->wake ? resume_sleeper(pid, PTRACE_SINGLESTEP, s->wake,
                                                     &map->call[map->calls].sleeps)
                                    : resume(pid, PTRACE_SINGLESTEP);
                        map->calls++;
                }
                if (r == STOPPED)
                        map->pc[map->steps++] = pc;
        }
        return pid > 0 && reap(pid) == 0 && r == STOPPED ? 0 : -1;
}

/* What became of running to an instruction. */
enum { REACHED, MISSED, IMPOSSIBLE };

/* Runs on to an instruction, by a breakpoint. Missed: the call went
 * another way, as one that reads the clock may; it stands at its next
 * system call. Impossible here: nothing has happened. */
static int run_to(pid_t pid, uint64_t pc)
{
#if defined __x86_64__
        const uint64_t breakpoint = 0xcc, mask = 0xff;
        void *at = (void *)(uintptr_t)pc;
        long text;

        errno = 0;
        text = ptrace(PTRACE_PEEKTEXT, pid, at, NULL);
        if (errno || ptrace(PTRACE_POKETEXT, pid, at, ((uint64_t)text & ~mask) | breakpoint) != 0)
                return IMPOSSIBLE;
        if (resume(pid, PTRACE_SYSCALL) != STOPPED || marks->ended ||
            program_counter(pid) != pc + 1)
                return MISSED;
        if (ptrace(PTRACE_POKETEXT, pid, at, text) != 0 ||
            ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rip), pc) != 0)
                return MISSED;
        return REACHED;
#else
        (void)pid, (void)pc;
        return IMPOSSIBLE;
#endif
}

/* The last instruction from `done` to k that is not executed before,
 * counted from `done`. */
static unsigned last_fresh(const struct map *map, unsigned done, unsigned k)
{
        for (unsigned at = k < map->steps ? k : map->steps - 1; at > done; at--) {
                unsigned i = done;

                while (map->pc[i] != map->pc[at])
                        i++;
                if (i == at)
                        return at;
        }
        return done;
}

/* From system call to system call as far as that leads, then to a
 * breakpoint, then step by step. */
static int go(pid_t pid, const struct step_script *s, const struct map *map, unsigned k)
{
        int r = STOPPED;
        unsigned done = 0, fresh;
        bool slept;

        for (unsigned i = 0; i < map->calls && map->call[i].at < k; i++) {
                r = resume(pid, PTRACE_SYSCALL);
                if (r != STOPPED || marks->ended)
                        return r;
                r = s->wake ? resume_sleeper(pid, PTRACE_SYSCALL, s->wake, &slept)
                            : resume(pid, PTRACE_SYSCALL);
                if (r != STOPPED)
                        return r;
                done = map->call[i].at + 1;
        }
        fresh = last_fresh(map, done, k);
        if (fresh > done) {
                const int end = run_to(pid, map->pc[fresh]);

                if (end == MISSED)
                        return STOPPED; /* a place to die as good as any */
                if (end == REACHED)
                        done = fresh;
        }
        for (; r == STOPPED && !marks->ended && done < k; done++)
                r = s->wake && is_system_call(program_counter(pid))
                            ? resume_sleeper(pid, PTRACE_SINGLESTEP, s->wake, &slept)
                            : resume(pid, PTRACE_SINGLESTEP);
        return r;
}

/* Kills a fresh child after k instructions, or asleep in the system call
 * that comes there. 0 or -1. */
static int kill_at(struct step_death *d, const struct step_script *s, const struct map *map,
                   unsigned k, bool asleep)
{
        const pid_t pid = start(s);
        unsigned behind = 0; /* the system call before */
        int r = LOST;
        bool slept;

        for (unsigned i = 0; i < map->calls && map->call[i].at < k; i++)
                behind = map->call[i].at + 1;
        if (pid > 0)
                r = go(pid, s, map, asleep ? behind : k);
        if (r == STOPPED && asleep)
                r = resume(pid, PTRACE_SYSCALL);
        if (r == STOPPED) {
                d->pc = program_counter(pid);
                if (asleep && resume_sleeper(pid, PTRACE_SYSCALL, NULL, &slept) != ASLEEP)
                        r = LOST;
                d->ended = marks->ended != 0;
                d->result = marks->result;
        }
        return pid > 0 && reap(pid) == 0 && r == STOPPED ? 0 : -1;
}

/* ---- Tests -------------------------------------------------------- */

static const char *where(uint64_t pc)
{
        static char text[128];
        const char *name;
        Dl_info info;

        if (dladdr((void *)(uintptr_t)pc, &info) == 0 || !info.dli_fname)
                return "?";
        name = strrchr(info.dli_fname, '/');
        snprintf(text, sizeof text, "%s+0x%llx", name ? name + 1 : info.dli_fname,
                 (unsigned long long)(pc - (uintptr_t)info.dli_fbase));
        return text;
}

static int kill_and_check(const struct step_test *t, const struct step_frame *frame,
                          const struct map *map, unsigned k, bool asleep, struct step_death *d)
{
        int failed = frame->prepare(t->what) != 0 || kill_at(d, &t->script, map, k, asleep) != 0;

        if (failed)
                fprintf(stderr, "  the call cannot be prepared, or does not come so far\n");
        else if (d->ended && d->result != 0)
                failed = fprintf(stderr, "  the call returned %d\n", d->result) > 0;
        else
                failed = frame->check(t->what, d) != 0;
        d->turn++;
        if (!failed)
                return 0;
        fprintf(stderr, "  %s: killed %s instruction %u of %u, at %s\n", t->name,
                asleep ? "asleep in" : "behind", k, map->steps, where(d->pc));
        frame->clean();
        return 1;
}

/* At most `most` kills spread over the call, and one in each sleep. */
static int run(const struct step_test *t, const struct step_frame *frame, const struct map *map,
               unsigned most)
{
        const unsigned points = map->steps + 1, kills = points < most ? points : most;
        const int64_t begin = sluice_now_ns();
        unsigned done = 0, sleeps = 0;
        struct step_death d = {0};
        int failed = map->steps == 0 ? FAILURES : 0; /* it could not even be counted */

        /* A call may take a little longer than the one that was counted. */
        for (; failed < FAILURES && (done < kills || (kills == points && !d.ended)); done++) {
                const uint64_t k = kills > 1 ? (uint64_t)done * map->steps / (kills - 1) : 0;

                failed += kill_and_check(t, frame, map, (unsigned)k, false, &d);
        }
        for (unsigned n = 0; n < map->calls && failed < FAILURES; n++) {
                if (!map->call[n].sleeps)
                        continue;
                failed += kill_and_check(t, frame, map, map->call[n].at, true, &d);
                sleeps++;
        }
        printf("%-34s %6u instructions %6u kills %2u asleep %6.1f s  %s\n", t->name, map->steps,
               done, sleeps, (double)(sluice_now_ns() - begin) / 1e9, failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed != 0;
}

/* How many kills a test may have, so that all together have so many: the
 * short ones are killed everywhere. */
static unsigned share(const struct map *maps, unsigned n, uint64_t kills)
{
        unsigned most = 0;
        uint64_t sum = 0;

        while (sum < kills && most <= STEPS_MAX) {
                most++;
                sum = 0;
                for (unsigned i = 0; i < n; i++)
                        sum += maps[i].steps < most ? maps[i].steps + 1 : most;
        }
        return most;
}

unsigned step_run(const struct step_test *tests, unsigned n, const struct step_frame *frame,
                  uint64_t kills, const char *only, unsigned *passed)
{
        struct map *maps = calloc(n, sizeof *maps);
        unsigned failed = 0, most;

        *passed = 0;
        if (!maps)
                return n;
        for (unsigned i = 0; i < n; i++) {
                if (!strstr(tests[i].name, only))
                        continue;
                if (frame->prepare(tests[i].what) != 0 || count(&maps[i], &tests[i].script) != 0)
                        maps[i].steps = 0;
                frame->clean();
        }
        most = share(maps, n, kills);
        for (unsigned i = 0; i < n; i++) {
                if (!strstr(tests[i].name, only))
                        continue;
                if (run(&tests[i], frame, &maps[i], most) == 0)
                        ++*passed;
                else
                        failed++;
        }
        free(maps);
        return failed;
}

/* ---- What is left ------------------------------------------------- */

struct step_census step_census(void)
{
        const char *directory = getenv("SLUICE_DIR");
        DIR *dir = directory ? opendir(directory) : NULL;
        struct step_census now = {0};
        const struct dirent *entry;
        struct shm_info shm;
        struct seminfo sem;

        if (dir) {
                while ((entry = readdir(dir)) != NULL)
                        now.entries += entry->d_name[0] != '.';
                closedir(dir);
        }
        if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm) >= 0)
                now.segments = shm.used_ids;
        if (semctl(0, 0, SEM_INFO, &sem) >= 0)
                now.sets = sem.semusz;
        now.descriptor = dup(STDOUT_FILENO);
        close(now.descriptor);
        return now;
}

void step_wipe(void)
{
        struct shmid_ds shm;
        struct semid_ds sem;
        struct shm_info info;
        union {
                int val;
                struct semid_ds *buf;
        } arg = {.buf = &sem};
        const int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);
        struct seminfo sets;
        const int last_set = semctl(0, 0, SEM_INFO, &sets);

        for (int i = 0; alone && i <= last; i++)
                shmctl(shmctl(i, SHM_STAT, &shm), IPC_RMID, NULL);
        for (int i = 0; alone && i <= last_set; i++)
                semctl(semctl(i, 0, SEM_STAT, arg), 0, IPC_RMID);
}

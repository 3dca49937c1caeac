/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "step.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

/* Seen by parent and child: a store to it is all that marks the first
 * and the last instruction. */
static struct {
        volatile int begun, ended, result;
} *marks;

/* Where a child stands when it is stopped. */
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
        static const unsigned char code[2] = { 0x0f, 0x05 };
#else
        static const unsigned char code[4] = { 0x01, 0x00, 0x00, 0xd4 };
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
                pause();
}

static int resume(pid_t pid, enum __ptrace_request how)
{
        int status;

        if (ptrace(how, pid, NULL, NULL) != 0 || waitpid(pid, &status, 0) != pid)
                return LOST;
        return WIFSTOPPED(status) ? STOPPED : LOST;
}

/* The same over a system call that may sleep. Without wake: ASLEEP, and
 * there it stays. */
static int resume_sleeper(pid_t pid, enum __ptrace_request how, void (*wake)(void), bool *slept)
{
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
                wake();
                r = waitpid(pid, &status, 0);
                break;
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

/* A child that stands before the first instruction of the call. */
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

int step_count(struct step_map *map, const struct step_script *s)
{
        const pid_t pid = start(s);
        int r = pid < 0 ? LOST : STOPPED;

        memset(map, 0, sizeof *map);
        while (r == STOPPED && !marks->ended) {
                if (!is_system_call(program_counter(pid))) {
                        r = resume(pid, PTRACE_SINGLESTEP);
                } else if (map->calls == STEP_CALLS_MAX) {
                        r = LOST;
                } else {
                        map->call[map->calls].at = map->steps;
                        r = s->wake ? resume_sleeper(pid, PTRACE_SINGLESTEP, s->wake,
                                                     &map->call[map->calls].sleeps)
                                    : resume(pid, PTRACE_SINGLESTEP);
                        map->calls++;
                }
                map->steps++;
        }
        return pid > 0 && reap(pid) == 0 && r == STOPPED ? 0 : -1;
}

/* From system call to system call as far as that leads, then step by
 * step. */
static int go(pid_t pid, const struct step_script *s, const struct step_map *map, unsigned k)
{
        int r = STOPPED;
        unsigned done = 0;
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
        for (; r == STOPPED && !marks->ended && done < k; done++)
                r = s->wake && is_system_call(program_counter(pid))
                            ? resume_sleeper(pid, PTRACE_SINGLESTEP, s->wake, &slept)
                            : resume(pid, PTRACE_SINGLESTEP);
        return r;
}

int step_kill(struct step_death *d, const struct step_script *s, const struct step_map *map,
              unsigned k, bool asleep)
{
        const pid_t pid = start(s);
        int r = pid < 0 ? LOST : go(pid, s, map, k);
        bool slept;

        if (r == STOPPED) {
                d->pc = program_counter(pid);
                if (asleep && resume_sleeper(pid, PTRACE_SINGLESTEP, NULL, &slept) != ASLEEP)
                        r = LOST;
                d->ended = marks->ended != 0;
                d->result = marks->result;
        }
        return pid > 0 && reap(pid) == 0 && r == STOPPED ? 0 : -1;
}

/* ---- For reports -------------------------------------------------- */

const char *step_where(uint64_t pc)
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

struct step_census step_census(void)
{
        const char *folder = getenv("SLUICE_DIR");
        DIR *dir = folder ? opendir(folder) : NULL;
        struct step_census now = { 0 };
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

/* SPDX-License-Identifier: MIT */
/*
 * Creating and removing queues: by many processes at once, by processes that
 * are killed, and beside objects of other programs:
 *
 *   rounds     64 processes create the same name at the same moment: one
 *              wins; each sends a message, all of them arrive once; all
 *              remove: one wins, nothing is left
 *   free       the same without barriers: a queue that is found is
 *              complete, every error is a documented one, and as
 *              many removals succeed as creations
 *   killed     creators and removers die at random moments; the next
 *              create works, and nothing is left
 *   collision  foreign objects under the first keys of the directory
 *   stale      removed and made again under an open handle
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "census.h"
#include "traffic.h"

enum { PROCESSES = 64, ROUNDS = 1000, KILLS = 600, PROJECTS = 16, ERRORS = 200 };

struct arena {
        pthread_barrier_t barrier;
        atomic_ulong created, removed, sent, opened, failed;
        atomic_ulong errors[4][ERRORS]; /* by call: how often each was returned */
};

enum { CREATE, OPEN, SEND, REMOVE };

static struct arena *arena;
static char path[700], runtime[600];
static const char *name;

static void pause_ns(long ns)
{
        const struct timespec t = {0, ns};

        nanosleep(&t, NULL);
}

static int fail(const char *what, long long got)
{
        if (atomic_fetch_add(&arena->failed, 1) < 10)
                fprintf(stderr, "%s: %s (%lld%s%s)\n", name, what, got, got < 0 ? ": " : "",
                        got < 0 ? sluice_strerror((ssize_t)got) : "");
        return 1;
}

/* Segments, sets and entries of SLUICE_DIR: how many there are. */
static int left(void)
{
        DIR *dir = opendir(runtime);
        struct census now;
        int n = -2;

        if (!dir || census_ipc(&now) != 0) {
                perror("cannot count what is there");
                exit(2);
        }
        while (readdir(dir))
                n++;
        closedir(dir);
        return n + now.segments + now.sets;
}

static bool count_error(int call, int r, const short *documented)
{
        atomic_fetch_add(&arena->errors[call][-r % ERRORS], 1);
        while (*documented && -*documented != r)
                documented++;
        return *documented != 0;
}

static const short create_may[] = {EEXIST, EBUSY, 0};
static const short open_may[] = {ENOENT, EBUSY, EINPROGRESS, 0};
static const short send_may[] = {EAGAIN, ESTALE, EOWNERDEAD, EPIPE, 0};
static const short remove_may[] = {ENOENT, EBUSY, 0};

/* ---- Rounds ------------------------------------------------------- */

static int send_once(uint32_t number)
{
        struct sluice_producer p;
        int r;

        while ((r = sluice_producer_open(&p, name, NULL)) == -EBUSY)
                pause_ns(200000);
        if (r)
                return fail("open", r);
        r = sluice_send(&p, &number, sizeof number, SLUICE_NOW);
        if (r)
                fail("send", r);
        return sluice_producer_close(&p);
}

static int receive_all(void)
{
        struct sluice_consumer c;
        uint64_t seen = 0;
        uint32_t number;
        int r = sluice_consumer_open(&c, name, NULL);

        if (r)
                return fail("open", r);
        for (int i = 0; i < PROCESSES; i++) {
                if (sluice_recv(&c, &number, sizeof number, SLUICE_NOW) != sizeof number)
                        return fail("a message is missing", i);
                seen |= UINT64_C(1) << number;
        }
        if (seen != UINT64_MAX || sluice_recv(&c, &number, 4, SLUICE_NOW) >= 0)
                fail("not every message once", (long long)seen);
        return sluice_consumer_close(&c);
}

static int one_round(uint32_t number)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        int r;

        o.capacity = 16384;
        pthread_barrier_wait(&arena->barrier);
        r = sluice_create(name, &o);
        if (r == 0)
                atomic_fetch_add(&arena->created, 1);
        else if (r != -EEXIST && !(r == -EBUSY && *name == 'k'))
                fail("create", r); /* a bare key has no directory to wait for */
        pthread_barrier_wait(&arena->barrier);
        send_once(number);
        pthread_barrier_wait(&arena->barrier);
        if (r == 0)
                receive_all();
        pthread_barrier_wait(&arena->barrier);
        r = sluice_remove(name);
        if (r == 0)
                atomic_fetch_add(&arena->removed, 1);
        else if (r != -ENOENT && !(r == -EBUSY && *name == 'k'))
                fail("remove", r);
        return 0;
}

static int rounds(uint32_t number, uint64_t n, uint64_t random)
{
        (void)random;
        for (uint64_t i = 1; i <= n && atomic_load(&arena->failed) == 0; i++) {
                one_round(number);
                pthread_barrier_wait(&arena->barrier);
                if (number == 0 && (atomic_load(&arena->created) != i ||
                                    atomic_load(&arena->removed) != i || left() != 0))
                        fail("not one winner, or something left", left());
        }
        return 0;
}

/* ---- Free for all ------------------------------------------------- */

static int free_for_all(uint32_t number, uint64_t n, uint64_t random)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;
        int r;

        (void)number;
        o.capacity = 4096;
        for (uint64_t i = 0; i < n; i++) {
                r = sluice_create(name, &o);
                if (r == 0)
                        atomic_fetch_add(&arena->created, 1);
                else if (!count_error(CREATE, r, create_may))
                        fail("create", r);
                r = sluice_producer_open(&p, name, NULL);
                if (r == 0) {
                        atomic_fetch_add(&arena->opened, 1);
                        r = sluice_send(&p, "message", 7, SLUICE_NOW);
                        if (r && !count_error(SEND, r, send_may))
                                fail("send", r);
                        sluice_producer_close(&p);
                } else if (!count_error(OPEN, r, open_may)) {
                        fail("open", r);
                }
                if (traffic_random(&random) % 4 == 0)
                        continue;
                r = sluice_remove(name);
                if (r == 0)
                        atomic_fetch_add(&arena->removed, 1);
                else if (!count_error(REMOVE, r, remove_may))
                        fail("remove", r);
        }
        return 0;
}

typedef int process_body(uint32_t number, uint64_t n, uint64_t random);

static int run_processes(const char *what, process_body *body, const char *queue, uint64_t n,
                         uint64_t seed)
{
        pthread_barrierattr_t shared;
        int status, failed = 0;

        memset(arena, 0, sizeof *arena);
        name = queue;
        pthread_barrierattr_init(&shared);
        pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
        pthread_barrier_init(&arena->barrier, &shared, PROCESSES);
        fflush(stdout);
        for (uint32_t i = 0; i < PROCESSES; i++) {
                const uint64_t random = traffic_random(&seed);

                if (fork() == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        _exit(body(i, n, random));
                }
        }
        while (wait(&status) > 0)
                failed |= status != 0;
        if (sluice_remove(name) == 0)
                atomic_fetch_add(&arena->removed, 1);
        failed |= left() != 0 || atomic_load(&arena->failed) != 0 ||
                  atomic_load(&arena->created) > atomic_load(&arena->removed);
        /* The set that a creator has just made under a bare key looks like
         * a dead one's: to remove it counts, and the creator begins again. */
        failed |= *queue != 'k' && atomic_load(&arena->created) != atomic_load(&arena->removed);
        printf("%s, %s: %llu rounds of %d, %lu created, %lu removed, %lu opened", what,
               *queue == '/' ? "path" : queue, (unsigned long long)n, PROCESSES,
               atomic_load(&arena->created), atomic_load(&arena->removed),
               atomic_load(&arena->opened));
        for (int e = 0; e < ERRORS; e++)
                if (atomic_load(&arena->errors[OPEN][e]))
                        printf(", %s %lu", strerrorname_np(e),
                               atomic_load(&arena->errors[OPEN][e]));
        printf(", %d left  %s\n", left(), failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

/* ---- Killed creators and removers --------------------------------- */

static int works(void)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;
        struct sluice_consumer c;
        char buf[16];
        int r;

        o.flags = SLUICE_CREATE;
        o.capacity = 4096;
        if ((r = sluice_producer_open(&p, name, &o)) != 0 ||
            (r = sluice_consumer_open(&c, name, NULL)) != 0)
                return fail("open", r);
        if ((r = sluice_send(&p, "message", 7, SLUICE_NOW)) != 0 ||
            (r = (int)sluice_recv(&c, buf, sizeof buf, SLUICE_NOW)) != 7)
                return fail("traffic", r);
        sluice_producer_close(&p);
        sluice_consumer_close(&c);
        return 0;
}

static int killed(const char *queue, uint64_t seed)
{
        const uint64_t n = traffic_scale(KILLS);
        int r = 0, status = 0;

        memset(arena, 0, sizeof *arena);
        name = queue;
        for (uint64_t i = 0; i < n && r == 0; i++) {
                const pid_t pid = fork();

                if (pid == 0) {
                        while (sluice_create(name, NULL) == 0)
                                sluice_remove(name);
                        _exit(1);
                }
                pause_ns((long)(traffic_random(&seed) % 600000));
                kill(pid, SIGKILL);
                waitpid(pid, &status, 0);
                r = WIFSIGNALED(status) ? works() : fail("create", status);
                if (r == 0 && (r = sluice_remove(name)) != 0)
                        fail("remove", r);
                if (r == 0 && left() != 0)
                        r = fail("left", left());
        }
        printf("killed, %s: %llu kills, %d left  %s\n", *queue == '/' ? "path" : queue,
               (unsigned long long)n, left(), r ? "FAILED" : "ok");
        fflush(stdout);
        return r != 0;
}

/* ---- Collisions --------------------------------------------------- */

static key_t keys[PROJECTS];

static key_t key_of(int project)
{
        return keys[project - 1];
}

enum { SMALL, ZERO, GARBAGE, ANOTHER, SET, KINDS };

/* A foreign object under the key; its id. */
static int squat(int project, int kind)
{
        const size_t bytes = kind == SMALL ? 100 : 12288 + 4096;
        const struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        void *mem;
        int id;

        if (kind == SET)
                return semget(key_of(project), 5, IPC_CREAT | IPC_EXCL | 0600);
        id = shmget(key_of(project), bytes, IPC_CREAT | IPC_EXCL | 0600);
        mem = shmat(id, NULL, 0);
        if (kind == GARBAGE)
                memset(mem, 0x5a, bytes);
        if (kind == ANOTHER) { /* a queue of another directory */
                if (sluice_ring_format(mem, bytes, &g) != 0)
                        abort();
                semget(key_of(project), 3, IPC_CREAT | IPC_EXCL | 0600);
        }
        shmdt(mem);
        return id;
}

static int unsquat(int project, int id, int kind)
{
        if (kind == ANOTHER && semctl(semget(key_of(project), 0, 0), 0, IPC_RMID) != 0)
                return -1;
        return kind == SET ? semctl(id, 0, IPC_RMID) : shmctl(id, IPC_RMID, NULL);
}

/* The first `taken` keys belong to others. */
static int collide(int taken, int first_kind)
{
        int ids[PROJECTS], r = 0, kind;
        struct sluice_queue_stat st;

        mkdir(path, 0700);
        for (int i = 0; i < PROJECTS; i++)
                keys[i] = ftok(path, i + 1);
        for (int i = 0; i < taken; i++) {
                kind = (first_kind + i) % KINDS;
                ids[i] = squat(i + 1, kind);
                if (ids[i] < 0)
                        r |= fail("squat", -errno);
        }
        if (taken == PROJECTS) {
                const int e = sluice_create(name, NULL);

                if (e != -EADDRINUSE)
                        r |= fail("create with all keys taken", e);
                rmdir(path);
        } else {
                r |= works();
                if (sluice_stat(name, &st) != 0 || st.key != key_of(taken + 1))
                        r |= fail("not the first free key", st.key);
                if (sluice_remove(name) != 0)
                        r |= fail("remove", 0);
        }
        for (int i = 0; i < taken; i++)
                if (unsquat(i + 1, ids[i], (first_kind + i) % KINDS) != 0)
                        r |= fail("a foreign object is gone", i);
        if (left() != 0)
                r |= fail("left", left());
        return r;
}

static int collisions(void)
{
        int failed = 0;

        memset(arena, 0, sizeof *arena);
        name = path;
        for (int taken = 1; taken <= PROJECTS; taken++)
                for (int kind = 0; kind < KINDS; kind++)
                        failed |= collide(taken, kind);
        printf("collision: %d arrangements of foreign objects  %s\n", PROJECTS * KINDS,
               failed ? "FAILED" : "ok");
        return failed;
}

/* ---- Removed and made again under an open handle ------------------ */

enum { BY_REMOVE, BY_SEGMENT, BY_SET, BY_BOTH, WAYS };

static int take_away(int way)
{
        struct sluice_queue_stat st;

        if (way == BY_REMOVE)
                return sluice_remove(name);
        if (sluice_stat(name, &st) != 0)
                return 1;
        if (way != BY_SET)
                shmctl(st.shmid, IPC_RMID, NULL);
        if (way != BY_SEGMENT)
                semctl(st.semid, 0, IPC_RMID);
        return 0;
}

/* A sleeper that finds its queue removed within a slice; exit code 0 is right. */
static pid_t sleeper(int wake)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_consumer c;
        const pid_t pid = fork();
        char buf[16];

        if (pid != 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(100);
        o.wake = wake;
        o.slice_ns = 20000000;
        if (sluice_consumer_open(&c, name, &o) != 0)
                _exit(2);
        _exit(sluice_recv(&c, buf, sizeof buf, SLUICE_FOREVER) == -ESTALE ? 0 : 1);
}

static int stale_once(int way, int wake)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_queue_stat st = {0};
        struct sluice_producer p;
        pid_t pid;
        int r, status, failed = 0;

        o.capacity = 256;
        o.slice_ns = 1000000;
        if (sluice_create(name, &o) != 0 || sluice_producer_open(&p, name, &o) != 0)
                return fail("open", 0);
        pid = sleeper(wake);
        while (sluice_stat(name, &st) == 0 && !st.consumer.asleep)
                pause_ns(1000000);
        if (take_away(way) != 0 || (r = sluice_create(name, &o)) != 0)
                failed |= fail("cannot be made again", way);
        if (waitpid(pid, &status, 0) != pid || status != 0)
                failed |= fail("the sleeper has not got -ESTALE", status);
        while ((r = sluice_send(&p, "message", 7, sluice_after(5000000000))) == 0)
                continue;
        if (r != -ESTALE)
                failed |= fail("the producer has not got -ESTALE", r);
        sluice_producer_close(&p);
        failed |= works(); /* both roles are free */
        if (sluice_remove(name) != 0 || left() != 0)
                failed |= fail("left", left());
        return failed;
}

static int stale(const char *queue)
{
        int failed = 0;

        memset(arena, 0, sizeof *arena);
        name = queue;
        for (int way = 0; way < WAYS; way++)
                for (int wake = 0; wake < (*queue == 'k' ? 1 : 2); wake++)
                        failed |= stale_once(way, wake);
        printf("stale, %s: taken away in %d ways  %s\n", *queue == '/' ? "path" : queue, WAYS,
               failed ? "FAILED" : "ok");
        return failed;
}

int main(int argc, char **argv)
{
        static const char key[] = "key:0x51c0c0";
        const uint64_t share = traffic_scale(ROUNDS) / 4 + 1;
        uint64_t seed = traffic_seed(argc, argv);
        int failed = 0;

        arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
        snprintf(runtime, sizeof runtime, "%s", getenv("SLUICE_DIR"));
        snprintf(path, sizeof path, "%s/q", runtime);
        failed += run_processes("rounds", rounds, path, 2 * share, traffic_random(&seed));
        failed += run_processes("rounds", rounds, key, share, traffic_random(&seed));
        failed += run_processes("free", free_for_all, path, share, traffic_random(&seed));
        failed += run_processes("free", free_for_all, key, share, traffic_random(&seed));
        failed += killed(path, traffic_random(&seed));
        failed += killed(key, traffic_random(&seed));
        failed += collisions();
        failed += stale(path);
        failed += stale(key);
        /* The user's directory is made and removed, too. */
        setenv("XDG_RUNTIME_DIR", runtime, 1);
        unsetenv("SLUICE_DIR");
        failed += run_processes("rounds", rounds, "word", share, traffic_random(&seed));
        failed += run_processes("free", free_for_all, "word", share, traffic_random(&seed));
        failed += killed("word", traffic_random(&seed));
        printf("%d passed, %d failed\n", 12 - failed, failed);
        return failed != 0;
}

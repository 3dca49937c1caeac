/* SPDX-License-Identifier: MIT */
/*
 * cost: what a queue, its ends and groups take of the system, as the rows of the
 * tables in doc/operation.md; limits.sh compares. It makes each thing and counts the
 * difference, so it needs a System V namespace and a directory of its own:
 * $SLUICE_DIR.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <sluice.h>
#include <sluice/group.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENTS, PAGES, SETS, SEMAPHORES, DESCRIPTORS, EPOLL, INOTIFY, MAPPINGS, THREADS, KINDS };

static long count_before[KINDS];
static size_t operations; /* most of any semop(2) */

int __real_semop(int id, struct sembuf *ops, size_t n);
int __wrap_semop(int id, struct sembuf *ops, size_t n);

int __wrap_semop(int id, struct sembuf *ops, size_t n)
{
        if (n > operations)
                operations = n;
        return __real_semop(id, ops, n);
}

static void must(long r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "cost: %s: %s\n", what, sluice_strerror((int)r));
        exit(1);
}

/* How many lines of this file of /proc/self contain the text. */
static long lines_with(const char *file, const char *text)
{
        char path[320], line[4300];
        long n = 0;
        FILE *f;

        snprintf(path, sizeof path, "/proc/self/%s", file);
        f = fopen(path, "re");
        if (!f)
                return 0; /* the descriptor of the directory that is being read */
        while (fgets(line, sizeof line, f))
                n += strstr(line, text) != NULL;
        fclose(f);
        return n;
}

/* Entries of a directory of /proc/self; of fdinfo also what is in them. */
static long entries(const char *name, long count[KINDS])
{
        char path[64], file[300];
        long n = 0;
        DIR *dir;

        snprintf(path, sizeof path, "/proc/self/%s", name);
        dir = opendir(path);
        if (!dir)
                must(-errno, path);
        for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
                if (e->d_name[0] == '.')
                        continue;
                n++;
                snprintf(file, sizeof file, "%s/%s", name, e->d_name);
                if (count) {
                        count[EPOLL] += lines_with(file, "tfd:");
                        count[INOTIFY] += lines_with(file, "inotify wd:");
                }
        }
        closedir(dir);
        return n;
}

static void count_all(long count[KINDS])
{
        struct shm_info shm;
        struct seminfo sem;
        union {
                int val;
                struct seminfo *info;
        } arg = {.info = &sem};

        memset(count, 0, KINDS * sizeof *count);
        if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm) < 0 ||
            semctl(0, 0, SEM_INFO, arg) < 0)
                must(-errno, "counting");
        count[SEGMENTS] = shm.used_ids;
        count[PAGES] = (long)shm.shm_tot;
        count[SETS] = sem.semusz;
        count[SEMAPHORES] = sem.semaem;
        count[DESCRIPTORS] = entries("fdinfo", count);
        count[MAPPINGS] = lines_with("maps", "/SYSV");
        count[THREADS] = entries("task", NULL);
}

/* What came since the last row. */
static void row(const char *what)
{
        long now[KINDS];

        count_all(now);
        printf("| %s |", what);
        for (int i = 0; i < KINDS; i++)
                if (i != PAGES)
                        printf(" %ld |", now[i] - count_before[i]);
        putchar('\n');
        memcpy(count_before, now, sizeof now);
}

/* What comes before the next row belongs to none. */
static void next(void)
{
        count_all(count_before);
}

static void ends(void)
{
        const struct sluice_options fifo = {.size = sizeof fifo, .wake = SLUICE_WAKE_FIFO};
        static struct sluice_producer p;
        static struct sluice_consumer c;

        must(sluice_create("ends", NULL), "create");
        next();
        must(sluice_producer_open(&p, "ends", NULL), "open");
        row("its producer");
        must(sluice_consumer_open(&c, "ends", NULL), "open");
        row("its consumer");
        must(sluice_producer_close(&p), "close");
        must(sluice_consumer_close(&c), "close");
        next();
        must(sluice_consumer_open(&c, "ends", &fifo), "open");
        must(sluice_consumer_fd(&c), "descriptor");
        row("an end with `SLUICE_WAKE_FIFO`, its descriptor polled");
        must(sluice_consumer_close(&c), "close");
        must(sluice_remove("ends"), "remove");
}

/* Stops when this member has joined. */
static int until_joined(void *ctx, struct sluice_member *m, enum sluice_event event,
                        const struct sluice_message *message)
{
        (void)message;
        return event == SLUICE_JOINED && strcmp(sluice_member_name(m), ctx) == 0;
}

/* A second is enough, and the row is wrong if it was not. */
static long serve_until_joined(struct sluice_group *g, const char *name)
{
        char wanted[4200];

        snprintf(wanted, sizeof wanted, "%s", name);
        return sluice_group_serve(g, until_joined, wanted, SIZE_MAX, sluice_after(1000000000));
}

/* A directory of $SLUICE_DIR, and a name in it. */
static const char *in(const char *directory, const char *name)
{
        static char path[4200];

        snprintf(path, sizeof path, "%s/%s%s", getenv("SLUICE_DIR"), directory, name);
        return path;
}

static void groups(void)
{
        const struct sluice_options create = {.size = sizeof create, .flags = SLUICE_CREATE};
        struct sluice_group *g;
        static struct sluice_channel ch;

        must(sluice_create("member", NULL), "create");
        must(mkdir(in("queues", ""), 0700) + mkdir(in("calls", ""), 0700), "mkdir");
        next();
        must(sluice_group_create(&g, NULL), "group");
        row("a group");
        must(sluice_group_add(g, "member", NULL, NULL, NULL), "add");
        row("a member");
        must(sluice_group_watch(g, in("queues", ""), 0, NULL), "watch");
        row("the first directory that it watches");
        must(sluice_group_watch(g, in("calls", ""), SLUICE_WATCH_CHANNELS, NULL), "watch");
        row("each further one");
        must(sluice_channel_open(&ch, in("calls", "/one"), SLUICE_CLIENT, &create), "channel");
        next();
        must(serve_until_joined(g, in("calls", "/one/request")), "serve");
        row("a member that is a channel");
        must(sluice_channel_close(&ch), "close");
        must(sluice_group_destroy(g), "destroy");
        next();
        must(sluice_channel_open(&ch, in("calls", "/one"), SLUICE_CLIENT, &create), "channel");
        row("a client of a channel");
        must(sluice_channel_close(&ch), "close");
        must(sluice_remove("member"), "remove");
        must(sluice_channel_remove(in("calls", "/one")), "remove");
        must(rmdir(in("queues", "")) + rmdir(in("calls", "")), "rmdir");
}

/* The number behind this word of /proc/self/status. */
static long status(const char *word)
{
        char line[200];
        long n = -ENOENT;
        FILE *f = fopen("/proc/self/status", "re");

        if (!f)
                must(-errno, "status");
        while (n < 0 && fgets(line, sizeof line, f))
                if (strncmp(line, word, strlen(word)) == 0)
                        n = atol(line + strlen(word));
        fclose(f);
        must(n, word);
        return n;
}

/* What one queue with the defaults takes of each limit: `name number`. */
static void limits(void)
{
        const struct sluice_options lock = {.size = sizeof lock, .flags = SLUICE_LOCK};
        static struct sluice_producer p;
        struct sluice_queue_stat st;
        struct shmid_ds segment;
        struct semid_ds set;
        long count[KINDS];
        union {
                int val;
                struct semid_ds *ds;
        } arg = {.ds = &set};

        next();
        must(sluice_create("limits", NULL), "create");
        count_all(count);
        must(sluice_stat("limits", &st), "stat");
        must(sluice_producer_open(&p, "limits", &lock), "open");
        if (shmctl(st.shmid, IPC_STAT, &segment) < 0 || semctl(st.semid, 0, IPC_STAT, arg) < 0)
                must(-errno, "IPC_STAT");
        printf("kernel.shmmni %ld\n", count[SEGMENTS] - count_before[SEGMENTS]);
        printf("kernel.shmall %ld\n", count[PAGES] - count_before[PAGES]);
        printf("kernel.shmmax %zu\n", segment.shm_segsz);
        printf("semmsl %lu\n", (unsigned long)set.sem_nsems);
        printf("semmns %ld\n", count[SEMAPHORES] - count_before[SEMAPHORES]);
        printf("semopm %zu\n", operations);
        printf("semmni %ld\n", count[SETS] - count_before[SETS]);
        printf("RLIMIT_MEMLOCK %ld\n", 1024 * status("VmLck:"));
        must(sluice_producer_close(&p), "close");
        must(sluice_remove("limits"), "remove");
}

int main(void)
{
        next();
        must(sluice_create("queue", NULL), "create");
        row("a queue");
        must(sluice_remove("queue"), "remove");
        ends();
        groups();
        limits();
        return 0;
}

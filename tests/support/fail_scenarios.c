/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fail_scenarios.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject.h"
#include "sluice.h"

#define PATH_ERRORS  EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM
#define LIMIT_ERRORS EMFILE, ENFILE, ENOMEM

static const short create_errors[] = {PATH_ERRORS, LIMIT_ERRORS, EEXIST, EINVAL, ERANGE,
                                      EFBIG,       EADDRINUSE,   ENOSPC, EBUSY,  0};
static const short open_errors[] = {PATH_ERRORS, LIMIT_ERRORS,    EBUSY,   EPROTO,
                                    EPROTOTYPE,  EPROTONOSUPPORT, EBADMSG, EINPROGRESS,
                                    EINVAL,      EOPNOTSUPP,      ENOSPC,  0};
static const short open_create_errors[] = {PATH_ERRORS, LIMIT_ERRORS,    EBUSY,   EPROTO,
                                           EPROTOTYPE,  EPROTONOSUPPORT, EBADMSG, EINPROGRESS,
                                           EINVAL,      EOPNOTSUPP,      ERANGE,  EFBIG,
                                           EADDRINUSE,  ENOSPC,          0};
static const short remove_errors[] = {PATH_ERRORS, LIMIT_ERRORS, EBUSY, 0};
static const short reap_errors[] = {PATH_ERRORS, LIMIT_ERRORS, EBUSY, ESTALE, 0};
static const short look_errors[] = {PATH_ERRORS,     LIMIT_ERRORS, EPROTO,      EPROTOTYPE,
                                    EPROTONOSUPPORT, EBADMSG,      EINPROGRESS, 0};
static const short wait_errors[] = {ETIMEDOUT, EAGAIN, ESTALE, ECANCELED, EOWNERDEAD, 0};
static const short no_errors[] = {0};
static const short new_errors[] = {ENOMEM, 0};
/* Without its timer, or its own pipe, an armed endpoint might not wake. */
static const short arm_errors[] = {LIMIT_ERRORS, PATH_ERRORS, EINVAL, EPROTO, ENOSPC, 0};

static struct sluice_producer p, p2;
static struct sluice_consumer c, c2;
static struct sluice_channel client, server;
static char name[600], directory[600], name2[608];
static bool is_channel;       /* name is one's */
static const char *given_dir; /* SLUICE_DIR */
static struct sluice_options options;
static struct sluice_queue_stat shown; /* by sluice_list */

static void reset(const char *what)
{
        const struct sluice_options o = SLUICE_OPTIONS_INIT;

        if (!given_dir)
                given_dir = strdup(getenv("SLUICE_DIR"));
        options = o;
        options.capacity = 4096;
        options.slice_ns = 500000;
        options.spin_ns = SLUICE_SPIN_NONE;
        directory[0] = '\0';
        is_channel = false;
        shown = (struct sluice_queue_stat){.shmid = -1, .semid = -1};
        if (*what == '/')
                snprintf(name, sizeof name, "%s%s", given_dir, what);
        else
                snprintf(name, sizeof name, "%s", what);
        if (strncmp(what, "key:", 4) != 0)
                snprintf(directory, sizeof directory, "%s/%s", given_dir, what + (*what == '/'));
}

int fail_unprepared;

/* Nothing fails on purpose yet. */
static void must(int r)
{
        if (fail_unprepared == 0)
                fail_unprepared = r;
}

/* ---- Before ------------------------------------------------------- */

static void at_path(void)
{
        reset("/q");
}

static void at_path_options(void)
{
        reset("/q");
        options.flags = SLUICE_PREFAULT;
        options.mode = 0660;
}

static void at_node(void)
{
        reset("/q");
        options.numa_node = 1;
}

static void at_word(void)
{
        reset("word");
}

static void at_runtime_dir(void)
{
        reset("word");
        unsetenv("SLUICE_DIR");
        setenv("XDG_RUNTIME_DIR", given_dir, 1);
        snprintf(directory, sizeof directory, "%s/sluice", given_dir);
}

static void at_strange_umask(void)
{
        at_runtime_dir();
        umask(0777);
}

static void at_key(void)
{
        reset("key:0x51c5eed");
}

static void make_path(void)
{
        at_path();
        must(sluice_create(name, &options));
}

static void make_runtime_dir(void)
{
        at_runtime_dir();
        must(sluice_create(name, &options));
}

static void make_key(void)
{
        at_key();
        must(sluice_create(name, &options));
}

/* What a creator leaves that is killed before its first call of this kind. */
static void killed_before(enum inject_kind kind)
{
        const pid_t pid = fork();
        int status;

        if (pid == 0) {
                inject_exit_at(kind);
                _exit(sluice_create(name, &options) == 0 ? 1 : 2);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                abort(); /* it made none */
}

/* A set without a signature. */
static void make_unsigned(void)
{
        at_path();
        killed_before(K_SEMOP_TAKE);
}

static void make_unsigned_key(void)
{
        at_key();
        killed_before(K_SEMOP_TAKE);
}

/* A signed set, a segment, one pipe, no magic. */
static void make_half(void)
{
        at_path();
        killed_before(K_FCHMODAT);
}

static void make_half_key(void)
{
        at_key();
        killed_before(K_SHMCTL_SET);
}

/* All but the end of the making. */
static void make_unfinished(void)
{
        at_path();
        killed_before(K_SEMCTL_SET);
}

/* All but the record. */
static void make_unrecorded(void)
{
        at_path();
        killed_before(K_SYMLINKAT);
}

static void make_in_empty_dir(void)
{
        at_path();
        mkdir(name, 0755);
}

/* What a remover that was killed, or ipcrm, leaves. */
static void make_without_set(void)
{
        struct sluice_queue_stat st;

        make_path();
        if (sluice_stat(name, &st) == 0)
                semctl(st.semid, 0, IPC_RMID);
}

/* The role is held by a process that has called exec. */
static void make_deserted(void)
{
        union {
                int val;
                void *pointer;
        } arg = {.val = 1};

        make_path();
        semctl(semget(ftok(name, 1), 0, 0), 1, SETVAL, arg);
}

static int show(void *ctx, const struct sluice_queue_stat *st)
{
        (void)ctx;
        if (strcmp(st->name, name) == 0)
                shown = *st;
        return 0;
}

static void show_it(void)
{
        if (sluice_list(show, NULL) != 1 || shown.shmid < 0)
                abort();
}

static void make_shown(void)
{
        make_path();
        show_it();
}

static void make_shown_key(void)
{
        make_key();
        show_it();
}

static void make_half_shown(void)
{
        make_half();
        show_it();
}

/* As rm -r does it. */
static void remove_directory(void)
{
        DIR *dir = opendir(directory);
        struct dirent *e;

        while (dir && (e = readdir(dir)) != NULL)
                if (*e->d_name != '.')
                        unlinkat(dirfd(dir), e->d_name, 0);
        if (dir)
                closedir(dir);
        rmdir(directory);
}

static void make_orphan(void)
{
        make_path();
        remove_directory();
        show_it();
}

static void rename_directory(void)
{
        make_path();
        strcat(directory, "-by-another-name");
        if (rename(name, directory) != 0)
                abort();
        strcpy(name, directory);
}

static void make_another_users(void)
{
        struct sluice_queue_stat st;
        struct shmid_ds segment;
        struct semid_ds set;
        union {
                int val;
                struct semid_ds *buf;
        } arg = {.buf = &set};

        make_path();
        if (sluice_stat(name, &st) != 0 || shmctl(st.shmid, IPC_STAT, &segment) != 0 ||
            semctl(st.semid, 0, IPC_STAT, arg) != 0)
                abort();
        segment.shm_perm.uid = set.sem_perm.uid = FAIL_OTHER_UID;
        if (shmctl(st.shmid, IPC_SET, &segment) != 0 || semctl(st.semid, 0, IPC_SET, arg) != 0 ||
            chown(directory, FAIL_OTHER_UID, FAIL_OTHER_UID) != 0)
                abort();
}

static void open_both(void)
{
        make_path();
        must(sluice_producer_open(&p, name, &options));
        must(sluice_consumer_open(&c, name, &options));
}

static void open_both_fifo(void)
{
        make_path();
        options.wake = SLUICE_WAKE_FIFO;
        must(sluice_producer_open(&p, name, &options));
        must(sluice_consumer_open(&c, name, &options));
}

static void open_alone(void)
{
        make_path();
        must(sluice_producer_open(&p, name, &options));
}

static void open_alone_fifo(void)
{
        make_path();
        options.wake = SLUICE_WAKE_FIFO;
        must(sluice_consumer_open(&c, name, &options));
}

static void fill(struct sluice_producer *to)
{
        char message[100] = "";

        while (sluice_send(to, message, sizeof message, SLUICE_NOW) == 0)
                continue;
}

static void open_full(void)
{
        open_both();
        fill(&p);
}

static void open_full_fifo(void)
{
        open_both_fifo();
        fill(&p);
}

static void pend(void)
{
        open_both();
        for (int i = 0; i < 3; i++)
                must(sluice_send(&p, "message", 7, SLUICE_NOW));
}

/* The words that a parked peer would have stored. */
static void park_consumer(struct sluice_consumer *it, uint64_t how)
{
        sluice_priv_store_relaxed(&it->own->doorbell.parked,
                                  (it->next + SLUICE_LAYOUT_HEADER_BYTES) | SLUICE_LAYOUT_PARKED |
                                          how);
}

static void consumer_parked(void)
{
        open_both();
        park_consumer(&c, 0);
}

static void consumer_parked_fifo(void)
{
        open_both_fifo();
        park_consumer(&c, SLUICE_LAYOUT_BY_FIFO);
}

static void producer_parked(void)
{
        open_full();
        sluice_priv_store_relaxed(&p.own->doorbell.parked, (p.seen + 64) | SLUICE_LAYOUT_PARKED);
}

static void both_parked_fifo(void)
{
        open_full_fifo();
        park_consumer(&c, SLUICE_LAYOUT_BY_FIFO);
}

static void at_channel(void)
{
        reset("/channel");
        is_channel = true;
}

/* What a creator leaves that is killed between the two queues. */
static void make_half_channel(void)
{
        char reply[620];

        at_channel();
        snprintf(reply, sizeof reply, "%s/reply", name);
        if (mkdir(name, 0700) != 0)
                abort();
        must(sluice_create(reply, &options));
}

static void make_channel(void)
{
        at_channel();
        must(sluice_channel_create(name, &options));
}

static void open_channel(void)
{
        make_channel();
        must(sluice_channel_open(&client, name, SLUICE_CLIENT, &options));
        must(sluice_channel_open(&server, name, SLUICE_SERVER, &options));
}

/* A server that replies to a client that is gone. */
static void make_replied(void)
{
        open_channel();
        must(sluice_reply(&server, 1, "late", 4, SLUICE_NOW));
        must(sluice_channel_close(&client));
        must(sluice_channel_close(&server));
}

static void open_fanout(void)
{
        open_both_fifo();
        snprintf(name2, sizeof name2, "%s2", name);
        must(sluice_create(name2, &options));
        must(sluice_producer_open(&p2, name2, &options));
        must(sluice_consumer_open(&c2, name2, &options));
}

static void open_fanout_full(void)
{
        open_fanout();
        fill(&p);
        fill(&p2);
}

static void fanout_parked(void)
{
        open_fanout();
        park_consumer(&c, SLUICE_LAYOUT_BY_FIFO);
        park_consumer(&c2, SLUICE_LAYOUT_BY_FIFO);
}

/* ---- The calls ---------------------------------------------------- */

static int create(void)
{
        return sluice_create(name, &options);
}

static int open_producer(void)
{
        return sluice_producer_open(&p, name, &options);
}

static int open_consumer(void)
{
        return sluice_consumer_open(&c, name, &options);
}

static int open_consumer_fifo(void)
{
        options.wake = SLUICE_WAKE_FIFO;
        options.flags = SLUICE_PREFAULT | SLUICE_LOCK;
        return sluice_consumer_open(&c, name, &options);
}

static int open_consumer_create(void)
{
        options.wake = SLUICE_WAKE_FIFO;
        options.flags = SLUICE_CREATE | SLUICE_PREFAULT | SLUICE_LOCK;
        return sluice_consumer_open(&c, name, &options);
}

/* A child may not use its parent's handle. */
static int open_and_fork(void)
{
        const int r = sluice_consumer_open(&c, name, &options);
        char buf[8];
        int status;
        pid_t pid;

        if (r)
                return r;
        pid = fork();
        if (pid == 0)
                _exit(sluice_recv(&c, buf, sizeof buf, SLUICE_NOW) == -EPERM ? 0 : 1);
        return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -ENOTRECOVERABLE;
}

static int receive(void)
{
        char buf[128];

        return (int)sluice_recv(&c, buf, sizeof buf, sluice_after(2000000));
}

static int send(void)
{
        return sluice_send(&p, "message", 7, sluice_after(2000000));
}

static int send_long(void)
{
        char message[1000] = "";

        return sluice_send(&p, message, sizeof message, sluice_after(2000000));
}

static int arm(void)
{
        const int r = sluice_consumer_arm(&c), d = sluice_consumer_disarm(&c);

        return r < 0 ? r : d;
}

static int arm_producer(void)
{
        const int r = sluice_producer_arm(&p, 1000), d = sluice_producer_disarm(&p);

        return r < 0 ? r : d;
}

static int close_both(void)
{
        const int r = sluice_producer_close(&p), s = sluice_consumer_close(&c);

        return r ? r : s;
}

static int remove_it(void)
{
        return sluice_remove(name);
}

static int reap_it(void)
{
        return sluice_reap(&shown, 0);
}

static int look_whether_to_reap(void)
{
        return sluice_reap(&shown, SLUICE_REAP_DRY_RUN);
}

static int look(void)
{
        struct sluice_queue_stat st;

        return sluice_stat(name, &st);
}

static int ignore(void *ctx, const struct sluice_queue_stat *st)
{
        (void)ctx, (void)st;
        return 0;
}

static int list(void)
{
        return sluice_list(ignore, NULL);
}

static int ignore_message(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

static int dump(void)
{
        return (int)sluice_dump(name, ignore_message, NULL);
}

static int await(void)
{
        return sluice_producer_await_peer(&p, sluice_after(2000000));
}

static int interrupt_both(void)
{
        const int r = sluice_producer_interrupt(&p), s = sluice_consumer_interrupt(&c);
        char buf[8];
        ssize_t n;

        if (r || s)
                return r ? r : s;
        n = sluice_recv(&c, buf, sizeof buf, sluice_after(2000000));
        return n == -ECANCELED ? 0 : -ENOTRECOVERABLE;
}

static int enable(void)
{
        static _Alignas(128) unsigned char memory[12288 + 4096];
        const struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        int r = sluice_ring_format(memory, sizeof memory, &g);

        if (r == 0)
                r = sluice_consumer_attach(&c, memory, sizeof memory);
        return r ? r : sluice_consumer_enable_sleep(&c, NULL);
}

static int allocate(void)
{
        struct sluice_producer *producer = sluice_producer_new();
        struct sluice_consumer *consumer = sluice_consumer_new();
        const int r = producer && consumer ? 0 : -ENOMEM;

        sluice_producer_free(producer);
        sluice_consumer_free(consumer);
        return r;
}

static int create_channel(void)
{
        return sluice_channel_create(name, &options);
}

static int open_client(void)
{
        return sluice_channel_open(&client, name, SLUICE_CLIENT, &options);
}

static int open_client_create(void)
{
        options.flags = SLUICE_CREATE;
        return sluice_channel_open(&client, name, SLUICE_CLIENT, &options);
}

static int open_server(void)
{
        return sluice_channel_open(&server, name, SLUICE_SERVER, &options);
}

static int call(void)
{
        char reply[8];

        return (int)sluice_call(&client, "request", 7, reply, sizeof reply, sluice_after(2000000));
}

static int close_channel(void)
{
        const int r = sluice_channel_close(&client), s = sluice_channel_close(&server);

        return r ? r : s;
}

static int remove_channel(void)
{
        return sluice_channel_remove(name);
}

static struct sluice_producer *const both[2] = {&p, &p2};

static int send_any(void)
{
        struct sluice_fanout f = {both, 2, 0};
        char message[1000] = "";

        return sluice_fanout_send_any(&f, message, sizeof message, 0, sluice_after(2000000));
}

static int send_all(void)
{
        struct sluice_fanout f = {both, 2, 0};
        char buf[8];
        int r = sluice_fanout_send_all(&f, "message", 7, 0, sluice_after(2000000));

        if (r == 0 && sluice_recv(&c, buf, sizeof buf, SLUICE_NOW) !=
                              sluice_recv(&c2, buf, sizeof buf, SLUICE_NOW))
                r = -ENOTRECOVERABLE;
        return r;
}

/* ---- After -------------------------------------------------------- */

static void close_second(void)
{
        if (p2.base.queue)
                sluice_producer_close(&p2);
        if (c2.base.queue)
                sluice_consumer_close(&c2);
        if (name2[0] != '\0')
                sluice_remove(name2);
        name2[0] = '\0';
}

static void let_go(void)
{
        if (client.out.base.queue)
                sluice_channel_close(&client);
        if (server.out.base.queue)
                sluice_channel_close(&server);
        close_second();
        if (p.base.queue)
                sluice_producer_close(&p);
        if (c.base.queue)
                sluice_consumer_close(&c);
}

/* What a refused removal has left is removed with the next one. */
static void clean_channel(void)
{
        const int r = sluice_channel_create(name, &options);

        if (r == 0 || r == -EEXIST)
                sluice_channel_remove(name);
}

/* What a refused removal has left is removed with the next queue. */
void fail_clean(void)
{
        const int saved = errno;

        umask(022);
        let_go();
        if (shown.shmid >= 0)
                (void)!sluice_reap(&shown, SLUICE_REAP_PENDING); /* removed already, perhaps */
        if (shown.semid >= 0 && inject_seen.vanished)            /* the segment, by another */
                semctl(shown.semid, 0, IPC_RMID);
        if (is_channel)
                clean_channel();
        else if (sluice_remove(name) == -ENOENT && *directory &&
                 chown(directory, geteuid(), getegid()) == 0 && sluice_create(name, &options) == 0)
                sluice_remove(name);
        setenv("SLUICE_DIR", given_dir, 1);
        errno = saved;
}

const struct scenario fail_scenarios[] = {
        {"open and fork, the first", make_path, open_and_fork, open_errors, 0,
         FAIL_ATOMIC | FAIL_APART},
        {"create, path", at_path_options, create, create_errors, 0,
         FAIL_OWN | FAIL_ATOMIC | FAIL_PREFAULT},
        {"create, NUMA node", at_node, create, create_errors, 0, FAIL_OWN | FAIL_ATOMIC},
        {"create, word", at_word, create, create_errors, 0, FAIL_OWN | FAIL_ATOMIC},
        {"create, word in a runtime directory", at_runtime_dir, create, create_errors, 0,
         FAIL_OWN | FAIL_ATOMIC | FAIL_ONCE_MORE},
        {"create, umask 0777", at_strange_umask, create, create_errors, 0,
         FAIL_OWN | FAIL_ATOMIC | FAIL_ONCE_MORE},
        {"create, key", at_key, create, create_errors, 0, FAIL_OWN | FAIL_ATOMIC},
        {"create, in an empty directory", make_in_empty_dir, create, create_errors, 0,
         FAIL_OWN | FAIL_ATOMIC},
        {"create, half made before", make_half, create, create_errors, 0, FAIL_OWN},
        {"create, half made before, key", make_half_key, create, create_errors, 0, FAIL_OWN},
        {"create, set unsigned before", make_unsigned, create, create_errors, 0, FAIL_OWN},
        {"create, set unsigned before, key", make_unsigned_key, create, create_errors, 0, FAIL_OWN},
        {"create, unfinished before", make_unfinished, create, create_errors, 0, FAIL_OWN},
        {"create, without a record before", make_unrecorded, create, create_errors, 0, FAIL_OWN},
        {"create, set gone before", make_without_set, create, create_errors, 0, FAIL_OWN},
        {"create, there is one", make_path, create, create_errors, -EEXIST, FAIL_OWN | FAIL_ATOMIC},
        {"open, producer", make_path, open_producer, open_errors, 0, FAIL_ATOMIC},
        {"open, consumer, key", make_key, open_consumer, open_errors, 0, FAIL_ATOMIC},
        {"open, consumer, FIFO, locked", make_path, open_consumer_fifo, open_errors, 0,
         FAIL_ATOMIC | FAIL_PREFAULT},
        {"open, CREATE, FIFO, locked", at_path, open_consumer_create, open_create_errors, 0,
         FAIL_OWN | FAIL_PREFAULT},
        {"open, from one who has become another", make_deserted, open_consumer, open_errors, 0,
         FAIL_ATOMIC},
        {"receive, futex, until the deadline", open_both, receive, wait_errors, -ETIMEDOUT,
         FAIL_WAITS},
        {"receive, FIFO, until the deadline", open_both_fifo, receive, wait_errors, -ETIMEDOUT,
         FAIL_WAITS},
        {"receive, FIFO, alone", open_alone_fifo, receive, wait_errors, -ETIMEDOUT, FAIL_WAITS},
        {"send, futex, full", open_full, send_long, wait_errors, -ETIMEDOUT, FAIL_WAITS},
        {"send, FIFO, full", open_full_fifo, send_long, wait_errors, -ETIMEDOUT, FAIL_WAITS},
        {"send, peer parked by futex", consumer_parked, send, wait_errors, 0, 0},
        {"send, peer parked by FIFO", consumer_parked_fifo, send, wait_errors, 0, 0},
        {"receive, peer parked", producer_parked, receive, wait_errors, 0, 0},
        {"arm, consumer", open_both_fifo, arm, arm_errors, 0, 0},
        {"arm, consumer, alone", open_alone_fifo, arm, arm_errors, 0, 0},
        {"arm, producer", open_full_fifo, arm_producer, arm_errors, 0, 0},
        {"close, futex", open_both, close_both, no_errors, 0, 0},
        {"close, FIFO, both parked", both_parked_fifo, close_both, no_errors, 0, 0},
        {"remove, path", make_path, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, word in a runtime directory", make_runtime_dir, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, key", make_key, remove_it, remove_errors, 0, FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, half made", make_half, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, half made, key", make_half_key, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, set unsigned", make_unsigned, remove_it, remove_errors, -ENOENT,
         FAIL_OWN | FAIL_GONE},
        {"remove, set unsigned, key", make_unsigned_key, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, unfinished", make_unfinished, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, without a record", make_unrecorded, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, another user's", make_another_users, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES | FAIL_ROOT},
        {"remove, set gone", make_without_set, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"remove, both there and parked", both_parked_fifo, remove_it, remove_errors, 0,
         FAIL_OWN | FAIL_GONE},
        {"reap", make_shown, reap_it, reap_errors, 0, FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"reap, key", make_shown_key, reap_it, reap_errors, 0, FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"reap, half made", make_half_shown, reap_it, reap_errors, 0, FAIL_OWN | FAIL_GONE},
        {"reap, orphan", make_orphan, reap_it, reap_errors, 0, FAIL_OWN | FAIL_GONE | FAIL_REMOVES},
        {"reap, dry run", make_shown, look_whether_to_reap, reap_errors, 0, FAIL_OWN | FAIL_ATOMIC},
        {"reap, orphan, dry run", make_orphan, look_whether_to_reap, reap_errors, 0,
         FAIL_OWN | FAIL_ATOMIC},
        {"stat", pend, look, look_errors, 0, FAIL_ATOMIC},
        {"list", pend, list, open_errors, 0, FAIL_ATOMIC | FAIL_SKIPS},
        {"list, half made", make_half, list, open_errors, 0, FAIL_ATOMIC | FAIL_SKIPS},
        {"list, orphan", make_orphan, list, open_errors, 0, FAIL_ATOMIC | FAIL_SKIPS},
        {"list, renamed", rename_directory, list, open_errors, 0, FAIL_ATOMIC | FAIL_SKIPS},
        {"dump", pend, dump, look_errors, 0, FAIL_ATOMIC},
        {"await_peer", open_alone, await, wait_errors, -ETIMEDOUT, FAIL_WAITS},
        {"interrupt", open_both_fifo, interrupt_both, no_errors, 0, 0},
        {"new and free", at_key, allocate, new_errors, 0, FAIL_ATOMIC},
        {"enable_sleep", at_key, enable, open_errors, 0, FAIL_ATOMIC},
        {"create, channel", at_channel, create_channel, create_errors, 0,
         FAIL_OWN | FAIL_ATOMIC | FAIL_ONCE_MORE | FAIL_PARTS},
        {"create, channel, half made before", make_half_channel, create_channel, create_errors, 0,
         FAIL_OWN | FAIL_ATOMIC | FAIL_ONCE_MORE | FAIL_PARTS},
        {"open, CREATE, channel", at_channel, open_client_create, open_create_errors, 0,
         FAIL_OWN | FAIL_ONCE_MORE | FAIL_PARTS},
        {"open, channel, client", make_replied, open_client, open_errors, 0,
         FAIL_ATOMIC | FAIL_PARTS},
        {"open, channel, server", make_channel, open_server, open_errors, 0,
         FAIL_ATOMIC | FAIL_PARTS},
        {"receive, reply of a channel", open_channel, call, wait_errors, -ETIMEDOUT, FAIL_WAITS},
        {"close, channel", open_channel, close_channel, no_errors, 0, FAIL_PARTS},
        {"remove, channel", make_channel, remove_channel, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES | FAIL_ONCE_MORE | FAIL_PARTS},
        {"remove, channel, half made", make_half_channel, remove_channel, remove_errors, 0,
         FAIL_OWN | FAIL_GONE | FAIL_REMOVES | FAIL_ONCE_MORE | FAIL_PARTS},
        {"send, fan-out, any, full", open_fanout_full, send_any, wait_errors, -ETIMEDOUT,
         FAIL_WAITS},
        {"send, fan-out, all, peers parked", fanout_parked, send_all, wait_errors, 0, 0},
        {NULL, NULL, NULL, NULL, 0, 0},
};

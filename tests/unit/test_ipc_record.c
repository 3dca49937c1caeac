/* SPDX-License-Identifier: MIT */
/* The tests themselves: they touch nothing that they have not made. */
#define _GNU_SOURCE
#include "ipc_record.h"
#include "queue_util.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

/* What ipcmk makes, which is another program. */
static int strangers(const char *option)
{
        char command[100], line[100];
        FILE *f;
        int id;

        snprintf(command, sizeof command, "ipcmk %s", option);
        f = popen(command, "re");
        check(f && fgets(line, sizeof line, f));
        eq(pclose(f), 0);
        eq(sscanf(line, "%*[^:]: %d", &id), 1);
        return id;
}

static int segment(void)
{
        const int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

        check(id >= 0);
        return id;
}

static int set(void)
{
        const int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);

        check(id >= 0);
        return id;
}

static bool segment_exists(int id)
{
        struct shmid_ds ds;

        return shmctl(id, IPC_STAT, &ds) == 0;
}

static bool set_exists(int id)
{
        return semctl(id, 0, GETVAL) >= 0;
}

static void ipcrm(const char *option, int id)
{
        char command[100];

        snprintf(command, sizeof command, "ipcrm %s %d", option, id);
        eq(system(command), 0);
}

QTest(record, holds_what_was_made_and_not_removed)
{
        const int shm = segment(), sem = set();

        eq(ipc_record_count(IPC_RECORD_SEGMENT), 1);
        eq(ipc_record_count(IPC_RECORD_SET), 1);
        eq(shmctl(shm, IPC_RMID, NULL), 0);
        eq(ipc_record_count(IPC_RECORD_SEGMENT), 0);
        eq(semctl(sem, 0, IPC_RMID), 0);
        eq(ipc_record_count(IPC_RECORD_SET), 0);
        make("q", 0);
        eq(ipc_record_count(IPC_RECORD_SEGMENT), 1);
        eq(ipc_record_count(IPC_RECORD_SET), 1);
        call(sluice_remove("q"), 0);
        eq(ipc_record_count(IPC_RECORD_SEGMENT), 0);
        eq(ipc_record_count(IPC_RECORD_SET), 0);
}

static int makes_and_dies(void *ctx)
{
        (void)ctx;
        segment();
        set();
        raise(SIGKILL);
        return 0;
}

QTest(record, outlives_the_process)
{
        eq(reap(spawn(makes_and_dies, NULL)), -SIGKILL);
        eq(ipc_record_count(IPC_RECORD_SEGMENT), 1);
        eq(ipc_record_count(IPC_RECORD_SET), 1);
        ipc_record_remove();
        eq(ipc_record_count(IPC_RECORD_SEGMENT), 0);
        eq(ipc_record_count(IPC_RECORD_SET), 0);
}

QTest(record, forgets_what_others_have_removed)
{
        ipcrm("-m", segment());
        ipcrm("-s", set());
        eq(ipc_record_count(IPC_RECORD_SEGMENT), 0);
        eq(ipc_record_count(IPC_RECORD_SET), 0);
        for (int i = 0; i < IPC_RECORD_WORDS + 10; i += 50) { /* is full, and has room again */
                char command[50 * sizeof " -s 2147483647"] = "ipcrm";
                size_t n = strlen(command);

                for (int k = 0; k < 50; k++)
                        n += (size_t)snprintf(command + n, sizeof command - n, " -s %d", set());
                check(n < sizeof command);
                eq(system(command), 0);
        }
        eq(ipc_record_count(IPC_RECORD_SET), 0);
}

QTest(record, removes_no_strangers)
{
        const int shm = strangers("-M 4096"), sem = strangers("-S 1");

        segment();
        set();
        ipc_record_remove();
        check(segment_exists(shm) && set_exists(sem));
        ipcrm("-m", shm);
        ipcrm("-s", sem);
}

/* ---- What ends a program ------------------------------------------ */

struct deed {
        int shm, sem, which;
};

static int does(void *ctx)
{
        const struct deed *d = ctx;
        struct sembuf op = {0, 1, IPC_NOWAIT};
        struct shmid_ds shm = {.shm_perm = {.mode = 0600, .uid = getuid(), .gid = getgid()}};
        unsigned short values[1] = {1};
        union {
                int val;
                struct semid_ds *buf;
                unsigned short *array;
        } arg = {.val = 1};
        struct semid_ds sem;
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        switch (d->which) {
        case 0:
                return shmctl(d->shm, IPC_RMID, NULL);
        case 1:
                return shmctl(d->shm, IPC_SET, &shm);
        case 2:
                return semctl(d->sem, 0, IPC_RMID);
        case 3:
                return semctl(d->sem, 0, SETVAL, arg);
        case 4:
                arg.array = values;
                return semctl(d->sem, 0, SETALL, arg);
        case 5:
                arg.buf = &sem;
                return semctl(d->sem, 0, IPC_STAT, arg) || semctl(d->sem, 0, IPC_SET, arg);
        default:
                return semop(d->sem, &op, 1);
        }
}

QTest(stranger, is_only_looked_at)
{
        struct deed d = {strangers("-M 4096"), strangers("-S 1"), 0};

        for (; d.which < 7; d.which++)
                eq(reap(spawn(does, &d)), -SIGABRT);
        check(segment_exists(d.shm));
        eq(semctl(d.sem, 0, GETVAL), 0);
        ipcrm("-m", d.shm);
        ipcrm("-s", d.sem);
        eq(reap(spawn(does, &d)), 255); /* not there: the kernel says so */
}

QTest(stranger, is_nobody_in_the_test)
{
        struct deed d = {segment(), set(), 0};

        for (int i = 0; i < 5; i++) {
                d.which = (int[]){1, 3, 4, 5, 6}[i];
                eq(reap(spawn(does, &d)), 0);
        }
        d.which = 0;
        eq(reap(spawn(does, &d)), 0);
        d.which = 2;
        eq(reap(spawn(does, &d)), 0);
}

static int in_another_namespace(void *ctx)
{
        (void)ctx;
        if (unshare(CLONE_NEWIPC) != 0)
                return CANNOT;
        segment();
        set();
        eq(ipc_record_count(IPC_RECORD_SEGMENT), 0);
        eq(ipc_record_count(IPC_RECORD_SET), 0);
        ipc_record_remove(); /* what it holds is here another's */
        return 0;
}

/* Ids begin again there. */
QTest(record, is_of_one_namespace)
{
        const int shm = segment(), sem = set();
        const int r = reap(spawn(in_another_namespace, NULL));

        eq(ipc_record_count(IPC_RECORD_SEGMENT), 1);
        eq(ipc_record_count(IPC_RECORD_SET), 1);
        eq(shmctl(shm, IPC_RMID, NULL), 0);
        eq(semctl(sem, 0, IPC_RMID), 0);
        skip_unless(r != CANNOT, "an IPC namespace");
        eq(r, 0);
}

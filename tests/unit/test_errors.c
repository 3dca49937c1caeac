/* SPDX-License-Identifier: MIT */
/* Obstacles to making, opening and removing a queue: each has its own error,
 * and nothing is lost or left behind. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

static struct sluice_producer p;
static struct sluice_consumer c;

static int ignore(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

static void openers_get(const char *name, int error)
{
        struct sluice_queue_stat st;

        refused(sluice_producer_open(&p, name, NULL), error);
        refused(sluice_consumer_open(&c, name, NULL), error);
        refused(sluice_stat(name, &st), error);
        refused(sluice_dump(name, ignore, NULL), error);
}

static void all_get(const char *name, int error)
{
        openers_get(name, error);
        refused(sluice_create(name, NULL), error);
        refused(sluice_remove(name), error);
}

static void touch(const char *path)
{
        const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        check(fd >= 0);
        close(fd);
}

/* ---- The path ----------------------------------------------------- */

QTest(path, is_a_file)
{
        touch(in_queues("q"));
        all_get("q", -ENOTDIR);
        all_get(in_queues("q/"), -ENOTDIR);
        all_get(in_queues("q/below"), -ENOTDIR);
        eq(unlink(in_queues("q")), 0);
        all_get("/dev/null", -ENOTDIR);
}

QTest(path, is_a_pipe)
{
        eq(mkfifo(in_queues("q"), 0600), 0);
        all_get("q", -ENOTDIR);
        eq(unlink(in_queues("q")), 0);
}

QTest(path, is_a_symbolic_link)
{
        make("real", 0);
        eq(symlink(in_queues("real"), in_queues("q")), 0);
        all_get("q", -ELOOP);
        all_get(in_queues("q/"), -ELOOP);
        all_get(in_queues("q///"), -ELOOP);
        eq(unlink(in_queues("q")), 0);
        eq(symlink(in_queues("nowhere"), in_queues("q")), 0);
        all_get("q", -ELOOP);
        eq(unlink(in_queues("q")), 0);
        eq(symlink("q", in_queues("q")), 0);
        all_get("q", -ELOOP);
        eq(unlink(in_queues("q")), 0);
        works_and_goes("real");
}

QTest(path, is_a_directory_of_something_else)
{
        eq(mkdir(in_queues("q"), 0700), 0);
        touch(in_queues("q/file"));
        openers_get("q", -ENOENT);
        refused(sluice_create("q", NULL), -ENOTEMPTY);
        refused(sluice_remove("q"), -ENOTEMPTY);
        eq(unlink(in_queues("q/file")), 0);
        touch(in_queues("q/readable")); /* a file of that name, not a pipe */
        refused(sluice_create("q", NULL), -ENOTEMPTY);
        refused(sluice_remove("q"), -ENOTEMPTY);
        eq(unlink(in_queues("q/readable")), 0);
        eq(mkfifo(in_queues("q/other"), 0600), 0);
        refused(sluice_create("q", NULL), -ENOTEMPTY);
        refused(sluice_remove("q"), -ENOTEMPTY);
        eq(unlink(in_queues("q/other")), 0);
        eq(rmdir(in_queues("q")), 0);
}

QTest(path, is_an_empty_directory)
{
        eq(mkdir(in_queues("q"), 0700), 0);
        openers_get("q", -ENOENT);
        refused(sluice_remove("q"), -ENOENT);
        call(sluice_create("q", NULL), 0);
        works_and_goes("q");
}

QTest(path, has_no_parent)
{
        all_get(in_queues("none/q"), -ENOENT);
        openers_get("q", -ENOENT);
        refused(sluice_remove("q"), -ENOENT);
}

/* A live queue in whose directory something strange appears is not lost. */
QTest(path, a_stranger_in_the_directory_of_a_queue)
{
        make("q", 0);
        touch(in_queues("q/file"));
        refused(sluice_remove("q"), -ENOTEMPTY);
        refused(sluice_create("q", NULL), -ENOTEMPTY);
        eq(unlink(in_queues("q/file")), 0);
        works_and_goes("q");
}

static void swapped(int error)
{
        const struct sluice_options fifo = opt_wake(SLUICE_WAKE_FIFO);

        refused(sluice_producer_open(&p, "q", &fifo), error);
        refused(sluice_consumer_open(&c, "q", &fifo), error);
        refused(sluice_producer_open(&p, "q", NULL), error);
}

QTest(pipe, missing_or_swapped)
{
        static const char *const pipes[] = {"q/readable", "q/writable"};

        for (int i = 0; i < 2; i++) {
                const char *path = strdup(in_queues(pipes[i]));

                make("q", 0);
                eq(unlink(path), 0);
                swapped(-ENOENT);
                eq(mkfifo(path, 0600), 0);
                eq(chmod(path, 0666), 0);
                swapped(-EPERM);
                eq(chmod(path, 0600), 0);
                eq(unlink(path), 0);
                touch(path);
                swapped(-EPROTO);
                eq(unlink(path), 0);
                eq(symlink(in_tmp("pipe"), path), 0);
                swapped(-ELOOP);
                eq(unlink(path), 0);
                eq(mkdir(path, 0700), 0);
                swapped(-EPROTO);
                eq(rmdir(path), 0);
                eq(mkfifo(path, 0600), 0);
                works_and_goes("q");
        }
}

QTest(pipe, of_another_user)
{
        needs_root();
        make("q", 0);
        eq(chown(in_queues("q/writable"), USER_A, NO_GROUP), 0);
        swapped(-EPERM);
        eq(chown(in_queues("q/writable"), 0, 0), 0);
        eq(chown(in_queues("q/readable"), USER_A, NO_GROUP), 0);
        swapped(-EPERM);
        eq(chown(in_queues("q/readable"), 0, 0), 0);
        works_and_goes("q");
}

QTest(pipe, left_by_a_reboot)
{
        struct sluice_queue_stat st;

        for (int again = 0; again < 2; again++) {
                make("q", 0);
                st = look("q");
                eq(shmctl(st.shmid, IPC_RMID, NULL), 0);
                eq(semctl(st.semid, 0, IPC_RMID), 0);
                openers_get("q", -ENOENT);
                if (again) {
                        call(sluice_remove("q"), 0);
                        check(!exists(in_queues("q")));
                } else {
                        eq(unlink(in_queues("q/readable")), 0); /* or half of it */
                        call(sluice_create("q", NULL), 0);
                        works_and_goes("q");
                }
        }
}

/* ---- Another program's segment ------------------------------------ */

/* The directory that a queue will live in, and its keys. */
static key_t key_before(const char *name, int project)
{
        if (!exists(in_queues(name)))
                eq(mkdir(in_queues(name), 0700), 0);
        return ftok(in_queues(name), project);
}

static int foreign(key_t key, size_t bytes, int fill)
{
        const int id = shmget(key, bytes, IPC_CREAT | IPC_EXCL | 0600);

        check(id >= 0);
        if (fill) {
                void *mem = shmat(id, NULL, 0);

                memset(mem, fill, bytes);
                shmdt(mem);
        }
        return id;
}

static void is_untouched(int id, size_t bytes, int fill)
{
        const unsigned char *mem = shmat(id, NULL, SHM_RDONLY);

        check(mem != (const void *)-1);
        for (size_t i = 0; i < bytes; i++)
                eq(mem[i], fill);
        shmdt(mem);
        eq(shmctl(id, IPC_RMID, NULL), 0);
}

QTest(collision, the_next_project_is_taken_and_both_live)
{
        static const size_t sizes[] = {1, 4096, 12288, 12320, 274432, 1 << 20};

        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                for (int fill = 0; fill <= 'x'; fill += 'x') {
                        const int id = foreign(key_before("q", 1), sizes[i], fill);

                        openers_get("q", -ENOENT);
                        call(sluice_create("q", NULL), 0);
                        eq(key_of("q"), ftok(in_queues("q"), 2));
                        refused(sluice_create("q", NULL), -EEXIST);
                        works_and_goes("q");
                        is_untouched(id, sizes[i], fill);
                }
        }
}

QTest(collision, with_another_queue)
{
        struct sluice_queue_stat st;
        char name[32];

        snprintf(name, sizeof name, "key:%u", (unsigned)key_before("q", 1));
        call(sluice_create(name, NULL), 0);
        st = look(name);
        openers_get("q", -ENOENT);
        call(sluice_create("q", NULL), 0);
        eq(key_of("q"), ftok(in_queues("q"), 2));
        works_and_goes("q");
        eq(look(name).generation, st.generation);
        works_and_goes(name);
}

QTest(collision, with_semaphores)
{
        const key_t key = key_before("q", 1);
        const int id = semget(key, 7, IPC_CREAT | IPC_EXCL | 0600);

        check(id >= 0);
        call(sluice_create("q", NULL), 0);
        eq(key_of("q"), ftok(in_queues("q"), 2));
        works_and_goes("q");
        eq(semctl(id, 0, IPC_RMID), 0);
}

QTest(collision, every_project_is_taken)
{
        int ids[16];

        for (int i = 0; i < 16; i++)
                ids[i] = foreign(key_before("q", i + 1), 64, 'x');
        refused(sluice_create("q", NULL), -EADDRINUSE);
        is_untouched(ids[15], 64, 'x'); /* the last is enough */
        call(sluice_create("q", NULL), 0);
        eq(key_of("q"), ftok(in_queues("q"), 16));
        works_and_goes("q");
        for (int i = 0; i < 15; i++)
                is_untouched(ids[i], 64, 'x');
}

QTest(collision, a_bare_key_has_no_other)
{
        int id = foreign(0x4242, 1 << 16, 'x');

        refused(sluice_create("key:0x4242", NULL), -EADDRINUSE);
        openers_get("key:0x4242", -EPROTO);
        refused(sluice_remove("key:0x4242"), -EPROTO);
        is_untouched(id, 1 << 16, 'x');
        id = foreign(0x4242, 100, 0);
        refused(sluice_create("key:0x4242", NULL), -EADDRINUSE);
        openers_get("key:0x4242", -EPROTO);
        refused(sluice_remove("key:0x4242"), -EPROTO);
        is_untouched(id, 100, 0);
        id = foreign(0x4242, 1 << 16, 0); /* of a creator that has not begun yet */
        refused(sluice_create("key:0x4242", NULL), -EADDRINUSE);
        openers_get("key:0x4242", -EPROTO);
        refused(sluice_remove("key:0x4242"), -EPROTO);
        is_untouched(id, 1 << 16, 0);
        id = semget(0x4242, 1, IPC_CREAT | IPC_EXCL | 0600);
        refused(sluice_create("key:0x4242", NULL), -EADDRINUSE);
        refused(sluice_remove("key:0x4242"), -ENOENT);
        eq(semctl(id, 0, IPC_RMID), 0);
}

/* ---- A queue that is not as it should be -------------------------- */

/* The header of a key queue with one field changed. */
static void spoiled(size_t offset, uint64_t value, size_t width, int error)
{
        unsigned char was[8];
        const int id = shmget(0x99, 0, 0);
        unsigned char *mem = shmat(id, NULL, 0);

        memcpy(was, mem + offset, width);
        memcpy(mem + offset, &value, width);
        openers_get("key:0x99", error);
        memcpy(mem + offset, was, width);
        shmdt(mem);
}

/* Not made a second time beside it; but its owner may remove it. */
QTest(header, of_another_version_is_left_to_its_owner)
{
        struct sluice_queue_stat st;
        struct sluice_layout_header *h;

        make("q", 4096);
        call(sluice_stat("q", &st), 0);
        h = shmat(st.shmid, NULL, 0);
        h->version = SLUICE_LAYOUT_VERSION + 1;
        openers_get("q", -EPROTONOSUPPORT);
        refused(sluice_create("q", NULL), -EPROTONOSUPPORT);
        shmdt(h);
        call(sluice_remove("q"), 0);
}

QTest(header, is_checked_field_by_field)
{
        make("key:0x99", 4096);
        spoiled(0, 0, 8, -EINPROGRESS);
        spoiled(0, 1, 8, -EPROTO);
        spoiled(0, __builtin_bswap64(SLUICE_LAYOUT_MAGIC), 8, -EPROTOTYPE);
        spoiled(8, 0, 4, -EPROTONOSUPPORT);
        spoiled(8, 2, 4, -EPROTONOSUPPORT);
        spoiled(12, 0x04030201, 4, -EPROTOTYPE);
        spoiled(16, 0, 8, -EBADMSG);
        spoiled(16, 8192, 8, -EBADMSG); /* beyond the segment */
        spoiled(16, 4000, 8, -EBADMSG);
        spoiled(16, UINT64_MAX, 8, -EBADMSG);
        spoiled(24, 0, 4, -EBADMSG);
        spoiled(24, 7, 4, -EBADMSG);
        spoiled(24, 256, 4, -EBADMSG);
        spoiled(32, 3, 8, -EBADMSG);
        spoiled(40, 0, 8, -EBADMSG);
        spoiled(48, 4096, 8, -EBADMSG);
        spoiled(56, 8192, 8, -EBADMSG);
        spoiled(64, 1 << 20, 8, -EBADMSG);
        works_and_goes("key:0x99");
}

/* A half of the queue contradicts itself: an endpoint that needs that half
 * gets an error, and its role is free again. */
QTest(header, halves_that_contradict_themselves)
{
        const uint64_t odd = 12;

        make("key:0x99", 4096);
        poke(0x99, 4096, &odd, 8); /* the consumer's position */
        refused(sluice_consumer_open(&c, "key:0x99", NULL), -EBADMSG);
        refused(sluice_consumer_open(&c, "key:0x99", NULL), -EBADMSG);
        refused(sluice_stat("key:0x99", &(struct sluice_queue_stat){.uid = 1}), -EBADMSG);
        refused(sluice_dump("key:0x99", ignore, NULL), -EBADMSG);
        call(sluice_remove("key:0x99"), 0);
        make("key:0x99", 4096);
        poke(0x99, 8192 + 128 + 8, &odd, 8); /* the producer's slots */
        poke(0x99, 8192 + 128 + 24, &odd, 8);
        refused(sluice_producer_open(&p, "key:0x99", NULL), -EBADMSG);
        refused(sluice_producer_open(&p, "key:0x99", NULL), -EBADMSG);
        call(sluice_remove("key:0x99"), 0);
}

static const uint64_t zero;

/* As a creator leaves it that was killed before the last store. */
QTest(half_made, is_cleaned_up_by_the_next_creator)
{
        static const char *const names[] = {"q", "key:0x77"};

        for (int i = 0; i < 2; i++) {
                make(names[i], 0);
                poke(key_of(names[i]), 0, &zero, 8);
                openers_get(names[i], -EINPROGRESS);
                call(sluice_create(names[i], NULL), 0);
                works_and_goes(names[i]);
                make(names[i], 0);
                poke(key_of(names[i]), 0, &zero, 8);
                call(sluice_remove(names[i]), 0);
                openers_get(names[i], -ENOENT);
        }
}

/* What a creator has made that was killed right after, with nothing in it
 * yet: a set with the mark of a half-made one, a segment of a queue's size. */
enum { SEMAPHORES = 11, MAKING = 0611, SEGMENT = 12288 + 4096 + 1471 };

static void leave_half(key_t key, bool segment)
{
        check(semget(key, SEMAPHORES, IPC_CREAT | IPC_EXCL | MAKING) >= 0);
        if (segment)
                foreign(key, SEGMENT, 0);
}

QTest(half_made, empty)
{
        for (int remove = 0; remove < 2; remove++) {
                const key_t key = key_before("q", 1);

                leave_half(key, true);
                openers_get("q", -ENOENT);
                if (remove) {
                        call(sluice_remove("q"), -ENOENT); /* an empty directory */
                        eq(rmdir(in_queues("q")), 0);
                } else {
                        call(sluice_create("q", NULL), 0);
                        eq(key_of("q"), key);
                        works_and_goes("q");
                }
                leave_half(0x56, true);
                openers_get("key:0x56", -EINPROGRESS);
                if (!remove)
                        call(sluice_create("key:0x56", NULL), 0);
                call(sluice_remove("key:0x56"), 0);
        }
}

/* Only the set of roles was made. */
QTest(half_made, without_a_segment)
{
        for (int remove = 0; remove < 2; remove++) {
                leave_half(0x55, false);
                openers_get("key:0x55", -ENOENT);
                if (!remove)
                        call(sluice_create("key:0x55", NULL), 0);
                call(sluice_remove("key:0x55"), 0);
        }
}

/* A complete queue is unusable once its semaphore set was removed. */
QTest(half_made, without_roles)
{
        static const char *const names[] = {"q", "key:0x77"};

        for (int i = 0; i < 4; i++) {
                const char *name = names[i % 2];

                make(name, 0);
                eq(semctl(look(name).semid, 0, IPC_RMID), 0);
                openers_get(name, -EINPROGRESS);
                if (i < 2) {
                        call(sluice_create(name, NULL), 0);
                        works_and_goes(name);
                } else {
                        call(sluice_remove(name), 0);
                }
        }
}

/* ---- Limits of the system ----------------------------------------- */

static void limited(const char *path, const char *low, const char *normal, int error,
                    const char *named)
{
        check(proc_write(path, low));
        for (int i = 0; i < 2; i++) {
                refused(sluice_create("q", NULL), error);
                check(strstr(sluice_limit(), named));
                refused(sluice_create("key:0x31", NULL), error);
        }
        check(proc_write(path, normal));
        call(sluice_create("q", NULL), 0);
        works_and_goes("q");
}

QTest(limit, of_segments)
{
        needs_own_limits();
        make("other", 0);
        limited("/proc/sys/kernel/shmmni", "1", "4096", -ENOSPC, "shmmni");
        works_and_goes("other");
}

QTest(limit, of_a_segments_size)
{
        needs_own_limits();
        limited("/proc/sys/kernel/shmmax", "200000", "18446744073692774399", -EFBIG, "shmmax");
}

QTest(limit, of_all_segments_size)
{
        needs_own_limits();
        limited("/proc/sys/kernel/shmall", "16", "18446744073692774399", -ENOSPC, "shmall");
}

QTest(limit, of_semaphore_sets)
{
        needs_own_limits();
        make("other", 0);
        limited("/proc/sys/kernel/sem", "32000 1024000000 500 1", "32000 1024000000 500 32000",
                -ENOSPC, "sem");
        works_and_goes("other");
}

QTest(limit, of_semaphores_in_a_set)
{
        needs_own_limits();
        limited("/proc/sys/kernel/sem", "2 1024000000 500 32000", "32000 1024000000 500 32000",
                -ENOSPC, "first number");
}

static int few_descriptors(void *ctx)
{
        const bool fifo = *(const bool *)ctx;
        const struct sluice_options o = opt_wake(fifo ? SLUICE_WAKE_FIFO : SLUICE_WAKE_FUTEX);
        struct sluice_queue_stat st;
        int tried[4] = {0};

        /* One more each time, until it works. */
        for (int call_no = 0; call_no < 4; call_no++) {
                int r = -EMFILE;

                for (int spare = 0; r; spare++) {
                        const struct world before = world_now();
                        const int last = open("/dev/null", O_RDONLY | O_CLOEXEC);
                        struct rlimit limit, tight;

                        close(last);
                        eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
                        tight = limit;
                        tight.rlim_cur = (rlim_t)(last + spare);
                        eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
                        errno = ERRNO_MARK;
                        r = call_no == 0   ? sluice_create("q", NULL)
                            : call_no == 1 ? sluice_stat("q", &st)
                            : call_no == 2 ? sluice_consumer_open(&c, "q", &o)
                                           : sluice_remove("q");
                        eq(errno, ERRNO_MARK);
                        eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
                        if (r) {
                                eq(r, -EMFILE);
                                if (call_no == 0 || call_no == 2)
                                        check(strstr(sluice_limit(), "RLIMIT_NOFILE"));
                                same_world(&before);
                                tried[call_no]++;
                        }
                        check(spare < 20);
                }
                if (call_no == 2)
                        call(sluice_consumer_close(&c), 0);
        }
        check(tried[0] >= 1 && tried[1] >= 1 && tried[3] >= 1);
        check(tried[2] >= (fifo ? 4 : 2));
        return 0;
}

QTest(limit, of_descriptors)
{
        bool fifo = false;

        run(few_descriptors, &fifo);
        fifo = true;
        run(few_descriptors, &fifo);
}

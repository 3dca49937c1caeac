/* SPDX-License-Identifier: MIT */
/* Other users: what each mode lets them do, and whose queue counts. */
#define _GNU_SOURCE
#include "queue_util.h"

static struct sluice_producer p;
static struct sluice_consumer c;

static int ignore(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

/* What one user expects of a queue. */
struct expected {
        const char *name;
        int open, stat, dump, create, remove;
};

static int meets(void *ctx)
{
        const struct expected *e = ctx;
        const struct sluice_options fifo = opt_wake(SLUICE_WAKE_FIFO);
        const struct world before = world_now();
        const bool key = strncmp(e->name, "key:", 4) == 0;
        struct sluice_queue_stat st;

        call(sluice_producer_open(&p, e->name, NULL), e->open);
        if (e->open == 0) {
                call(send_number(&p, 3, SLUICE_NOW), 0);
                call(sluice_producer_close(&p), 0);
        }
        call(sluice_consumer_open(&c, e->name, key ? NULL : &fifo), e->open);
        if (e->open == 0) {
                call(recv_number(&c, soon()), 3);
                call(recv_number(&c, soon()), -EPIPE);
                call(sluice_consumer_close(&c), 0);
        }
        call(sluice_stat(e->name, &st), e->stat);
        call(sluice_dump(e->name, ignore, NULL), e->dump);
        call(sluice_create(e->name, NULL), e->create);
        call(sluice_remove(e->name), e->remove);
        same_world(&before);
        return 0;
}

static void mode(mode_t mode, struct expected group, struct expected other)
{
        struct sluice_options o = opt(0);
        const char *path = strdup(in_tmp("q"));

        needs_root();
        open_tmp_to_all();
        o.mode = mode;
        eq(setegid(GROUP_AB), 0); /* who makes it gives it this group */
        call(sluice_create(path, &o), 0);
        eq(setegid(0), 0);
        eq(look(path).gid, GROUP_AB);
        group.name = other.name = path;
        run_as(USER_A, GROUP_AB, meets, &group);
        run_as(USER_A, NO_GROUP, meets, &other);
        call(sluice_remove(path), 0);
}

#define NO     -EACCES
#define EXISTS -EPERM /* create and remove: another user's */

QTest(mode, of_0600)
{
        mode(0600, (struct expected){0, NO, NO, NO, NO, NO},
             (struct expected){0, NO, NO, NO, NO, NO});
}

QTest(mode, of_0640)
{
        mode(0640, (struct expected){0, NO, 0, 0, EXISTS, EXISTS},
             (struct expected){0, NO, NO, NO, NO, NO});
}

QTest(mode, of_0660)
{
        mode(0660, (struct expected){0, 0, 0, 0, EXISTS, EXISTS},
             (struct expected){0, NO, NO, NO, NO, NO});
}

QTest(mode, of_0644)
{
        mode(0644, (struct expected){0, NO, 0, 0, EXISTS, EXISTS},
             (struct expected){0, NO, 0, 0, EXISTS, EXISTS});
}

QTest(mode, of_0666)
{
        mode(0666, (struct expected){0, 0, 0, 0, EXISTS, EXISTS},
             (struct expected){0, 0, 0, 0, EXISTS, EXISTS});
}

/* ---- Bare keys ---------------------------------------------------- */

static int makes_key_queue(void *ctx)
{
        struct sluice_options o = opt(0);

        o.mode = 0666;
        call(sluice_create(ctx, &o), 0);
        return 0;
}

static int removes_it(void *ctx)
{
        call(sluice_remove(ctx), 0);
        return 0;
}

static int accepts_any_owner(void *ctx)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_queue_stat st;

        refused(sluice_producer_open(&p, ctx, &o), -EPERM);
        refused(sluice_consumer_open(&c, ctx, &o), -EPERM);
        o.flags = SLUICE_ANY_OWNER;
        call(sluice_producer_open(&p, ctx, &o), 0);
        call(sluice_consumer_open(&c, ctx, &o), 0);
        call(send_number(&p, 5, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 5);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_stat(ctx, &st), 0); /* looking needs no trust */
        eq(st.uid, USER_A);
        return 0;
}

QTest(key_owner, another_user_only_if_asked_for)
{
        static char name[] = "key:0x1357";

        needs_root();
        run_as(USER_A, NO_GROUP, makes_key_queue, name);
        run_as(USER_B, NO_GROUP, accepts_any_owner, name);
        run(accepts_any_owner, name);
        run_as(USER_A, NO_GROUP, removes_it, name);
}

static int cannot_remove(void *ctx)
{
        refused(sluice_remove(ctx), -EPERM);
        refused(sluice_create(ctx, NULL), -EADDRINUSE);
        return 0;
}

QTest(key_owner, only_the_owner_removes)
{
        static char name[] = "key:0x1357";

        needs_root();
        run_as(USER_A, NO_GROUP, makes_key_queue, name);
        run_as(USER_B, NO_GROUP, cannot_remove, name);
        run_as(USER_A, NO_GROUP, removes_it, name);
}

/* Root's queues are everybody's to use, if the mode lets them. */
static int trusts_root(void *ctx)
{
        call(sluice_producer_open(&p, ctx, NULL), 0);
        call(sluice_producer_close(&p), 0);
        return 0;
}

QTest(key_owner, root_is_trusted)
{
        static char name[] = "key:0x1357";

        needs_root();
        makes_key_queue(name);
        run_as(USER_B, NO_GROUP, trusts_root, name);
        call(sluice_remove(name), 0);
}

/* ---- Another user was there first --------------------------------- */

static int squats(void *ctx)
{
        const key_t *keys = ctx;

        for (int i = 0; i < 3; i++) {
                struct sluice_options o = opt(0);
                char name[32];

                o.mode = 0666;
                snprintf(name, sizeof name, "key:%u", (unsigned)keys[i]);
                call(sluice_create(name, &o), 0);
        }
        return 0;
}

static int squats_no_more(void *ctx)
{
        const key_t *keys = ctx;
        char name[32];

        for (int i = 0; i < 3; i++) {
                snprintf(name, sizeof name, "key:%u", (unsigned)keys[i]);
                call(sluice_remove(name), 0);
        }
        return 0;
}

QTest(squatter, on_the_keys_of_a_path_is_passed_over)
{
        key_t keys[3];

        needs_root();
        eq(mkdir(in_queues("q"), 0700), 0);
        for (int i = 0; i < 3; i++)
                keys[i] = ftok(in_queues("q"), i + 1);
        run_as(USER_A, NO_GROUP, squats, keys);
        refused(sluice_producer_open(&p, "q", NULL), -ENOENT); /* what is there is not ours */
        call(sluice_create("q", NULL), 0);
        eq(key_of("q"), ftok(in_queues("q"), 4));
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
        run_as(USER_A, NO_GROUP, squats_no_more, keys);
}

/* The directory is one user's, the segment with its identity another's. */
QTest(squatter, with_a_forged_identity_is_refused)
{
        struct sluice_queue_stat st;
        struct shmid_ds ds;

        needs_root();
        make("q", 0);
        st = look("q");
        eq(shmctl(st.shmid, IPC_STAT, &ds), 0);
        ds.shm_perm.uid = USER_A;
        eq(shmctl(st.shmid, IPC_SET, &ds), 0);
        refused(sluice_producer_open(&p, "q", NULL), -EPERM);
        refused(sluice_consumer_open(&c, "q", NULL), -EPERM);
        refused(sluice_stat("q", &st), -EPERM);
        ds.shm_perm.uid = 0;
        eq(shmctl(st.shmid, IPC_SET, &ds), 0);
        call(sluice_remove("q"), 0);
}

/* ---- Directories ------------------------------------------------------ */

static int has_no_say(void *ctx)
{
        refused(sluice_create(ctx, NULL), -EACCES);
        refused(sluice_remove(ctx), -ENOENT);
        return 0;
}

QTest(directory, that_one_may_not_write)
{
        needs_root();
        open_tmp_to_all();
        eq(mkdir(in_tmp("d"), 0755), 0);
        run_as(USER_A, NO_GROUP, has_no_say, (void *)(uintptr_t)in_tmp("d/q"));
        eq(rmdir(in_tmp("d")), 0);
}

static int has_no_sight(void *ctx)
{
        struct sluice_queue_stat st;

        refused(sluice_create(ctx, NULL), -EACCES);
        refused(sluice_remove(ctx), -EACCES);
        refused(sluice_stat(ctx, &st), -EACCES);
        refused(sluice_producer_open(&p, ctx, NULL), -EACCES);
        return 0;
}

QTest(directory, that_one_may_not_enter)
{
        needs_root();
        open_tmp_to_all();
        eq(mkdir(in_tmp("d"), 0700), 0);
        run_as(USER_A, NO_GROUP, has_no_sight, (void *)(uintptr_t)in_tmp("d/q"));
        eq(rmdir(in_tmp("d")), 0);
}

static int makes_and_removes(void *ctx)
{
        struct sluice_options o = opt(0);

        o.mode = 0660;
        call(sluice_create(ctx, &o), 0);
        eq(look(ctx).uid, USER_A);
        call(sluice_remove(ctx), 0);
        call(sluice_create(ctx, &o), 0);
        return 0;
}

/* Root may remove any queue, but not make queues in other users' directories. */
QTest(directory, root_removes_what_others_made)
{
        const char *path = strdup(in_tmp("q"));

        needs_root();
        open_tmp_to_all();
        run_as(USER_A, NO_GROUP, makes_and_removes, (void *)(uintptr_t)path);
        refused(sluice_create(path, NULL), -EPERM);
        call(sluice_remove(path), 0);
}

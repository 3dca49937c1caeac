/* SPDX-License-Identifier: MIT */
/* What the users of stress_neighbours do with the queues, a round at a time. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "neighbours.h"
#include "traffic.h"

/* What the header names for each call. */
static const short create_may[] = {EEXIST, ENOENT, ENOTEMPTY, EPERM, EACCES, EADDRINUSE, EBUSY, 0};
static const short open_may[] = {ENOENT, EBUSY, EACCES, EPERM, EINPROGRESS, 0};
static const short send_may[] = {EAGAIN, ETIMEDOUT, ESTALE, EOWNERDEAD, EPIPE, 0};
static const short remove_may[] = {ENOENT, EBUSY, EPERM, EACCES, ENOTEMPTY, 0};
static const short reap_may[] = {EBUSY, ENOTEMPTY, EPERM, ENOENT, ESTALE, EACCES, 0};
static const short stat_may[] = {ENOENT, EACCES, EPERM, EINPROGRESS, EAGAIN, 0};

/* ---- Messages ----------------------------------------------------- */

struct text {
        uint64_t generation, number;
};

static uint64_t position_of(const struct sluice_layout_header *h, uint64_t number)
{
        return h->first_position + number * RECORD;
}

static const struct sluice_layout_header *header_of_producer(const struct sluice_producer *p)
{
        return (const void *)((const char *)p->own - SLUICE_LAYOUT_PRODUCER);
}

static const struct sluice_layout_header *header_of_consumer(const struct sluice_consumer *c)
{
        return (const void *)((const char *)c->own - SLUICE_LAYOUT_CONSUMER);
}

/* How an endpoint begins: with the count that its predecessor has left. */
static bool takes_over(atomic_ullong *to_be, atomic_ullong *done, uint64_t count, uint64_t position,
                       const struct sluice_layout_header *h)
{
        const uint64_t from = atomic_load(done), to = atomic_load(to_be);

        if (count < from || count > to || position != position_of(h, count))
                return fail("%llx: %llu messages up to %llu, not %llu to %llu",
                            (unsigned long long)h->generation, (unsigned long long)count,
                            (unsigned long long)position, (unsigned long long)from,
                            (unsigned long long)to) == 0;
        atomic_store(done, count);
        atomic_store(to_be, count);
        return true;
}

static int open_flags(struct sluice_options *o, int slot)
{
        const bool creates = arena->slots[slot].user == self_user && below(2);

        o->flags |= creates ? SLUICE_CREATE : 0;
        if (arena->slots[slot].is_key)
                o->wake = SLUICE_WAKE_FUTEX;
        return creates;
}

/* -EINPROGRESS and its like tell nothing. */
static int opened(const struct look *l, int r, int creates)
{
        if (r == -ENOENT && !creates)
                seen_none(l);
        return count_result("open", r, open_may, creates ? create_may : NULL);
}

static int open_producer(struct sluice_producer *p, int slot, struct entry **e)
{
        struct sluice_options o = options();
        const int creates = open_flags(&o, slot);
        const struct look l = look(at(slot));
        const int r = opened(&l, sluice_producer_open(p, name_of(slot), &o), creates);
        const struct sluice_layout_header *h;

        if (r)
                return r;
        h = header_of_producer(p);
        *e = seen(&l, h->generation);
        if (*e && takes_over(&(*e)->sending, &(*e)->sent, sluice_producer_messages(p),
                             sluice_producer_position(p), h))
                return 0;
        sluice_producer_close(p);
        return -ENOTRECOVERABLE;
}

static sluice_deadline some_time(void)
{
        return below(8) ? SLUICE_NOW : sluice_after(1000000);
}

static void send_some(struct sluice_producer *p, struct entry *e)
{
        const uint64_t generation = header_of_producer(p)->generation;

        for (uint64_t n = below(8) + 1; n > 0; n--) {
                const struct text text = {generation, atomic_load(&e->sent)};
                int r;

                atomic_store(&e->sending, text.number + 1);
                r = sluice_send(p, &text, sizeof text, some_time());
                atomic_store(r ? &e->sending : &e->sent, text.number + (r == 0));
                if (count_result("send", r, send_may, NULL))
                        return;
                atomic_fetch_add(&arena->sent, 1);
        }
}

static void send_to(int slot)
{
        struct sluice_producer p;
        struct entry *e;
        int r;

        if (open_producer(&p, slot, &e) != 0)
                return;
        send_some(&p, e);
        r = sluice_producer_close(&p);
        if (r)
                fail("close: %d", r);
}

static int open_consumer(struct sluice_consumer *c, int slot, struct entry **e)
{
        struct sluice_options o = options();
        const int creates = open_flags(&o, slot);
        const struct look l = look(at(slot));
        const int r = opened(&l, sluice_consumer_open(c, name_of(slot), &o), creates);
        const struct sluice_layout_header *h;

        if (r)
                return r;
        h = header_of_consumer(c);
        *e = seen(&l, h->generation);
        if (*e && takes_over(&(*e)->releasing, &(*e)->released, sluice_consumer_messages(c),
                             sluice_consumer_position(c), h))
                return 0;
        sluice_consumer_close(c);
        return -ENOTRECOVERABLE;
}

/* The message of that number, and none that was not sent. */
static bool is_next(const struct sluice_consumer *c, struct entry *e,
                    const struct sluice_message *m)
{
        const struct sluice_layout_header *h = header_of_consumer(c);
        const uint64_t number = atomic_load(&e->released);
        struct text text = {0, 0};

        if (m->len == sizeof text)
                memcpy(&text, m->data, sizeof text);
        if (text.generation == h->generation && text.number == number &&
            m->position == position_of(h, number) && atomic_load(&e->sending) > number)
                return true;
        return fail("%llx: message %llu of %llx at %llu, not %llu of %llu",
                    (unsigned long long)h->generation, (unsigned long long)text.number,
                    (unsigned long long)text.generation, (unsigned long long)m->position,
                    (unsigned long long)number, (unsigned long long)atomic_load(&e->sending)) == 0;
}

/* 0: one was received. */
static int receive_one(struct sluice_consumer *c, struct entry *e, bool keep)
{
        const uint64_t sent = atomic_load(&e->sent), number = atomic_load(&e->released);
        struct sluice_message m;
        int r = sluice_peek(c, &m, some_time());

        if (r && sent > number)
                fail("%llx: %llu of %llu messages received, then %s",
                     (unsigned long long)header_of_consumer(c)->generation,
                     (unsigned long long)number, (unsigned long long)sent, strerrorname_np(-r));
        if (r)
                return count_result("peek", r, send_may, NULL);
        if (!is_next(c, e, &m) || keep)
                return 1;
        atomic_store(&e->releasing, number + 1);
        r = sluice_release(c);
        atomic_store(&e->released, number + 1);
        atomic_fetch_add(&arena->received, 1);
        return r ? fail("release: %d", r) : 0;
}

/* most 0: all that there is. */
void receive_from(int slot, uint64_t most)
{
        struct sluice_consumer c;
        struct entry *e;
        int r;

        if (open_consumer(&c, slot, &e) != 0)
                return;
        for (uint64_t n = 0; most == 0 || n < most; n++)
                if (receive_one(&c, e, most && below(16) == 0) != 0)
                        break;
        r = sluice_consumer_close(&c);
        if (r)
                fail("close: %d", r);
}

/* ---- Removing ----------------------------------------------------- */

static void create(int slot)
{
        const struct sluice_options o = options();

        count_result("create", sluice_create(name_of(at(slot)), &o), create_may, NULL);
}

static void remove_queue(int slot)
{
        begin_removal(bit(at(slot)));
        count_result("remove", sluice_remove(name_of(slot)), remove_may, NULL);
        end_removal();
}

/* As rm -r does; entries that were removed meanwhile are no error. */
static void rm_r(const char *path)
{
        const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        while (dir && (entry = readdir(dir)) != NULL)
                if (entry->d_name[0] != '.')
                        unlinkat(fd, entry->d_name, 0);
        if (dir)
                closedir(dir);
        rmdir(path);
}

static void rm_r_slot(int slot)
{
        begin_removal(bit(at(slot)));
        rm_r(arena->slots[slot].path);
        end_removal();
}

static void move(int from)
{
        const int to = own_path();

        if (from == to || arena->slots[from].on_tmpfs != arena->slots[to].on_tmpfs)
                return;
        begin_removal(bit(at(from)) | bit(to));
        if (rename(arena->slots[from].path, arena->slots[to].path) != 0 && errno != ENOENT &&
            errno != ENOTEMPTY && errno != EEXIST && errno != EPERM)
                fail("rename: %s", strerrorname_np(errno));
        end_removal();
}

/* An orphan was moved from or to any. */
static uint64_t slots_of(const struct sluice_queue_stat *st)
{
        const int slot = slot_of(st->name);

        return st->orphan ? ~UINT64_C(0) : slot >= 0 ? bit(slot) : 0;
}

/* What was removed although in use, or is left although unused. */
static void check_reaped(const struct sluice_queue_stat *st, unsigned flags, int r)
{
        const struct entry *e = st->generation ? entry_of(st->generation) : NULL;

        if (r == 0 && !(flags & SLUICE_REAP_PENDING) && e &&
            atomic_load(&e->sent) > atomic_load(&e->releasing))
                fail("%s, %llx: %llu messages sent, %llu received", st->name,
                     (unsigned long long)st->generation, atomic_load(&e->sent),
                     atomic_load(&e->released));
        if (is_root && st->uid != geteuid() && r == 0)
                fail("%s of user %u", st->name, (unsigned)st->uid);
}

static int reap_one(void *ctx, const struct sluice_queue_stat *st)
{
        const unsigned pending = below(8) ? 0 : SLUICE_REAP_PENDING;
        const unsigned flags = pending | (below(4) ? 0 : SLUICE_REAP_DRY_RUN);
        int r;

        (void)ctx;
        if (below(2))
                return 0;
        begin_removal(st->uid == geteuid() ? slots_of(st) : 0);
        r = sluice_reap(st, flags);
        count_result("reap", r, reap_may, NULL);
        check_reaped(st, flags, r);
        end_removal();
        return 0;
}

static void reap(int slot)
{
        int r;

        at(slot);
        r = sluice_list(reap_one, NULL);
        if (r < 0)
                fail("list: %d", r);
}

static void stat_queue(int slot)
{
        const struct look l = look(at(slot));
        struct sluice_queue_stat st;
        const int r = sluice_stat(name_of(slot), &st);

        if (r == -ENOENT)
                seen_none(&l);
        if (count_result("stat", r, stat_may, NULL) == 0)
                seen(&l, st.generation);
}

/* ---- Other people's ----------------------------------------------- */

/* Another user's queue stays, and so does his directory. */
static void meddle(int slot)
{
        const struct slot *s = &arena->slots[at(slot)];
        int r;

        if (!is_root || s->user == self_user)
                return;
        r = sluice_remove(s->path);
        if (count_result("remove", r, remove_may, NULL) == 0)
                fail("another user's queue was removed");
        if (s->is_key)
                return;
        rm_r(s->path);
        if (rename(s->path, arena->slots[own_path()].path) == 0)
                fail("another user's queue was moved");
        if (!is_child && mkdir(s->path, 0755) == 0)
                rmdir(s->path);
}

/* A bare key that belongs to another program; half a queue that a killed
 * creator has left there may be removed. */
static void use_foreign_key(int slot)
{
        const struct sluice_options o = options();
        struct sluice_queue_stat st;
        struct sluice_producer p;
        static const short create_is[] = {EADDRINUSE, EBUSY, 0};
        static const short other_is[] = {ENOENT, EPROTO, EPERM, EACCES, EBUSY, EINPROGRESS, 0};
        char name[20];

        at(slot);
        name_foreign_key(name, sizeof name, (int)below(FOREIGN_KEYS));
        count_result("remove", sluice_remove(name), other_is, NULL);
        if (count_result("create", sluice_create(name, &o), create_is, NULL) == 0 ||
            count_result("open", sluice_producer_open(&p, name, NULL), other_is, NULL) == 0 ||
            count_result("stat", sluice_stat(name, &st), other_is, NULL) == 0)
                fail("%s is another program's", name);
}

/* ---- Processes that end, or change -------------------------------- */

static void any_round(void);

static void begin_child(void)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(HANG_S);
        is_child = true;
        traffic_random(&self_seed);
}

static void reap_child(pid_t pid, const char *what)
{
        int status;

        if (waitpid(pid, &status, 0) != pid)
                fail("waitpid: %s", strerrorname_np(errno));
        else if (what && status != 0)
                fail("%s: status %x", what, (unsigned)status);
        else if (!what && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL))
                fail("not killed: status %x", (unsigned)status);
        end_removal();
}

static void killed(int slot)
{
        const uint64_t ns = below(4) ? below(400000) : below(4000000);
        const pid_t pid = fork();

        at(slot);
        if (pid == 0) {
                begin_child();
                for (;;)
                        any_round();
        }
        pause_ns(ns);
        kill(pid, SIGKILL);
        reap_child(pid, NULL);
        atomic_store(&arena->workers[self_worker].op, KILL);
        atomic_store(&arena->workers[self_worker].slot, slot);
}

/* Others hold it for moments only. */
static void must_become_free(int slot, const char *after)
{
        const int64_t end = sluice_now_ns() + INT64_C(30000000000);
        struct sluice_options o = options();
        struct sluice_producer p;
        int r;

        o.wake = SLUICE_WAKE_FUTEX;
        while ((r = sluice_producer_open(&p, name_of(slot), &o)) == -EBUSY && sluice_now_ns() < end)
                pause_ns(1000000);
        if (r == 0)
                sluice_producer_close(&p);
        else if (r == -EBUSY)
                fail("the role is held after %s", after);
        else
                count_result("open", r, open_may, NULL);
}

/* A holder that becomes another program. */
static void exec_holder(int slot)
{
        struct sluice_producer p;
        struct entry *e;
        int pipe_fds[2], r = pipe2(pipe_fds, O_CLOEXEC);
        pid_t pid = r == 0 ? fork() : -1;
        char byte;

        at(slot);
        if (pid == 0) {
                begin_child();
                if (open_producer(&p, slot, &e) == 0)
                        send_some(&p, e);
                execl("/bin/sleep", "sleep", "100", (char *)NULL);
                _exit(127);
        }
        if (pid < 0) {
                fail("no child: %s", strerrorname_np(errno));
                return;
        }
        close(pipe_fds[1]);
        if (read(pipe_fds[0], &byte, 1) != 0) /* until it has become another */
                fail("read: %s", strerrorname_np(errno));
        close(pipe_fds[0]);
        must_become_free(slot, "exec");
        kill(pid, SIGKILL);
        reap_child(pid, NULL);
}

/* A holder's child, which outlives the role. */
static void fork_holder(int slot)
{
        struct sluice_producer p;
        struct entry *e;
        int pipe_fds[2];
        pid_t pid;

        if (open_producer(&p, slot, &e) != 0)
                return;
        if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
                fail("pipe: %s", strerrorname_np(errno));
                return;
        }
        pid = fork();
        if (pid == 0) {
                char byte;

                begin_child();
                close(pipe_fds[1]);
                _exit(sluice_send(&p, "x", 1, SLUICE_NOW) != -EPERM ||
                      read(pipe_fds[0], &byte, 1) != 0);
        }
        send_some(&p, e);
        sluice_producer_close(&p);
        must_become_free(slot, "fork");
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        reap_child(pid, "child");
}

/* ---- Rounds ------------------------------------------------------- */

static int any_slot(void)
{
        return (int)below(SLOTS);
}

static void receive_few(int slot)
{
        receive_from(slot, below(8) + 1);
}

/* How often, of 64; a child that is to be killed has no children: of 53. */
static const struct {
        void (*body)(int slot);
        int (*pick)(void);
        unsigned char share;
} rounds[OPS] = {
        [CREATE] = {create, own_slot, 4},
        [SEND] = {send_to, some_slot, 14},
        [RECEIVE] = {receive_few, some_slot, 14},
        [REMOVE] = {remove_queue, own_slot, 3},
        [RM_R] = {rm_r_slot, own_path, 3},
        [MOVE] = {move, own_path, 3},
        [REAP] = {reap, own_slot, 3},
        [STAT] = {stat_queue, some_slot, 3},
        [MEDDLE] = {meddle, any_slot, 4},
        [FOREIGN] = {use_foreign_key, own_slot, 2},
        [KILL] = {killed, own_slot, 7},
        [EXEC] = {exec_holder, own_path, 2},
        [FORK] = {fork_holder, own_path, 2},
};

static void any_round(void)
{
        uint64_t dice = below(is_child ? 53 : 64);
        int op = 0;

        while (dice >= rounds[op].share)
                dice -= rounds[op++].share;
        atomic_store(&arena->workers[self_worker].op, op);
        atomic_fetch_add(&arena->done[op], 1);
        rounds[op].body(rounds[op].pick());
}

int work(void)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (atomic_fetch_sub(&arena->left, 1) > 0 && atomic_load(&arena->failed) == 0) {
                alarm(HANG_S);
                any_round();
        }
        return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Disorderly use of queues by four users at once, beside the objects of
 * other programs. In directories that all share and in their own ones, on the
 * file system of /tmp and on a tmpfs, under bare words and bare keys, each
 * round is one of: create, open and send or receive, remove, rm -r or mv of
 * the directory, list and reap, stat; the same in a process that is killed
 * at any moment; fork and exec of a holder; or what one user tries with a
 * queue of another. Meanwhile foreign segments and sets appear under the
 * keys in use. What must hold:
 *
 *   messages   a ledger, by generation: what a send has acknowledged is
 *              received once, in order, at its position, unless the owner
 *              has removed that queue
 *   queues     one that was seen under a name stays there until its owner
 *              removes or moves it; reaping removes only what is unused
 *   errors     only those that the header names for the call; a role that
 *              a fork or an exec has left is free; no call hangs
 *   strangers  identifiers, owners, modes, values, times, contents and
 *              sleepers of all foreign objects are as they were
 *   leaks      at the end the users reap and remove; then no object and no
 *              entry of a directory is left
 *
 * Without root there is one user only, said as skipped.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
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

enum { ROUNDS = 2000, USERS = 4, EACH = 2, WORKERS = USERS * EACH, UID = 64123, GID = 64130 };
enum { SLOTS_EACH = 8, SLOTS = USERS * SLOTS_EACH, LEDGER = 1 << 18, ERRORS = 200 };
enum { KEY = 0x51c0d0, FOREIGN_KEY = 0x51c1d0, FOREIGN_KEYS = 8 };
enum { CAPACITY = 4096, RECORD = 64, HANG_S = 100 };

/* One generation. Written by the holder of the role; stamp: by its observer. */
struct entry {
        atomic_ullong generation;
        atomic_ullong sending, sent;       /* to be, acknowledged */
        atomic_ullong releasing, released; /* likewise */
        atomic_ullong stamp;               /* of its slot, before it was last seen there */
};

/* A name: its queue may have been removed if `begun` has grown since it was
 * seen, or if a removal was under way then. */
struct slot {
        char name[200], path[200]; /* as its owner and as others call it */
        int user;
        bool is_key, on_tmpfs;
        atomic_ullong begun;   /* removals and moves, ever */
        atomic_ullong current; /* the generation that was last seen */
};

enum op {
        CREATE,
        SEND,
        RECEIVE,
        REMOVE,
        RM_R,
        MOVE,
        REAP,
        STAT,
        MEDDLE,
        FOREIGN,
        KILL,
        EXEC,
        FORK,
        OPS
};

static const char *const op_names[OPS] = {"create", "send", "receive", "remove", "rm -r",
                                          "mv",     "reap", "stat",    "meddle", "foreign",
                                          "kill",   "exec", "fork"};

struct worker {
        atomic_ullong removing; /* the slots that it removes or moves, by bit */
        atomic_int op, slot;
};

struct arena {
        struct slot slots[SLOTS];
        struct worker workers[WORKERS];
        struct entry ledger[LEDGER];
        atomic_long left;
        atomic_ulong failed, sent, received, entries, done[OPS];
        atomic_ulong errors[OPS][ERRORS];
};

static struct arena *a;
static int self, me; /* the worker, and its user */
static uint64_t seed;
static bool is_root, has_tmpfs, is_child;
static volatile sig_atomic_t stopped;

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
        const struct worker *w = &a->workers[self];
        const int op = atomic_load(&w->op);
        va_list list;

        if (atomic_fetch_add(&a->failed, 1) < 20) {
                fprintf(stderr, "user %d, %s of %s: ", me, op_names[op],
                        a->slots[atomic_load(&w->slot)].name);
                va_start(list, format);
                vfprintf(stderr, format, list);
                va_end(list);
                fputc('\n', stderr);
        }
        return 1;
}

static void pause_ns(uint64_t ns)
{
        const struct timespec t = {0, (long)ns};

        nanosleep(&t, NULL);
}

static uint64_t below(uint64_t n)
{
        return traffic_random(&seed) % n;
}

/* ---- Errors ------------------------------------------------------- */

static const short create_may[] = {EEXIST, ENOENT, ENOTEMPTY, EPERM, EACCES, EADDRINUSE, EBUSY, 0};
static const short open_may[] = {ENOENT, EBUSY, EACCES, EPERM, EINPROGRESS, 0};
static const short send_may[] = {EAGAIN, ETIMEDOUT, ESTALE, EOWNERDEAD, EPIPE, 0};
static const short remove_may[] = {ENOENT, EBUSY, EPERM, EACCES, ENOTEMPTY, 0};
static const short reap_may[] = {EBUSY, ENOTEMPTY, EPERM, ENOENT, ESTALE, EACCES, 0};
static const short stat_may[] = {ENOENT, EACCES, EPERM, EINPROGRESS, EAGAIN, 0};

static bool is_in(int r, const short *documented)
{
        while (*documented && -*documented != r)
                documented++;
        return *documented != 0;
}

/* r, counted; an error that is in neither list is a failure. */
static int count_result(const char *call, int r, const short *documented, const short *more)
{
        if (r >= 0)
                return r;
        atomic_fetch_add(&a->errors[atomic_load(&a->workers[self].op)][-r % ERRORS], 1);
        if (!is_in(r, documented) && !(more && is_in(r, more)))
                fail("%s: %s", call, strerrorname_np(-r));
        return r;
}

/* ---- What was seen where ------------------------------------------ */

static struct entry *entry_of(uint64_t generation)
{
        for (uint64_t i = generation; generation != 0; i++) {
                struct entry *e = &a->ledger[i % LEDGER];
                unsigned long long free = 0;

                if (atomic_load(&e->generation) == generation)
                        return e;
                if (atomic_compare_exchange_strong(&e->generation, &free, generation))
                        return atomic_fetch_add(&a->entries, 1) < LEDGER / 2 ? e : NULL;
                if (free == generation)
                        return e;
        }
        fail("a queue without a generation");
        return NULL;
}

/* The slot, how many removals of it have begun, and whether one is under way
 * now. */
static uint64_t stamp_of(int slot)
{
        const uint64_t begun = atomic_load(&a->slots[slot].begun);
        uint64_t removing = 0;

        for (int i = 0; i < WORKERS; i++)
                removing |= atomic_load(&a->workers[i].removing);
        return (uint64_t)slot << 48 | begun << 1 | (removing >> slot & 1);
}

/* Whether it may have gone from there since; seen elsewhere, it has moved. */
static bool may_be_gone(int slot, uint64_t stamp)
{
        return (stamp & 1) || stamp >> 48 != (uint64_t)slot ||
               atomic_load(&a->slots[slot].begun) > (stamp << 16) >> 17;
}

static void begin_removal(uint64_t slots)
{
        atomic_store(&a->workers[self].removing, slots);
        for (int i = 0; i < SLOTS; i++)
                if (slots >> i & 1)
                        atomic_fetch_add(&a->slots[i].begun, 1);
}

/* Also for a child that was killed meanwhile. */
static void end_removal(void)
{
        atomic_store(&a->workers[self].removing, 0);
}

/* The slot does not lead to this generation any longer. */
static void check_gone(int slot, uint64_t generation, uint64_t stamp)
{
        if (generation != 0 && !may_be_gone(slot, stamp))
                fail("generation %llx has gone, and nobody has removed or moved it",
                     (unsigned long long)generation);
}

struct look {
        int slot;
        uint64_t stamp, current, current_stamp;
};

/* Before a call that returns which queue it has found, or that there is none. */
static struct look look(int slot)
{
        struct look l = {slot, stamp_of(slot), atomic_load(&a->slots[slot].current), 0};

        if (l.current)
                l.current_stamp = atomic_load(&entry_of(l.current)->stamp);
        return l;
}

static struct entry *seen(const struct look *l, uint64_t generation)
{
        struct entry *e = entry_of(generation);

        if (!e)
                return NULL;
        if (l->current != generation)
                check_gone(l->slot, l->current, l->current_stamp);
        atomic_store(&e->stamp, l->stamp);
        atomic_store(&a->slots[l->slot].current, generation);
        return e;
}

static void seen_none(const struct look *l)
{
        unsigned long long current = l->current;

        check_gone(l->slot, l->current, l->current_stamp);
        if (current)
                atomic_compare_exchange_strong(&a->slots[l->slot].current, &current, 0);
}

/* ---- Slots -------------------------------------------------------- */

static const char *name_of(int slot)
{
        const struct slot *s = &a->slots[slot];

        return s->user == me ? s->name : s->path;
}

static int own_slot(void)
{
        return me * SLOTS_EACH + (int)below(SLOTS_EACH);
}

static int own_path(void)
{
        int slot;

        do
                slot = own_slot();
        while (a->slots[slot].is_key);
        return slot;
}

static int some_slot(void)
{
        return below(4) ? own_slot() : (int)below(SLOTS);
}

static int at(int slot)
{
        atomic_store(&a->workers[self].slot, slot);
        return slot;
}

static uint64_t bit(int slot)
{
        return UINT64_C(1) << slot;
}

static struct sluice_options options(void)
{
        static const mode_t modes[] = {0600, 0660, 0666, 0640};
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.capacity = CAPACITY;
        o.mode = modes[below(4)];
        o.first_position = UINT64_C(0) - below(3) * CAPACITY;
        o.wake = below(4) ? SLUICE_WAKE_FUTEX : SLUICE_WAKE_FIFO;
        o.flags = SLUICE_ANY_OWNER;
        return o;
}

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
        const bool creates = a->slots[slot].user == me && below(2);

        o->flags |= creates ? SLUICE_CREATE : 0;
        if (a->slots[slot].is_key)
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
                atomic_fetch_add(&a->sent, 1);
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
        if (count_result("peek", r, send_may, NULL))
                return r;
        if (!is_next(c, e, &m) || keep)
                return 1;
        atomic_store(&e->releasing, number + 1);
        r = sluice_release(c);
        atomic_store(&e->released, number + 1);
        atomic_fetch_add(&a->received, 1);
        return r ? fail("release: %d", r) : 0;
}

/* most 0: all that there is. */
static void receive_from(int slot, uint64_t most)
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
        rm_r(a->slots[slot].path);
        end_removal();
}

static void move(int from)
{
        const int to = own_path();

        if (from == to || a->slots[from].on_tmpfs != a->slots[to].on_tmpfs)
                return;
        begin_removal(bit(at(from)) | bit(to));
        if (rename(a->slots[from].path, a->slots[to].path) != 0 && errno != ENOENT &&
            errno != ENOTEMPTY && errno != EEXIST && errno != EPERM)
                fail("rename: %s", strerrorname_np(errno));
        end_removal();
}

static int slot_of(const char *path)
{
        for (int i = 0; i < SLOTS; i++)
                if (strcmp(a->slots[i].path, path) == 0)
                        return i;
        return -1;
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
        const struct slot *s = &a->slots[at(slot)];
        int r;

        if (!is_root || s->user == me)
                return;
        r = sluice_remove(s->path);
        if (count_result("remove", r, remove_may, NULL) == 0)
                fail("another user's queue was removed");
        if (s->is_key)
                return;
        rm_r(s->path);
        if (rename(s->path, a->slots[own_path()].path) == 0)
                fail("another user's queue was moved");
        if (!is_child && mkdir(s->path, 0755) == 0)
                rmdir(s->path);
}

static void name_foreign_key(char *name, size_t size, int i)
{
        snprintf(name, size, "key:0x%x", FOREIGN_KEY + (unsigned)i);
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
        traffic_random(&seed);
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
        atomic_store(&a->workers[self].op, KILL);
        atomic_store(&a->workers[self].slot, slot);
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
        atomic_store(&a->workers[self].op, op);
        atomic_fetch_add(&a->done[op], 1);
        rounds[op].body(rounds[op].pick());
}

static int work(void)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (atomic_fetch_sub(&a->left, 1) > 0 && atomic_load(&a->failed) == 0) {
                alarm(HANG_S);
                any_round();
        }
        return 0;
}

/* ---- Foreign objects ---------------------------------------------- */

enum kind { SET_3, SET_11, SET_11_VALUES, SEGMENT_ZERO, SEGMENT_SMALL, SEGMENT_GARBAGE, KINDS };
enum { FOREIGNS = 48, SETTLED = 2 * FOREIGN_KEYS };

struct foreign {
        enum kind kind;
        int id;
        unsigned char *mem; /* a segment's */
        size_t bytes;
        pid_t sleeper;
        union {
                struct shmid_ds shm;
                struct semid_ds sem;
        } ds;
        unsigned short value[11];
};

static struct foreign foreigns[FOREIGNS];
static int foreign_count, hurt;
static unsigned long foreign_made;

union semctl_arg {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
};

static bool is_set(const struct foreign *f)
{
        return f->kind <= SET_11_VALUES;
}

static bool look_at_set(const struct foreign *f, struct semid_ds *ds, unsigned short *value)
{
        union semctl_arg arg = {.buf = ds};

        memset(ds, 0, sizeof *ds);
        if (semctl(f->id, 0, IPC_STAT, arg) != 0)
                return false;
        arg.array = value;
        return semctl(f->id, 0, GETALL, arg) == 0;
}

/* Sleeps for a rise of the second semaphore. */
static pid_t sleep_on(int semid)
{
        struct sembuf op = {1, -1, 0};
        const pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                semop(semid, &op, 1);
                _exit(1);
        }
        for (int tries = 0; pid > 0 && semctl(semid, 1, GETNCNT) != 1 && tries < 10000; tries++)
                pause_ns(1000000);
        return pid;
}

static bool make_set(struct foreign *f, key_t key, uid_t uid)
{
        static unsigned short textbook[] = {1, 0, 8};
        static unsigned short unsigned_values[] = {0, 0, 1, 's', 'u', 'i', 4, 5, 6, 7, 8};
        union semctl_arg arg = {.array = f->kind == SET_3 ? textbook : unsigned_values};

        f->id = semget(key, f->kind == SET_3 ? 3 : 11, IPC_CREAT | IPC_EXCL | 0600);
        if (f->id < 0)
                return false;
        if (f->kind != SET_11 && semctl(f->id, 0, SETALL, arg) != 0)
                return false;
        arg.buf = &f->ds.sem;
        semctl(f->id, 0, IPC_STAT, arg);
        f->ds.sem.sem_perm.uid = uid;
        if (semctl(f->id, 0, IPC_SET, arg) != 0)
                return false;
        f->sleeper = foreign_count < SETTLED ? sleep_on(f->id) : 0;
        return look_at_set(f, &f->ds.sem, f->value);
}

static bool stat_segment(int id, struct shmid_ds *ds)
{
        memset(ds, 0, sizeof *ds);
        return shmctl(id, IPC_STAT, ds) == 0;
}

static bool make_segment(struct foreign *f, key_t key, uid_t uid)
{
        const size_t rings[] = {12288 + 4096, 12288 + 65536, 12288 + 32, 12288};

        f->bytes = f->kind == SEGMENT_SMALL ? 100 : rings[below(4)];
        f->id = shmget(key, f->bytes, IPC_CREAT | IPC_EXCL | 0600);
        f->mem = f->id < 0 ? (void *)-1 : shmat(f->id, NULL, 0);
        if (f->mem == (void *)-1 || madvise(f->mem, f->bytes, MADV_DONTFORK) != 0)
                return false;
        memset(f->mem, f->kind == SEGMENT_GARBAGE ? 0x5a : 0, f->bytes);
        shmctl(f->id, IPC_STAT, &f->ds.shm);
        f->ds.shm.shm_perm.uid = uid;
        return shmctl(f->id, IPC_SET, &f->ds.shm) == 0 && stat_segment(f->id, &f->ds.shm);
}

static void check_foreign(const struct foreign *f)
{
        const unsigned char byte = f->kind == SEGMENT_GARBAGE ? 0x5a : 0;
        unsigned short value[11] = {0};
        struct semid_ds sem;
        struct shmid_ds shm;
        bool same;

        if (is_set(f)) {
                same = look_at_set(f, &sem, value) && memcmp(&sem, &f->ds.sem, sizeof sem) == 0 &&
                       memcmp(value, f->value, sizeof value) == 0 &&
                       (!f->sleeper || semctl(f->id, 1, GETNCNT) == 1);
        } else {
                same = stat_segment(f->id, &shm) && memcmp(&shm, &f->ds.shm, sizeof shm) == 0;
                for (size_t i = 0; same && i < f->bytes; i++)
                        same = f->mem[i] == byte;
        }
        if (same || hurt++ > 5)
                return;
        fprintf(stderr, "foreign %s %d, kind %d, is not as it was\n", is_set(f) ? "set" : "segment",
                f->id, f->kind);
        atomic_fetch_add(&a->failed, 1);
}

static void remove_foreign(struct foreign *f)
{
        check_foreign(f);
        if (f->sleeper) {
                kill(f->sleeper, SIGKILL);
                waitpid(f->sleeper, NULL, 0);
        }
        if (is_set(f)) {
                semctl(f->id, 0, IPC_RMID);
        } else {
                shmdt(f->mem);
                shmctl(f->id, IPC_RMID, NULL);
        }
        memset(f, 0, sizeof *f);
}

/* Under a key, if that is free. */
static void make_foreign(key_t key, enum kind kind, uid_t uid)
{
        struct foreign *f = &foreigns[foreign_count];

        memset(f, 0, sizeof *f);
        f->kind = kind;
        f->id = -1;
        if (is_set(f) ? make_set(f, key, uid) : make_segment(f, key, uid)) {
                foreign_count++;
                foreign_made++;
        } else if (f->id >= 0) {
                fprintf(stderr, "a foreign object: %s\n", strerror(errno));
                exit(2);
        }
}

static void settle_foreigns(void)
{
        for (int i = 0; i < FOREIGN_KEYS; i++) {
                const key_t key = FOREIGN_KEY + i;
                const uid_t uid = is_root ? (uid_t)(UID + i % USERS) : geteuid();

                if (i % 4 != 1)
                        make_foreign(key, (enum kind)(i % 3), uid);
                if (i % 4 != 0)
                        make_foreign(key, (enum kind)(SEGMENT_ZERO + i % 3), uid);
        }
}

/* The first keys of a directory that is there now, of its owner. */
static void squat(void)
{
        const struct slot *s = &a->slots[below(SLOTS)];
        const int projects = below(8) ? 1 + (int)below(4) : 16;
        struct stat st;

        if (s->is_key || stat(s->path, &st) != 0)
                return;
        for (int project = 1; project <= projects; project++) {
                const key_t key =
                        (key_t)((unsigned)project << 24 | ((unsigned)st.st_dev & 0xff) << 16 |
                                ((unsigned)st.st_ino & 0xffff));

                if (foreign_count == FOREIGNS) { /* an old one is replaced */
                        struct foreign *f = &foreigns[SETTLED + below(FOREIGNS - SETTLED)];

                        remove_foreign(f);
                        *f = foreigns[--foreign_count];
                }
                make_foreign(key, (enum kind)below(KINDS), st.st_uid);
        }
}

/* ---- The end ------------------------------------------------------ */

static int reap_all(void *ctx, const struct sluice_queue_stat *st)
{
        int *orphans = ctx, r;

        if (st->uid != geteuid())
                return 0;
        *orphans += st->orphan;
        if (slot_of(st->name) >= 0 && !st->orphan)
                return 0; /* is removed by its name */
        r = sluice_reap(st, SLUICE_REAP_PENDING);
        if (r && r != -ENOENT)
                fail("%s, %llx, orphan %d, is not reaped: %d", st->name,
                     (unsigned long long)st->generation, st->orphan, r);
        return 0;
}

/* Whatever has become of it; unless strangers have all its keys. */
static void check_usable(int slot)
{
        struct sluice_options o = options();
        struct sluice_producer p;
        int r;

        o.wake = SLUICE_WAKE_FUTEX;
        o.flags |= SLUICE_CREATE;
        r = sluice_producer_open(&p, name_of(at(slot)), &o);
        if (r == 0)
                sluice_producer_close(&p);
        else if (r != -EADDRINUSE)
                fail("the name is not usable: %s", strerrorname_np(-r));
}

/* Of one user: what he was sent, and then what he has. */
static int tidy_up(void)
{
        int orphans = 0, r;

        atomic_store(&a->workers[self].op, RECEIVE);
        for (int i = 0; i < SLOTS; i++)
                if (a->slots[i].user == me)
                        receive_from(at(i), 0);
        atomic_store(&a->workers[self].op, REAP);
        if (sluice_list(reap_all, &orphans) < 0)
                fail("list");
        atomic_store(&a->workers[self].op, REMOVE);
        for (int i = 0; i < SLOTS; i++) {
                if (a->slots[i].user != me)
                        continue;
                check_usable(i);
                r = sluice_remove(name_of(i));
                if (r && r != -ENOENT)
                        fail("%d", r);
                if (!a->slots[i].is_key && rmdir(a->slots[i].path) != 0 && errno != ENOENT)
                        fail("the directory is left: %s", strerrorname_np(errno));
        }
        for (int i = 0; i < FOREIGN_KEYS; i++) {
                char name[20];

                name_foreign_key(name, sizeof name, i);
                sluice_remove(name); /* what a killed creator has left beside a stranger's */
        }
        return 0;
}

/* ---- Users and directories -------------------------------------------- */

static char areas[2][120]; /* on the file system of /tmp, on a tmpfs */
static bool is_left;

static pid_t start(int worker, int (*body)(void))
{
        const uint64_t child_seed = traffic_random(&seed);
        char runtime[200];
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid != 0)
                return pid;
        self = worker;
        me = worker % USERS;
        seed = child_seed;
        if (is_root && (setgroups(0, NULL) != 0 || setresgid(GID, GID, GID) != 0 ||
                        setresuid((uid_t)(UID + me), (uid_t)(UID + me), (uid_t)(UID + me)) != 0))
                _exit(3);
        umask(022);
        snprintf(runtime, sizeof runtime, "%s/own%d", areas[0], me);
        setenv("XDG_RUNTIME_DIR", runtime, 1);
        unsetenv("SLUICE_DIR");
        _exit(body());
}

static bool make_directory(const char *path, mode_t mode, uid_t uid)
{
        return mkdir(path, 0700) == 0 && chmod(path, mode) == 0 &&
               (!is_root || chown(path, uid, (gid_t)-1) == 0);
}

/* A sticky directory for all, and one for each user. */
static bool make_area(char *area, const char *where)
{
        char path[200];

        snprintf(area, sizeof areas[0], "%s/sluice-neighbours.XXXXXX", where);
        if (!mkdtemp(area) || chmod(area, 0711) != 0)
                return false;
        snprintf(path, sizeof path, "%s/all", area);
        if (!make_directory(path, 01777, geteuid()))
                return false;
        for (int i = 0; i < USERS; i++) {
                snprintf(path, sizeof path, "%s/own%d", area, i);
                if (!make_directory(path, 0755, (uid_t)(UID + i)))
                        return false;
        }
        return true;
}

/* What is left in there is printed, and removed all the same. */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at_level)
{
        (void)st;
        if (at_level->level > 1 || type != FTW_DP) {
                fprintf(stderr, "left: %s\n", path);
                is_left = true;
        }
        return remove(path);
}

static bool remove_area(const char *area)
{
        is_left = false;
        return nftw(area, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 && !is_left;
}

static void name_slot(int i)
{
        static const char *const places[SLOTS_EACH] = {"all", "all", "own", "own", "all", "own"};
        const int user = i / SLOTS_EACH, n = i % SLOTS_EACH;
        struct slot *s = &a->slots[i];
        char place[20] = "all";

        s->user = user;
        s->on_tmpfs = has_tmpfs && (n == 4 || n == 5);
        s->is_key = n == 7;
        if (s->is_key) {
                snprintf(s->path, sizeof s->path, "key:0x%x", KEY + (unsigned)user);
        } else if (n == 6) {
                snprintf(s->path, sizeof s->path, "%s/own%d/sluice/word", areas[0], user);
        } else {
                if (strcmp(places[n], "own") == 0)
                        snprintf(place, sizeof place, "own%d", user);
                snprintf(s->path, sizeof s->path, "%s/%s/q%d-%d", areas[s->on_tmpfs], place, user,
                         n);
        }
        strcpy(s->name, n == 6 ? "word" : s->path);
}

static int line(const char *what, bool failed)
{
        printf("%s  %s\n", what, failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

static void stop(int signal)
{
        (void)signal;
        stopped = 1;
}

/* Which worker it was, and whether it has failed. */
static int ended(pid_t *workers, pid_t pid, int status)
{
        for (int i = 0; i < WORKERS; i++) {
                if (workers[i] != pid)
                        continue;
                workers[i] = 0;
                self = i;
                me = i % USERS;
                if (status != 0)
                        fail("ended with status %x%s", (unsigned)status,
                             WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": hangs" : "");
                return 1;
        }
        if (hurt++ < 5)
                fprintf(stderr, "process %d does not sleep on\n", (int)pid); /* a foreign one */
        atomic_fetch_add(&a->failed, 1);
        return 0;
}

/* The neighbour, while the workers work. */
static void watch(pid_t *workers)
{
        int running = WORKERS, status;

        while (running > 0) {
                pid_t pid;

                while (running > 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0)
                        running -= ended(workers, pid, status);
                if (stopped)
                        atomic_store(&a->left, 0);
                squat();
                if (foreign_count)
                        check_foreign(&foreigns[below((uint64_t)foreign_count)]);
                pause_ns(2000000);
        }
}

static void run_as_each_user(int (*body)(void))
{
        int status;

        for (int i = 0; i < USERS; i++) {
                const pid_t pid = start(i, body);

                self = me = i;
                if (waitpid(pid, &status, 0) != pid || status != 0)
                        fail("status %x", (unsigned)status);
        }
}

static void print_counts(uint64_t share)
{
        printf("%llu rounds, %lu queues, %lu messages sent, %lu received, %lu foreign objects\n",
               (unsigned long long)share, atomic_load(&a->entries), atomic_load(&a->sent),
               atomic_load(&a->received), foreign_made);
        for (int op = 0; op < OPS; op++) {
                printf("  %-8s %7lu", op_names[op], atomic_load(&a->done[op]));
                for (int e = 0; e < ERRORS; e++)
                        if (atomic_load(&a->errors[op][e]))
                                printf("  %s %lu", strerrorname_np(e),
                                       atomic_load(&a->errors[op][e]));
                putchar('\n');
        }
        fflush(stdout);
}

static void print_sets(void)
{
        struct seminfo info;
        struct semid_ds ds;
        union semctl_arg arg = {.array = (unsigned short *)(void *)&info};
        const int slots = semctl(0, 0, SEM_INFO, arg);

        arg.buf = &ds;
        for (int i = 0; i <= slots; i++)
                if (semctl(i, 0, SEM_STAT, arg) >= 0)
                        fprintf(stderr, "set of %lu under 0x%x, user %u, mode %o\n",
                                (unsigned long)ds.sem_nsems, (unsigned)ds.sem_perm.__key,
                                (unsigned)ds.sem_perm.uid, (unsigned)ds.sem_perm.mode);
}

/* Nothing of ours may be left when all processes have ended. */
static int check_end(const struct census *before)
{
        struct census now;
        unsigned long failed = atomic_load(&a->failed);
        int failures = line("messages, queues, errors", failed != 0);

        run_as_each_user(tidy_up);
        for (int i = 0; i < foreign_count; i++)
                check_foreign(&foreigns[i]);
        failures += line("strangers", hurt != 0);
        while (foreign_count > 0)
                remove_foreign(&foreigns[--foreign_count]);
        if (census_ipc(&now) != 0 || now.segments != before->segments || now.sets != before->sets) {
                fail("%d segments and %d sets are left", now.segments - before->segments,
                     now.sets - before->sets);
                print_sets();
        }
        for (int i = 0; i <= has_tmpfs; i++)
                if (!remove_area(areas[i]))
                        fail("something is left in %s", areas[i]);
        return failures + line("leaks", atomic_load(&a->failed) != failed);
}

static bool begin(int argc, char **argv, struct census *before)
{
        const char *private = getenv("RUNTEST_PRIVATE");

        seed = traffic_seed(argc, argv);
        is_root = geteuid() == 0;
        a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (a == MAP_FAILED || census_ipc(before) != 0 ||
            !make_area(areas[0], private ? private : "/tmp"))
                return false;
        has_tmpfs = access("/dev/shm", W_OK | X_OK) == 0 && make_area(areas[1], "/dev/shm");
        for (int i = 0; i < SLOTS; i++)
                name_slot(i);
        signal(SIGTERM, stop);
        signal(SIGINT, stop);
        return true;
}

int main(int argc, char **argv)
{
        const uint64_t share = traffic_scale(ROUNDS);
        pid_t workers[WORKERS];
        struct census before;
        int failed, skipped;

        if (!begin(argc, argv, &before))
                return perror("cannot begin"), 2;
        atomic_store(&a->left, (long)share);
        settle_foreigns();
        for (int i = 0; i < WORKERS; i++)
                workers[i] = start(i, work);
        watch(workers);
        print_counts(share);
        failed = check_end(&before);
        if (!is_root)
                puts("four users: not root, skipped");
        if (!has_tmpfs)
                puts("tmpfs: no /dev/shm, skipped");
        skipped = !is_root + !has_tmpfs;
        printf("%d passed, %d failed, %d skipped\n", 3 - failed, failed, skipped);
        return failed != 0;
}

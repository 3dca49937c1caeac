/* SPDX-License-Identifier: MIT */
/* A server for many clients: a group that watches a directory of channels. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "sluice/group.h"

/* A thread serves: each reply is the request, with every byte one greater. */
struct server {
        struct sluice_group *g;
        pthread_t thread;
        char directory[200];
        atomic_int event[SLUICE_REMOVED + 1]; /* how often each was told */
        atomic_int answer;                    /* the latest of sluice_member_reply */
        struct sluice_member *_Atomic latest; /* whose message it was */
};

static struct server server;

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct server *s = ctx;
        unsigned char bytes[4096];

        if (event == SLUICE_MESSAGE) {
                s->latest = m;
                check(message->len <= sizeof bytes);
                for (size_t i = 0; i < message->len; i++)
                        bytes[i] = (unsigned char)(((const unsigned char *)message->data)[i] + 1);
                errno = ERRNO_MARK;
                atomic_store(&s->answer,
                             sluice_member_reply(m, message->tag, bytes, message->len, SLUICE_NOW));
                eq(errno, ERRNO_MARK);
        }
        atomic_fetch_add(&s->event[event], 1);
        return 0;
}

static void *serve(void *ctx)
{
        struct server *s = ctx;
        ssize_t n;

        do
                n = sluice_group_serve(s->g, take, s, SIZE_MAX, SLUICE_FOREVER);
        while (n >= 0);
        eq(n, -ECANCELED);
        return NULL;
}

static void *serve_shared(void *ctx)
{
        struct server *s = ctx;
        ssize_t n;

        do
                n = sluice_group_serve_shared(s->g, take, s, SIZE_MAX, SLUICE_FOREVER);
        while (n >= 0);
        eq(n, -ECANCELED);
        return NULL;
}

static void server_group(void)
{
        memset(&server, 0, sizeof server);
        snprintf(server.directory, sizeof server.directory, "%s", in_tmp("rpc"));
        check(mkdir(server.directory, 0700) == 0 || errno == EEXIST);
        call(sluice_group_create(&server.g, NULL), 0);
}

static void server_begin(unsigned flags)
{
        server_group();
        call(sluice_group_watch(server.g, server.directory, SLUICE_WATCH_CHANNELS | flags, NULL),
             0);
        server.thread = thread_start(serve, &server);
}

/* Leaves the directory. */
static void server_stop(void)
{
        call(sluice_group_interrupt(server.g), 0);
        thread_join(server.thread);
        call(sluice_group_destroy(server.g), 0);
}

static void server_end(void)
{
        until(rmdir(server.directory) == 0); /* all that clients had is gone */
        server_stop();
}

/* In the directory; up to 8 results live at once. */
static const char *at(const char *name)
{
        static char path[8][240];
        static unsigned i;
        char *const to = path[i++ % 8];

        snprintf(to, sizeof *path, "%s/%s", in_tmp("rpc"), name);
        return to;
}

static int told(enum sluice_event event)
{
        return atomic_load(&server.event[event]);
}

/* ---- Clients ------------------------------------------------------ */

static struct sluice_options create(void)
{
        struct sluice_options o = opt(4096);

        o.flags = SLUICE_CREATE;
        return o;
}

static void client_open(struct sluice_channel *ch, const char *name)
{
        const struct sluice_options o = create();

        call(sluice_channel_open(ch, name, SLUICE_CLIENT, &o), 0);
}

static void ask(struct sluice_channel *ch, uint64_t number)
{
        uint64_t reply = 0;

        call(sluice_call(ch, &number, sizeof number, &reply, sizeof reply, soon()), sizeof reply);
        eq(reply, number + UINT64_C(0x0101010101010101));
}

/* The one that leads, and the one that has a message in hand. */
QTest(server, may_have_several_threads)
{
        struct sluice_channel ch[3];
        pthread_t second;

        server_group();
        call(sluice_group_watch(server.g, server.directory,
                                SLUICE_WATCH_CHANNELS | SLUICE_WATCH_REMOVE, NULL),
             0);
        server.thread = thread_start(serve_shared, &server);
        second = thread_start(serve_shared, &server);
        for (int i = 0; i < 3; i++)
                client_open(&ch[i], at(""));
        for (uint64_t n = 0; n < 100; n++)
                ask(&ch[n % 3], n);
        for (int i = 0; i < 3; i++)
                call(sluice_channel_close(&ch[i]), 0);
        until(rmdir(server.directory) == 0);
        call(sluice_group_interrupt(server.g), 0);
        thread_join(server.thread);
        thread_join(second);
        call(sluice_group_destroy(server.g), 0);
}

QTest(server, answers_each_client_what_that_one_asks)
{
        struct sluice_channel ch[3];

        server_begin(SLUICE_WATCH_REMOVE);
        for (int i = 0; i < 3; i++)
                client_open(&ch[i], at(""));
        for (uint64_t n = 0; n < 100; n++)
                ask(&ch[n % 3], n);
        for (int i = 0; i < 3; i++) {
                eq(ch[i].late, 0);
                call(sluice_channel_close(&ch[i]), 0);
        }
        until(told(SLUICE_ENDED) == 3);
        eq(told(SLUICE_JOINED), 3);
        eq(told(SLUICE_MESSAGE), 100);
        server_end();
}

QTest(server, finds_a_client_that_was_first_and_has_a_name)
{
        struct sluice_channel ch;

        server_group();
        client_open(&ch, at("name"));
        call(sluice_group_destroy(server.g), 0);
        server_begin(0);
        ask(&ch, 7);
        eq(strcmp(sluice_member_name(server.latest), at("name/request")), 0);
        call(sluice_channel_close(&ch), 0);
        until(told(SLUICE_ENDED) == 1);
        client_open(&ch, at("name")); /* not removed: it goes on */
        ask(&ch, 8);
        call(sluice_channel_close(&ch), 0);
        call(sluice_channel_remove(at("name")), 0);
        server_end();
}

QTest(server, waits_for_a_channel_that_is_not_complete)
{
        const struct sluice_options o = create();
        struct sluice_channel ch;

        server_begin(SLUICE_WATCH_REMOVE);
        eq(mkdir(at("a"), 0700), 0);
        pause_ms(5);
        call(sluice_create(at("a/reply"), &o), 0);
        pause_ms(5);
        eq(mkdir(at("a/request"), 0700), 0);
        pause_ms(5);
        client_open(&ch, at("a"));
        ask(&ch, 1);
        call(sluice_channel_close(&ch), 0);
        server_end();
}

/* ---- Death -------------------------------------------------------- */

static int ask_and_die(void *ctx)
{
        struct sluice_channel ch;

        client_open(&ch, at(""));
        if (ctx)
                ask(&ch, 1);
        kill(getpid(), SIGKILL);
        return 0;
}

QTest(server, removes_what_a_killed_client_had)
{
        struct sluice_channel ch;

        server_begin(SLUICE_WATCH_REMOVE);
        client_open(&ch, at(""));
        for (int i = 1; i <= 3; i++) {
                eq(reap(spawn(ask_and_die, &ch)), -SIGKILL);
                until(told(SLUICE_DIED) == i);
                ask(&ch, (uint64_t)i);
        }
        call(sluice_channel_close(&ch), 0);
        server_end();
}

QTest(server, removes_a_client_that_died_before_it_was_found)
{
        server_group();
        eq(reap(spawn(ask_and_die, NULL)), -SIGKILL);
        call(sluice_group_destroy(server.g), 0);
        server_begin(SLUICE_WATCH_REMOVE);
        until(told(SLUICE_DIED) == 1);
        server_end();
}

/* Requests without an answer, and replies that nobody has read, do not keep it. */
static int request_and_die(void *ctx)
{
        struct sluice_channel ch;

        (void)ctx;
        client_open(&ch, at(""));
        for (uint64_t n = 0; n < 5; n++)
                eq(send_number(&ch.out, n, soon()), 0);
        kill(getpid(), SIGKILL);
        return 0;
}

QTest(server, serves_what_a_killed_client_had_sent)
{
        server_group();
        eq(reap(spawn(request_and_die, NULL)), -SIGKILL);
        call(sluice_group_destroy(server.g), 0);
        server_begin(SLUICE_WATCH_REMOVE);
        until(told(SLUICE_DIED) == 1);
        eq(told(SLUICE_MESSAGE), 5);
        eq(atomic_load(&server.answer), 0);
        server_end();
}

QTest(server, lets_the_next_client_have_the_same_name)
{
        struct sluice_channel ch;

        server_begin(SLUICE_WATCH_REMOVE);
        for (int i = 1; i <= 5; i++) {
                client_open(&ch, at("again"));
                ask(&ch, (uint64_t)i);
                call(sluice_channel_close(&ch), 0);
                until(told(SLUICE_ENDED) == i);
                until(!exists(at("again")));
        }
        server_end();
}

QTest(server, is_told_of_a_channel_that_was_removed)
{
        struct sluice_channel ch;

        server_begin(0);
        client_open(&ch, at("a"));
        ask(&ch, 1);
        call(sluice_channel_remove(at("a")), 0);
        call(sluice_channel_close(&ch), 0);
        until(told(SLUICE_ENDED) + told(SLUICE_REMOVED) >= 1);
        client_open(&ch, at("a"));
        ask(&ch, 2);
        call(sluice_channel_close(&ch), 0);
        call(sluice_channel_remove(at("a")), 0);
        server_end();
}

/* ---- Errors ------------------------------------------------------- */

QTest(server, is_not_held_up_by_a_client_that_takes_no_replies)
{
        struct sluice_channel ch[2];
        uint64_t n = 0;

        server_begin(SLUICE_WATCH_REMOVE);
        client_open(&ch[0], at(""));
        client_open(&ch[1], at(""));
        do
                eq(send_number(&ch[0].out, n++, soon()), 0);
        while (atomic_load(&server.answer) != -EAGAIN);
        ask(&ch[1], 1); /* is answered, and those of the other go on to be refused */
        sluice_channel_close(&ch[0]);
        sluice_channel_close(&ch[1]);
        server_end();
}

/* The answer of a plain queue's member, in the handler. */
static int no_channel(void *ctx, struct sluice_member *m, enum sluice_event event,
                      const struct sluice_message *message)
{
        (void)message;
        *(struct sluice_member **)ctx = m;
        if (event == SLUICE_MESSAGE)
                call(sluice_member_reply(m, 1, "", 1, SLUICE_NOW), -EINVAL);
        return 0;
}

QTest(member_reply, is_for_the_request_that_is_being_handled)
{
        const struct sluice_message message = {.kind = SLUICE_WHOLE};
        const struct sluice_options o = create();
        struct sluice_member *m = NULL;
        struct sluice_long l = {.cap = 0};
        struct sluice_channel ch;
        struct sluice_producer p;

        server_group();
        call(sluice_producer_open(&p, at("q"), &o), 0);
        call(sluice_group_add(server.g, at("q"), NULL, NULL, NULL), 0);
        eq(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_group_serve(server.g, no_channel, &m, 1, soon()), 1);
        sluice_producer_close(&p);
        call(sluice_group_destroy(server.g), 0);
        call(sluice_remove(at("q")), 0);

        server_group();
        client_open(&ch, at("a"));
        call(sluice_group_watch(server.g, server.directory, SLUICE_WATCH_CHANNELS, NULL), 0);
        eq(send_number(&ch.out, 1, SLUICE_NOW), 0);
        call(sluice_group_serve(server.g, take, &server, 1, soon()), 1);
        eq(atomic_load(&server.answer), 0);
        call(sluice_member_reply(server.latest, 1, "", 1, SLUICE_NOW), -EINVAL); /* not now */
        call(sluice_member_recv_long(server.latest, &l, &message), -EINVAL);
        call(sluice_group_destroy(server.g), 0);
        sluice_channel_close(&ch);
        call(sluice_channel_remove(at("a")), 0);
        eq(rmdir(server.directory), 0);
}

static rlim_t lowest_free(void)
{
        const int fd = dup(0);

        close(fd);
        return (rlim_t)fd;
}

/* Room for the one queue of the channel and not for both. */
QTest(server, tells_of_a_limit_that_leaves_no_room_for_replies)
{
        struct rlimit before, limit;
        struct sluice_channel ch;
        ssize_t r = 0;

        server_group();
        client_open(&ch, at("a"));
        eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (rlim_t room = 1; r == 0 || r == -EMFILE; room++) {
                const struct rlimit all = before;
                struct world world;

                call(sluice_group_watch(server.g, server.directory, SLUICE_WATCH_CHANNELS, NULL),
                     0);
                world = world_now();
                limit = before;
                limit.rlim_cur = lowest_free() + room;
                eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
                r = sluice_group_serve(server.g, take, &server, 1, sluice_after(MS(1)));
                eq(setrlimit(RLIMIT_NOFILE, &all), 0);
                if (told(SLUICE_JOINED))
                        break;
                eq(r, -EMFILE);
                check(strstr(sluice_limit(), "RLIMIT_NOFILE") != NULL);
                same_world(&world);
                call(sluice_group_destroy(server.g), 0);
                call(sluice_group_create(&server.g, NULL), 0);
        }
        call(sluice_group_destroy(server.g), 0);
        sluice_channel_close(&ch);
        call(sluice_channel_remove(at("a")), 0);
        eq(rmdir(server.directory), 0);
}

/* The client may be told that a server has gone. */
static void ask_again(struct sluice_channel *ch)
{
        char answer = 0;

        while (sluice_call(ch, "a", 1, &answer, 1, soon()) != 1)
                continue;
        eq(answer, 'b');
}

/* Of a in use by another process, of b not there: once in a second both are tried
 * again. */
QTest(server, waits_for_the_replies_of_a_channel)
{
        const struct sluice_options o = create();
        struct sluice_channel ch[2];
        struct sluice_producer other;

        server_group();
        client_open(&ch[0], at("a"));
        call(sluice_producer_open(&other, at("a/reply"), NULL), 0);
        eq(mkdir(at("b"), 0700), 0);
        call(sluice_create(at("b/request"), &o), 0);
        call(sluice_group_watch(server.g, server.directory, SLUICE_WATCH_CHANNELS, NULL), 0);
        server.thread = thread_start(serve, &server);
        pause_ms(20);
        eq(told(SLUICE_JOINED), 0);
        sluice_producer_close(&other);
        client_open(&ch[1], at("b"));
        until(told(SLUICE_JOINED) == 2);
        for (int i = 0; i < 2; i++) {
                ask_again(&ch[i]);
                sluice_channel_close(&ch[i]);
        }
        call(sluice_channel_remove(at("a")), 0);
        call(sluice_channel_remove(at("b")), 0);
        server_end();
}

/* ---- Messages longer than the ring -------------------------------- */

enum { LONGEST = 100000 };

/* What a handler does, and what it has got. */
struct taker {
        struct sluice_long l;
        size_t room;       /* when buf is too small: so much; 0: nothing */
        int refused;       /* pieces that were kept, one time each */
        bool refuse, kept; /* every piece, the first time; the latest was */
        int n;             /* messages */
        ssize_t answer;    /* the latest */
};

static int take_long(void *ctx, struct sluice_member *m, enum sluice_event event,
                     const struct sluice_message *message)
{
        struct taker *t = ctx;

        if (event != SLUICE_MESSAGE)
                return 0;
        errno = ERRNO_MARK;
        t->answer = sluice_member_recv_long(m, &t->l, message);
        if (t->answer == -EMSGSIZE && t->room) {
                t->l.buf = realloc(t->l.buf, t->room);
                t->l.cap = t->room;
                t->answer = sluice_member_recv_long(m, &t->l, message);
        }
        eq(errno, ERRNO_MARK);
        if (t->refuse && !t->kept) {
                t->kept = true;
                t->refused++;
                return -1;
        }
        t->kept = false;
        t->n += t->answer >= 0;
        return 0;
}

/* A queue, its producer, and a group of which it is the one member. */
struct pair {
        struct sluice_producer p;
        struct taker taker;
};

static void pair_begin(struct pair *pair)
{
        const struct sluice_options o = create();

        memset(pair, 0, sizeof *pair);
        pair->taker.room = LONGEST;
        call(sluice_group_create(&server.g, NULL), 0);
        call(sluice_producer_open(&pair->p, "q", &o), 0);
        call(sluice_group_add(server.g, "q", NULL, NULL, NULL), 0);
}

static void pair_end(struct pair *pair)
{
        free(pair->taker.l.buf);
        sluice_producer_close(&pair->p);
        call(sluice_group_destroy(server.g), 0);
        call(sluice_remove("q"), 0);
}

static void serve_pair(struct pair *pair)
{
        ssize_t n;

        do
                n = sluice_group_serve(server.g, take_long, &pair->taker, SIZE_MAX, SLUICE_NOW);
        while (n > 0 || n == -1);
        eq(n, 0);
}

static void pass(struct pair *pair, size_t len)
{
        const int before = pair->taker.n;
        unsigned char *const bytes = malloc(len + 1);
        size_t sent = 0;
        int r;

        for (size_t i = 0; i < len; i++)
                bytes[i] = (unsigned char)(i * 7 + i / 256 + len);
        do {
                r = sluice_send_long(&pair->p, bytes, len, (uint32_t)len, &sent, SLUICE_NOW);
                serve_pair(pair);
        } while (r == -EAGAIN);
        eq(r, 0);
        if (pair->taker.n == before + 1) {
                eq(pair->taker.answer, len);
                eq(pair->taker.l.len, len);
                eq(pair->taker.l.tag, len);
                check(len == 0 || memcmp(pair->taker.l.buf, bytes, len) == 0);
        }
        free(bytes);
}

QTest(member_recv_long, puts_pieces_together)
{
        const size_t lens[] = {0, 10, 2040, 2041, 5000, LONGEST, 1};
        struct pair pair;

        for (int refuse = 0; refuse < 2; refuse++) {
                pair_begin(&pair);
                pair.taker.refuse = refuse;
                for (int i = 0; i < 7; i++) {
                        pass(&pair, lens[i]);
                        eq(pair.taker.n, i + 1);
                }
                eq(look("q").torn, 0);
                check((pair.taker.refused > 100) == refuse);
                pair_end(&pair);
        }
}

QTest(member_recv_long, gives_up_what_finds_no_room)
{
        struct pair pair;

        pair_begin(&pair);
        pair.taker.room = 3000;
        pass(&pair, 5000);
        pass(&pair, 6000);
        eq(pair.taker.n, 0);
        eq(look("q").torn, 2);
        pass(&pair, 3000);
        pair.taker.room = 0;
        pass(&pair, 3001); /* the last piece finds none */
        eq(pair.taker.n, 1);
        pass(&pair, 2999);
        eq(pair.taker.n, 2);
        eq(look("q").torn, 3);
        pair_end(&pair);
}

QTest(member_recv_long, drops_what_a_sender_gave_up)
{
        const unsigned char bytes[5000] = {0};
        struct pair pair;
        size_t sent = 0;

        pair_begin(&pair);
        call(sluice_send_long(&pair.p, bytes, sizeof bytes, 0, &sent, SLUICE_NOW), -EAGAIN);
        serve_pair(&pair);
        pass(&pair, 6000);
        eq(pair.taker.n, 1);
        eq(look("q").torn, 1);
        pair_end(&pair);
}

/* Requests and replies of any length. */
static int echo(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct taker *t = ctx;
        const int n = t->n;

        take_long(t, m, event, message);
        if (t->n != n)
                call(sluice_member_reply(m, t->l.tag, t->l.buf, t->l.len, soon()), 0);
        return t->n != n;
}

static void *serve_one(void *ctx)
{
        call(sluice_group_serve(server.g, echo, ctx, SIZE_MAX, soon()) > 0, 1);
        return NULL;
}

QTest(server, answers_requests_of_any_length)
{
        static unsigned char request[LONGEST], reply[LONGEST];
        struct taker taker = {.room = LONGEST};
        struct sluice_channel ch;
        pthread_t t;

        server_group();
        client_open(&ch, at("a"));
        call(sluice_group_watch(server.g, server.directory, SLUICE_WATCH_CHANNELS, NULL), 0);
        t = thread_start(serve_one, &taker);
        memset(request, 'x', sizeof request);
        call(sluice_call(&ch, request, LONGEST, reply, LONGEST, soon()), LONGEST);
        eq(memcmp(request, reply, LONGEST), 0);
        thread_join(t);
        free(taker.l.buf);
        call(sluice_group_destroy(server.g), 0);
        sluice_channel_close(&ch);
        call(sluice_channel_remove(at("a")), 0);
        eq(rmdir(server.directory), 0);
}

/* ---- A channel of its own ----------------------------------------- */

QTest(own_channel, is_removed_if_it_cannot_be_opened)
{
        const struct sluice_options o = create();
        struct rlimit before, limit;
        struct sluice_channel ch;
        int r;

        eq(mkdir(in_tmp("rpc"), 0700), 0);
        eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        limit = before;
        for (limit.rlim_cur = lowest_free();; limit.rlim_cur++) {
                const struct world world = world_now();

                eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
                r = sluice_channel_open(&ch, at(""), SLUICE_CLIENT, &o);
                eq(setrlimit(RLIMIT_NOFILE, &before), 0);
                if (r == 0)
                        break;
                eq(r, -EMFILE);
                same_world(&world);
        }
        call(sluice_channel_close(&ch), 0);
        server_begin(SLUICE_WATCH_REMOVE);
        until(told(SLUICE_ENDED) == 1);
        server_end();
}

QTest(own_channel, only_a_client_gets_one_and_only_with_create)
{
        const struct sluice_options o = create();
        struct sluice_channel ch;
        char name[SLUICE_NAME_MAX + 2];

        eq(mkdir(in_tmp("rpc"), 0700), 0);
        refused(sluice_channel_open(&ch, at(""), SLUICE_CLIENT, NULL), -ENOENT);
        refused(sluice_channel_open(&ch, at("none/"), SLUICE_CLIENT, &o), -ENOENT);
        memset(name, '/', sizeof name);
        memcpy(name, in_tmp("rpc"), strlen(in_tmp("rpc")));
        name[SLUICE_NAME_MAX] = '\0';
        refused(sluice_channel_open(&ch, name, SLUICE_CLIENT, &o), -ENAMETOOLONG);
        call(sluice_channel_open(&ch, at(""), SLUICE_SERVER, &o), 0); /* the channel "rpc" */
        call(sluice_channel_close(&ch), 0);
        call(sluice_channel_remove(in_tmp("rpc")), 0);
}

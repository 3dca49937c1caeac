/* SPDX-License-Identifier: MIT */
/* Two queues under one name: request and reply. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <signal.h>

#include "sluice/channel.h"
#include "traffic.h"

static struct sluice_channel client, server;

static struct sluice_options create(size_t capacity)
{
        struct sluice_options o = opt(capacity);

        o.flags = SLUICE_CREATE;
        return o;
}

static void open_both_with(const struct sluice_options *o)
{
        call(sluice_channel_open(&client, "ch", SLUICE_CLIENT, o), 0);
        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, o), 0);
}

static void open_both(size_t capacity)
{
        const struct sluice_options o = create(capacity);

        open_both_with(&o);
}

static void close_both(void)
{
        call(sluice_channel_close(&client), 0);
        call(sluice_channel_close(&server), 0);
        call(sluice_channel_remove("ch"), 0);
}

/* Serves n requests: answers each with its own bytes, each one greater. */
static void serve(struct sluice_channel *ch, int n)
{
        for (int i = 0; i < n; i++) {
                struct sluice_long request = {.buf = malloc(1 << 20), .cap = 1 << 20};
                unsigned char *bytes = request.buf;
                const ssize_t len = sluice_recv_long(&ch->in, &request, soon());

                check(bytes && len >= 0);
                for (ssize_t k = 0; k < len; k++)
                        bytes[k]++;
                call(sluice_reply(ch, request.tag, bytes, (size_t)len, soon()), 0);
                free(bytes);
        }
}

static void *serve_5(void *ctx)
{
        serve(ctx, 5);
        return NULL;
}

/* ---- Calls -------------------------------------------------------- */

static void call_with_every_length(const size_t lens[5])
{
        const pthread_t t = thread_start(serve_5, &server);

        for (int i = 0; i < 5; i++) {
                unsigned char *const bytes = calloc(2, lens[i] + 1);

                memset(bytes, i, lens[i]);
                call(sluice_call(&client, bytes, lens[i], bytes + lens[i], lens[i], soon()),
                     lens[i]);
                for (size_t k = 0; k < lens[i]; k++)
                        eq(bytes[lens[i] + k], i + 1);
                free(bytes);
        }
        thread_join(t);
        eq(client.late, 0);
}

QTest(channel, answers_calls_of_every_length)
{
        const size_t lens[] = {0, 1, 100, 3000, 100000};

        open_both(4096);
        call_with_every_length(lens);
        close_both();
}

/* Pieces of 8 bytes; positions pass 2^32 and 2^64. */
QTest(channel, works_in_the_smallest_rings)
{
        const uint64_t firsts[] = {0, UINT64_C(0xffffffe8), UINT64_C(0xffffffffffffffe8)};
        const size_t lens[] = {0, 8, 9, 63, 200};

        for (int i = 0; i < 6; i++) {
                struct sluice_options o = create(i < 3 ? 32 : 256);

                o.record_align = i < 3 ? 8 : 64;
                o.first_position = firsts[i % 3] & ~(uint64_t)(o.record_align - 1);
                open_both_with(&o);
                call_with_every_length(lens);
                check(sluice_producer_position(&client.out) - o.first_position > o.capacity);
                close_both();
        }
}

/* The reply to the first comes while the second waits. */
QTest(channel, drops_late_replies)
{
        struct sluice_message m;
        char got[8] = "";

        open_both(4096);
        call(sluice_call(&client, "1", 1, got, 8, SLUICE_NOW), -EAGAIN);
        call(sluice_call(&client, "2", 1, got, 8, sluice_after(1000)), -ETIMEDOUT);
        for (int i = 0; i < 2; i++) {
                call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
                call(sluice_reply(&server, m.tag, "late", 4, SLUICE_NOW), 0);
                call(sluice_release(&server.in), 0);
        }
        call(sluice_call(&client, "3", 1, got, 8, SLUICE_NOW), -EAGAIN);
        eq(client.late, 2);
        call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
        call(sluice_reply(&server, m.tag - 1, "wrong", 5, SLUICE_NOW), 0);
        call(sluice_reply(&server, m.tag + 1, "3", 1, SLUICE_NOW), 0);
        call(sluice_call(&client, "4", 1, got, 8, SLUICE_NOW), 1);
        eq(got[0], '3');
        eq(client.late, 3);
        close_both();
}

QTest(channel, gives_up_a_reply_that_comes_half)
{
        unsigned char bytes[20000], got[20000];
        struct sluice_message m;

        memset(bytes, 7, sizeof bytes);
        open_both(4096);
        call(sluice_call(&client, "1", 1, got, sizeof got, SLUICE_NOW), -EAGAIN);
        call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
        call(sluice_reply(&server, m.tag, bytes, sizeof bytes, SLUICE_NOW), -EAGAIN);
        call(sluice_release(&server.in), 0);
        call(sluice_call(&client, "2", 1, got, 3, SLUICE_NOW), -EAGAIN); /* and a smaller buffer */
        call(sluice_call(&client, "3", 1, got, sizeof got, SLUICE_NOW), -EAGAIN);
        call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
        call(sluice_reply(&server, m.tag + 2, "yes", 3, SLUICE_NOW), 0);
        call(sluice_call(&client, "4", 1, got, 3, SLUICE_NOW), 3);
        check(memcmp(got, "yes", 3) == 0);
        close_both();
}

QTest(channel, refuses_a_reply_that_is_too_long)
{
        struct sluice_message m;
        char got[4];

        open_both(4096);
        call(sluice_call(&client, "1", 1, got, 4, SLUICE_NOW), -EAGAIN);
        call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
        call(sluice_reply(&server, m.tag, "too long, late", 14, SLUICE_NOW), 0);
        call(sluice_reply(&server, m.tag + 1, "too long", 8, SLUICE_NOW), 0);
        call(sluice_reply(&server, m.tag + 2, "fits", 4, SLUICE_NOW), 0);
        call(sluice_call(&client, "2", 1, got, 4, SLUICE_NOW), -EMSGSIZE);
        call(sluice_call(&client, "3", 1, got, 4, SLUICE_NOW), 4);
        eq(client.late, 1);
        close_both();
}

enum { LONG = 5000 };

/* Up to a long request, which it serves, too. */
static void *serve_until_long(void *ctx)
{
        static unsigned char bytes[LONG], big[100];
        struct sluice_long request = {.buf = bytes, .cap = sizeof bytes};
        ssize_t n = 0;

        while (n != LONG) {
                n = sluice_recv_long(&server.in, &request, soon());
                check(n >= 0);
                call(sluice_reply(&server, request.tag, big, sizeof big, soon()), 0);
        }
        return ctx;
}

/* The queue of replies is full of late ones, so the server waits for room, and
 * takes no request: the client, which waits for room for one, makes it. */
QTest(channel, takes_late_replies_while_it_waits_for_room)
{
        static unsigned char bytes[LONG];
        char got[100];

        for (int now = 0; now < 2; now++) {
                pthread_t t;

                open_both(1024);
                while (sluice_producer_room(&client.out) >= 128)
                        call(sluice_call(&client, "1", 1, got, 100, SLUICE_NOW), -EAGAIN);
                t = thread_start(serve_until_long, NULL);
                until_asleep(in_queues("ch/reply"), PRODUCER);
                if (now)
                        until(sluice_call(&client, bytes, LONG, got, 100, SLUICE_NOW) != -EAGAIN ||
                              client.late > 7);
                call(sluice_call(&client, bytes, LONG, got, 100, soon()), 100);
                thread_join(t);
                check(client.late > 7);
                close_both();
        }
}

static void send_piece(enum sluice_kind kind, uint32_t tag)
{
        void *payload;

        call(sluice_reserve(&server.out, 4, &payload, SLUICE_NOW), 0);
        memcpy(payload, "left", 4);
        sluice_set_tag(&server.out, tag);
        call(sluice_set_kind(&server.out, kind), 0);
        call(sluice_commit(&server.out, 4), 0);
}

/* A server that replies before it is asked gets half of its reply into the buffer
 * of an earlier call: it is no reply to the later one. */
QTest(channel, puts_no_reply_together_from_two_calls)
{
        char first[8] = "", second[8] = "";

        open_both(4096);
        send_piece(SLUICE_FIRST, 2);
        call(sluice_call(&client, "1", 1, first, 8, SLUICE_NOW), -EAGAIN);
        check(memcmp(first, "left", 4) == 0);
        send_piece(SLUICE_LAST, 2);
        call(sluice_call(&client, "2", 1, second, 8, SLUICE_NOW), -EAGAIN);
        eq(client.late, 1);
        check(second[0] == 0 && second[4] == 0);
        call(sluice_reply(&server, 3, "yes", 3, SLUICE_NOW), 0);
        call(sluice_call(&client, "3", 1, second, 8, SLUICE_NOW), 3);
        close_both();
}

/* A server whose late replies never end holds no call. */
QTest(channel, ends_a_call_at_its_deadline_whatever_comes)
{
        uint64_t *word;
        int shmid;

        open_both(1 << 12);
        shmid = look(in_queues("ch/reply")).shmid;
        word = shmat(shmid, NULL, 0);
        check(word != (void *)-1);
        for (size_t i = 0; i < (1 << 12) / 8; i++)
                word[12288 / 8 + i] = 1 | UINT64_C(12345) << 32;
        call(sluice_call(&client, "1", 1, NULL, 0, SLUICE_NOW), -EAGAIN);
        call(sluice_call(&client, "1", 1, NULL, 0, sluice_after(MS(1))), -ETIMEDOUT);
        shmdt(word);
        close_both();
}

/* ---- A hostile peer ----------------------------------------------- */

/* A word that may be a header, or anything. */
static uint64_t wicked(uint64_t *random)
{
        const uint64_t r = traffic_random(random);

        return r % 4 == 0 ? traffic_random(random) : (r >> 8) % 5000 << 3 | (r >> 60 & 7);
}

/* Into a half of a queue, its ring, and where the next message would be. */
static void scribble(unsigned char *segment, size_t half, uint64_t next, uint64_t *random)
{
        for (int i = 0; i < 4; i++) {
                const size_t r = (size_t)(traffic_random(random) >> 20);
                const size_t to[3] = {half + r % 48 * 8, 12288 + r % 512 * 8, 12288 + next % 4096};
                const uint64_t word = wicked(random);

                memcpy(segment + to[i % 3], &word, 8);
        }
}

static bool is_documented(ssize_t r)
{
        return r >= 0 || r == -EAGAIN || r == -EBADMSG || r == -EPIPE || r == -EOWNERDEAD ||
               r == -EMSGSIZE;
}

/* One side calls, or serves. 1: it was told that the other breaks the rules. */
static int use_once(bool as_client, uint32_t tag)
{
        unsigned char bytes[5000] = "";
        struct sluice_long request = {.buf = bytes, .cap = sizeof bytes};
        ssize_t r, s = 0;

        if (as_client) {
                r = sluice_call(&client, bytes, tag % 300, bytes, tag % 100, SLUICE_NOW);
        } else {
                r = sluice_recv_long(&server.in, &request, SLUICE_NOW);
                if (r == -EMSGSIZE)
                        r = sluice_skip_long(&server.in, &request);
                s = sluice_reply(&server, tag, bytes, tag % 5000, SLUICE_NOW);
        }
        check(is_documented(r) && is_documented(s));
        return r == -EBADMSG || s == -EBADMSG;
}

/* Whatever it writes, into either queue: errors that are documented, for ever
 * the same once the rules are broken. */
QTest(hostile, peer_causes_errors_only)
{
        uint64_t random = 7;
        int broken = 0;

        for (int i = 0; i < 20; i++) {
                const bool as_client = i % 2;
                unsigned char *in, *out;

                open_both(4096);
                in = shmat(look(in_queues(as_client ? "ch/reply" : "ch/request")).shmid, NULL, 0);
                out = shmat(look(in_queues(as_client ? "ch/request" : "ch/reply")).shmid, NULL, 0);
                check(in != (void *)-1 && out != (void *)-1);
                for (int k = 0; k < 20; k++) {
                        scribble(in, 8192,
                                 sluice_consumer_position(as_client ? &client.in : &server.in),
                                 &random);
                        if (k % 8 == 7)
                                scribble(out, 4096, 0, &random);
                        broken += use_once(as_client, (uint32_t)traffic_random(&random));
                }
                shmdt(in);
                shmdt(out);
                sluice_channel_close(&client);
                sluice_channel_close(&server);
                call(sluice_channel_remove("ch"), 0);
        }
        check(broken > 20 && broken < 20 * 20);
}

/* ---- Misuse ------------------------------------------------------- */

QTest(channel, reports_what_is_wrong)
{
        struct sluice_channel none;
        char got[4];

        memset((void *)&none, 0, sizeof none);
        call(sluice_call(&none, "", 0, got, 4, SLUICE_NOW), -EINVAL);
        call(sluice_reply(&none, 1, "", 0, SLUICE_NOW), -EINVAL);
        call(sluice_channel_close(&none), -EINVAL);
        call(sluice_channel_interrupt(&none), -EINVAL);
        call(sluice_priv_channel_open(&none, sizeof none - 1, SLUICE_ABI, "ch", SLUICE_CLIENT,
                                      NULL),
             -EPROTONOSUPPORT);
        call(sluice_priv_channel_open(&none, sizeof none, SLUICE_ABI + 1, "ch", SLUICE_CLIENT,
                                      NULL),
             -EPROTONOSUPPORT);
        refused(sluice_channel_open(&none, "ch", (enum sluice_side)2, NULL), -EINVAL);
        refused(sluice_channel_open(&none, "ch", SLUICE_CLIENT, NULL), -ENOENT);
        refused(sluice_channel_open(&none, "key:0x77", SLUICE_CLIENT, NULL), -EOPNOTSUPP);
        refused(sluice_channel_open(&none, "", SLUICE_CLIENT, NULL), -EINVAL);
        refused(sluice_channel_open(&none, NULL, SLUICE_CLIENT, NULL), -EINVAL);
        refused(sluice_channel_create(NULL, NULL), -EINVAL);
        refused(sluice_channel_remove(NULL), -EINVAL);
        refused(sluice_channel_create("key:0x77", NULL), -EOPNOTSUPP);
        refused(sluice_channel_create(in_tmp("nowhere/ch"), NULL), -ENOENT);
        refused(sluice_channel_remove("ch"), -ENOENT);
        open_both(4096);
        call(sluice_call(&server, "", 0, got, 4, SLUICE_NOW), -EINVAL);
        call(sluice_reply(&client, 1, "", 0, SLUICE_NOW), -EINVAL);
        refused(sluice_channel_open(&none, "ch", SLUICE_CLIENT, NULL), -EBUSY);
        refused(sluice_channel_open(&none, "ch", SLUICE_SERVER, NULL), -EBUSY);
        refused(sluice_channel_create("ch", NULL), -EEXIST);
        refused(sluice_create("ch", NULL), -ENOTEMPTY);
        close_both();
}

/* Room for the name alone is not enough: "/request" follows. */
QTest(channel, refuses_a_name_without_room_for_its_queues)
{
        char name[SLUICE_NAME_MAX + 1];

        memset(name, '/', sizeof name);
        name[SLUICE_NAME_MAX] = '\0';
        memcpy(name + SLUICE_NAME_MAX - 2, "ch", 2);
        refused(sluice_channel_create(name, NULL), -ENAMETOOLONG);
        refused(sluice_channel_open(&client, name, SLUICE_CLIENT, NULL), -ENAMETOOLONG);
        refused(sluice_channel_remove(name), -ENAMETOOLONG);
}

/* The other end, which was open already, is closed again. */
QTest(channel, opens_both_ends_or_none)
{
        const struct sluice_options o = opt(4096);
        struct sluice_consumer c;
        struct sluice_producer p;

        call(sluice_channel_create("ch", &o), 0);
        call(sluice_consumer_open(&c, in_queues("ch/reply"), NULL), 0);
        refused(sluice_channel_open(&client, "ch", SLUICE_CLIENT, NULL), -EBUSY);
        eq(look(in_queues("ch/request")).producer.held, 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_open(&p, in_queues("ch/reply"), NULL), 0);
        refused(sluice_channel_open(&server, "ch", SLUICE_SERVER, NULL), -EBUSY);
        eq(look(in_queues("ch/request")).consumer.held, 0);
        call(sluice_producer_close(&p), 0);
        open_both(4096);
        close_both();
}

QTest(channel, keeps_an_empty_directory_that_was_there)
{
        const struct sluice_options o = opt(1000); /* no power of two */

        refused(sluice_channel_create("ch", &o), -EINVAL);
        check(mkdir(in_queues("ch"), 0700) == 0);
        refused(sluice_channel_create("ch", &o), -EINVAL);
        open_both(4096);
        close_both();
}

/* A child may use nothing, and harms nothing. */
static int use_of_a_parent(void *ctx)
{
        struct sluice_long *half = ctx;
        char got[8];

        call(sluice_call(&client, "1", 1, got, 8, SLUICE_NOW), -EPERM);
        call(sluice_reply(&server, 1, "1", 1, SLUICE_NOW), -EPERM);
        call(sluice_recv_long(&server.in, half, SLUICE_NOW), -EPERM);
        call(sluice_skip_long(&server.in, half), 0);
        call(sluice_channel_interrupt(&client), -EPERM);
        call(sluice_channel_close(&client), -EPERM);
        return 0;
}

QTest(channel, is_not_inherited)
{
        unsigned char bytes[6000] = "", in[6000];
        struct sluice_long half = {.buf = in, .cap = sizeof in};

        open_both(4096);
        call(sluice_call(&client, bytes, sizeof bytes, NULL, 0, SLUICE_NOW), -EAGAIN);
        call(sluice_recv_long(&server.in, &half, SLUICE_NOW), -EAGAIN);
        check(half.open);
        run(use_of_a_parent, &half);
        call(sluice_call(&client, "1", 1, NULL, 0, SLUICE_NOW), -EAGAIN);
        call(sluice_recv_long(&server.in, &half, SLUICE_NOW), 1);
        call(sluice_reply(&server, half.tag, "", 0, SLUICE_NOW), 0);
        close_both();
}

QTest(channel, has_a_name_to_itself)
{
        const char *const path = in_tmp("thing");
        int fd;

        make("ch", 4096);
        refused(sluice_channel_create("ch", NULL), -ENOTEMPTY);
        refused(sluice_channel_open(&client, "ch", SLUICE_CLIENT, NULL), -ENOTEMPTY);
        refused(sluice_channel_remove("ch"), -ENOTEMPTY);
        call(sluice_remove("ch"), 0);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        check(fd >= 0);
        close(fd);
        refused(sluice_channel_create(path, NULL), -ENOTDIR);
        unlink(path);
        check(symlink(".", path) == 0);
        refused(sluice_channel_create(path, NULL), -ELOOP);
        refused(sluice_channel_open(&client, path, SLUICE_CLIENT, NULL), -ELOOP);
        unlink(path);
}

/* ---- Half of it --------------------------------------------------- */

/* What a creator, or a remover, that died half way leaves: no channel, and the
 * next creator makes it whole. */
QTest(channel, is_complete_or_not_there)
{
        struct sluice_options o = create(4096);

        check(mkdir(in_queues("ch"), 0700) == 0);
        refused(sluice_channel_open(&client, "ch", SLUICE_CLIENT, NULL), -ENOENT);
        call(sluice_create(in_queues("ch/reply"), &o), 0);
        refused(sluice_channel_open(&client, "ch", SLUICE_CLIENT, NULL), -ENOENT);
        refused(sluice_channel_open(&server, "ch", SLUICE_SERVER, NULL), -ENOENT);
        open_both(4096);
        close_both();
        check(!exists(in_queues("ch")));
        check(mkdir(in_queues("ch"), 0700) == 0);
        call(sluice_create(in_queues("ch/reply"), &o), 0);
        call(sluice_channel_remove("ch"), 0);
        check(!exists(in_queues("ch")));
        check(mkdir(in_queues("ch"), 0700) == 0);
        check(mkdir(in_queues("ch/reply"), 0700) == 0);
        call(sluice_channel_remove("ch"), 0);
        check(mkdir(in_queues("ch"), 0700) == 0);
        call(sluice_channel_remove("ch"), 0);
        call(sluice_channel_remove("ch"), -ENOENT);
        check(mkdir(in_queues("ch"), 0700) == 0);
        check(mkdir(in_queues("ch/reply"), 0700) == 0);
        call(sluice_channel_remove("ch"), 0);
}

QTest(channel, keeps_what_else_is_in_its_directory)
{
        open_both(4096);
        check(mkdir(in_queues("ch/mine"), 0700) == 0);
        close_both();
        check(exists(in_queues("ch/mine")));
        call(sluice_channel_remove("ch"), -ENOTEMPTY);
        check(mkdir(in_queues("ch/reply"), 0700) == 0);
        check(mkdir(in_queues("ch/reply/mine"), 0700) == 0);
        call(sluice_channel_remove("ch"), -ENOTEMPTY);
        check(exists(in_queues("ch/reply/mine")));
        rmdir(in_queues("ch/reply/mine"));
        rmdir(in_queues("ch/reply"));
        rmdir(in_queues("ch/mine"));
        rmdir(in_queues("ch"));
}

QTest(channel, has_the_mode_that_was_asked_for)
{
        struct sluice_options o = opt(4096);

        o.mode = 0660;
        call(sluice_channel_create("ch", &o), 0);
        eq(mode_of(in_queues("ch")), 0750);
        eq(look(in_queues("ch/request")).mode, 0660);
        eq(look(in_queues("ch/reply")).mode, 0660);
        call(sluice_channel_remove("ch"), 0);
}

static int make_and_remove(void *ctx)
{
        struct sluice_options o = create(4096);

        (void)ctx;
        for (int i = 0; i < 30; i++) {
                struct sluice_channel ch;
                int r = sluice_channel_open(&ch, "ch", SLUICE_CLIENT, &o);

                if (r == 0)
                        sluice_channel_close(&ch);
                else if (r != -EBUSY && r != -ENOENT && r != -EINPROGRESS)
                        return 1;
                r = sluice_channel_remove("ch");
                if (r && r != -ENOENT && r != -EBUSY && r != -EINPROGRESS)
                        return 2;
        }
        return 0;
}

/* Creators and removers at once: no error but that there is none, nothing left. */
QTest(channel, is_made_and_removed_by_several_at_once)
{
        pid_t pids[3];

        for (int i = 0; i < 3; i++)
                pids[i] = spawn(make_and_remove, NULL);
        for (int i = 0; i < 3; i++)
                eq(reap(pids[i]), 0);
        sluice_channel_remove("ch");
        check(!exists(in_queues("ch")));
}

/* ---- Death -------------------------------------------------------- */

static int serve_and_die(void *ctx)
{
        struct sluice_message m;

        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, NULL), 0);
        call(sluice_peek(&server.in, &m, soon()), 0);
        if (ctx)
                call(sluice_reply(&server, m.tag, m.data, m.len, soon()), 0);
        raise(SIGKILL);
        return 0;
}

/* Its successor serves the request again; the client has the first reply, and
 * drops the second. */
QTest(death, of_a_server_between_reply_and_release)
{
        const struct sluice_options o = create(4096);
        struct sluice_message m;
        char got[8];
        pid_t pid;

        call(sluice_channel_open(&client, "ch", SLUICE_CLIENT, &o), 0);
        pid = spawn(serve_and_die, &client);
        call(sluice_call(&client, "once", 4, got, 8, soon()), 4);
        eq(reap(pid), -SIGKILL);
        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, &o), 0);
        call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
        check(m.len == 4 && memcmp(m.data, "once", 4) == 0);
        call(sluice_reply(&server, m.tag, "twice", 5, SLUICE_NOW), 0);
        call(sluice_release(&server.in), 0);
        call(sluice_call(&client, "2", 1, got, 8, SLUICE_NOW), -EAGAIN);
        eq(client.late, 1);
        close_both();
}

QTest(death, of_a_server_is_told_once_and_its_successor_serves)
{
        const struct sluice_options o = create(4096);
        struct sluice_message m;
        char got[8];
        pid_t pid;

        call(sluice_channel_open(&client, "ch", SLUICE_CLIENT, &o), 0);
        pid = spawn(serve_and_die, NULL);
        call(sluice_call(&client, "1", 1, got, 8, soon()), -EOWNERDEAD);
        eq(reap(pid), -SIGKILL);
        call(sluice_call(&client, "2", 1, got, 8, sluice_after(MS(1))), -EOWNERDEAD);
        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, &o), 0);
        for (int i = 0; i < 2; i++) {
                call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
                call(sluice_reply(&server, m.tag, m.data, 1, SLUICE_NOW), 0);
                call(sluice_release(&server.in), 0);
        }
        call(sluice_call(&client, "3", 1, got, 8, SLUICE_NOW), -EAGAIN);
        eq(client.late, 2);
        close_both();
}

static int call_and_die(void *ctx)
{
        char got[8];

        (void)ctx;
        call(sluice_channel_open(&client, "ch", SLUICE_CLIENT, NULL), 0);
        for (int i = 0; i < 3; i++)
                call(sluice_call(&client, "dead", 4, got, 8, SLUICE_NOW), -EAGAIN);
        raise(SIGKILL);
        return 0;
}

/* Its requests are served; its successor gets no reply to them, be they sent
 * before it opens or after. */
QTest(death, of_a_client_leaves_nothing_to_its_successor)
{
        const struct sluice_options o = create(4096);
        struct sluice_message m;
        uint32_t tag = 0;
        char got[8];

        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, &o), 0);
        eq(reap(spawn(call_and_die, NULL)), -SIGKILL);
        for (int i = 0; i < 2; i++) {
                call(sluice_peek(&server.in, &m, SLUICE_NOW), 0);
                tag = m.tag;
                call(sluice_reply(&server, m.tag, "old", 3, SLUICE_NOW), 0);
                call(sluice_release(&server.in), 0);
        }
        call(sluice_channel_open(&client, "ch", SLUICE_CLIENT, &o), 0);
        eq(sluice_consumer_is_empty(&client.in), 1);
        call(sluice_reply(&server, tag + 1, "old", 3, SLUICE_NOW), 0);
        call(sluice_call(&client, "new", 3, got, 8, SLUICE_NOW), -EAGAIN);
        eq(client.late, 1);
        call(sluice_reply(&server, tag + 3, "new", 3, SLUICE_NOW), 0);
        call(sluice_call(&client, "new", 3, got, 8, SLUICE_NOW), 3);
        check(memcmp(got, "new", 3) == 0);
        close_both();
}

/* Nor the end of a server that came behind replies that nobody received. */
QTest(death, of_both_is_not_told_to_their_successors)
{
        const struct sluice_options o = create(4096);
        char got[8];

        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, &o), 0);
        call(sluice_reply(&server, 1, "old", 3, SLUICE_NOW), 0);
        call(sluice_channel_close(&server), 0);
        call(sluice_channel_open(&client, "ch", SLUICE_CLIENT, &o), 0);
        call(sluice_call(&client, "1", 1, got, 8, SLUICE_NOW), -EAGAIN);
        call(sluice_call(&client, "1", 1, got, 8, sluice_after(MS(1))), -ETIMEDOUT);
        call(sluice_channel_close(&client), 0);
        call(sluice_channel_remove("ch"), 0);
}

QTest(channel, tells_a_close_once)
{
        char got[8];

        open_both(4096);
        call(sluice_channel_close(&server), 0);
        call(sluice_call(&client, "1", 1, got, 8, SLUICE_FOREVER), -EPIPE);
        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, NULL), 0);
        call(sluice_call(&client, "2", 1, got, 8, SLUICE_NOW), -EAGAIN);
        close_both();
}

/* Also where the call that told it did not wait. */
QTest(channel, waits_for_a_successor_after_a_close_that_a_look_has_told)
{
        char got[8];
        int64_t begin;

        open_both(4096);
        call(sluice_channel_close(&server), 0);
        until(sluice_call(&client, "1", 1, got, 8, SLUICE_NOW) == -EPIPE);
        begin = sluice_now_ns();
        call(sluice_call(&client, "2", 1, got, 8, sluice_after(MS(60))), -EPIPE);
        check(sluice_now_ns() - begin >= MS(60));
        call(sluice_channel_close(&client), 0);
        call(sluice_channel_remove("ch"), 0);
}

/* ---- Interrupts --------------------------------------------------- */

static void *interrupt_soon(void *ctx)
{
        until_asleep(in_queues(ctx ? "ch/request" : "ch/reply"), ctx ? PRODUCER : CONSUMER);
        call(sluice_channel_interrupt(&client), 0);
        return NULL;
}

/* Whichever end it waits at, once. */
QTest(interrupt, ends_a_call_that_waits_at_either_end)
{
        char got[8];

        open_both(1024);
        for (int i = 0; i < 20; i++) {
                const int full = i % 2;
                pthread_t t;

                while (full && sluice_send(&client.out, "x", 1, SLUICE_NOW) == 0)
                        ;
                t = thread_start(interrupt_soon, full ? &client : NULL);
                call(sluice_call(&client, "1", 1, got, 8, SLUICE_FOREVER), -ECANCELED);
                thread_join(t);
                while (full && sluice_recv(&server.in, got, 8, SLUICE_NOW) >= 0)
                        ;
                call(sluice_call(&client, "1", 1, got, 8, sluice_after(MS(2))), -ETIMEDOUT);
        }
        close_both();
}

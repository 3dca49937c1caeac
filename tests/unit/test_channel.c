/* SPDX-License-Identifier: MIT */
/* Two queues under one name: request and reply. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <signal.h>

#include "sluice/channel.h"

static struct sluice_channel client, server;

static struct sluice_options create(size_t capacity)
{
        struct sluice_options o = opt(capacity);

        o.flags = SLUICE_CREATE;
        return o;
}

static void open_both(size_t capacity)
{
        const struct sluice_options o = create(capacity);

        call(sluice_channel_open(&client, "ch", SLUICE_CLIENT, &o), 0);
        call(sluice_channel_open(&server, "ch", SLUICE_SERVER, &o), 0);
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

QTest(channel, answers_calls_of_every_length)
{
        const size_t lens[] = {0, 1, 100, 3000, 100000};
        pthread_t t;

        open_both(4096);
        t = thread_start(serve_5, &server);
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
        close_both();
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
        refused(sluice_channel_create("key:0x77", NULL), -EOPNOTSUPP);
        refused(sluice_channel_create(in_tmp("nowhere/ch"), NULL), -ENOENT);
        refused(sluice_channel_remove("ch"), -ENOENT);
        open_both(4096);
        call(sluice_call(&server, "", 0, got, 4, SLUICE_NOW), -EINVAL);
        refused(sluice_channel_open(&none, "ch", SLUICE_CLIENT, NULL), -EBUSY);
        refused(sluice_channel_open(&none, "ch", SLUICE_SERVER, NULL), -EBUSY);
        refused(sluice_channel_create("ch", NULL), -EEXIST);
        refused(sluice_create("ch", NULL), -ENOTEMPTY);
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
        call(sluice_channel_remove("ch"), 0);
        call(sluice_channel_remove("ch"), -ENOENT);
}

QTest(channel, keeps_what_else_is_in_its_directory)
{
        open_both(4096);
        check(mkdir(in_queues("ch/mine"), 0700) == 0);
        close_both();
        check(exists(in_queues("ch/mine")));
        call(sluice_channel_remove("ch"), -ENOTEMPTY);
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

/* SPDX-License-Identifier: MIT */
/* Observers: stat, list and dump. They change nothing. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <signal.h>
#include <time.h>

static struct sluice_producer p;
static struct sluice_consumer c;

/* The whole segment of a queue, as it is now. */
static unsigned char *snapshot(const char *name, size_t *bytes)
{
        const struct sluice_queue_stat st = look(name);
        const unsigned char *mem = shmat(st.shmid, NULL, SHM_RDONLY);
        unsigned char *copy;

        *bytes = 12288 + (size_t)st.capacity;
        copy = malloc(*bytes);
        memcpy(copy, mem, *bytes);
        shmdt(mem);
        return copy;
}

static void send_numbers(uint64_t first, uint64_t n)
{
        for (uint64_t i = first; i < first + n; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
}

/* ---- stat --------------------------------------------------------- */

QTest(stat, of_a_new_queue)
{
        struct sluice_options o = opt(1024);
        struct sluice_queue_stat st;
        struct stat directory;

        o.record_align = 32;
        o.first_position = 320;
        o.mode = 0640;
        call(sluice_create("q", &o), 0);
        memset(&st, 0xff, sizeof st);
        call(sluice_stat("q", &st), 0);
        eq(strcmp(st.name, realpath(in_queues("q"), NULL)), 0);
        eq(stat(in_queues("q"), &directory), 0);
        eq(st.capacity, 1024);
        eq(st.record_align, 32);
        eq(st.mode, 0640);
        eq(st.uid, geteuid());
        eq(st.gid, getegid());
        eq(st.key, ftok(in_queues("q"), 1));
        eq(st.shmid, shmget(st.key, 0, 0));
        eq(st.semid, semget(st.key, 0, 0));
        eq(st.max_len, 504);
        eq(st.used, 0);
        eq(st.pending, 0);
        eq(st.high_water, 0);
        eq(st.attached, 0);
        check(st.generation != 0);
        check(st.created_s <= time(NULL) + 1 && st.created_s > time(NULL) - 60);
        eq(st.producer.held, 0);
        eq(st.producer.closed, 0);
        eq(st.producer.asleep, 0);
        eq(st.producer.position, 320);
        eq(st.producer.messages, 0);
        eq(st.producer.attaches, 0);
        eq(st.producer.stalls, 0);
        eq(st.producer.parks, 0);
        eq(st.producer.wakes, 0);
        eq(st.producer.pid, 0);
        check(memcmp(&st.producer, &st.consumer, sizeof st.producer) == 0);
        call(sluice_remove("q"), 0);
}

QTest(stat, of_a_key_queue)
{
        struct sluice_queue_stat st;

        call(sluice_create("key:0x77", NULL), 0);
        st = look("key:0x77");
        eq(strcmp(st.name, "key:0x77"), 0);
        eq(st.key, 0x77);
        call(sluice_remove("key:0x77"), 0);
}

QTest(stat, of_a_live_queue)
{
        struct sluice_queue_stat st;

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        st = look("q");
        eq(st.producer.held, 1);
        eq(st.consumer.held, 0);
        eq(st.attached, 1);
        eq(st.producer.pid, getpid());
        eq(st.producer.attaches, 1);
        send_numbers(0, 5);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(recv_number(&c, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 1);
        st = look("q");
        eq(st.consumer.held, 1);
        eq(st.attached, 2);
        eq(st.used, 3 * 64);
        eq(st.pending, 3);
        eq(st.producer.position, 5 * 64);
        eq(st.producer.messages, 5);
        eq(st.consumer.position, 2 * 64);
        eq(st.consumer.messages, 2);
        eq(st.consumer.pid, getpid());
        call(sluice_producer_close(&p), 0);
        st = look("q");
        eq(st.producer.held, 0);
        eq(st.producer.closed, 1);
        eq(st.pending, 3);
        call(sluice_producer_open(&p, "q", NULL), 0);
        st = look("q");
        eq(st.producer.closed, 0);
        eq(st.producer.attaches, 2);
        call(sluice_consumer_close(&c), 0);
        st = look("q");
        eq(st.consumer.held, 0);
        eq(st.consumer.closed, 1);
        eq(st.consumer.position, 2 * 64);
        eq(st.pending, 3);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(stat, of_a_full_queue)
{
        struct sluice_queue_stat st;

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        eq(fill_numbers(&p, 0), 15);
        call(send_number(&p, 0, sluice_after(MS(50))), -ETIMEDOUT);
        st = look("q");
        eq(st.used, 1024 - 64);
        eq(st.pending, 15);
        eq(st.high_water, 1024 - 64);
        check(st.producer.stalls >= 1);
        check(st.producer.parks >= 1);
        eq(st.consumer.parks, 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        for (int i = 0; i < 15; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        st = look("q");
        eq(st.used, 0);
        eq(st.pending, 0);
        eq(st.high_water, 1024 - 64); /* as high as it ever was */
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* The producer itself has not looked yet: it had room. */
QTest(stat, high_water_is_no_less_than_what_is_in_use)
{
        make("q", 16384);
        call(sluice_producer_open(&p, "q", NULL), 0);
        send_numbers(0, 100);
        eq(look("q").used, 6400);
        eq(look("q").high_water, 6400);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

/* Padding takes room and is no message. */
QTest(stat, counts_padding_as_used_only)
{
        unsigned char long_one[400] = {0};

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        send_numbers(0, 10);
        for (int i = 0; i < 10; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        call(sluice_send(&p, long_one, sizeof long_one, SLUICE_NOW), 0);
        eq(look("q").pending, 1);
        eq(look("q").used, 6 * 64 + 7 * 64);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

static int dies_with_a_batch(void *ctx)
{
        void *payload;

        call(sluice_producer_open(&p, "q", NULL), 0);
        send_numbers(0, 4);
        call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        memset(payload, 0xee, 8);
        call(sluice_stage(&p, 8), 0);
        *(pid_t *)ctx = getpid();
        raise(SIGKILL);
        return 0;
}

QTest(stat, of_a_dead_queue)
{
        struct sluice_queue_stat st;
        pid_t pid, unused;

        make("q", 1024);
        pid = spawn(dies_with_a_batch, &unused);
        eq(reap(pid), -SIGKILL);
        st = look("q");
        eq(st.producer.held, 0);
        eq(st.producer.closed, 0);
        eq(st.producer.attaches, 1);
        eq(st.producer.pid, pid);
        eq(st.producer.messages, 4);
        eq(st.pending, 4);
        eq(st.used, 4 * 64);
        eq(st.attached, 0);
        call(sluice_remove("q"), 0);
}

QTest(stat, changes_nothing)
{
        size_t bytes;
        unsigned char *before, *after;

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        send_numbers(0, 5);
        before = snapshot("q", &bytes);
        refused(sluice_stat("q", &(struct sluice_queue_stat){.uid = 1}), 0);
        after = snapshot("q", &bytes);
        eq(memcmp(before, after, bytes), 0);
        free(before);
        free(after);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

/* ---- list --------------------------------------------------------- */

struct seen {
        int n, stop_at;
        char names[64][SLUICE_NAME_MAX + 1];
};

static int see(void *ctx, const struct sluice_queue_stat *st)
{
        struct seen *s = ctx;

        snprintf(s->names[s->n++], sizeof s->names[0], "%s", st->name);
        return s->n == s->stop_at ? 77 : 0;
}

static bool seen(const struct seen *s, const char *name)
{
        for (int i = 0; i < s->n; i++)
                if (strcmp(s->names[i], name) == 0)
                        return true;
        return false;
}

static int foreign_segment(key_t key, size_t bytes)
{
        const int id = shmget(key, bytes, IPC_CREAT | IPC_EXCL | 0600);

        check(id >= 0);
        return id;
}

QTest(list, finds_all_and_only_queues)
{
        static struct seen s;
        char name[20];
        int ids[4];
        void *mem;

        needs_own_namespace();
        call(sluice_list(see, &s), 0);
        ids[0] = foreign_segment(0x1111, 100);
        ids[1] = foreign_segment(0x2222, 1 << 20);
        ids[2] = foreign_segment(IPC_PRIVATE, 1 << 16);
        for (int i = 0; i < 20; i++) {
                snprintf(name, sizeof name, i % 2 ? "q%d" : "key:0x%d", 100 + i);
                make(name, 1024);
        }
        ids[3] = foreign_segment(0x3333, 1 << 16);
        mem = shmat(ids[3], NULL, 0);
        memset(mem, 'x', 1 << 16);
        call(sluice_list(see, &s), 20);
        eq(s.n, 20);
        for (int i = 0; i < 20; i++) {
                snprintf(name, sizeof name, i % 2 ? "q%d" : "key:0x%d", 100 + i);
                check(seen(&s, i % 2 ? realpath(in_queues(name), NULL) : name));
                if (i < 10)
                        call(sluice_remove(name), 0);
        }
        s.n = 0;
        call(sluice_list(see, &s), 10);
        s.n = 0;
        s.stop_at = 3;
        call(sluice_list(see, &s), 77);
        eq(s.n, 3);
        for (int i = 10; i < 20; i++) {
                snprintf(name, sizeof name, i % 2 ? "q%d" : "key:0x%d", 100 + i);
                call(sluice_remove(name), 0);
        }
        shmdt(mem);
        for (int i = 0; i < 4; i++)
                shmctl(ids[i], IPC_RMID, NULL);
}

/* A queue that says it were another one is shown by its own key. */
static void shown_as_themselves(void)
{
        static struct seen s;

        s.n = 0;
        call(sluice_list(see, &s), 2);
        check(seen(&s, "key:0x51"));
        check(seen(&s, "key:0x52"));
}

QTest(list, believes_no_name)
{
        const char lie[] = "key:0x51";
        const key_t key = 0x52;

        needs_own_namespace();
        make("key:0x51", 1024);
        make("key:0x52", 1024);
        poke(key, 256, lie, sizeof lie);
        shown_as_themselves();
        poke(key, 256, "", 1);
        shown_as_themselves();
        poke(key, 256, "key:0x5x", 9);
        shown_as_themselves();
        {
                char endless[1024];

                memset(endless, 'a', sizeof endless);
                poke(key, 256, endless, sizeof endless);
        }
        shown_as_themselves();
        eq(strlen(look("key:0x52").name), SLUICE_NAME_MAX); /* and ends */
        call(sluice_remove("key:0x51"), 0);
        call(sluice_remove("key:0x52"), 0);
}

QTest(list, passes_over_what_is_removed_and_still_mapped)
{
        static struct seen s;

        needs_own_namespace();
        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_list(see, &s), 1);
        call(sluice_remove("q"), 0);
        call(sluice_list(see, &s), 0);
        call(sluice_producer_close(&p), 0);
}

/* ---- dump --------------------------------------------------------- */

struct dumped {
        uint64_t next, tag;
        int stop_at, n;
};

static int is_number(void *ctx, const struct sluice_message *m)
{
        struct dumped *d = ctx;
        uint64_t number;

        eq(m->len, sizeof number);
        memcpy(&number, m->data, sizeof number);
        eq(number, d->next);
        eq(m->position, d->next * 64);
        eq(m->tag, d->tag);
        d->next++;
        d->n++;
        return d->n == d->stop_at ? -1234 : 0;
}

/* Contents that contradict themselves are -EBADMSG, not -EAGAIN, which is for
 * a queue that is in motion. */
QTest(dump, of_contradicting_contents_is_refused_as_stat_is)
{
        const uint64_t wrong_position = 65, wrong_count = 9, wrong_header = 3 + 4;
        uint64_t consumer = 0, messages = 0;
        key_t key;

        make("q", 1024);
        key = key_of("q");
        call(sluice_producer_open(&p, "q", NULL), 0);
        send_numbers(0, 3);
        poke(key, 4096, &wrong_position, 8);
        refused(sluice_stat("q", &(struct sluice_queue_stat){.uid = 1}), -EBADMSG);
        refused(sluice_dump("q", is_number, NULL), -EBADMSG);
        poke(key, 4096, &consumer, 8);
        poke(key, 4096 + 256, &wrong_count, 8);
        refused(sluice_stat("q", &(struct sluice_queue_stat){.uid = 1}), -EBADMSG);
        poke(key, 4096 + 256, &messages, 8);
        poke(key, 12288 + 3 * 64, &wrong_header, 8);
        refused(sluice_stat("q", &(struct sluice_queue_stat){.uid = 1}), -EBADMSG);
        poke(key, 12288 + 3 * 64, &consumer, 8);
        eq(look("q").pending, 3);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(dump, shows_what_is_pending_and_changes_nothing)
{
        struct dumped d = {0};
        unsigned char *before, *after;
        size_t bytes;

        make("q", 1024);
        call(sluice_dump("q", is_number, &d), 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        for (int round = 0; round < 40; round++) { /* all over the ring */
                send_numbers((uint64_t)round * 5, 5);
                call(recv_number(&c, SLUICE_NOW), round * 5);
                d.next = (uint64_t)round * 5 + 1;
                before = snapshot("q", &bytes);
                refused(sluice_dump("q", is_number, &d), 4);
                after = snapshot("q", &bytes);
                eq(memcmp(before, after, bytes), 0);
                free(before);
                free(after);
                for (int k = 1; k < 5; k++)
                        call(recv_number(&c, SLUICE_NOW), round * 5 + k);
                call(sluice_dump("q", is_number, &d), 0);
        }
        call(sluice_producer_close(&p), 0);
        call(sluice_dump("q", is_number, &d), 0); /* the end is no message */
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(dump, stops_when_told)
{
        struct dumped d = {0};

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        send_numbers(0, 9);
        d.stop_at = 4;
        refused(sluice_dump("q", is_number, &d), -1234);
        eq(d.n, 4);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(dump, shows_tags_and_all_lengths)
{
        struct dumped d = {0};
        void *payload;

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        d.tag = 0xfedcba98;
        for (uint64_t i = 0; i < 3; i++) {
                call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
                sluice_set_tag(&p, 0xfedcba98);
                memcpy(payload, &i, 8);
                call(sluice_commit(&p, 8), 0);
        }
        call(sluice_dump("q", is_number, &d), 3);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

static int check_length(void *ctx, const struct sluice_message *m)
{
        size_t *len = ctx;
        const unsigned char *bytes = m->data;

        eq(m->len, *len);
        for (size_t i = 0; i < m->len; i++)
                eq(bytes[i], *len & 0xff);
        return 0;
}

QTest(dump, shows_long_ones_behind_padding)
{
        unsigned char bytes[504];

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        for (size_t len = 0; len <= 504; len += 7) {
                memset(bytes, (int)(len & 0xff), sizeof bytes);
                call(sluice_send(&p, bytes, len, SLUICE_NOW), 0);
                call(sluice_dump("q", check_length, &len), 1);
                eq(look("q").pending, 1);
                call(sluice_recv(&c, bytes, sizeof bytes, SLUICE_NOW), len);
        }
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(dump, after_a_crash_shows_what_was_published)
{
        struct dumped d = {0};
        pid_t unused;

        make("q", 1024);
        eq(reap(spawn(dies_with_a_batch, &unused)), -SIGKILL);
        call(sluice_dump("q", is_number, &d), 4);
        d.next = 0;
        call(sluice_dump("q", is_number, &d), 4); /* and again */
        call(sluice_consumer_open(&c, "q", NULL), 0);
        for (int i = 0; i < 4; i++)
                call(recv_number(&c, soon()), i);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* On a live queue: in order, whole, and no more than there were. */
static volatile bool moving;

static void *moves(void *ctx)
{
        (void)ctx;
        for (uint64_t i = 0; moving; i++) {
                eq(send_number(&p, i, soon()), 0);
                if (i % 8 == 7)
                        for (uint64_t k = i - 7; k <= i; k++)
                                eq(recv_number(&c, soon()), k);
        }
        return NULL;
}

static int in_order(void *ctx, const struct sluice_message *m)
{
        uint64_t *last = ctx, number;

        eq(m->len, 8);
        memcpy(&number, m->data, 8);
        eq(m->position, number * 64);
        check(*last == 0 || number > *last);
        *last = number;
        return 0;
}

QTest(dump, of_a_live_queue)
{
        pthread_t t;

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        moving = true;
        t = thread_start(moves, NULL);
        for (int i = 0; i < 3000; i++) {
                struct sluice_queue_stat st;
                uint64_t last = 0;
                const ssize_t n = sluice_dump("q", in_order, &last);

                check(n >= 0 && n <= 16);
                eq(sluice_stat("q", &st), 0);
                check(st.pending <= 16 && st.used <= 1024);
        }
        moving = false;
        thread_join(t);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* ---- Permissions -------------------------------------------------- */

static int may_only_read(void *ctx)
{
        static struct seen s;
        struct sluice_queue_stat st;
        struct dumped d = {0};

        call(sluice_stat(ctx, &st), 0);
        eq(st.pending, 3);
        eq(st.producer.held, 1);
        call(sluice_dump(ctx, is_number, &d), 3);
        call(sluice_list(see, &s), 1);
        refused(sluice_producer_open(&p, ctx, NULL), -EACCES);
        refused(sluice_consumer_open(&c, ctx, NULL), -EACCES);
        refused(sluice_remove(ctx), -EPERM);
        return 0;
}

static int may_nothing(void *ctx)
{
        static struct seen s;
        struct sluice_queue_stat st;

        refused(sluice_stat(ctx, &st), -EACCES);
        refused(sluice_dump(ctx, is_number, &s), -EACCES);
        call(sluice_list(see, &s), 0);
        refused(sluice_remove(ctx), -EACCES);
        return 0;
}

QTest(permission, reading_is_enough_to_look)
{
        struct sluice_options o = opt(1024);
        void *name = (void *)(uintptr_t)strdup(in_tmp("q"));

        needs_root();
        needs_own_namespace();
        open_tmp_to_all();
        o.mode = 0644;
        call(sluice_create(name, &o), 0);
        call(sluice_producer_open(&p, name, NULL), 0);
        send_numbers(0, 3);
        run_as(USER_A, NO_GROUP, may_only_read, name);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove(name), 0);
        o.mode = 0600;
        call(sluice_create(name, &o), 0);
        run_as(USER_A, NO_GROUP, may_nothing, name);
        call(sluice_remove(name), 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * A crash behind every single store. While a script runs, each store
 * into shared memory is followed by taking a copy of that memory as a
 * killed process would leave it; successors join the copy and have to
 * find exactly what was published and what was released.
 */
#define SLUICE_ATOMIC_HEADER "atomic_hook.h"
#include "check.h"

#define MESSAGES 4096

/* What the script has published, in order: the truth. */
static struct {
        uint64_t end; /* position behind it */
        size_t len;
} truth[MESSAGES];

static struct {
        struct test_rig rig;           /* where the script runs */
        struct sluice_producer before; /* handles as they were when the call began */
        struct sluice_consumer consumer_before;
        unsigned char *copy;
        uint64_t finished;   /* messages finished, published or staged */
        uint64_t published;  /* when the running call began */
        uint64_t publishing; /* if its publish has happened */
        uint64_t released;
        uint64_t releasing;
        uint64_t crashes;
        int visible; /* the running call's publish was seen in a snapshot */
        int gone;    /* the same of its release */
        int producer_runs;
} s;

static uint64_t end_of(uint64_t messages)
{
        return messages ? truth[messages - 1].end : s.rig.geometry.first_position;
}

/* A handle of the script, as it would be over the copied memory. */
static void *moved(const void *pointer)
{
        return pointer ? s.copy + ((const unsigned char *)pointer - s.rig.mem) : NULL;
}

static struct sluice_producer surviving_producer(void)
{
        struct sluice_producer p = s.before;

        p.ring = moved(p.ring);
        p.own = moved(p.own);
        p.peer = moved(p.peer);
        p.base.doorbell.peer_parked = moved((const void *)p.base.doorbell.peer_parked);
        return p;
}

/* Its ring is an offset from the address of the handle. */
static void surviving_consumer(struct sluice_consumer *c)
{
        *c = s.consumer_before;
        if (c->own)
                c->ring = (uintptr_t)(s.copy + 12288) - (uintptr_t)&c->base.nothing;
        c->own = moved(c->own);
        c->peer = moved(c->peer);
        c->base.doorbell.peer_parked = moved((const void *)c->base.doorbell.peer_parked);
}

/* Everything from message `from` on arrives, once, whole, in order. */
static void drains(struct sluice_consumer *c, uint64_t from, uint64_t to)
{
        static unsigned char buf[1 << 16];
        struct sluice_message m;

        for (uint64_t i = from; i < to; i++) {
                test_eq(sluice_peek(c, &m, SLUICE_NOW), 0);
                test_check(m.tag == (uint32_t)i || m.tag == 0); /* 0: sent with others */
                test_eq(m.len, truth[i].len);
                test_check(truth[i].end - m.position >= 8 + m.len);
                test_check(truth[i].end - m.position <
                           test_record(&s.rig, m.len) + s.rig.geometry.record_align);
                test_eq(sluice_recv(c, buf, sizeof buf, SLUICE_NOW), m.len);
                test_check(test_matches(buf, m.len, i));
                test_eq(sluice_consumer_messages(c), i + 1);
                test_eq(sluice_consumer_position(c), truth[i].end);
        }
        const int r = sluice_peek(c, &m, SLUICE_NOW);

        test_check(r == -EAGAIN || r == -EPIPE);
}

/* A successor's own message passes. */
static void goes_on(struct sluice_producer *p, struct sluice_consumer *c)
{
        char got[8];

        for (int i = 0; i < 3; i++) {
                test_eq(sluice_send(p, "onwards", 8, SLUICE_NOW), 0);
                test_eq(sluice_recv(c, got, sizeof got, SLUICE_NOW), 8);
                test_eq(memcmp(got, "onwards", 8), 0);
                test_eq(sluice_recv(c, got, sizeof got, SLUICE_NOW), -EAGAIN);
        }
}

static void take_over_producer(struct sluice_producer *p, uint64_t published)
{
        test_eq(sluice_producer_attach(p, s.copy, s.rig.bytes), 0);
        test_eq(sluice_producer_position(p), end_of(published));
        test_eq(sluice_producer_messages(p), published);
}

static void take_over_consumer(struct sluice_consumer *c, uint64_t released)
{
        test_eq(sluice_consumer_attach(c, s.copy, s.rig.bytes), 0);
        test_eq(sluice_consumer_position(c), end_of(released));
        test_eq(sluice_consumer_messages(c), released);
}

static void take_copy(void)
{
        memcpy(s.copy, s.rig.mem, s.rig.bytes);
}

/* The producer was killed here. */
static void producer_died(uint64_t published)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        /* A successor comes at once. */
        take_copy();
        take_over_producer(&p, published);
        take_over_consumer(&c, s.released);
        drains(&c, s.released, published);
        goes_on(&p, &c);
        /* The consumer has seen everything before a successor comes, */
        take_copy();
        surviving_consumer(&c);
        if (s.consumer_before.own) {
                if (c.word != 0 || c.held) {
                        c.next = c.contiguous_end = sluice_consumer_position(&c);
                        c.word = c.behind = c.held = 0;
                }
                drains(&c, s.released, published);
                take_over_producer(&p, published);
                goes_on(&p, &c);
        }
        /* ... and has been killed after that, too, twice. */
        take_copy();
        take_over_consumer(&c, s.released);
        drains(&c, s.released, published);
        take_over_consumer(&c, published);
        take_over_producer(&p, published);
        take_over_producer(&p, published);
        goes_on(&p, &c);
}

/* The consumer was killed here. */
static void consumer_died(uint64_t released)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        take_copy();
        take_over_consumer(&c, released);
        take_over_consumer(&c, released);
        drains(&c, released, s.published);
        take_over_producer(&p, s.published);
        goes_on(&p, &c);
        /* The producer is alive, and had something staged. */
        take_copy();
        p = surviving_producer();
        take_over_consumer(&c, released);
        if (s.before.own) {
                test_eq(sluice_publish(&p), 0);
                drains(&c, released, s.finished);
                goes_on(&p, &c);
        }
}

static void crash(const void *where, size_t len)
{
        void (*hook)(const void *, size_t) = test_hook_stored;
        uint64_t word;

        (void)where;
        (void)len;
        test_hook_stored = NULL;
        s.crashes++;
        if (s.producer_runs) {
                word = test_peek_word(&s.rig, end_of(s.published));
                const int visible = s.publishing > s.published && word != 0 && word != 8;

                test_check(visible || !s.visible);
                s.visible = visible;
                producer_died(visible ? s.publishing : s.published);
        } else {
                memcpy(&word, s.rig.mem + 4096, sizeof word);
                const int gone = s.releasing > s.released && word == end_of(s.releasing);

                test_check(gone || !s.gone);
                test_check(gone || (word & ~UINT64_C(7)) == end_of(s.released));
                s.gone = gone;
                consumer_died(gone ? s.releasing : s.released);
        }
        test_hook_stored = hook;
}

static void begin(int producer_runs)
{
        s.producer_runs = producer_runs;
        s.before = s.rig.p;
        s.consumer_before = s.rig.c;
        s.publishing = s.published;
        s.releasing = s.released;
        s.visible = 0;
        s.gone = 0;
        test_hook_stored = crash;
}

static void finish(void)
{
        test_hook_stored = NULL;
        test_eq(s.visible, s.publishing > s.published);
        test_eq(s.gone, s.releasing > s.released);
        s.published = s.publishing;
        s.released = s.releasing;
}

/* Message `finished` is finished; publish shows all. */
static void produce(size_t len, int publish)
{
        struct sluice_producer *p = &s.rig.p;
        const uint64_t number = s.finished;
        void *payload;
        uint64_t end = p->tail % s.rig.geometry.capacity;
        unsigned char bytes[1 << 12];
        struct iovec iov[2];

        if (sluice_reserve(p, len, &payload, SLUICE_NOW) != 0)
                return;
        end += test_record(&s.rig, len) > s.rig.geometry.capacity - end
                       ? s.rig.geometry.capacity - end
                       : 0;
        truth[number].len = len;
        truth[number].end =
                p->tail + (end - p->tail % s.rig.geometry.capacity) + test_record(&s.rig, len);
        s.finished++;
        begin(1);
        if (publish == 2 && number % 2 == 0) {
                /* By copy, and with an abort in between. */
                s.publishing = s.finished;
                sluice_abort(p);
                test_fill(bytes, len, number);
                iov[0].iov_base = bytes;
                iov[0].iov_len = len / 3;
                iov[1].iov_base = bytes + len / 3;
                iov[1].iov_len = len - len / 3;
                test_eq(sluice_reserve(p, len, &payload, SLUICE_NOW), 0);
                sluice_set_tag(p, (uint32_t)number);
                sluice_priv_copy_in(payload, bytes, iov[0].iov_len);
                sluice_priv_copy_in((unsigned char *)payload + iov[0].iov_len, iov[1].iov_base,
                                    iov[1].iov_len);
                test_eq(sluice_commit(p, len), 0);
        } else {
                test_fill(payload, len, number);
                sluice_set_tag(p, (uint32_t)number);
                s.publishing = publish ? s.finished : s.published;
                test_eq(publish ? sluice_commit(p, len) : sluice_stage(p, len), 0);
        }
        finish();
}

/* n messages in one call, where they fit without a gap. */
static void produce_many(int n, size_t len)
{
        const uint64_t align = s.rig.geometry.record_align;
        struct sluice_producer *p = &s.rig.p;
        unsigned char bytes[8][16];
        struct iovec iov[8];
        uint64_t at = p->tail;

        for (int i = 0; i < n; i++) {
                const uint64_t number = s.finished + (uint64_t)i;

                test_fill(bytes[i], len, number);
                iov[i].iov_base = bytes[i];
                iov[i].iov_len = len;
                truth[number].len = len;
                at = (at + len + 15) / 8 * 8;
                if (i + 1 == n)
                        at = (at + align - 1) / align * align;
                truth[number].end = at;
        }
        at -= p->tail;
        if (at > s.rig.geometry.capacity / 2 ||
            sluice_reserve(p, (size_t)at - 8, &(void *){NULL}, SLUICE_NOW) != 0)
                return;
        sluice_abort(p);
        if (p->contiguous_end - p->tail < at)
                return;
        s.finished += (uint64_t)n;
        begin(1);
        s.publishing = s.finished;
        test_eq(sluice_send_many(p, iov, n, SLUICE_NOW), n);
        finish();
}

static void consume(unsigned advances)
{
        struct sluice_message m;
        uint64_t n = s.released;

        for (unsigned i = 0; i <= advances; i++) {
                if (sluice_peek(&s.rig.c, &m, SLUICE_NOW) != 0)
                        break;
                n++;
                if (i < advances)
                        test_eq(sluice_advance(&s.rig.c), 0);
        }
        if (n == s.released)
                return;
        begin(0);
        s.releasing = n;
        test_eq(sluice_release(&s.rig.c), 0);
        finish();
}

static void replace_producer(int in_order)
{
        if (in_order) {
                begin(1);
                sluice_producer_detach(&s.rig.p);
                finish();
        }
        s.finished = s.published;
        s.rig.p.own = NULL;
        begin(1);
        test_eq(sluice_producer_attach(&s.rig.p, s.rig.mem, s.rig.bytes), 0);
        finish();
}

static void replace_consumer(int in_order)
{
        if (in_order) {
                begin(0);
                sluice_consumer_detach(&s.rig.c);
                finish();
        }
        s.rig.c.own = NULL;
        begin(0);
        test_eq(sluice_consumer_attach(&s.rig.c, s.rig.mem, s.rig.bytes), 0);
        finish();
}

static void run_script(size_t units, uint32_t align, uint64_t first, uint64_t seed)
{
        memset(&s, 0, sizeof s);
        s.rig.geometry.capacity = units * align;
        s.rig.geometry.record_align = align;
        s.rig.geometry.first_position = first;
        s.rig.bytes = sluice_ring_bytes(&s.rig.geometry);
        s.rig.mem = test_memory(s.rig.bytes);
        s.copy = test_memory(s.rig.bytes);
        test_eq(sluice_ring_format(s.rig.mem, s.rig.bytes, &s.rig.geometry), 0);
        replace_producer(0);
        replace_consumer(0);
        for (unsigned step = 0; step < 2000; step++) {
                const uint64_t dice = test_random(&seed);
                const size_t longest = test_longest(&s.rig);
                const size_t any = (size_t)(dice >> 40);
                const size_t len = dice >> 32 & 1 ? any % (longest + 1) : any % 3 * align / 2;

                test_at("capacity %zu, align %u, first %#llx, step %u", units * align, align,
                        (unsigned long long)first, step);
                switch (dice % 16) {
                case 0:
                        replace_producer(dice >> 8 & 1);
                        break;
                case 1:
                        replace_consumer(dice >> 8 & 1);
                        break;
                case 2:
                case 3:
                case 4:
                case 5:
                        consume((unsigned)(dice >> 8) % 3);
                        break;
                case 6:
                case 7:
                        produce(len < longest ? len : longest, 0);
                        break;
                case 8:
                        produce_many(1 + (int)(dice >> 8) % 8, any % 16);
                        break;
                default:
                        produce(len < longest ? len : longest, 1 + (int)(dice >> 8 & 1));
                        break;
                }
        }
        test_check(s.crashes > 2000);
        test_memory_free(s.rig.mem);
        test_memory_free(s.copy);
}

Test(successor, finds_what_was_published_after_a_crash_at_any_store)
{
        const size_t units[] = {4, 8, 16};

        for (unsigned u = 0; u < 3; u++)
                for (int a = 0; a < 2; a++)
                        for (int f = 0; f < TEST_FIRSTS; f++)
                                run_script(units[u], test_align[a], test_first(f, test_align[a]),
                                           units[u] + (uint64_t)f);
}

/* The tie between two slots that bear the same position. */
Test(successor, counts_right_after_the_very_first_message)
{
        for (int a = 0; a < 2; a++) {
                memset(&s, 0, sizeof s);
                test_eq(test_rig_open(&s.rig, 4 * test_align[a], test_align[a], 0), 0);
                s.copy = test_memory(s.rig.bytes);
                for (int i = 0; i < 5; i++) {
                        test_at("message %d", i);
                        produce(0, 1);
                        consume(0);
                        replace_producer(0);
                }
                test_rig_close(&s.rig);
                test_memory_free(s.copy);
        }
}

static unsigned char *formatting;
static size_t formatting_bytes;
static uint64_t formatting_stores;

static void attach_while_formatting(const void *where, size_t len)
{
        void (*hook)(const void *, size_t) = test_hook_stored;
        struct sluice_producer p;
        struct sluice_consumer c;
        uint64_t magic;

        (void)where;
        (void)len;
        test_hook_stored = NULL;
        memcpy(&magic, formatting, sizeof magic);
        formatting_stores++;
        if (magic == 0) {
                test_eq(sluice_producer_attach(&p, formatting, formatting_bytes), -EINPROGRESS);
                test_eq(sluice_consumer_attach(&c, formatting, formatting_bytes), -EINPROGRESS);
        } else {
                test_eq(sluice_producer_attach(&p, formatting, formatting_bytes), 0);
                test_eq(sluice_consumer_attach(&c, formatting, formatting_bytes), 0);
                test_eq(sluice_peek(&c, &(struct sluice_message){0}, SLUICE_NOW), -EAGAIN);
        }
        test_hook_stored = hook;
}

/* Over garbage and over an older ring: nothing, or all of it. */
Test(format, is_seen_whole_or_not_at_all)
{
        const struct sluice_geometry g = {1024, 64, 128, 0, 0, 0};

        formatting_bytes = sluice_ring_bytes(&g);
        formatting = test_memory(formatting_bytes);
        for (int i = 0; i < 2; i++) {
                formatting_stores = 0;
                test_hook_stored = attach_while_formatting;
                test_eq(sluice_ring_format(formatting, formatting_bytes, &g), 0);
                test_hook_stored = NULL;
                test_check(formatting_stores >= 3);
        }
        test_memory_free(formatting);
}

/* SPDX-License-Identifier: MIT */
/*
 * The golden image: the memory of a queue of layout version 1 after a history
 * that has everything in it. It stands in tests/golden as pairs of offset and
 * word; words that are left out are 0. It does not change as long as the
 * version does not.
 *
 *     SLUICE_GOLDEN=FILE test_golden      writes it to FILE
 */
#include <inttypes.h>
#include <stdlib.h>

#include "check.h"
#include "queue_util.h"

enum { ALIGN = 16, CAPACITY = 1024, BYTES = 12288 + CAPACITY, LONG = 100 };

static const struct golden {
        uint32_t offset;
        uint64_t word;
} golden[] = {
#include "../golden/layout_1.inc"
};

/* Lengths of a batch whose messages are packed, but for the last. */
static const size_t packed[] = {3, 0, 8, 17, 1, 0, 5};
enum { PACKED = sizeof packed / sizeof *packed, PACKED_READ = 3 };

/* ---- The history -------------------------------------------------- */

static void put(struct test_rig *r, uint64_t number, size_t len, enum sluice_kind kind)
{
        void *payload;

        test_eq(sluice_reserve(&r->p, len, &payload, SLUICE_NOW), 0);
        test_fill(payload, len, number);
        sluice_set_tag(&r->p, (uint32_t)number);
        test_eq(sluice_set_kind(&r->p, kind), 0);
        test_eq(sluice_commit(&r->p, len), 0);
}

static void put_pieces(struct test_rig *r, uint64_t number)
{
        put(r, number, LONG, SLUICE_FIRST);
        put(r, number + 1, LONG, SLUICE_MIDDLE);
        put(r, number + 2, 20, SLUICE_LAST);
}

/* The first lap, all of it released: with padding, and over position 2^64. */
static void begin(struct test_rig *r)
{
        put(r, 1, 5, SLUICE_WHOLE);
        put(r, 2, 0, SLUICE_WHOLE);
        test_expect(r, 1, 5);
        test_expect(r, 2, 0);
        put(r, 3, 300, SLUICE_WHOLE);
        test_expect(r, 3, 300);
        test_expect_empty(r);
        test_eq(sluice_producer_position(&r->p), 320);
}

/* Pieces, a batch, padding and a message behind it: the ring is full. */
static void fill(struct test_rig *r)
{
        put_pieces(r, 10);
        for (uint64_t i = 20; i < 23; i++)
                test_eq(test_stage(r, i, 5), 0);
        test_eq(sluice_publish(&r->p), 0);
        put(r, 23, 300, SLUICE_WHOLE);
        test_eq(test_send(r, 24, 400), -EAGAIN);
}

/* Endpoints of a ring without a name never sleep and do not tell their process
 * id: this is what those of a named queue leave when killed in their sleep. */
static void forge_sleep(struct test_rig *r)
{
        struct sluice_layout_consumer *const c = test_consumer_half(r);
        struct sluice_layout_producer *const p = test_producer_half(r);

        test_poke(&c->doorbell.parked, (sluice_consumer_position(&r->c) + 8) | 1);
        test_poke(&c->doorbell.hint, 1);
        test_poke(&c->counters.pid, 1234);
        test_poke(&c->counters.parks, 2);
        test_poke(&c->counters.wakes, 3);
        test_poke(&p->doorbell.parked, sluice_producer_position(&r->p) | 2 | 1);
        test_poke(&p->counters.pid, 1235);
        test_poke(&p->counters.parks, 4);
        test_poke(&p->counters.wakes, 5);
}

static void write_history(struct test_rig *r)
{
        memset(r, 0, sizeof *r);
        r->geometry.capacity = CAPACITY;
        r->geometry.record_align = ALIGN;
        r->geometry.first_position = 0 - UINT64_C(256);
        r->bytes = BYTES;
        r->mem = test_memory(BYTES);
        memset(r->mem, 0, BYTES);
        test_eq(sluice_ring_format(r->mem, BYTES, &r->geometry), 0);
        test_eq(sluice_producer_attach(&r->p, r->mem, BYTES), 0);
        test_eq(sluice_consumer_attach(&r->c, r->mem, BYTES), 0);
        begin(r);
        test_send_packed(r, 30, packed, PACKED);
        for (unsigned i = 0; i < PACKED_READ; i++)
                test_expect(r, 30 + i, packed[i]);
        fill(r);
        forge_sleep(r);
        sluice_producer_detach(&r->p);
}

/* ---- The image ---------------------------------------------------- */

static void load(unsigned char *mem)
{
        memset(mem, 0, BYTES);
        for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
                test_check(golden[i].offset <= BYTES - 8 && golden[i].offset % 8 == 0);
                memcpy(mem + golden[i].offset, &golden[i].word, 8);
        }
}

/* The producer's slots: offset in the memory of a queue. */
enum { PROGRESS = 8192 + 128 };

static uint64_t word_at(const unsigned char *mem, size_t offset)
{
        uint64_t word;

        memcpy(&word, mem + offset, sizeof word);
        return word;
}

static void save(const unsigned char *mem, const char *path)
{
        FILE *const f = fopen(path, "w");

        test_check(f);
        fputs("/* SPDX-License-Identifier: MIT */\n"
              "/* Written by test_golden: layout version 1 in words, {offset, value}. */\n",
              f);
        for (size_t i = 0; i < BYTES; i += 8)
                if (word_at(mem, i) != 0)
                        fprintf(f, "{%zu, UINT64_C(0x%016" PRIx64 ")},\n", i, word_at(mem, i));
        test_eq(fclose(f), 0);
}

Test(golden, is_what_the_same_history_writes)
{
        const char *const path = getenv("SLUICE_GOLDEN");
        unsigned char *const mem = test_memory(BYTES);
        struct test_rig r;

        write_history(&r);
        if (path) {
                save(r.mem, path);
                cr_skip_test("%s is written", path);
        }
        load(mem);
        for (size_t i = 0; i < BYTES; i += 8) {
                /* How far the producer's progress is behind is its own choice. */
                if (i >= PROGRESS && i < PROGRESS + 32)
                        continue;
                test_at("offset %zu", i);
                test_eq(word_at(r.mem, i), word_at(mem, i));
        }
        test_memory_free(mem);
        test_rig_close(&r);
}

/* Every kind of record is in there, to be read. */
Test(golden, has_every_kind)
{
        unsigned char *const mem = test_memory(BYTES);
        uint64_t at, count[8] = {0}, ends = 0;

        load(mem);
        at = word_at(mem, 4096);
        test_eq(at % ALIGN, 8); /* released in the midst of a packed batch */
        for (unsigned i = 0; ends == 0; i++) {
                const uint64_t word = word_at(mem, 12288 + at % CAPACITY);

                test_at("position %" PRIu64, at);
                test_check(i < CAPACITY / 8);
                count[word & 7]++;
                ends += word == 8;
                at += (word & 7) == 6 ? ((word & UINT32_MAX) / 8 + 15) / 8 * 8
                                      : ((word & UINT32_MAX) / 8 + 8 + at % ALIGN + ALIGN - 1) /
                                                        ALIGN * ALIGN -
                                                at % ALIGN;
        }
        for (unsigned kind = 0; kind < 7; kind++)
                test_check(count[kind] > 0);
        test_eq(count[7], 0);
        test_memory_free(mem);
}

/* ---- Going on from it --------------------------------------------- */

static void arrives(struct test_rig *r, uint64_t number, size_t len, enum sluice_kind kind)
{
        struct sluice_message m;

        test_at("message %" PRIu64, number);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(m.kind, kind);
        test_expect(r, number, len);
}

static void arrives_all(struct test_rig *r)
{
        for (unsigned i = PACKED_READ; i < PACKED; i++)
                arrives(r, 30 + i, packed[i], SLUICE_WHOLE);
        arrives(r, 10, LONG, SLUICE_FIRST);
        arrives(r, 11, LONG, SLUICE_MIDDLE);
        arrives(r, 12, 20, SLUICE_LAST);
        for (unsigned i = 20; i < 23; i++)
                arrives(r, i, 5, SLUICE_WHOLE);
        arrives(r, 23, 300, SLUICE_WHOLE);
}

static void load_rig(struct test_rig *r)
{
        memset(r, 0, sizeof *r);
        r->geometry.capacity = CAPACITY;
        r->geometry.record_align = ALIGN;
        r->bytes = BYTES;
        r->mem = test_memory(BYTES);
        load(r->mem);
}

Test(golden, is_read_to_its_end)
{
        struct sluice_message m;
        struct test_rig r;

        load_rig(&r);
        test_eq(sluice_consumer_attach(&r.c, r.mem, BYTES), 0);
        test_eq(sluice_consumer_messages(&r.c), 3 + PACKED_READ);
        arrives_all(&r);
        test_eq(sluice_consumer_messages(&r.c), 3 + PACKED + 3 + 3 + 1);
        test_eq(sluice_peek(&r.c, &m, SLUICE_NOW), -EPIPE);
        test_rig_close(&r);
}

Test(golden, is_continued_by_successors)
{
        struct test_rig r;

        load_rig(&r);
        test_eq(sluice_producer_attach(&r.p, r.mem, BYTES), 0);
        test_eq(sluice_consumer_attach(&r.c, r.mem, BYTES), 0);
        test_eq(sluice_producer_messages(&r.p), 3 + PACKED + 3 + 3 + 1);
        test_eq(test_send(&r, 40, 200), -EAGAIN);
        test_eq(test_send(&r, 41, 8), 0);
        arrives_all(&r);
        test_expect(&r, 41, 8);
        test_pass(&r, 3);
        test_eq(sluice_consumer_position(&r.c), sluice_producer_position(&r.p));
        test_eq(sluice_consumer_messages(&r.c), sluice_producer_messages(&r.p));
        test_rig_close(&r);
}

/* The producer's progress, both slots of it. */
static void set_progress(unsigned char *mem, uint64_t position, uint64_t messages)
{
        for (size_t i = 0; i < 2; i++) {
                memcpy(mem + 8320 + 16 * i, &messages, 8);
                memcpy(mem + 8328 + 16 * i, &position, 8);
        }
}

/* A successor counts from a progress that is far behind, over packed records
 * that are released, too. A lap behind, the header there is another's. */
Test(golden, is_continued_from_an_old_progress)
{
        struct test_rig r;

        load_rig(&r);
        set_progress(r.mem, 336, 4);
        test_eq(sluice_producer_attach(&r.p, r.mem, BYTES), 0);
        test_eq(sluice_producer_position(&r.p), 1344);
        test_eq(sluice_producer_messages(&r.p), 3 + PACKED + 3 + 3 + 1);
        set_progress(r.mem, 320, 3);
        test_eq(sluice_producer_attach(&r.p, r.mem, BYTES), -EBADMSG);
        test_rig_close(&r);
}

/* ---- As a named queue --------------------------------------------- */

enum { USED = 1344 - 360, PENDING = PACKED - PACKED_READ + 3 + 3 + 1 };

static void make_like_it(void)
{
        struct sluice_options o = opt(CAPACITY);

        o.record_align = ALIGN;
        o.first_position = 0 - UINT64_C(256);
        test_eq(sluice_create("q", &o), 0);
}

/* A named queue with the halves and the ring that are in mem. */
static void make_from(const unsigned char *mem)
{
        make_like_it();
        poke(key_of("q"), 4096, mem + 4096, BYTES - 4096);
}

static void make_from_it(void)
{
        unsigned char *const mem = test_memory(BYTES);

        load(mem);
        make_from(mem);
        test_memory_free(mem);
}

/* Generation, device and inode, and the name, are each queue's own. */
static int is_its_own(size_t offset)
{
        return (offset >= 72 && offset < 96) || (offset >= 256 && offset < 1280);
}

QTest(golden, has_the_header_of_a_named_queue)
{
        unsigned char *const mem = test_memory(BYTES);
        const unsigned char *header;

        load(mem);
        make_like_it();
        header = shmat(shmget(key_of("q"), 0, 0), NULL, SHM_RDONLY);
        test_check(header != (const void *)-1);
        for (size_t i = 0; i < 4096; i += 8) {
                test_at("offset %zu", i);
                if (!is_its_own(i))
                        test_eq(word_at(header, i), word_at(mem, i));
        }
        test_eq(word_at(header, 72), look("q").generation);
        test_check(strcmp((const char *)header + 256, in_queues("q")) == 0);
        test_eq(shmdt(header), 0);
        test_memory_free(mem);
        call(sluice_remove("q"), 0);
}

QTest(golden, is_what_an_observer_counts)
{
        struct sluice_queue_stat st;

        make_from_it();
        call(sluice_stat("q", &st), 0);
        test_eq(st.used, USED);
        test_eq(st.pending, PENDING);
        test_eq(st.consumer.position, 360);
        test_eq(st.consumer.messages, 3 + PACKED_READ);
        test_eq(st.consumer.pid, 1234);
        test_eq(st.consumer.attaches, 1);
        test_eq(st.producer.position, 1344);
        test_eq(st.producer.messages, 3 + PACKED_READ + PENDING);
        test_eq(st.producer.attaches, 2);
        test_eq(st.producer.closed, 1);
        test_eq(st.producer.parks, 4);
        test_eq(st.producer.wakes, 5);
        call(sluice_remove("q"), 0);
}

/* From wherever its producer's progress is: an observer begins at the consumer's
 * position at the earliest. */
QTest(golden, is_counted_from_an_old_progress)
{
        unsigned char *const mem = test_memory(BYTES);
        struct sluice_queue_stat st;

        for (uint64_t position = 320; position < 360; position += 16) {
                load(mem);
                set_progress(mem, position, position == 320 ? 3 : position == 336 ? 4 : 5);
                make_from(mem);
                call(sluice_stat("q", &st), 0);
                test_eq(st.used, USED);
                test_eq(st.pending, PENDING);
                test_eq(st.producer.messages, 3 + PACKED_READ + PENDING);
                call(sluice_remove("q"), 0);
        }
        test_memory_free(mem);
}

static int note(void *ctx, const struct sluice_message *m)
{
        static const struct {
                unsigned tag, len;
                enum sluice_kind kind;
        } expected[PENDING] = {
                {33, 17, SLUICE_WHOLE}, {34, 1, SLUICE_WHOLE},    {35, 0, SLUICE_WHOLE},
                {36, 5, SLUICE_WHOLE},  {10, LONG, SLUICE_FIRST}, {11, LONG, SLUICE_MIDDLE},
                {12, 20, SLUICE_LAST},  {20, 5, SLUICE_WHOLE},    {21, 5, SLUICE_WHOLE},
                {22, 5, SLUICE_WHOLE},  {23, 300, SLUICE_WHOLE},
        };
        unsigned *const n = ctx;

        test_at("message %u", *n);
        test_check(*n < PENDING);
        test_eq(m->tag, expected[*n].tag);
        test_eq(m->len, expected[*n].len);
        test_eq(m->kind, expected[*n].kind);
        test_check(test_matches(m->data, m->len, m->tag));
        ++*n;
        return 0;
}

QTest(golden, is_dumped_and_drained)
{
        struct sluice_consumer c;
        unsigned n = 0;

        make_from_it();
        call(sluice_dump("q", note, &n), PENDING);
        test_eq(n, PENDING);
        n = 0;
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_drain(&c, note, &n, PENDING + 1), PENDING);
        call(sluice_drain(&c, note, &n, 1), -EPIPE);
        sluice_consumer_close(&c);
        call(sluice_remove("q"), 0);
}

QTest(golden, is_continued_by_the_ends_of_a_named_queue)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        make_from_it();
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(send_number(&p, 7, SLUICE_NOW), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        for (unsigned n = 0; n < PENDING;)
                test_check(sluice_drain(&c, note, &n, PENDING - n) > 0);
        test_eq(recv_number(&c, SLUICE_NOW), 7);
        test_eq(sluice_consumer_messages(&c), sluice_producer_messages(&p));
        sluice_producer_close(&p);
        sluice_consumer_close(&c);
        call(sluice_remove("q"), 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * What an observer answers was true at one moment, whatever the two
 * endpoints store between any two of its loads.
 *
 * A script of sends, receives, deaths and successors is run once, and
 * each store that it makes is kept, with what was true behind it. Then
 * the stores are made again in a copy of the memory, while an observer
 * looks at that: so many before it begins, so many behind this load of
 * it, so many behind that.
 */
#define _GNU_SOURCE
#define SLUICE_ATOMIC_HEADER "atomic_hook.h"
#include "../../src/observe.c"
#include "../../src/stat.c"
#include "check.h"

enum { STORES = 4096, LEN = 64 };

struct truth {
        uint64_t published, sent, released, received;
};

static struct {
        struct test_rig rig; /* where the script runs */
        unsigned char *before, *copy;
        struct {
                size_t off, len;
                unsigned char bytes[LEN];
        } store[STORES];
        struct truth truth[STORES + 1]; /* before store i; behind the last */
        size_t n;
} s;

/* ---- The script --------------------------------------------------- */

static void keep_store(const void *where, size_t len)
{
        const size_t off = (size_t)((const unsigned char *)where - s.rig.mem);

        test_check(s.n < STORES && len <= LEN && off < s.rig.bytes);
        s.store[s.n].off = off;
        s.store[s.n].len = len;
        memcpy(s.store[s.n].bytes, where, len);
        s.n++;
}

static void apply(unsigned char *mem, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++)
                memcpy(mem + s.store[i].off, s.store[i].bytes, s.store[i].len);
}

static uint64_t stored_word(size_t i)
{
        uint64_t word = 0;

        memcpy(&word, s.store[i].bytes, s.store[i].len < 8 ? s.store[i].len : 8);
        return word;
}

static struct truth now(void)
{
        return (struct truth){sluice_producer_position(&s.rig.p), s.rig.p.messages,
                              sluice_consumer_position(&s.rig.c), s.rig.c.messages};
}

/* What was true between the stores of one call, from `first` on: the
 * header of what it published, or the position that it released, tells. */
static void note_truth(size_t first, struct truth before)
{
        const size_t header = 12288 + (size_t)(before.published % s.rig.geometry.capacity);
        const struct truth after = now();
        struct truth t = before;

        for (size_t i = first; i < s.n; i++) {
                s.truth[i] = t;
                if (s.store[i].off == header && stored_word(i) != 0 &&
                    after.published != before.published)
                        t.published = after.published, t.sent = after.sent;
                if (s.store[i].off == 4096 && after.released != before.released)
                        t.released = after.released, t.received = after.received;
        }
        s.truth[s.n] = t;
        test_eq(t.published, after.published);
        test_eq(t.released, after.released);
}

static void produce(uint64_t *random)
{
        const uint64_t count = test_random(random) % 3 + 1, units = test_random(random) % 8;

        for (uint64_t i = 0; i < count; i++)
                test_stage(&s.rig, i, (size_t)(units * units / 16 * s.rig.geometry.record_align));
        test_eq(sluice_publish(&s.rig.p), 0);
}

static void consume(uint64_t *random)
{
        const uint64_t count = test_random(random) % 3 + 1;
        struct sluice_message m;

        for (uint64_t i = 0; i < count && sluice_peek(&s.rig.c, &m, SLUICE_NOW) == 0; i++)
                test_eq(sluice_advance(&s.rig.c), 0);
        sluice_release(&s.rig.c);
}

/* The same between a publish and the telling of it. */
static void consume_early(uint64_t *random)
{
        const struct truth before = now();
        const bool told = (s.store[s.n - 1].off & ~(size_t)24) == 8192 + 128; /* PROGRESS */
        const size_t first = told ? s.n - 2 : s.n;

        s.n = first;
        consume(random);
        note_truth(first, before);
        if (!told)
                return;
        for (int i = 0; i < 2; i++) {
                const sluice_word *const slot =
                        &test_producer_half(&s.rig)->progress.slot[0].messages;

                keep_store(&slot[2 * (s.rig.p.base.slot ^ 1) + (unsigned)i], 8);
                s.truth[s.n] = now();
        }
}

/* The last call was killed behind one store of it. What it has published,
 * if it has, is received or not, then a successor joins. */
static void die(size_t first, uint64_t *random, int producer)
{
        s.n = first + (size_t)(test_random(random) % (s.n - first + 1));
        memcpy(s.rig.mem, s.before, s.rig.bytes);
        apply(s.rig.mem, 0, s.n);
        first = s.n;
        if (producer && test_random(random) % 2) {
                s.rig.p.tail = s.truth[first].published;
                s.rig.p.staged = 0;
                s.rig.p.messages = s.truth[first].sent;
                consume(random);
                note_truth(first, s.truth[first]);
                first = s.n;
        }
        if (producer)
                test_eq(sluice_producer_attach(&s.rig.p, s.rig.mem, s.rig.bytes), 0);
        else
                test_eq(sluice_consumer_attach(&s.rig.c, s.rig.mem, s.rig.bytes), 0);
        note_truth(first, s.truth[first]);
}

static void step(uint64_t *random)
{
        const uint64_t what = test_random(random) % 16;
        const struct truth before = now();
        const size_t first = s.n;
        const int producer = what % 2 == 0;

        if (what < 14)
                (producer ? produce : consume)(random);
        else if (producer)
                sluice_producer_detach(&s.rig.p);
        else
                sluice_consumer_detach(&s.rig.c);
        if (what < 14)
                note_truth(first, before);
        else
                for (size_t i = first; i <= s.n; i++)
                        s.truth[i] = before;
        if (what == 0 && now().published != before.published)
                consume_early(random);
        if (what >= 12)
                die(first, random, producer);
}

static void script(uint64_t seed)
{
        s.before = test_memory(s.rig.bytes);
        s.copy = test_memory(s.rig.bytes);
        memcpy(s.before, s.rig.mem, s.rig.bytes);
        s.n = 0;
        test_hook_stored = keep_store;
        while (s.n < 700)
                step(&seed);
        test_hook_stored = NULL;
}

static void script_free(void)
{
        test_memory_free(s.before);
        test_memory_free(s.copy);
}

/* ---- The observer ------------------------------------------------- */

static struct {
        size_t done;  /* stores made */
        size_t loads; /* by the observer */
        struct {
                size_t load, stores;
        } at[2];         /* so many stores behind that load */
        uint64_t random; /* not 0: some behind each */
} o;

static uint64_t interfere(const sluice_word *word, uint64_t value)
{
        size_t until = o.done;

        (void)word;
        for (int i = 0; i < 2; i++)
                if (o.loads == o.at[i].load)
                        until += o.at[i].stores;
        if (o.random && test_random(&o.random) % 4 == 0)
                until += (size_t)(test_random(&o.random) % 8);
        o.loads++;
        if (until > s.n)
                until = s.n;
        apply(s.copy, o.done, until);
        o.done = until;
        return value;
}

static int observe_at(struct sluice_priv_moment *m, const unsigned char *mem)
{
        struct sluice_priv_shape shape;
        const struct sluice_priv_view v = {(const void *)(mem + 4096), (const void *)(mem + 8192),
                                           mem + 12288, &shape};
        int r = sluice_priv_shape_of(&shape, &s.rig.geometry);

        test_hook_loaded = interfere;
        r = r ? r : sluice_priv_observe(m, &v);
        test_hook_loaded = NULL;
        return r;
}

static bool was_true(const struct sluice_priv_moment *m, size_t from, size_t to)
{
        for (size_t i = from; i <= to; i++) {
                const struct truth *const t = &s.truth[i];

                if (m->producer.position == t->published && m->producer.messages == t->sent &&
                    m->consumer.position == t->released && m->consumer.messages == t->received)
                        return true;
        }
        return false;
}

/* From store `begin` on, as o says. */
static void watch(size_t begin)
{
        struct sluice_priv_moment m;

        o.done = begin;
        o.loads = 0;
        test_at("from store %zu, %zu behind load %zu, %zu behind %zu, seed %llu", begin,
                o.at[0].stores, o.at[0].load, o.at[1].stores, o.at[1].load,
                (unsigned long long)o.random);
        test_eq(observe_at(&m, s.copy), 0);
        test_check(was_true(&m, begin, o.done));
}

/* Each begin, and the memory as it was then. */
static void watch_all(size_t step, void (*body)(size_t begin))
{
        unsigned char *const at = test_memory(s.rig.bytes);

        memcpy(at, s.before, s.rig.bytes);
        for (size_t begin = 0; begin <= s.n; begin++) {
                if (begin % step == 0) {
                        memcpy(s.copy, at, s.rig.bytes);
                        body(begin);
                }
                apply(at, begin, begin + (begin < s.n));
        }
        test_memory_free(at);
}

static void again(size_t begin)
{
        memcpy(s.copy, s.before, s.rig.bytes);
        apply(s.copy, 0, begin);
        watch(begin);
}

static void still(size_t begin)
{
        memset(&o, 0, sizeof o);
        watch(begin);
}

static void once_in_motion(size_t begin)
{
        for (size_t load = 0; load < 12; load++) {
                for (size_t stores = 1; stores <= 40; stores += 1 + stores / 12) {
                        memset(&o, 0, sizeof o);
                        o.at[0].load = load;
                        o.at[0].stores = stores;
                        again(begin);
                }
        }
}

static void twice_in_motion(size_t begin)
{
        for (size_t i = 0; i < 200; i++) {
                uint64_t random = begin * 1000 + i;

                memset(&o, 0, sizeof o);
                for (int k = 0; k < 2; k++) {
                        o.at[k].load = test_random(&random) % 16;
                        o.at[k].stores = (size_t)(test_random(&random) % 30);
                }
                again(begin);
        }
}

static void always_in_motion(size_t begin)
{
        for (size_t i = 0; i < 20; i++) {
                memset(&o, 0, sizeof o);
                o.random = begin * 1000 + i + 1;
                again(begin);
        }
}

static void each_script(size_t step, void (*body)(size_t begin))
{
        for (uint64_t seed = 1; seed <= 2; seed++) {
                for (size_t units = 4; units <= 16; units *= 2) {
                        for (int f = 0; f < TEST_FIRSTS; f++) {
                                const uint32_t align = test_align[(seed + units) % TEST_ALIGNS];

                                test_open(&s.rig, units, align, test_first(f, align));
                                script(seed * units);
                                watch_all(step, body);
                                script_free();
                                test_rig_close(&s.rig);
                        }
                }
        }
}

Test(observe, finds_the_truth_after_a_death_behind_any_store)
{
        each_script(1, still);
}

Test(observe, answers_what_was_true_at_one_moment)
{
        each_script(5, once_in_motion);
}

Test(observe, answers_so_when_disturbed_twice)
{
        each_script(7, twice_in_motion);
}

Test(observe, answers_so_when_nothing_keeps_still)
{
        each_script(3, always_in_motion);
}

/* ---- Hostile contents --------------------------------------------- */

static struct {
        size_t loads, bytes;
        uint64_t random;
        sluice_word *changing; /* behind each load */
        uint64_t by;
} h;

static uint64_t count_load(const sluice_word *word, uint64_t value)
{
        (void)word;
        h.loads++;
        if (h.changing)
                test_poke(h.changing, *h.changing + h.by);
        return value;
}

static int observe_rig_with(struct sluice_priv_moment *m,
                            uint64_t (*hook)(const sluice_word *, uint64_t))
{
        struct sluice_priv_shape shape;
        const struct sluice_priv_view v = {test_consumer_half(&s.rig), test_producer_half(&s.rig),
                                           s.rig.mem + 12288, &shape};
        int r = sluice_priv_shape_of(&shape, &s.rig.geometry);

        h.loads = 0;
        test_hook_loaded = hook;
        r = r ? r : sluice_priv_observe(m, &v);
        test_hook_loaded = NULL;
        return r;
}

static int observe_rig(struct sluice_priv_moment *m)
{
        return observe_rig_with(m, count_load);
}

/* A header in each unit of the ring, published, but not in the progress slots. */
static void fill_with(uint64_t word)
{
        test_open(&s.rig, 1024, 64, 0);
        for (size_t i = 0; i < test_rig_units(&s.rig); i++)
                test_poke(test_word(&s.rig, i * 64), word);
}

Test(observe, walks_a_hostile_ring_once)
{
        struct sluice_priv_moment m;

        fill_with(SLUICE_LAYOUT_WHOLE);
        test_eq(observe_rig(&m), -EBADMSG);
        test_check(h.loads > 1024 && h.loads < 2 * 1024 + 16);
        test_poke(test_word(&s.rig, 1023 * 64), 0); /* as full as may be */
        test_eq(observe_rig(&m), 0);
        test_eq(m.producer.messages, 1023);
        test_check(h.loads < 2 * 1024 + 16);
        test_rig_close(&s.rig);
}

Test(observe, gives_up_a_hostile_ring_that_never_keeps_still)
{
        struct sluice_priv_moment m;

        memset(&h, 0, sizeof h);
        for (int i = 0; i < 4; i++) {
                sluice_word *changing[4];

                fill_with(SLUICE_LAYOUT_WHOLE);
                changing[0] = &test_consumer_half(&s.rig)->position;
                changing[1] = &test_producer_half(&s.rig)->progress.slot[0].position;
                changing[2] = &test_producer_half(&s.rig)->progress.slot[1].position;
                changing[3] = &test_consumer_half(&s.rig)->progress.slot[0].position;
                h.changing = changing[i];
                h.by = 64;
                test_check(observe_rig(&m) != 0);
                test_check(h.loads < 2 * 1024 + 16 * SLUICE_PRIV_LOOKS);
                test_rig_close(&s.rig);
        }
}

/* Its position alternates between two that are both in the progress slots. */
static uint64_t waver(const sluice_word *word, uint64_t value)
{
        h.loads++;
        if (word != &test_consumer_half(&s.rig)->position)
                return value;
        return h.by ^= 64;
}

Test(observe, walks_a_hostile_ring_once_though_it_never_keeps_still)
{
        struct sluice_priv_moment m;

        fill_with(SLUICE_LAYOUT_WHOLE);
        test_poke(&test_consumer_half(&s.rig)->progress.slot[1].position, 64);
        test_poke(test_word(&s.rig, 1023 * 64), 0);
        test_eq(observe_rig_with(&m, waver), -EAGAIN);
        test_check(h.loads > 2 * 1024 && h.loads < 2 * 1024 + 16 * SLUICE_PRIV_LOOKS);
        test_rig_close(&s.rig);
}

/* Each load of words that decide answers one of these. */
static uint64_t forge(const sluice_word *word, uint64_t value)
{
        const uint64_t forged[] = {0, 64,   128, 65,         1024 * 64,  UINT64_MAX - 63,
                                   1, 2,    8,   0xfffffff9, 64 * 8 + 1, 9,
                                   6, value};

        (void)word;
        h.loads++;
        return forged[test_random(&h.random) % (sizeof forged / sizeof *forged)];
}

Test(observe, of_forged_loads_is_bounded_and_consistent)
{
        struct sluice_priv_moment m;
        int found = 0;

        test_open(&s.rig, 1024, 64, 0);
        for (uint64_t i = 0; i < 20000; i++) {
                int r;

                h.random = i;
                r = observe_rig_with(&m, forge);
                test_check(r == 0 || r == -EBADMSG || r == -EAGAIN);
                test_check(h.loads < 2 * 1024 + 16 * SLUICE_PRIV_LOOKS);
                found += r == 0;
                test_check(r != 0 || m.producer.position - m.consumer.position <= 1023 * 64);
                test_check(r != 0 || (m.producer.messages - m.consumer.messages) * 8 <=
                                             m.producer.position - m.consumer.position);
        }
        test_check(found > 0);
        test_rig_close(&s.rig);
}

Test(observe, refuses_counts_that_do_not_fit)
{
        struct sluice_priv_moment m;

        for (uint64_t wrong = 0; wrong < 40; wrong++) {
                test_open(&s.rig, 8, 64, 0);
                for (uint64_t i = 0; i < 4; i++)
                        test_eq(test_send(&s.rig, i, 8), 0);
                test_expect(&s.rig, 0, 8);
                sluice_priv_tell_progress(&s.rig.p);
                test_poke(
                        &test_producer_half(&s.rig)->progress.slot[s.rig.p.base.slot ^ 1].messages,
                        wrong);
                /* 3 records of 64 hold 1 to 24 messages */
                test_eq(observe_rig(&m), wrong >= 2 && wrong <= 25 ? 0 : -EBADMSG);
                test_rig_close(&s.rig);
        }
}

/* ---- Dump --------------------------------------------------------- */

static ssize_t dump_rig(sluice_handler *fn)
{
        struct sluice_priv_segment segment = {.mem = s.rig.mem};

        test_eq(sluice_priv_shape_of(&segment.shape, &s.rig.geometry), 0);
        return dump(&segment, fn, NULL);
}

static int taken(void *ctx, const struct sluice_message *m)
{
        (void)ctx;
        (void)m;
        return 0;
}

/* The consumer advances by one unit during each copy. */
static void overtake(const void *from, size_t len)
{
        sluice_word *const position = &test_consumer_half(&s.rig)->position;

        (void)from;
        h.bytes += len;
        test_poke(position, *position + 64);
}

Test(dump, copies_a_hostile_ring_once)
{
        h.bytes = 0;
        test_open(&s.rig, 1024, 64, 0);
        /* In each unit a record that reaches to the middle or the end. */
        for (size_t i = 0; i < 1023; i++)
                test_poke(test_word(&s.rig, i * 64),
                          sluice_priv_header_word(SLUICE_LAYOUT_WHOLE,
                                                  (i < 512 ? 512 - i : 1023 - i) * 64 - 8, 0));
        test_poke(test_word(&s.rig, 1023 * 64), 0);
        test_hook_copied = overtake;
        test_eq(dump_rig(taken), 1); /* the second, which was not passed */
        test_hook_copied = NULL;
        test_check(h.bytes > 0 && h.bytes <= 1024 * 64);
        test_rig_close(&s.rig);
}

/* Both sides go on by a whole ring during each copy. */
static void lap(const void *from, size_t len)
{
        unsigned char message[1000];

        (void)from;
        h.bytes += len;
        test_hook_copied = NULL;
        for (uint64_t i = 0; i < 128; i++) {
                test_check(sluice_recv(&s.rig.c, message, sizeof message, SLUICE_NOW) > 0);
                test_eq(test_send(&s.rig, i, 440), 0); /* other headers, at other places */
        }
        test_hook_copied = lap;
}

Test(dump, of_a_ring_that_is_lapped_meanwhile_shows_nothing_of_it)
{
        h.bytes = 0;
        test_open(&s.rig, 1024, 64, 0);
        for (uint64_t i = 0; i < 60; i++)
                test_eq(test_send(&s.rig, i, 1000), 0);
        for (uint64_t i = 0; i < 60; i++)
                test_expect(&s.rig, i, 1000);
        for (uint64_t i = 0; i < 60; i++)
                test_eq(test_send(&s.rig, i, 1000), 0);
        test_hook_copied = lap;
        test_eq(dump_rig(taken), 0);
        test_hook_copied = NULL;
        test_check(h.bytes > 0 && h.bytes <= 1024 * 64);
        test_rig_close(&s.rig);
}

Test(dump, refuses_contents_that_contradict_themselves)
{
        const uint64_t wrong[] = {0,
                                  SLUICE_LAYOUT_END,
                                  7,
                                  sluice_priv_header_word(0, 64, 0),
                                  6, /* packed, and nothing behind it */
                                  sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, 3 * 64, 0),
                                  sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, 8 * 64 - 8, 0),
                                  sluice_priv_header_word(SLUICE_LAYOUT_PADDING, 1 << 20, 0)};

        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                test_open(&s.rig, 8, 64, 0);
                for (uint64_t k = 0; k < 3; k++)
                        test_eq(test_send(&s.rig, k, 8), 0);
                sluice_priv_tell_progress(&s.rig.p);
                test_poke(test_word(&s.rig, 64), wrong[i]);
                test_poke(test_word(&s.rig, 72), 0);
                test_eq(dump_rig(taken), -EBADMSG);
                test_rig_close(&s.rig);
        }
        test_open(&s.rig, 8, 64,
                  0); /* too long, and in the progress slots: it fits between the two */
        for (uint64_t k = 0; k < 7; k++)
                test_eq(test_send(&s.rig, k, 8), 0);
        test_poke(test_word(&s.rig, 0),
                  sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, 6 * 64 - 8, 0));
        test_eq(dump_rig(taken), -EBADMSG);
        test_rig_close(&s.rig);
}

/* ---- Who holds what ----------------------------------------------- */

static struct {
        struct sluice_producer p;
        int loads;
        int open_at, close_at; /* behind this load */
} holder;

static uint64_t come_and_go(const sluice_word *word, uint64_t value)
{
        (void)word;
        holder.loads++;
        test_hook_loaded = NULL;
        if (holder.loads == holder.open_at)
                test_eq(sluice_producer_open(&holder.p, "key:0x0b5e", NULL), 0);
        if (holder.loads == holder.close_at)
                test_eq(sluice_producer_close(&holder.p), 0);
        test_hook_loaded = come_and_go;
        return value;
}

static struct sluice_endpoint_stat look_while(int open_at, int close_at)
{
        struct sluice_queue_stat st;

        holder.loads = 0;
        holder.open_at = open_at;
        holder.close_at = close_at;
        test_hook_loaded = come_and_go;
        test_eq(sluice_stat("key:0x0b5e", &st), 0);
        test_hook_loaded = NULL;
        return st.producer;
}

Test(stat, calls_nobody_dead_who_comes_or_goes)
{
        struct sluice_endpoint_stat e;

        test_eq(sluice_create("key:0x0b5e", NULL), 0);
        for (int i = 1; i <= 16; i++) {
                e = look_while(i, 0);
                test_check(e.held || e.closed || e.attaches == 0);
                if (holder.loads < i)
                        test_eq(sluice_producer_open(&holder.p, "key:0x0b5e", NULL), 0);
                e = look_while(0, i);
                test_check(e.held || e.closed);
                if (holder.loads < i)
                        test_eq(sluice_producer_close(&holder.p), 0);
                sluice_remove("key:0x0b5e");
                test_eq(sluice_create("key:0x0b5e", NULL), 0);
        }
        test_eq(sluice_remove("key:0x0b5e"), 0);
}

/* A state that is another one each time. */
static uint64_t restless(const sluice_word *word, uint64_t value)
{
        const bool state =
                ((uintptr_t)word & 4095) == offsetof(struct sluice_layout_doorbell, state);

        return state ? (uint64_t)++holder.loads * SLUICE_LAYOUT_EPOCH : value;
}

Test(stat, gives_up_who_comes_and_goes_without_end)
{
        struct sluice_queue_stat st;

        test_eq(sluice_create("key:0x0b5e", NULL), 0);
        test_hook_loaded = restless;
        test_eq(sluice_stat("key:0x0b5e", &st), -EAGAIN);
        test_hook_loaded = NULL;
        test_eq(holder.loads, 2 * STATE_LOOKS);
        test_eq(sluice_remove("key:0x0b5e"), 0);
}

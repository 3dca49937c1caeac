/* SPDX-License-Identifier: MIT */
/* What the options of a queue do, and sleeping over memory of one's own. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* ---- Options ------------------------------------------------------ */

QTest(option, first_position_near_the_wraps)
{
        static const uint64_t firsts[] = {UINT64_C(0xffffff80), UINT64_C(0xffffffffffffff80),
                                          UINT64_C(0x7fffffffffffff80), UINT64_C(1) << 40};

        for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++) {
                struct sluice_options o = opt(512);
                struct sluice_producer p;
                struct sluice_consumer c;

                o.first_position = firsts[f];
                call(sluice_create("q", &o), 0);
                for (uint64_t i = 0; i < 40; i += 4) {
                        call(sluice_producer_open(&p, "q", NULL), 0);
                        eq(sluice_producer_position(&p), firsts[f] + i * 64);
                        for (uint64_t k = 0; k < 4; k++)
                                call(send_number(&p, i + k, SLUICE_NOW), 0);
                        eq(look("q").pending, 4);
                        eq(look("q").used, 4 * 64);
                        call(sluice_producer_close(&p), 0);
                        call(sluice_consumer_open(&c, "q", NULL), 0);
                        for (uint64_t k = 0; k < 4; k++)
                                call(recv_number(&c, soon()), i + k);
                        call(recv_number(&c, soon()), -EPIPE);
                        eq(sluice_consumer_position(&c), firsts[f] + (i + 4) * 64);
                        call(sluice_consumer_close(&c), 0);
                }
                eq(look("q").producer.messages, 40);
                call(sluice_remove("q"), 0);
        }
}

QTest(option, prefault_and_lock_bring_the_pages)
{
        struct sluice_options o = opt(1 << 20);
        struct sluice_producer p;
        unsigned char in[257];
        struct shm_info info;
        unsigned long before;
        void *mem;

        check(shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) >= 0);
        before = info.shm_rss;
        o.flags = SLUICE_PREFAULT;
        call(sluice_create("q", &o), 0);
        check(shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) >= 0);
        check(info.shm_rss - before >= (1 << 20) / 4096);
        call(sluice_producer_open(&p, "q", &o), 0);
        mem = (void *)((uintptr_t)p.ring & ~(uintptr_t)4095);
        eq(mincore(mem, 1 << 20, in), 0);
        for (int i = 0; i < 256; i++)
                check(in[i] & 1);
        call(sluice_producer_close(&p), 0);
        o.flags = SLUICE_LOCK | SLUICE_PREFAULT;
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(option, small_rings_are_prefaulted)
{
        struct sluice_options o = opt(0);

        eq(first_lap_faults(&o), 0);
        o.capacity = 1 << 20;
        eq(first_lap_faults(&o), 0);
        o.capacity = 2 << 20;
        check(first_lap_faults(&o) > 0);
        o.flags = SLUICE_PREFAULT;
        eq(first_lap_faults(&o), 0);
}

static int may_not_lock(void *ctx)
{
        struct rlimit none = {0, 0};
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;
        struct sluice_consumer c;

        eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        o.flags = SLUICE_LOCK;
        refused(sluice_producer_open(&p, ctx, &o), -ENOMEM);
        check(strstr(sluice_limit(), " wanted, at most 0 in all: RLIMIT_MEMLOCK (ulimit -l)"));
        refused(sluice_consumer_open(&c, ctx, &o), -ENOMEM);
        o.flags = 0; /* the role was given back */
        call(sluice_producer_open(&p, ctx, &o), 0);
        call(sluice_producer_close(&p), 0);
        return 0;
}

QTest(option, lock_beyond_the_limit)
{
        struct sluice_options o = opt(0);

#ifdef __SANITIZE_ADDRESS__
        cr_skip_test("the sanitizer does not let mlock through");
#endif
        needs_root();
        open_tmp_to_all();
        o.mode = 0666;
        call(sluice_create(in_tmp("q"), &o), 0);
        run_as(USER_A, NO_GROUP, may_not_lock, (void *)(uintptr_t)in_tmp("q"));
        call(sluice_remove(in_tmp("q")), 0);
}

/* None free, or not for this user: what shmget says. */
QTest(option, huge_pages_need_some)
{
        const int id = shmget(IPC_PRIVATE, 1 << 21, IPC_CREAT | SHM_HUGETLB | 0600), error = errno;
        struct sluice_options o = opt(0);

        if (id >= 0)
                eq(shmctl(id, IPC_RMID, NULL), 0);
        skip_unless(id < 0, "a machine without free huge pages");
        check(error == ENOMEM || error == EPERM);
        o.flags = SLUICE_HUGETLB;
        refused(sluice_create("q", &o), -error);
}

/* Neither the capability nor the group, and no room for locked memory,
 * which some kernels take instead. */
static int may_not_have_huge_pages(void *ctx)
{
        const struct rlimit none = {0, 0};
        struct sluice_options o = opt(0);

        (void)ctx;
        eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        o.flags = SLUICE_HUGETLB;
        refused(sluice_create("key:0x77", &o), -EPERM);
        check(strstr(sluice_limit(), "/proc/sys/vm/hugetlb_shm_group"));
        return 0;
}

QTest(option, huge_pages_are_not_for_everybody)
{
        needs_root();
        run_as(USER_A, NO_GROUP, may_not_have_huge_pages, NULL);
}

QTest(option, numa_node)
{
        struct sluice_options o = opt(0);
        int r;

        o.numa_node = 1; /* node 0 */
        r = sluice_create("q", &o);
        skip_unless(r != -ENOSYS, "a kernel with NUMA");
        eq(r, 0);
        call(sluice_remove("q"), 0);
        o.numa_node = 1001; /* no machine has so many */
        refused(sluice_create("q", &o), -EINVAL);
        o.numa_node = 1 << 20;
        refused(sluice_create("q", &o), -EINVAL);
        o.numa_node = INT32_MAX;
        refused(sluice_create("q", &o), -EINVAL);
}

/* ---- enable_sleep: memory of the caller's own --------------------- */

#define ECHO_BYTES (12288 + 4096)

struct echo {
        unsigned char *there, *back;
        bool mute; /* the child attaches through ring.h alone */
};

static int echo_child(void *ctx)
{
        struct echo *e = ctx;
        struct sluice_producer p;
        struct sluice_consumer c;
        int64_t n;

        eq(sluice_consumer_attach(&c, e->there, ECHO_BYTES), 0);
        eq(sluice_producer_attach(&p, e->back, ECHO_BYTES), 0);
        if (!e->mute) {
                call(sluice_consumer_enable_sleep(&c, NULL), 0);
                call(sluice_producer_enable_sleep(&p, NULL), 0);
        }
        while ((n = recv_number(&c, soon())) >= 0)
                eq(send_number(&p, (uint64_t)n, soon()), 0);
        eq(n, -EPIPE);
        if (e->mute) {
                sluice_consumer_detach(&c);
                sluice_producer_detach(&p);
        } else {
                call(sluice_consumer_close(&c), 0);
                call(sluice_producer_close(&p), 0);
        }
        return 0;
}

static void echo(bool mute, uint64_t rounds)
{
        struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;
        struct sluice_consumer c;
        struct echo e;
        pid_t child;

        o.spin_ns = SLUICE_SPIN_NONE;
        o.slice_ns = mute ? 0 : MS(60000);
        e.mute = mute;
        e.there = mmap(NULL, 2 * ECHO_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                       0);
        e.back = e.there + ECHO_BYTES;
        eq(sluice_ring_format(e.there, ECHO_BYTES, &g), 0);
        eq(sluice_ring_format(e.back, ECHO_BYTES, &g), 0);
        child = spawn(echo_child, &e);
        eq(sluice_producer_attach(&p, e.there, ECHO_BYTES), 0);
        eq(sluice_consumer_attach(&c, e.back, ECHO_BYTES), 0);
        call(sluice_producer_enable_sleep(&p, &o), 0);
        call(sluice_consumer_enable_sleep(&c, &o), 0);
        call(sluice_consumer_enable_sleep(&c, &o), -EINVAL);
        call(sluice_producer_enable_sleep(&p, &o), -EINVAL);
        call(sluice_producer_await_peer(&p, soon()), 0);
        call(sluice_consumer_await_peer(&c, soon()), 0);
        for (uint64_t i = 0; i < rounds; i++) {
                const int64_t begin = sluice_now_ns();

                call(send_number(&p, i, soon()), 0);
                call(recv_number(&c, soon()), i);
                check(sluice_now_ns() - begin < MS(1000));
        }
        call(sluice_producer_close(&p), 0);
        call(recv_number(&c, soon()), -EPIPE);
        call(sluice_consumer_close(&c), 0);
        eq(reap(child), 0);
        munmap(e.there, 2 * ECHO_BYTES);
}

QTest(enable_sleep, wakes_across_processes)
{
        echo(false, 3000);
}

QTest(enable_sleep, with_a_peer_that_never_wakes_anybody)
{
        echo(true, 100);
}

struct late {
        unsigned char *mem;
        struct event told_end;
};

/* Attaches through ring.h alone, which wakes nobody, when the other side is
 * probably asleep; and once more as its own successor, with a message. */
static int late_producer(void *ctx)
{
        struct late *l = ctx;
        struct sluice_producer p;

        pause_ms(50);
        eq(sluice_producer_attach(&p, l->mem, ECHO_BYTES), 0);
        pause_ms(50);
        sluice_producer_detach(&p);
        await_event(&l->told_end);
        pause_ms(50);
        eq(sluice_producer_attach(&p, l->mem, ECHO_BYTES), 0);
        eq(send_number(&p, 7, SLUICE_NOW), 0);
        return 0;
}

QTest(enable_sleep, waits_for_a_peer_that_wakes_nobody_when_it_attaches)
{
        struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        const int64_t begin = sluice_now_ns();
        struct sluice_consumer c;
        struct late l;
        pid_t child;

        o.slice_ns = MS(60000);
        l.told_end = event_new();
        l.mem = mmap(NULL, ECHO_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        eq(sluice_ring_format(l.mem, ECHO_BYTES, &g), 0);
        eq(sluice_consumer_attach(&c, l.mem, ECHO_BYTES), 0);
        call(sluice_consumer_enable_sleep(&c, &o), 0);
        child = spawn(late_producer, &l);
        call(sluice_consumer_await_peer(&c, soon()), 0);
        call(recv_number(&c, soon()), -EPIPE);
        signal_event(&l.told_end);
        call(recv_number(&c, soon()), 7);
        check(sluice_now_ns() - begin < MS(5000));
        eq(reap(child), 0);
        call(sluice_consumer_close(&c), 0);
        event_free(&l.told_end);
        munmap(l.mem, ECHO_BYTES);
}

QTest(enable_sleep, refuses_what_it_cannot)
{
        struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_producer p;
        struct sluice_consumer c;
        unsigned char *mem = aligned_alloc(128, ECHO_BYTES);

        eq(sluice_ring_format(mem, ECHO_BYTES, &g), 0);
        memset(&p, 0, sizeof p);
        memset(&c, 0, sizeof c);
        refused(sluice_producer_enable_sleep(&p, NULL), -EINVAL); /* not attached */
        refused(sluice_consumer_enable_sleep(&c, NULL), -EINVAL);
        eq(sluice_producer_attach(&p, mem, ECHO_BYTES), 0);
        eq(sluice_consumer_attach(&c, mem, ECHO_BYTES), 0);
        refused(sluice_producer_close(&p), -EINVAL); /* ring.h's are detached */
        refused(sluice_producer_enable_sleep(&p, &o), -EOPNOTSUPP);
        refused(sluice_consumer_enable_sleep(&c, &o), -EOPNOTSUPP);
        o.size = 3;
        refused(sluice_producer_enable_sleep(&p, &o), -EINVAL);
        call(send_number(&p, 3, SLUICE_NOW), 0); /* still of use */
        call(recv_number(&c, SLUICE_NOW), 3);
        sluice_producer_detach(&p);
        refused(sluice_producer_enable_sleep(&p, NULL), -EINVAL);
        free(mem);
}

/* What a wait begins with, before anything is called: looks, each with a pause. */
QTest(option, spin_none_leaves_out_the_first_looks_too)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;
        struct sluice_consumer c;

        call(sluice_create("q", NULL), 0);
        for (int none = 0; none < 2; none++) {
                o.spin_ns = none ? SLUICE_SPIN_NONE : SLUICE_SPIN_DEFAULT;
                call(sluice_producer_open(&p, "q", &o), 0);
                call(sluice_consumer_open(&c, "q", &o), 0);
                eq(p.base.looks, none ? 0 : SLUICE_PRIV_FIRST_LOOKS);
                eq(c.base.looks, none ? 0 : SLUICE_PRIV_FIRST_LOOKS);
                call(sluice_producer_close(&p), 0);
                call(sluice_consumer_close(&c), 0);
        }
        call(sluice_remove("q"), 0);
}

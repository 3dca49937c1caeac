/* SPDX-License-Identifier: MIT */
/* Sleeping by futex, and prefaulting, on kernels without the newer calls: a
 * filter answers for them, from the test's first step to its end. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "queue_util.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifdef SYS_futex_time64
#define LAST_NEW_CALL SYS_futex_time64
#else
#define LAST_NEW_CALL SYS_futex_waitv /* times of 64 bits since ever */
#endif

static struct sluice_producer p;
static struct sluice_consumer c;

/* Any thread that is started later has the filter, too. */
static void filter_calls(struct sock_filter *program, size_t n)
{
        const struct sock_fprog filter = {(unsigned short)n, program};

        eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

static void forbid(long first, long second, int error)
{
        struct sock_filter program[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)first, 1, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)second, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };

        filter_calls(program, sizeof program / sizeof *program);
        eq(syscall(second, NULL, 0, 0, NULL, NULL, 0), -1);
        eq(errno, error);
}

/* Only this advice, not MADV_DONTFORK. */
static void forbid_populating(int error)
{
        struct sock_filter program[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_POPULATE_WRITE, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };

        filter_calls(program, sizeof program / sizeof *program);
        eq(madvise(NULL, 0, MADV_POPULATE_WRITE), -1);
        eq(errno, error);
}

static void open_both(void)
{
        struct sluice_options o = opt(256);

        o.spin_ns = SLUICE_SPIN_NONE;
        make("q", 256);
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
}

static void close_both(void)
{
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* Asleep until then, and not in many short naps. */
static void check_sleep(int64_t began, int64_t cpu, uint64_t parks)
{
        check(sluice_now_ns() - began >= MS(60));
        check(sluice_now_ns() - began < MS(5000));
        check(cpu_ns() - cpu < (sluice_now_ns() - began) / 2);
        check(parks >= 1 && parks <= 10);
}

static void sleep_to_the_deadline(void)
{
        int64_t began = sluice_now_ns(), cpu = cpu_ns();

        eq(recv_number(&c, sluice_after(MS(60))), -ETIMEDOUT);
        check_sleep(began, cpu, look("q").consumer.parks);
        fill_numbers(&p, 0);
        began = sluice_now_ns(), cpu = cpu_ns();
        eq(send_number(&p, 9, sluice_after(MS(60))), -ETIMEDOUT);
        check_sleep(began, cpu, look("q").producer.parks);
}

static void *receive(void *result)
{
        *(int64_t *)result = recv_number(&c, soon());
        return NULL;
}

static void be_woken(void)
{
        int64_t got;
        pthread_t t;

        while (recv_number(&c, SLUICE_NOW) >= 0)
                continue;
        t = thread_start(receive, &got);
        until_asleep("q", CONSUMER);
        eq(send_number(&p, 4, SLUICE_NOW), 0);
        thread_join(t);
        eq(got, 4);
}

static void sleeps_with(void)
{
        open_both();
        sleep_to_the_deadline();
        be_woken();
        close_both();
}

QTest(futex, sleeps_to_the_deadline_with_all_calls)
{
        sleeps_with();
}

QTest(old_kernel, has_no_futex_waitv)
{
        forbid(SYS_futex_waitv, SYS_futex_waitv, ENOSYS);
        sleeps_with();
}

QTest(old_kernel, has_no_times_of_64_bits)
{
        forbid(LAST_NEW_CALL, SYS_futex_waitv, ENOSYS);
        sleeps_with();
}

QTest(old_filter, knows_no_newer_calls)
{
        forbid(LAST_NEW_CALL, SYS_futex_waitv, EPERM);
        sleeps_with();
}

QTest(old_kernel, cannot_populate_and_touches_each_page)
{
        struct sluice_options o = opt(0);

        forbid_populating(EINVAL);
        eq(first_lap_faults(&o), 0);
        o.capacity = 2 << 20;
        check(first_lap_faults(&o) > 0);
        o.flags = SLUICE_PREFAULT;
        eq(first_lap_faults(&o), 0);
}

/* What worked without prefaulting works: the pages come when they are used. */
QTest(no_memory, is_an_error_only_where_prefaulting_was_asked_for)
{
        struct sluice_options o = opt(0);

        forbid_populating(ENOMEM);
        check(first_lap_faults(&o) > 0);
        o.flags = SLUICE_PREFAULT;
        refused(sluice_create("q", &o), -ENOMEM);
        make("q", 0);
        refused(sluice_producer_open(&p, "q", &o), -ENOMEM);
        refused(sluice_consumer_open(&c, "q", &o), -ENOMEM);
        call(sluice_remove("q"), 0);
}

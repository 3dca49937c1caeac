/* SPDX-License-Identifier: MIT */
/* Options out of range, calls out of order, and what errors are called. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <pthread.h>
#include <sys/uio.h>

static struct sluice_producer p;
static struct sluice_consumer c;

static int ignore(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

/* ---- Options ------------------------------------------------------ */

static void bad_option(struct sluice_options o, int error)
{
        refused(sluice_create("q", &o), error);
        o.flags |= SLUICE_CREATE;
        refused(sluice_producer_open(&p, "q", &o), error);
        refused(sluice_consumer_open(&c, "q", &o), error);
}

QTest(option, capacity)
{
        static const struct {
                size_t capacity;
                uint32_t align;
                int error;
        } bad[] = {
                {1, 0, -ERANGE},
                {128, 0, -ERANGE}, /* less than 4 records of 64 */
                {255, 0, -ERANGE},
                {16, 8, -ERANGE},
                {31, 8, -ERANGE},
                {256, 128, -ERANGE},
                {257, 0, -EINVAL},
                {33, 8, -EINVAL},
                {3 << 20, 0, -EINVAL},
#if SIZE_MAX > UINT32_MAX
                {(size_t)1 << 32, 0, -EFBIG},
#endif
                {((size_t)1 << 30) + 1, 0, -EFBIG},
                {(size_t)1 << 31, 0, -EFBIG},
                {SIZE_MAX, 0, -EFBIG},
                {0, 1, -EINVAL},
                {0, 4, -EINVAL},
                {0, 7, -EINVAL},
                {0, 65, -EINVAL},
                {0, 256, -EINVAL},
                {0, UINT32_MAX, -EINVAL},
        };

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct sluice_options o = opt(bad[i].capacity);

                o.record_align = bad[i].align;
                bad_option(o, bad[i].error);
        }
}

QTest(option, first_position)
{
        struct sluice_options o = opt(0);

        o.first_position = 8;
        bad_option(o, -EINVAL);
        o.first_position = UINT64_MAX;
        bad_option(o, -EINVAL);
        o.record_align = 8;
        o.first_position = 12;
        bad_option(o, -EINVAL);
}

QTest(option, mode)
{
        static const mode_t bad[] = {0060, 0400, 0200, 0066, 0700, 0601, 01600, 04600, 0777, 07777};

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct sluice_options o = opt(0);

                o.mode = bad[i];
                bad_option(o, -EINVAL);
        }
}

QTest(option, flags_wake_spin_slice_and_node)
{
        struct sluice_options o = opt(0);

        o.flags = 32;
        bad_option(o, -EINVAL);
        o.flags = 1u << 31;
        bad_option(o, -EINVAL);
        o = opt_wake(2);
        bad_option(o, -EINVAL);
        o = opt_wake(-1);
        bad_option(o, -EINVAL);
        o = opt(0);
        o.spin_ns = -2;
        bad_option(o, -EINVAL);
        o = opt(0);
        o.slice_ns = -1;
        bad_option(o, -EINVAL);
        o = opt(0);
        o.numa_node = -1;
        bad_option(o, -EINVAL);
}

/* The struct may grow: older and newer programs' are understood, what
 * this version does not know is refused. */
QTest(option, size)
{
        struct {
                struct sluice_options o;
                unsigned char more[64];
        } newer = {.o = opt(4096)};
        struct sluice_options o = opt(4096);

        for (size_t size = 0; size < sizeof o.size; size++) {
                o.size = size;
                bad_option(o, -EINVAL);
        }
        o.size = 4097;
        refused(sluice_create("q", &o), -EINVAL);
        o.size = offsetof(struct sluice_options, record_align); /* an older one */
        o.mode = 0001;                                          /* beyond its end */
        call(sluice_create("q", &o), 0);
        eq(look("q").capacity, 4096);
        eq(look("q").mode, 0600);
        call(sluice_remove("q"), 0);
        newer.o.size = sizeof newer;
        call(sluice_create("q", &newer.o), 0);
        call(sluice_remove("q"), 0);
        newer.more[63] = 1;
        refused(sluice_create("q", &newer.o), -EINVAL);
}

/* ---- Calls out of order ------------------------------------------- */

QTest(misuse, of_a_producer)
{
        static unsigned char too_long[505];
        const struct iovec iov = {too_long, 8};
        void *payload;

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_commit(&p, 0), -EINVAL); /* nothing is reserved */
        call(sluice_stage(&p, 0), -EINVAL);
        call(sluice_publish(&p), 0); /* nothing is staged: no effect */
        call(sluice_reserve(&p, 10, &payload, SLUICE_NOW), 0);
        call(sluice_commit(&p, 11), -EINVAL); /* longer than reserved */
        call(sluice_stage(&p, SIZE_MAX), -EINVAL);
        call(sluice_commit(&p, 10), 0); /* the reservation stayed */
        call(sluice_commit(&p, 10), -EINVAL);
        call(sluice_reserve(&p, 10, &payload, SLUICE_NOW), 0);
        sluice_abort(&p);
        call(sluice_commit(&p, 10), -EINVAL);
        call(sluice_reserve(&p, 505, &payload, SLUICE_NOW), -EMSGSIZE);
        call(sluice_reserve(&p, SIZE_MAX, &payload, SLUICE_FOREVER), -EMSGSIZE);
        call(sluice_send(&p, too_long, 505, SLUICE_FOREVER), -EMSGSIZE);
        call(sluice_sendv(&p, &iov, -1, SLUICE_NOW), -EINVAL);
        call(sluice_sendv(&p, &iov, 1, SLUICE_NOW), 0);
        eq(look("q").pending, 2);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(misuse, of_a_consumer)
{
        struct sluice_message m;
        char small[4];

        make("q", 1024);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_release(&c), -EINVAL); /* nothing was peeked */
        call(sluice_advance(&c), -EINVAL);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_release(&c), -EINVAL);
        call(sluice_recv(&c, small, sizeof small, SLUICE_NOW), -EMSGSIZE);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        eq(m.len, 8); /* it stayed */
        call(sluice_release(&c), 0);
        call(sluice_release(&c), -EINVAL);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* Every call on a handle that is not open. */
static void not_open(void)
{
        struct iovec iov = {&p, 8};
        struct sluice_message m;
        void *payload;

        refused(sluice_reserve(&p, 0, &payload, SLUICE_NOW), -EINVAL);
        refused(sluice_reserve(&p, 8, &payload, SLUICE_FOREVER), -EINVAL);
        refused(sluice_commit(&p, 0), -EINVAL);
        refused(sluice_stage(&p, 0), -EINVAL);
        refused(sluice_publish(&p), -EINVAL);
        refused(send_number(&p, 1, SLUICE_FOREVER), -EINVAL);
        refused(sluice_sendv(&p, &iov, 1, SLUICE_FOREVER), -EINVAL);
        refused(sluice_sendv(&p, &iov, 0, SLUICE_FOREVER), -EINVAL);
        refused(sluice_sendv(&p, &iov, -1, SLUICE_NOW), -EINVAL);
        refused(sluice_send_many(&p, &iov, 1, SLUICE_FOREVER), -EINVAL);
        refused(sluice_send_many(&p, &iov, 0, SLUICE_FOREVER), -EINVAL);
        sluice_abort(&p);
        sluice_producer_detach(&p);
        refused(sluice_producer_fd(&p), -EINVAL);
        refused(sluice_producer_arm(&p, 8), -EINVAL);
        refused(sluice_producer_disarm(&p), -EINVAL);
        refused(sluice_producer_interrupt(&p), -EINVAL);
        refused(sluice_producer_await_peer(&p, SLUICE_FOREVER), -EINVAL);
        refused(sluice_producer_enable_sleep(&p, NULL), -EINVAL);
        refused(sluice_producer_close(&p), -EINVAL);
        refused(sluice_peek(&c, &m, SLUICE_NOW), -EINVAL);
        refused(sluice_peek(&c, &m, SLUICE_FOREVER), -EINVAL);
        refused(sluice_advance(&c), -EINVAL);
        refused(sluice_release(&c), -EINVAL);
        refused(recv_number(&c, SLUICE_FOREVER), -EINVAL);
        refused(sluice_drain(&c, ignore, NULL, 5), -EINVAL);
        refused(sluice_drain(&c, ignore, NULL, 0), -EINVAL);
        sluice_consumer_detach(&c);
        refused(sluice_consumer_fd(&c), -EINVAL);
        refused(sluice_consumer_arm(&c), -EINVAL);
        refused(sluice_consumer_disarm(&c), -EINVAL);
        refused(sluice_consumer_interrupt(&c), -EINVAL);
        refused(sluice_consumer_await_peer(&c, SLUICE_FOREVER), -EINVAL);
        refused(sluice_consumer_enable_sleep(&c, NULL), -EINVAL);
        refused(sluice_consumer_close(&c), -EINVAL);
}

QTest(misuse, of_handles_that_were_closed)
{
        for (int wake = 0; wake < 2; wake++) {
                const struct sluice_options o = opt_wake(wake);
                void *payload;
                struct sluice_message m;

                make("q", 1024);
                call(sluice_producer_open(&p, "q", &o), 0);
                call(sluice_consumer_open(&c, "q", &o), 0);
                call(send_number(&p, 1, SLUICE_NOW), 0);
                call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0); /* in the middle */
                call(sluice_peek(&c, &m, SLUICE_NOW), 0);
                call(sluice_producer_close(&p), 0);
                call(sluice_consumer_close(&c), 0);
                not_open();
                call(sluice_remove("q"), 0);
        }
}

QTest(misuse, of_handles_whose_open_failed)
{
        memset(&p, 0x5a, sizeof p);
        memset(&c, 0x5a, sizeof c);
        call(sluice_producer_open(&p, "q", NULL), -ENOENT);
        call(sluice_consumer_open(&c, "q", NULL), -ENOENT);
        not_open();
}

/* All zero, as static handles are: every call of ring.h and queue.h. */
QTest(misuse, of_handles_that_were_never_opened)
{
        static struct sluice_producer fresh_producer;
        static struct sluice_consumer fresh_consumer;

        memset(&p, 0, sizeof p);
        memset(&c, 0, sizeof c);
        not_open();
        check(memcmp(&p, &fresh_producer, sizeof p) == 0);
        check(memcmp(&c, &fresh_consumer, sizeof c) == 0);
        sluice_set_tag(&p, 7);
        not_open();
}

/* ---- Names of errors ---------------------------------------------- */

QTest(strerror, has_a_sentence_of_its_own_for_each)
{
        static const int documented[] = {
                0,          EAGAIN,    ETIMEDOUT,  EMSGSIZE,        EPIPE,       EOWNERDEAD,
                EBADMSG,    EBUSY,     ESTALE,     ECANCELED,       EINVAL,      EPERM,
                EACCES,     ENOENT,    EEXIST,     ENAMETOOLONG,    ENOTDIR,     ELOOP,
                EPROTO,     ENOTEMPTY, EPROTOTYPE, EPROTONOSUPPORT, EINPROGRESS, EADDRINUSE,
                EFBIG,      ERANGE,    ENOSPC,     ENOMEM,          EMFILE,      ENFILE,
                EOPNOTSUPP, EREMOTE,   EDQUOT,     EMLINK,          EIO,         ENOLCK,
                ENODEV,     EROFS};
        const size_t n = sizeof documented / sizeof *documented;
        const char *unknown = sluice_strerror(-100000);

        for (size_t i = 0; i < n; i++) {
                const char *text = sluice_strerror(-documented[i]);

                check(text && strlen(text) > 5);
                check(strcmp(text, unknown) != 0);
                for (size_t k = 0; k < i; k++)
                        check(strcmp(text, sluice_strerror(-documented[k])) != 0);
        }
}

QTest(strerror, says_the_number_of_one_that_is_not_known)
{
        const char *const known = sluice_strerror(-EPIPE);

        check(strstr(sluice_strerror(-100000), " 100000,"));
        check(strstr(sluice_strerror(-ENOTTY), " 25,"));
        check(strstr(sluice_strerror(INT32_MIN), " 2147483648,"));
        check(strstr(sluice_strerror(INT32_MIN), "does not know"));
        check(strstr(sluice_strerror(EPIPE), "32 is no error"));
        check(strstr(sluice_strerror(INT32_MAX), "2147483647 is no error"));
        eq(strcmp(known, sluice_strerror(-EPIPE)), 0);
}

static void *other_thread(void *ctx)
{
        (void)ctx;
        return (void *)(uintptr_t)sluice_strerror(-1002);
}

QTest(strerror, of_another_thread_changes_nothing)
{
        const char *const mine = sluice_strerror(-1001);
        pthread_t thread;
        void *other;

        eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
        eq(pthread_join(thread, &other), 0);
        check(strstr(mine, " 1001,"));
}

QTest(strerror, never_null)
{
        static const int odd[] = {INT32_MIN, -100000, -1000, 1, EAGAIN, INT32_MAX};

        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
                errno = ERRNO_MARK;
                check(strlen(sluice_strerror(odd[i])) > 5);
                eq(errno, ERRNO_MARK);
        }
        for (int e = -200; e < 200; e++)
                check(sluice_strerror(e));
}

QTest(limit, is_forgotten_by_the_next_call)
{
        struct sluice_options o = opt(0);
        int r;

        check(sluice_limit() && *sluice_limit() == '\0');
        o.flags = SLUICE_HUGETLB;
        r = sluice_create("q", &o);
        if (r == 0)
                call(sluice_remove("q"), 0);
        skip_unless(r != 0, "a machine without free huge pages");
        check(r == -ENOMEM || r == -EPERM); /* none, or not for this user */
        check(strstr(sluice_limit(), "huge"));
        check(r == -EPERM || strstr(sluice_limit(), "huge pages: 275903 bytes"));
        refused(sluice_create("", NULL), -EINVAL);
        eq(*sluice_limit(), '\0');
}

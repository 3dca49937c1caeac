/* SPDX-License-Identifier: MIT */
/* A program closes descriptors that are not its own, and their numbers are other
 * files' by now: these are left alone. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>

enum { NUMBERS = 40 };

struct reuse {
        int64_t (*use)(void *handle); /* what is called then */
        int wake;
        bool producer;
};

static off_t file_size = 1;
static struct sluice_producer reused_p;
static struct sluice_consumer reused_c;

/* All descriptors from 3 on are closed, and the numbers are files', each with
 * a byte to be read and a lock. */
static void take_numbers(void)
{
        closefrom(3);
        for (int fd = 3; fd < NUMBERS; fd++) {
                struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
                char path[4096];

                snprintf(path, sizeof path, "%s/%d", in_tmp(""), fd);
                eq(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), fd);
                eq(write(fd, "x", 1), 1);
                eq(lseek(fd, 0, SEEK_SET), 0);
                eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
        }
}

/* Open, unread, unwritten, and locked. */
static void numbers_are_untouched(void)
{
        for (int fd = 3; fd < NUMBERS; fd++) {
                struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
                struct stat st;
                char path[4096];
                int other;

                snprintf(path, sizeof path, "%s/%d", in_tmp(""), fd);
                eq(fstat(fd, &st), 0);
                eq(st.st_size, file_size);
                eq(lseek(fd, 0, SEEK_CUR), 0);
                other = open(path, O_RDWR | O_CLOEXEC);
                eq(fcntl(other, F_OFD_GETLK, &lock), 0);
                check(lock.l_type == F_WRLCK);
                close(other);
        }
}

static void remove_files(void)
{
        for (int fd = 3; fd < NUMBERS; fd++) {
                char path[4096];

                snprintf(path, sizeof path, "%s/%d", in_tmp(""), fd);
                eq(unlink(path), 0);
        }
}

static int uses_after_reuse(void *ctx)
{
        const struct reuse *x = ctx;
        const struct sluice_options o = opt_wake(x->wake);
        void *handle = x->producer ? (void *)&reused_p : (void *)&reused_c;

        if (x->producer)
                call(sluice_producer_open(&reused_p, "q", &o), 0);
        else
                call(sluice_consumer_open(&reused_c, "q", &o), 0);
        take_numbers();
        x->use(handle);
        if (x->producer)
                call(sluice_producer_close(&reused_p), 0);
        else
                call(sluice_consumer_close(&reused_c), 0);
        numbers_are_untouched();
        remove_files();
        return 0;
}

static int64_t only_closes(void *handle)
{
        (void)handle;
        return 0;
}

/* A pipe that is empty, by all that is asked, is written to. */
static int64_t sends_to_a_sleeper(void *handle)
{
        file_size = 0;
        for (int fd = 3; fd < NUMBERS; fd++)
                eq(ftruncate(fd, file_size), 0);
        call(send_number(handle, 1, SLUICE_NOW), 0);
        return 0;
}

static int64_t waits_for_a_message(void *handle)
{
        call(recv_number(handle, sluice_after(MS(20))), -ETIMEDOUT);
        return 0;
}

static int64_t arms(void *handle)
{
        call(sluice_consumer_arm(handle), -EBADF);
        call(sluice_consumer_fd(handle), -EBADF);
        return 0;
}

static int64_t interrupts_itself(void *handle)
{
        call(sluice_consumer_interrupt(handle), 0);
        call(recv_number(handle, soon()), -ECANCELED);
        return 0;
}

static int does_nothing(void *ctx)
{
        (void)ctx;
        numbers_are_untouched();
        return 0;
}

static int64_t forks(void *handle)
{
        (void)handle;
        run(does_nothing, NULL);
        return 0;
}

static void are_left_alone(int64_t (*use)(void *), bool producer, int wake)
{
        struct reuse x = {use, wake, producer};

        run(uses_after_reuse, &x);
}

QTest(number, of_a_closed_descriptor_is_left_to_its_new_owner)
{
        make("q", 0);
        for (int wake = SLUICE_WAKE_FUTEX; wake <= SLUICE_WAKE_FIFO; wake++) {
                are_left_alone(only_closes, true, wake);
                are_left_alone(only_closes, false, wake);
                are_left_alone(waits_for_a_message, false, wake);
                are_left_alone(interrupts_itself, false, wake);
                are_left_alone(forks, false, wake);
        }
        are_left_alone(arms, false, SLUICE_WAKE_FIFO);
        call(sluice_remove("q"), 0);
}

QTest(number, of_a_closed_descriptor_is_not_written_to_to_wake)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_consumer c;

        make("q", 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(sluice_consumer_arm(&c), 0); /* it wants a byte */
        are_left_alone(sends_to_a_sleeper, true, SLUICE_WAKE_FUTEX);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), 1);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * epoll [NAME]: a consumer in an event loop, beside a timer that ticks ten
 * times a second. Ends when the producer closes. See producer.c.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        const char *name = argc > 1 ? argv[1] : "example";
        const struct itimerspec tick = {{0, 100000000}, {0, 100000000}};
        const struct sluice_options options = /* this endpoint has a descriptor */
                SLUICE_OPTIONS(.flags = SLUICE_CREATE, .wake = SLUICE_WAKE_FIFO);
        struct epoll_event on_queue = {.events = EPOLLIN}, on_timer = {.events = EPOLLIN};
        const int loop = epoll_create1(0);
        const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        struct sluice_consumer c;
        struct sluice_message m;
        uint64_t ticks;
        int r;

        r = sluice_consumer_open(&c, name, &options);
        if (r) {
                fprintf(stderr, "epoll: %s: %s\n", name, sluice_strerror(r));
                return 1;
        }
        timerfd_settime(timer, 0, &tick, NULL);
        epoll_ctl(loop, EPOLL_CTL_ADD, timer, &on_timer);
        epoll_ctl(loop, EPOLL_CTL_ADD, sluice_consumer_fd(&c), &on_queue);
        for (;;) {
                struct epoll_event event;

                while ((r = sluice_peek(&c, &m, SLUICE_NOW)) == 0) {
                        printf("%.*s\n", (int)m.len, (const char *)m.data);
                        sluice_release(&c);
                }
                if (r != -EAGAIN)
                        break;
                if (sluice_consumer_arm(&c) == 0) /* still nothing: now it is safe to sleep */
                        epoll_wait(loop, &event, 1, -1);
                sluice_consumer_disarm(&c);
                if (read(timer, &ticks, sizeof ticks) == sizeof ticks)
                        puts("tick");
                fflush(stdout);
        }
        sluice_consumer_close(&c);
        fprintf(stderr, "epoll: %s\n", sluice_strerror(r));
        return r == -EPIPE ? sluice_remove(name) != 0 : 1;
}

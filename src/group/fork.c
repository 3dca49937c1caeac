/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of all groups of the process, and what a child of fork() gets
 * of them: nothing. It closes its copies, and knows by a count of forks that a
 * group is its parent's. (The handles of the members are the core library's
 * business.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "group.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sluice_group *groups;
static uint64_t forks;

static void close_fds(struct sluice_group *g)
{
        int *const fds[] = {&g->epoll_fd, &g->event_fd, &g->alarm_fd, &g->inotify_fd};

        for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
                if (*fds[i] >= 0)
                        close(*fds[i]);
                *fds[i] = -1;
        }
}

static void fork_prepare(void)
{
        pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
        pthread_mutex_unlock(&lock);
}

static void fork_child(void)
{
        const int saved = errno;

        for (; groups; groups = groups->next)
                close_fds(groups);
        forks++;
        pthread_mutex_unlock(&lock);
        errno = saved;
}

/* The count is changed in a child only, while that has one thread. */
uint64_t group_forks(void)
{
        return forks;
}

static int watch_fd(const struct sluice_group *g, int fd, uint64_t what)
{
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = what};

        if (fd < 0 || epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
                return -errno;
        return 0;
}

static int open_fds(struct sluice_group *g)
{
        int r;

        g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (g->epoll_fd < 0)
                return -errno;
        g->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        r = watch_fd(g, g->event_fd, EVENT_KICK);
        if (r)
                return r;
        g->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        return watch_fd(g, g->alarm_fd, EVENT_ALARM);
}

void group_fork_lock(void)
{
        pthread_mutex_lock(&lock);
}

void group_fork_unlock(void)
{
        pthread_mutex_unlock(&lock);
}

int group_open_inotify(struct sluice_group *g)
{
        int r = 0;

        pthread_mutex_lock(&lock);
        if (g->inotify_fd < 0) {
                g->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
                r = watch_fd(g, g->inotify_fd, EVENT_NOTIFY);
                if (r && g->inotify_fd >= 0) {
                        close(g->inotify_fd);
                        g->inotify_fd = -1;
                }
        }
        pthread_mutex_unlock(&lock);
        return r;
}

/* Registered before the lock is taken for the first time. */
static int start(void)
{
        static bool started;
        int r = 0;

        pthread_mutex_lock(&lock);
        if (!started)
                r = pthread_atfork(fork_prepare, fork_parent, fork_child);
        started |= r == 0;
        pthread_mutex_unlock(&lock);
        return -r;
}

int group_list(struct sluice_group *g)
{
        int r = start();

        g->epoll_fd = g->event_fd = g->alarm_fd = g->inotify_fd = -1;
        if (r)
                return r;
        pthread_mutex_lock(&lock);
        r = open_fds(g);
        if (r) {
                close_fds(g);
        } else {
                g->forks = forks;
                g->next = groups;
                g->link = &groups;
                if (groups)
                        groups->link = &g->next;
                groups = g;
        }
        pthread_mutex_unlock(&lock);
        return r;
}

void group_unlist(struct sluice_group *g)
{
        pthread_mutex_lock(&lock);
        close_fds(g);
        *g->link = g->next;
        if (g->next)
                g->next->link = g->link;
        pthread_mutex_unlock(&lock);
}

/* SPDX-License-Identifier: MIT */
/*
 * feed_handler NAME: datagrams of a feed into a queue, each received from the socket
 * straight into the ring. It never waits for the reader: what has no room is dropped
 * and counted, as the network does. An empty datagram ends it.
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { LONGEST = 1472 }; /* of a datagram on an Ethernet */

/* 1: received. 0: the feed has ended. */
static int one_datagram(int fd, struct sluice_producer *p)
{
        char scratch[LONGEST];
        void *to = scratch;
        const int r = sluice_reserve(p, LONGEST, &to, SLUICE_NOW);
        const ssize_t n = recv(fd, r ? scratch : to, LONGEST, 0);

        if (r == 0)
                n > 0 ? (void)sluice_commit(p, (size_t)n) : (void)sluice_abort(p);
        else if (r != -EAGAIN && r != -EPIPE && r != -EOWNERDEAD)
                return r; /* the reader's end is no error: its successor goes on */
        else if (n > 0)
                sluice_count_dropped(p, 1);
        return n < 0 ? -errno : n > 0;
}

int main(int argc, char **argv)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4 << 20, .record_align = 64};
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof at;
        struct sluice_producer p;
        const int fd = socket(AF_INET, SOCK_DGRAM, 0);
        int r = sluice_producer_open(&p, argc > 1 ? argv[1] : "feed", &o);

        if (r)
                return fprintf(stderr, "feed_handler: %s\n", sluice_strerror(r)), 1;
        if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) ||
            getsockname(fd, (struct sockaddr *)&at, &len))
                return perror("feed_handler: socket"), 1;
        printf("%d\n", ntohs(at.sin_port));
        fflush(stdout);
        while ((r = one_datagram(fd, &p)) > 0)
                ;
        if (r)
                fprintf(stderr, "feed_handler: %s\n", sluice_strerror(r));
        sluice_producer_close(&p);
        return r != 0 || close(fd) != 0;
}

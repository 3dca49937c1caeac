/* SPDX-License-Identifier: MIT */
/* datagrams PORT: each line of stdin to this port of the machine; then an empty one. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
        const struct sockaddr_in to = {.sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)),
                                       .sin_addr = {htonl(INADDR_LOOPBACK)}};
        const int fd = socket(AF_INET, SOCK_DGRAM, 0);
        char line[1400];

        if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to))
                return perror("datagrams"), 1;
        while (fgets(line, sizeof line, stdin))
                if (send(fd, line, strcspn(line, "\n"), 0) < 0)
                        return perror("datagrams"), 1;
        return send(fd, "", 0, 0) != 0;
}

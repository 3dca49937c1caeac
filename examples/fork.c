/* SPDX-License-Identifier: MIT */
/*
 * fork [NAME]: a parent and its child. The queue is created before the fork;
 * each end is opened in the process that uses it, because a handle does not
 * survive a fork: in the child, calls on the parent's handle return -EPERM.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int child(const char *name)
{
        struct sluice_consumer c;
        struct sluice_message m;
        int r = sluice_consumer_open(&c, name, NULL);

        while (r == 0) {
                r = sluice_peek(&c, &m, SLUICE_FOREVER);
                if (r == 0) {
                        printf("child: %.*s\n", (int)m.len, (const char *)m.data);
                        r = sluice_release(&c);
                }
        }
        sluice_consumer_close(&c);
        return r != -EPIPE;
}

int main(int argc, char **argv)
{
        static const char *const words[] = {"one", "two", "three"};
        const char *name = argc > 1 ? argv[1] : "example";
        struct sluice_producer p;
        int status = -1, r = sluice_create(name, NULL);
        pid_t pid;

        if (r) {
                fprintf(stderr, "fork: %s: %s\n", name, sluice_strerror(r));
                return 1;
        }
        pid = fork();
        if (pid == 0)
                return child(name);
        r = sluice_producer_open(&p, name, NULL);
        for (int i = 0; i < 3 && r == 0; i++)
                r = sluice_send(&p, words[i], strlen(words[i]), SLUICE_FOREVER);
        sluice_producer_close(&p);
        waitpid(pid, &status, 0);
        sluice_remove(name);
        return r != 0 || status != 0;
}

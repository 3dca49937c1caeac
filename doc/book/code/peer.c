/* SPDX-License-Identifier: MIT */
/*
 * peer NAME: why a queue cannot be opened here, for people who set up containers. It
 * looks as an observer, and changes nothing.
 */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>

int main(int argc, char **argv)
{
        struct sluice_queue_stat st;
        const int r = sluice_stat(argc > 1 ? argv[1] : "readings", &st);

        if (r == 0)
                printf("shared: segment %d, %llu processes\n", st.shmid,
                       (unsigned long long)st.attached);
        else if (r == -EREMOTE)
                puts("the directory is shared, the IPC namespace is not");
        else if (r == -ENOENT)
                puts("no queue: is the directory shared?");
        else
                puts(sluice_strerror(r));
        return r != 0;
}

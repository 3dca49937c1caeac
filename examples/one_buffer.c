/* SPDX-License-Identifier: MIT */
/*
 * one_buffer write|read DIRECTORY: standard input to standard output the way that
 * introductions to shared memory teach: one buffer (ftok, shmget, shmat) and a
 * byte in a named pipe for each message. What they leave out is the second
 * pipe, whose byte says that the buffer has been read: without it a message is
 * overwritten before that. For comparison only; no sluice in it.
 */
#define _DEFAULT_SOURCE
#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

static struct buffer {
        size_t len; /* 0: the end */
        char data[131072];
} *b = (void *)-1;

int main(int argc, char **argv)
{
        const int writer = argc == 3 && strcmp(argv[1], "write") == 0;
        ssize_t n = 1, w = 1;
        int id, filled, emptied;
        struct shmid_ds ds;
        char byte = 0;
        key_t key;

        if (argc != 3 || (mkdir(argv[2], 0700), chdir(argv[2])) != 0)
                errx(1, "usage: one_buffer write|read DIRECTORY");
        key = ftok(".", 'b');
        id = key == -1 ? -1 : shmget(key, sizeof *b, IPC_CREAT | 0600);
        if (id == -1 || shmctl(id, IPC_STAT, &ds) != 0 || ds.shm_segsz != sizeof *b ||
            (b = shmat(id, NULL, 0)) == (void *)-1)
                errx(1, "no shared memory, or the key belongs to another program");
        mkfifo("filled", 0600);
        mkfifo("emptied", 0600);
        filled = open("filled", writer ? O_WRONLY : O_RDONLY);
        emptied = open("emptied", writer ? O_RDONLY : O_WRONLY);
        if (writer) /* both are attached: removed when both have detached */
                shmctl(id, IPC_RMID, NULL);
        while (n > 0 && writer) {
                n = read(0, b->data, sizeof b->data);
                b->len = n > 0 ? (size_t)n : 0;
                if (write(filled, &byte, 1) != 1 || read(emptied, &byte, 1) != 1)
                        errx(1, "the reader is gone");
        }
        while (n > 0 && !writer) {
                if (read(filled, &byte, 1) != 1)
                        errx(1, "the writer is gone");
                for (n = (ssize_t)b->len; w > 0 && b->len != 0; b->len -= (size_t)w)
                        w = write(1, b->data + (n - (ssize_t)b->len), b->len);
                if (w <= 0 || write(emptied, &byte, 1) != 1)
                        err(1, "output");
        }
        return n != 0;
}

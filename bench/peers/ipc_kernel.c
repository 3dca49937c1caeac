/* SPDX-License-Identifier: MIT */
/* What the kernel carries itself: pipe, FIFO, AF_UNIX, message queues. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_ipc.h"

enum { PIPE_BYTES = 256 * 1024, MESSAGE_MOST = 8192 };

/* End of direction `which` to read from, and to write to. */
struct fds {
        int in[2], out[2];
        bool pair; /* in and out are one descriptor */
};

static struct fds *fds_new(void)
{
        struct fds *f = malloc(sizeof *f);

        if (!f)
                bench_die("no memory");
        f->pair = false;
        return f;
}

static void fds_close(void *ctx)
{
        struct fds *f = ctx;

        for (int i = 0; i < 2; i++) {
                close(f->in[i]);
                if (!f->pair)
                        close(f->out[i]);
        }
        free(f);
}

static void write_all(void *ctx, int which, const void *msg, size_t len)
{
        const struct fds *f = ctx;

        for (size_t done = 0; done < len;) {
                const ssize_t n = write(f->out[which], (const char *)msg + done, len - done);

                if (n <= 0)
                        bench_die("write: %s", strerror(errno));
                done += (size_t)n;
        }
}

static void read_all(void *ctx, int which, void *msg, size_t len)
{
        const struct fds *f = ctx;

        for (size_t done = 0; done < len;) {
                const ssize_t n = read(f->in[which], (char *)msg + done, len - done);

                if (n <= 0)
                        bench_die("read: %s", n < 0 ? strerror(errno) : "end of file");
                done += (size_t)n;
        }
}

static void *open_pipe(size_t len)
{
        struct fds *f = fds_new();

        (void)len;
        for (int i = 0; i < 2; i++) {
                int ends[2];

                if (pipe(ends) != 0)
                        bench_die("pipe: %s", strerror(errno));
                (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
                f->in[i] = ends[0];
                f->out[i] = ends[1];
        }
        return f;
}

static void *open_fifo(size_t len)
{
        struct fds *f = fds_new();
        char directory[] = "/tmp/bench-XXXXXX", path[64];

        (void)len;
        if (!mkdtemp(directory))
                bench_die("mkdtemp: %s", strerror(errno));
        for (int i = 0; i < 2; i++) {
                snprintf(path, sizeof path, "%s/%d", directory, i);
                if (mkfifo(path, 0600) != 0)
                        bench_die("mkfifo: %s", strerror(errno));
                f->in[i] = open(path, O_RDONLY | O_NONBLOCK);
                f->out[i] = open(path, O_WRONLY);
                (void)fcntl(f->in[i], F_SETFL, 0);
                (void)fcntl(f->out[i], F_SETPIPE_SZ, PIPE_BYTES);
                unlink(path);
        }
        rmdir(directory);
        return f;
}

/* Side 0 has end 0 of the pair, side 1 end 1: direction 0 goes in at end 0
 * and comes out at end 1. */
static void *open_unix(int type)
{
        struct fds *f = fds_new();
        int ends[2];

        if (socketpair(AF_UNIX, type, 0, ends) != 0)
                bench_die("socketpair: %s", strerror(errno));
        f->out[0] = f->in[1] = ends[0];
        f->out[1] = f->in[0] = ends[1];
        f->pair = true;
        return f;
}

static void *open_stream(size_t len)
{
        (void)len;
        return open_unix(SOCK_STREAM);
}

static void *open_seqpacket(size_t len)
{
        (void)len;
        return open_unix(SOCK_SEQPACKET);
}

/* ---- System V message queue --------------------------------------- */

struct msgs {
        int id[2];
};

struct envelope {
        long type;
        unsigned char bytes[MESSAGE_MOST];
};

static void *msg_open(size_t len)
{
        struct msgs *m = malloc(sizeof *m);

        (void)len;
        if (!m)
                bench_die("no memory");
        for (int i = 0; i < 2; i++) {
                m->id[i] = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
                if (m->id[i] < 0)
                        bench_die("msgget: %s", strerror(errno));
        }
        return m;
}

static void msg_close(void *ctx)
{
        struct msgs *m = ctx;

        for (int i = 0; i < 2; i++)
                msgctl(m->id[i], IPC_RMID, NULL);
        free(m);
}

static void msg_send(void *ctx, int which, const void *msg, size_t len)
{
        const struct msgs *m = ctx;
        struct envelope e;

        e.type = 1;
        memcpy(e.bytes, msg, len);
        if (msgsnd(m->id[which], &e, len, 0) != 0)
                bench_die("msgsnd: %s", strerror(errno));
}

static void msg_recv(void *ctx, int which, void *msg, size_t len)
{
        const struct msgs *m = ctx;
        struct envelope e;

        if (msgrcv(m->id[which], &e, sizeof e.bytes, 0, 0) != (ssize_t)len)
                bench_die("msgrcv: %s", strerror(errno));
        memcpy(msg, e.bytes, len);
}

/* ---- POSIX message queue ------------------------------------------ */

struct mqs {
        mqd_t q[2];
};

static void *mq_start(size_t len)
{
        struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = (long)len};
        struct mqs *m = malloc(sizeof *m);
        char name[64];

        if (!m)
                bench_die("no memory");
        for (int i = 0; i < 2; i++) {
                snprintf(name, sizeof name, "/bench-%ld-%d", (long)getpid(), i);
                m->q[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
                if (m->q[i] == (mqd_t)-1) {
                        if (i == 1)
                                mq_close(m->q[0]);
                        free(m);
                        return NULL;
                }
                mq_unlink(name);
        }
        return m;
}

static void mq_end(void *ctx)
{
        struct mqs *m = ctx;

        for (int i = 0; i < 2; i++)
                mq_close(m->q[i]);
        free(m);
}

static void mq_put(void *ctx, int which, const void *msg, size_t len)
{
        const struct mqs *m = ctx;

        if (mq_send(m->q[which], msg, len, 0) != 0)
                bench_die("mq_send: %s", strerror(errno));
}

static void mq_get(void *ctx, int which, void *msg, size_t len)
{
        const struct mqs *m = ctx;

        if (mq_receive(m->q[which], msg, len, NULL) != (ssize_t)len)
                bench_die("mq_receive: %s", strerror(errno));
}

const struct bench_ipc bench_ipc_kernel[] = {
        {"pipe", 0, open_pipe, fds_close, NULL, NULL, write_all, read_all, BENCH_NONE},
        {"FIFO", 0, open_fifo, fds_close, NULL, NULL, write_all, read_all, BENCH_NONE},
        {"AF_UNIX stream", 0, open_stream, fds_close, NULL, NULL, write_all, read_all, BENCH_NONE},
        {"AF_UNIX seqpacket", 0, open_seqpacket, fds_close, NULL, NULL, write_all, read_all,
         BENCH_NONE},
        {"System V messages", MESSAGE_MOST, msg_open, msg_close, NULL, NULL, msg_send, msg_recv,
         BENCH_NONE},
        {"POSIX messages", MESSAGE_MOST, mq_start, mq_end, NULL, NULL, mq_put, mq_get, BENCH_NONE},
        BENCH_IPC_END};

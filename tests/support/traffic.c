/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "traffic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 4096, IN_A_CALL = 8 };

static uint64_t mix(uint64_t x)
{
        x ^= x >> 30;
        x *= UINT64_C(0xbf58476d1ce4e5b9);
        x ^= x >> 27;
        x *= UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

uint64_t traffic_random(uint64_t *state)
{
        return mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t limit(const struct traffic *t)
{
        return t->max_len < BUFFER ? t->max_len : BUFFER;
}

/* Mostly short, sometimes as long as may be. */
static size_t length_of(const struct traffic *t, uint64_t index)
{
        const uint64_t r = mix(t->seed ^ (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
        const uint64_t most = limit(t), usual = most < 120 ? most : 120;

        return (size_t)((r & 63) == 0 ? (r >> 8) % (most + 1) : (r >> 8) % (usual + 1));
}

static uint64_t word_of(const struct traffic *t, uint64_t index, size_t i)
{
        return mix(t->seed + index * UINT64_C(0x2545f4914f6cdd1d) + i);
}

static void fill(const struct traffic *t, uint64_t index, unsigned char *to, size_t len)
{
        for (size_t i = 0; i < len; i += 8) {
                const uint64_t word = word_of(t, index, i);

                memcpy(to + i, &word, len - i < 8 ? len - i : 8);
        }
}

static bool check(const struct traffic *t, const void *data, size_t len, uint32_t tag)
{
        const size_t expect = length_of(t, t->index);

        if (len != expect || (tag != 0 && tag != (uint32_t)t->index)) {
                fprintf(stderr, "message %llu: length %zu, not %zu, tag %u\n",
                        (unsigned long long)t->index, len, expect, (unsigned)tag);
                return false;
        }
        for (size_t i = 0; i < len; i += 8) {
                const uint64_t word = word_of(t, t->index, i);

                if (memcmp((const unsigned char *)data + i, &word, len - i < 8 ? len - i : 8)) {
                        fprintf(stderr, "message %llu: wrong bytes at %zu of %zu\n",
                                (unsigned long long)t->index, i, len);
                        return false;
                }
        }
        return true;
}

/* Reserves a little more than needed, now and then aborts first. */
static int put_staged(struct traffic *t, struct sluice_producer *p, uint64_t index,
                      sluice_deadline until)
{
        const size_t len = length_of(t, index);
        const size_t more = (size_t)(traffic_random(&t->random) % 9);
        void *payload;
        int r = sluice_reserve(p, len + more <= limit(t) ? len + more : len, &payload, until);

        if (r == 0 && traffic_random(&t->random) % 16 == 0) {
                memset(payload, 0xff, len);
                sluice_abort(p);
                r = sluice_reserve(p, len, &payload, until);
        }
        if (r)
                return r;
        fill(t, index, payload, len);
        sluice_set_tag(p, (uint32_t)index);
        return sluice_stage(p, len);
}

static int send_batch(struct traffic *t, struct sluice_producer *p, uint64_t end,
                      sluice_deadline until)
{
        const uint64_t want = 1 + traffic_random(&t->random) % 8;
        uint64_t n = 0;
        int r = 0;

        while (r == 0 && n < want && t->index + n < end) {
                r = put_staged(t, p, t->index + n, n == 0 ? until : SLUICE_NOW);
                n += r == 0;
        }
        if (n == 0)
                return r;
        if (sluice_publish(p) != 0)
                return -EINVAL;
        t->index += n;
        /* No room beside what was staged: next time. But an end is reported once. */
        return r == -EAGAIN || r == -EMSGSIZE ? 0 : r;
}

static int send_pieces(struct traffic *t, struct sluice_producer *p, sluice_deadline until)
{
        unsigned char buffer[BUFFER];
        const size_t len = length_of(t, t->index), cut = len / 3;
        struct iovec iov[3] = {{buffer, cut}, {NULL, 0}, {buffer + cut, len - cut}};
        int r;

        fill(t, t->index, buffer, len);
        r = sluice_sendv(p, iov, 3, until);
        t->index += r == 0;
        return r;
}

static int send_in_a_call(struct traffic *t, struct sluice_producer *p, uint64_t end,
                          sluice_deadline until)
{
        const uint64_t want = 1 + traffic_random(&t->random) % IN_A_CALL;
        unsigned char buffer[IN_A_CALL][BUFFER];
        struct iovec iov[IN_A_CALL];
        int n = 0, r;

        for (; (uint64_t)n < want && t->index + (uint64_t)n < end; n++) {
                iov[n].iov_base = buffer[n];
                iov[n].iov_len = length_of(t, t->index + (uint64_t)n);
                fill(t, t->index + (uint64_t)n, buffer[n], iov[n].iov_len);
        }
        r = sluice_send_many(p, iov, n, until);
        t->index += r > 0 ? (uint64_t)r : 0;
        return r < 0 ? r : 0;
}

int traffic_send(struct traffic *t, struct sluice_producer *p, uint64_t end, sluice_deadline until)
{
        unsigned char buffer[BUFFER];
        const size_t len = length_of(t, t->index);
        int r;

        switch (traffic_random(&t->random) % 5) {
        case 0:
                return send_batch(t, p, end, until);
        case 1:
                return send_pieces(t, p, until);
        case 2:
                return send_in_a_call(t, p, end, until);
        default:
                fill(t, t->index, buffer, len);
                r = sluice_send(p, buffer, len, until);
                t->index += r == 0;
                return r;
        }
}

static int recv_several(struct traffic *t, struct sluice_consumer *c, sluice_deadline until)
{
        const uint64_t want = 1 + traffic_random(&t->random) % 4;
        struct sluice_message m;
        uint64_t n = 0;
        int r = 0;

        while (n < want) {
                r = sluice_peek(c, &m, n == 0 ? until : SLUICE_NOW);
                if (r)
                        break;
                if (!check(t, m.data, m.len, m.tag))
                        return 1;
                t->index++;
                n++;
                sluice_advance(c);
        }
        if (n != 0 && sluice_release(c) != 0)
                return 1;
        /* An end is reported once, so it must not get lost behind messages. */
        return n != 0 && r == -EAGAIN ? 0 : r;
}

static int recv_in_a_call(struct traffic *t, struct sluice_consumer *c, sluice_deadline until)
{
        struct sluice_message m[IN_A_CALL];
        const ssize_t n = sluice_peek_many(c, m, 1 + traffic_random(&t->random) % IN_A_CALL, until);

        for (ssize_t i = 0; i < n; i++) {
                if (!check(t, m[i].data, m[i].len, m[i].tag))
                        return 1;
                t->index++;
        }
        return n < 0 ? (int)n : sluice_release(c);
}

static int handle(void *ctx, const struct sluice_message *m)
{
        struct traffic *t = ctx;

        if (!check(t, m->data, m->len, m->tag))
                return -EILSEQ;
        t->index++;
        return 0;
}

int traffic_recv(struct traffic *t, struct sluice_consumer *c, sluice_deadline until)
{
        unsigned char buffer[BUFFER];
        struct sluice_message m;
        ssize_t n;
        int r;

        switch (traffic_random(&t->random) % 5) {
        case 0:
                return recv_several(t, c, until);
        case 4:
                return recv_in_a_call(t, c, until);
        case 1:
                n = sluice_recv(c, buffer, sizeof buffer, until);
                if (n < 0)
                        return (int)n;
                if (!check(t, buffer, (size_t)n, 0))
                        return 1;
                t->index++;
                return 0;
        case 2:
                n = sluice_drain(c, handle, t, 8);
                if (n != 0)
                        return n == -EILSEQ ? 1 : n < 0 ? (int)n : 0;
                /* fall through */
        default:
                r = sluice_peek(c, &m, until);
                if (r)
                        return r;
                if (!check(t, m.data, m.len, m.tag))
                        return 1;
                t->index++;
                return sluice_release(c);
        }
}

/* ---- Processes that are killed ------------------------------------ */

volatile sig_atomic_t traffic_stop;

static void on_term(int sig)
{
        (void)sig;
        traffic_stop = 1;
}

pid_t traffic_start(traffic_body *body, void *ctx, bool told)
{
        pid_t pid;

        signal(SIGTERM, on_term); /* before it can be told */
        pid = fork();
        if (pid != 0 || !told)
                signal(SIGTERM, SIG_DFL);
        if (pid != 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(body(ctx));
}

int traffic_kill(pid_t pid)
{
        int status;

        kill(pid, SIGKILL);
        return waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
               WTERMSIG(status) != SIGKILL;
}

int traffic_end(const pid_t *pids, int n, int told, int failed)
{
        for (int i = 0; !failed && i < told; i++)
                kill(pids[i], SIGTERM);
        for (int i = 0; i < n; i++) {
                int status;

                for (int k = i; failed && k < n; k++)
                        kill(pids[k], SIGKILL);
                failed |= waitpid(pids[i], &status, 0) != pids[i] || status != 0;
        }
        return failed;
}

void traffic_pause(uint64_t *random, long up_to_ns)
{
        const struct timespec t = {0, (long)(traffic_random(random) % (uint64_t)up_to_ns)};

        nanosleep(&t, NULL);
}

void *traffic_shared(size_t bytes)
{
        void *const mem =
                mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (mem == MAP_FAILED) {
                perror("mmap");
                exit(1);
        }
        return mem;
}

/* ---- How much, and which ------------------------------------------ */

void traffic_differs(uint64_t before, const char *what, uint64_t found, uint64_t expected)
{
        if (before < 10)
                fprintf(stderr, "%s: %llu, not %llu\n", what, (unsigned long long)found,
                        (unsigned long long)expected);
}

uint64_t traffic_scale(uint64_t n)
{
        const char *percent = getenv("STRESS_PERCENT");
        const uint64_t scaled = percent ? n * strtoull(percent, NULL, 10) / 100 : n;

        return scaled ? scaled : 1;
}

uint64_t traffic_seed(int argc, char **argv)
{
        const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)sluice_now_ns();

        printf("seed %llu (give it as the argument to repeat this run)\n",
               (unsigned long long)seed);
        fflush(stdout);
        return seed;
}

int traffic_run(int argc, char **argv, int n, int (*run)(int i, uint64_t seed))
{
        uint64_t seed = traffic_seed(argc, argv);
        int failed = 0;

        for (int i = 0; i < n; i++)
                failed += run(i, traffic_random(&seed));
        printf("%d passed, %d failed\n", n - failed, failed);
        return failed != 0;
}

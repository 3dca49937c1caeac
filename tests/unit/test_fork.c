/* SPDX-License-Identifier: MIT */
/* A child of fork(2) may not use the handles of its parent, and cannot
 * disturb it. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct sluice_producer p;
static struct sluice_consumer c;

static void open_both(int wake)
{
        const struct sluice_options o = opt_wake(wake);

        make("q", 1024);
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
}

static void close_both(void)
{
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

static int handler(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        check(0);
        return 0;
}

static int tries_every_producer_call(void *ctx)
{
        struct iovec iov = {&p, 8};
        void *payload;

        (void)ctx;
        for (int i = 0; i < 2; i++) {
                call(sluice_reserve(&p, 0, &payload, SLUICE_NOW), -EPERM);
                call(sluice_reserve(&p, 8, &payload, soon()), -EPERM);
                call(sluice_reserve(&p, 504, &payload, SLUICE_FOREVER), -EPERM);
                call(sluice_reserve(&p, 100000, &payload, SLUICE_FOREVER), -EPERM);
                call(sluice_commit(&p, 0), -EPERM);
                call(sluice_commit(&p, 8), -EPERM);
                call(sluice_stage(&p, 8), -EPERM);
                call(sluice_publish(&p), -EPERM);
                call(send_number(&p, 1, SLUICE_FOREVER), -EPERM);
                call(sluice_sendv(&p, &iov, 1, SLUICE_FOREVER), -EPERM);
                call(sluice_sendv(&p, &iov, -1, SLUICE_NOW), -EPERM);
                sluice_abort(&p);
                sluice_set_tag(&p, 3);
                call(sluice_producer_fd(&p), -EPERM);
                call(sluice_producer_arm(&p, 8), -EPERM);
                call(sluice_producer_disarm(&p), -EPERM);
                call(sluice_producer_interrupt(&p), -EPERM);
                call(sluice_producer_await_peer(&p, SLUICE_FOREVER), -EPERM);
                call(sluice_producer_enable_sleep(&p, NULL), -EPERM);
                sluice_producer_detach(&p);
                call(sluice_producer_close(&p), -EPERM);
        }
        return 0;
}

static int tries_every_consumer_call(void *ctx)
{
        struct sluice_message m;

        (void)ctx;
        for (int i = 0; i < 2; i++) {
                call(sluice_peek(&c, &m, SLUICE_NOW), -EPERM);
                call(sluice_peek(&c, &m, SLUICE_FOREVER), -EPERM);
                call(sluice_advance(&c), -EPERM);
                call(sluice_release(&c), -EPERM);
                call(recv_number(&c, SLUICE_FOREVER), -EPERM);
                call(sluice_drain(&c, handler, NULL, 10), -EPERM);
                call(sluice_consumer_fd(&c), -EPERM);
                call(sluice_consumer_arm(&c), -EPERM);
                call(sluice_consumer_disarm(&c), -EPERM);
                call(sluice_consumer_interrupt(&c), -EPERM);
                call(sluice_consumer_await_peer(&c, SLUICE_FOREVER), -EPERM);
                call(sluice_consumer_enable_sleep(&c, NULL), -EPERM);
                sluice_consumer_detach(&c);
                call(sluice_consumer_close(&c), -EPERM);
        }
        return 0;
}

static void refuses_the_child(int wake)
{
        struct sluice_message m;
        void *payload;

        open_both(wake);
        for (uint64_t i = 0; i < 3; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
        /* In the middle of everything. */
        call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        call(sluice_stage(&p, 8), 0);
        call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        call(sluice_advance(&c), 0);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        run(tries_every_producer_call, NULL);
        run(tries_every_consumer_call, NULL);
        eq(look("q").producer.held, 1);
        eq(look("q").consumer.held, 1);
        eq(look("q").producer.closed, 0);
        eq(look("q").consumer.closed, 0);
        call(sluice_release(&c), 0);
        call(sluice_commit(&p, 8), 0);
        call(recv_number(&c, soon()), 2);
        close_both();
}

QTest(child, is_refused_futex)
{
        refuses_the_child(SLUICE_WAKE_FUTEX);
}

QTest(child, is_refused_fifo)
{
        refuses_the_child(SLUICE_WAKE_FIFO);
}

static int has_nothing(void *ctx)
{
        const struct world *fork_free = ctx;
        const struct world now = world_now();

        eq(now.mappings, fork_free->mappings);
        eq(now.fds, fork_free->fds);
        eq(attached_to("q"), 2); /* two endpoints, one process: not four */
        return 0;
}

QTest(child, inherits_no_mapping_and_no_descriptor)
{
        struct world before = world_now();

        open_both(SLUICE_WAKE_FIFO);
        eq(attached_to("q"), 2);
        run(has_nothing, &before);
        eq(attached_to("q"), 2);
        close_both();
}

/* Only those that are open at the time. */
static int opens_its_own(void *ctx)
{
        struct sluice_producer own;

        call(sluice_producer_open(&own, "q", NULL), -EBUSY);
        call(sluice_producer_open(&p, ctx, NULL), 0); /* the handle may be used anew */
        call(send_number(&p, 5, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        return 0;
}

QTest(child, may_open_for_itself)
{
        static char word[] = "r";

        open_both(SLUICE_WAKE_FUTEX);
        make("r", 0);
        run(opens_its_own, word);
        eq(look("r").pending, 1);
        call(sluice_remove("r"), 0);
        close_both();
}

static int just_exits(void *ctx)
{
        (void)ctx;
        return 0;
}

static int exits_by_exec(void *ctx)
{
        (void)ctx;
        execl("/bin/true", "true", (char *)NULL);
        return 1;
}

static int grandchild(void *ctx)
{
        run(tries_every_producer_call, ctx);
        return 0;
}

QTest(child, may_come_and_go_in_any_way)
{
        open_both(SLUICE_WAKE_FIFO);
        for (uint64_t i = 0; i < 5; i++) {
                call(send_number(&p, i, SLUICE_NOW), 0);
                run(just_exits, NULL);
                run(exits_by_exec, NULL);
                run(grandchild, NULL);
                call(recv_number(&c, soon()), i);
                call(recv_number(&c, sluice_after(MS(2))), -ETIMEDOUT); /* no death to report */
        }
        close_both();
}

/* ---- The parent dies, the child stays alive ----------------------- */

struct family {
        struct event ready, go;
        int wake;
        bool producer;
        pid_t *grandchild; /* shared memory */
};

static int lives_on(void *ctx)
{
        const struct family *f = ctx;

        await_event(&f->go);
        return 0;
}

static int parent(void *ctx)
{
        struct family *f = ctx;
        const struct sluice_options o = opt_wake(f->wake);
        pid_t pid;

        if (f->producer)
                call(sluice_producer_open(&p, "q", &o), 0);
        else
                call(sluice_consumer_open(&c, "q", &o), 0);
        pid = fork(); /* without the death signal of spawn() */
        if (pid == 0)
                _exit(lives_on(f));
        *f->grandchild = pid;
        signal_event(&f->ready);
        pause_ms(60000);
        return 0;
}

static void death_is_noticed(int wake, bool producer)
{
        struct family f = {event_new(), event_new(), wake, producer, NULL};
        const struct sluice_options o = opt_wake(wake);
        const int64_t begin = sluice_now_ns();
        pid_t pid;

        f.grandchild = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        make("q", 256);
        if (producer)
                call(sluice_consumer_open(&c, "q", &o), 0);
        else
                call(sluice_producer_open(&p, "q", &o), 0);
        pid = spawn(parent, &f);
        await_event(&f.ready);
        kill_and_reap(pid);
        if (producer) {
                call(recv_number(&c, soon()), -EOWNERDEAD);
        } else {
                fill_numbers(&p, 0);
                call(send_number(&p, 9, soon()), -EOWNERDEAD);
        }
        eq(kill(*f.grandchild, 0), 0); /* is alive */
        check(sluice_now_ns() - begin < MS(5000));
        /* And the role is free. */
        if (producer) {
                call(sluice_producer_open(&p, "q", &o), 0);
        } else {
                call(sluice_consumer_open(&c, "q", &o), 0);
        }
        signal_event(&f.go);
        close_both();
        munmap(f.grandchild, 4096);
        event_free(&f.ready);
        event_free(&f.go);
}

QTest(parent_death, is_noticed_though_a_child_lives_futex)
{
        death_is_noticed(SLUICE_WAKE_FUTEX, true);
        death_is_noticed(SLUICE_WAKE_FUTEX, false);
}

QTest(parent_death, is_noticed_though_a_child_lives_fifo)
{
        death_is_noticed(SLUICE_WAKE_FIFO, true);
        death_is_noticed(SLUICE_WAKE_FIFO, false);
}

/* ---- Other threads fork while queues are opened and closed -------- */

static volatile bool forking;

static void *forks(void *ctx)
{
        (void)ctx;
        while (forking) {
                const pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                waitpid(pid, NULL, 0);
        }
        return NULL;
}

QTest(thread, may_fork_at_any_time)
{
        pthread_t t;

        make("q", 0);
        forking = true;
        t = thread_start(forks, NULL);
        for (uint64_t i = 0; i < 200; i++) {
                const struct sluice_options o = opt_wake(i % 2);

                call(sluice_producer_open(&p, "q", &o), 0);
                call(sluice_consumer_open(&c, "q", &o), 0);
                call(send_number(&p, i, SLUICE_NOW), 0);
                call(recv_number(&c, soon()), i);
                call(sluice_producer_close(&p), 0);
                call(sluice_consumer_close(&c), 0);
        }
        forking = false;
        thread_join(t);
        call(sluice_remove("q"), 0);
}

/* The mappings of System V segments, counted without the heap, which the
 * child of a process with threads had better leave alone. */
static int inherited_mappings(void)
{
        static char maps[1 << 20];
        const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
        size_t len = 0;
        ssize_t n;
        int found = 0;

        while ((n = read(fd, maps + len, sizeof maps - 1 - len)) > 0)
                len += (size_t)n;
        close(fd);
        check(n == 0 && len > 0 && len < sizeof maps - 1);
        maps[len] = '\0';
        for (const char *at = maps; (at = strstr(at, "/SYSV")) != NULL; at++)
                found++;
        return found;
}

/* What a child has of the parent's queues: descriptors and mappings. */
static int inherited(void)
{
        const size_t n = strlen(in_queues(""));
        int found = inherited_mappings();

        for (int fd = 0; fd < 256; fd++) {
                char link[40], path[4200];
                ssize_t len;

                snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
                len = readlink(link, path, sizeof path - 1);
                path[len < 0 ? 0 : len] = '\0';
                found += strncmp(path, in_queues(""), n) == 0 || strstr(path, "eventfd") != NULL;
        }
        return found;
}

static atomic_int forked, burdened;
static int others; /* what the runner of the tests has open */

/* Children that are made at any moment of what the other thread does. */
static void *forks_and_looks(void *ctx)
{
        (void)ctx;
        while (forking) {
                const pid_t pid = fork();
                int status;

                if (pid == 0)
                        _exit(inherited() != others);
                waitpid(pid, &status, 0);
                atomic_fetch_add(&forked, 1);
                if (status != 0)
                        atomic_fetch_add(&burdened, 1);
        }
        return NULL;
}

static void has_nothing_of(void (*work)(void))
{
        pthread_t t;

        forking = true;
        others = inherited();
        atomic_store(&forked, 0);
        atomic_store(&burdened, 0);
        t = thread_start(forks_and_looks, NULL);
        while (atomic_load(&forked) < 200)
                work();
        forking = false;
        thread_join(t);
        eq(atomic_load(&burdened), 0);
}

static void opens_and_closes(void)
{
        static unsigned turn;
        const struct sluice_options o = opt_wake(turn++ % 2 ? SLUICE_WAKE_FIFO : SLUICE_WAKE_FUTEX);
        struct sluice_producer second;

        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_producer_open(&second, "q", &o), -EBUSY);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
}

static void keeps_its_pipe(void)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);

        call(sluice_consumer_open(&c, "q", &o), 0);
        check(sluice_consumer_arm(&c) >= 0); /* alone */
        call(sluice_consumer_disarm(&c), 0);
        call(sluice_producer_open(&p, "q", &o), 0);
        check(sluice_consumer_arm(&c) >= 0);
        call(sluice_consumer_disarm(&c), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
}

static void creates_and_removes(void)
{
        struct sluice_queue_stat st;

        call(sluice_create("r", NULL), 0);
        call(sluice_create("r", NULL), -EEXIST);
        st = look("r");
        call(sluice_reap(&st, SLUICE_REAP_DRY_RUN), 0);
        call(sluice_remove("r"), 0);
        call(sluice_remove("r"), -ENOENT);
}

static int ignored(void *ctx, const struct sluice_queue_stat *st)
{
        (void)ctx, (void)st;
        return 0;
}

static void observes(void)
{
        look("q");
        check(sluice_list(ignored, NULL) >= 0);
        call(sluice_dump("q", handler, NULL), 0);
}

QTest(thread, that_forks_while_another_opens_hands_nothing_on)
{
        make("q", 0);
        has_nothing_of(opens_and_closes);
        has_nothing_of(keeps_its_pipe);
        call(sluice_remove("q"), 0);
}

QTest(thread, that_forks_while_another_creates_hands_nothing_on)
{
        has_nothing_of(creates_and_removes);
}

QTest(thread, that_forks_while_another_observes_hands_nothing_on)
{
        make("q", 0);
        has_nothing_of(observes);
        call(sluice_remove("q"), 0);
}

/* ---- Handles that the child shares -------------------------------- */

/* In memory that both processes see, to poison the child's copy would
 * be to poison the parent's only one. */
static void survives_in(void *memory)
{
        struct sluice_producer *shared_p = memory;
        struct sluice_consumer *shared_c = (void *)((char *)memory + 4096);

        call(sluice_producer_open(shared_p, "q", NULL), 0);
        call(sluice_consumer_open(shared_c, "q", NULL), 0);
        call(sluice_producer_open(&p, "q", NULL), -EBUSY); /* one that is not open */
        for (uint64_t i = 0; i < 3; i++) {
                call(send_number(shared_p, i, SLUICE_NOW), 0);
                run(just_exits, NULL);
                call(recv_number(shared_c, SLUICE_NOW), i);
                call(recv_number(shared_c, sluice_after(MS(2))), -ETIMEDOUT);
        }
        call(sluice_producer_close(shared_p), 0);
        call(sluice_consumer_close(shared_c), 0);
}

QTest(shared_handle, is_left_to_the_parent)
{
        char *memory = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        check(memory != MAP_FAILED);
        make("q", 0);
        survives_in(memory);
        survives_in(memory + 1000 / 64 * 64);
        survives_in(memory + 4096 - 128); /* across two pages, and beyond */
        call(sluice_remove("q"), 0);
        munmap(memory, 12288);
}

QTest(shared_handle, in_system_v_memory_is_left_to_the_parent)
{
        const int id = shmget(IPC_PRIVATE, 12288, 0600);
        char *memory = shmat(id, NULL, 0);
        struct shmid_ds ds;

        check(memory != (void *)-1);
        eq(shmctl(id, IPC_RMID, NULL), 0);
        make("q", 0);
        survives_in(memory);
        eq(shmctl(id, IPC_STAT, &ds), 0);
        eq(ds.shm_nattch, 1);
        call(sluice_remove("q"), 0);
        eq(shmdt(memory), 0);
}

QTest(shared_handle, in_a_shared_file_is_left_to_the_parent)
{
        const int fd = open(in_tmp("handles"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char *memory;

        eq(ftruncate(fd, 12288), 0);
        memory = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        check(memory != MAP_FAILED);
        make("q", 0);
        survives_in(memory);
        call(sluice_remove("q"), 0);
        munmap(memory, 12288);
        close(fd);
        unlink(in_tmp("handles"));
}

static int is_refused(void *ctx)
{
        call(send_number(ctx, 1, SLUICE_NOW), -EPERM);
        return 0;
}

QTest(shared_handle, is_not_one_in_private_memory)
{
        const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        void *heap = calloc(1, sizeof p);
        void *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        void *anonymous =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct sluice_producer stack;
        void *places[] = {&stack, heap, file, anonymous, &p};

        check(file != MAP_FAILED && anonymous != MAP_FAILED);
        make("q", 0);
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                call(sluice_producer_open(places[i], "q", NULL), 0);
                run(is_refused, places[i]);
                call(send_number(places[i], 1, SLUICE_NOW), 0);
                call(sluice_producer_close(places[i]), 0);
        }
        call(sluice_remove("q"), 0);
        munmap(anonymous, 4096);
        munmap(file, 4096);
        free(heap);
        close(fd);
}

/* The child has no such memory: it must not be written to. */
QTest(shared_handle, that_the_child_does_not_have_does_not_kill_it)
{
        void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        check(memory != MAP_FAILED);
        eq(madvise(memory, 4096, MADV_DONTFORK), 0);
        make("q", 0);
        call(sluice_producer_open(memory, "q", NULL), 0);
        run(just_exits, NULL);
        call(send_number(memory, 1, SLUICE_NOW), 0);
        call(sluice_producer_close(memory), 0);
        call(sluice_remove("q"), 0);
        munmap(memory, 4096);
}

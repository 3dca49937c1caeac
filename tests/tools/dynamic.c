/* SPDX-License-Identifier: MIT */
/*
 * dynamic LIBRARY QUEUE: makes a queue, sends through it and receives, as
 * another language does: it loads the library, finds each call by its name,
 * and knows neither our headers nor the size of a handle. Prints what the
 * library says of its version; exits with 0 if all went well.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { NOW = 0 };

typedef int create_fn(const char *name, const void *options);
typedef int remove_fn(const char *name);
typedef void *new_fn(void);
typedef void free_fn(void *handle);
typedef int open_fn(void *handle, const char *name, const void *options);
typedef int close_fn(void *handle);
typedef int send_fn(void *handle, const void *buf, size_t len, int64_t until);
typedef ssize_t recv_fn(void *handle, void *buf, size_t cap, int64_t until);
typedef const char *version_fn(void);

static void *library;
static int missing;

static void *find(const char *name)
{
        void *symbol = dlsym(library, name);

        if (!symbol)
                fprintf(stderr, "%s: %s\n", name, dlerror());
        missing += !symbol;
        return symbol;
}

/* A function pointer out of what dlsym answers. */
#define FIND(name, type)                         \
        type *name;                              \
        *(void **)&name = find("sluice_" #name); \
        if (!name)                               \
        return 1

static int check(const char *what, long got, long expected)
{
        if (got != expected)
                fprintf(stderr, "%s: %ld, not %ld\n", what, got, expected);
        return got != expected;
}

static int carry(void *p, void *c, const char *queue)
{
        char got[16] = "";
        int wrong = 0;
        FIND(producer_open, open_fn);
        FIND(consumer_open, open_fn);
        FIND(send, send_fn);
        FIND(recv, recv_fn);
        FIND(producer_close, close_fn);
        FIND(consumer_close, close_fn);

        wrong += check("producer_open", producer_open(p, queue, NULL), 0);
        wrong += check("consumer_open", consumer_open(c, queue, NULL), 0);
        wrong += check("send", send(p, "hello", 5, NOW), 0);
        wrong += check("recv", recv(c, got, sizeof got, NOW), 5);
        wrong += check("what was sent", memcmp(got, "hello", 5), 0);
        wrong += check("producer_close", producer_close(p), 0);
        wrong += check("consumer_close", consumer_close(c), 0);
        return wrong;
}

static int use(const char *queue)
{
        int wrong = 0;
        FIND(create, create_fn);
        FIND(remove, remove_fn);
        FIND(producer_new, new_fn);
        FIND(consumer_new, new_fn);
        FIND(producer_free, free_fn);
        FIND(consumer_free, free_fn);
        FIND(version, version_fn);
        void *const p = producer_new(), *const c = consumer_new();

        wrong += check("new", p && c, 1);
        wrong += check("create", create(queue, NULL), 0);
        if (wrong == 0)
                wrong += carry(p, c, queue);
        producer_free(p);
        consumer_free(c);
        wrong += check("remove", remove(queue), 0);
        printf("%s\n", version());
        return wrong;
}

int main(int argc, char **argv)
{
        int wrong;

        if (argc != 3)
                return 2;
        library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library) {
                fprintf(stderr, "%s\n", dlerror());
                return 1;
        }
        wrong = use(argv[2]);
        dlclose(library);
        return wrong || missing;
}

/* SPDX-License-Identifier: MIT */
/*
 * ring: ring.h alone, over a mapping that a parent shares with its child.
 * Nothing to link with; a wait spins. Pieces are gathered by sendv, and a
 * batch of three becomes visible at once.
 *
 *      cc -Iinclude examples/ring.c && ./a.out
 */
#define _DEFAULT_SOURCE
#include <sluice/ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int child(void *memory, size_t bytes)
{
        static const char *const batch[] = {"all", "or", "nothing"};
        struct iovec pieces[] = {{(void *)"two ", 4}, {(void *)"pieces", 6}};
        struct sluice_producer p;
        void *payload;

        if (sluice_producer_attach(&p, memory, bytes) != 0 ||
            sluice_sendv(&p, pieces, 2, SLUICE_FOREVER) != 0)
                return 1;
        for (uint32_t i = 0; i < 3; i++) {
                if (sluice_reserve(&p, strlen(batch[i]), &payload, SLUICE_FOREVER) != 0)
                        return 1;
                memcpy(payload, batch[i], strlen(batch[i]));
                sluice_set_tag(&p, i + 1);
                sluice_stage(&p, strlen(batch[i])); /* finished, not yet visible */
        }
        sluice_publish(&p);
        sluice_producer_detach(&p);
        return 0;
}

int main(void)
{
        const size_t bytes = sluice_ring_bytes(NULL); /* the default geometry */
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct sluice_consumer c;
        struct sluice_message m;
        int status = -1, r;

        if (memory == MAP_FAILED || sluice_ring_format(memory, bytes, NULL) != 0)
                return 1;
        if (fork() == 0)
                return child(memory, bytes);
        r = sluice_consumer_attach(&c, memory, bytes);
        while (r == 0 && (r = sluice_peek(&c, &m, SLUICE_FOREVER)) == 0) {
                printf("tag %u: %.*s\n", (unsigned)m.tag, (int)m.len, (const char *)m.data);
                r = sluice_release(&c);
        }
        sluice_consumer_detach(&c);
        wait(&status);
        return r != -EPIPE || status != 0;
}

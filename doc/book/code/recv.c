/* SPDX-License-Identifier: MIT */
/* recv: prints what is in the queue `readings`, until it ends, and says how. */
#include <sluice.h>
#include <stdio.h>

int main(void)
{
        const struct sluice_options o = {.size = sizeof o, .flags = SLUICE_CREATE};
        struct sluice_consumer c;
        struct sluice_message m;
        int r = sluice_consumer_open(&c, "readings", &o);

        if (r)
                return fprintf(stderr, "recv: open: %s\n", sluice_strerror(r)), 1;
        while ((r = sluice_peek(&c, &m, SLUICE_FOREVER)) == 0) {
                printf("%.*s\n", (int)m.len, (const char *)m.data); /* where it lies */
                sluice_release(&c);
        }
        fflush(stdout);
        fprintf(stderr, "recv: %s\n", sluice_strerror(r));
        sluice_consumer_close(&c);
        return 0;
}

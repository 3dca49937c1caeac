/* SPDX-License-Identifier: MIT */
#include <sluice.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
        struct sluice_options o = {.size = sizeof o, .flags = SLUICE_CREATE};
        struct sluice_producer p;
        struct sluice_consumer c;

        if (argc > 1 && sluice_producer_open(&p, "hello", &o) == 0)
                return sluice_send(&p, argv[1], strlen(argv[1]), SLUICE_FOREVER) ||
                       sluice_producer_close(&p);
        if (argc > 1 || sluice_consumer_open(&c, "hello", &o) != 0)
                return 1;
        for (struct sluice_message m; sluice_peek(&c, &m, SLUICE_FOREVER) == 0; sluice_release(&c))
                printf("%.*s\n", (int)m.len, (const char *)m.data);
        return sluice_consumer_close(&c) || sluice_remove("hello");
}

/* SPDX-License-Identifier: MIT */
/* A producer that never waits, a consumer that wants the newest only. */
#include <errno.h>
#include <sluice.h>
#include <string.h>

int main(void)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE, .capacity = 4096);
        struct sluice_producer p;
        struct sluice_consumer c;
        struct sluice_message m;
        uint64_t value = 0, newest = 0;
        int r;

        if (sluice_producer_open(&p, "./values", &o) != 0 ||
            sluice_consumer_open(&c, "./values", NULL) != 0)
                return 1;
        do
                r = sluice_offer(&p, &value, sizeof value, 0); /* no room: dropped, and counted */
        while (r == 0 && ++value);
        if (sluice_peek_latest(&c, &m, SLUICE_FOREVER) == 0) /* all before it are released */
                memcpy(&newest, m.data, sizeof newest);
        sluice_release(&c);
        if (r != -EAGAIN || newest != value - 1 || !sluice_consumer_is_empty(&c))
                return 1;
        sluice_producer_close(&p);
        sluice_consumer_close(&c);
        return sluice_remove("./values");
}

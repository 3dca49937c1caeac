/* SPDX-License-Identifier: MIT */
/* One sender, two queues. */
#include <sluice.h>

static int received(struct sluice_consumer *c)
{
        struct sluice_message m;
        int n = 0;

        for (; sluice_peek(c, &m, SLUICE_NOW) == 0; n++)
                sluice_release(c);
        return n;
}

int main(void)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_producer a, b;
        struct sluice_consumer c, d;
        const char buf[] = "an order";
        const size_t len = sizeof buf;
        const uint64_t order = 7;
        const sluice_deadline until = SLUICE_FOREVER;
        int n, m;

        if (sluice_producer_open(&a, "./a", &o) != 0 ||
            sluice_consumer_open(&c, "./a", NULL) != 0 ||
            sluice_producer_open(&b, "./b", &o) != 0 || sluice_consumer_open(&d, "./b", NULL) != 0)
                return 1;
        struct sluice_producer *const out[] = {&a, &b};
        struct sluice_fanout f = {.out = out, .n = 2};

        if (sluice_fanout_send_key(&f, order, buf, len, 0, until) != 0 || /* one key, one queue */
            sluice_fanout_send_next(&f, buf, len, 0, until) != 0 ||       /* each in turn */
            sluice_fanout_send_any(&f, buf, len, 0, until) < 0 ||         /* where there is room */
            sluice_fanout_send_all(&f, buf, len, 0, until) != 0)          /* to all, or to none */
                return 1;
        n = received(&c);
        m = received(&d);
        sluice_producer_close(&a);
        sluice_producer_close(&b);
        sluice_consumer_close(&c);
        sluice_consumer_close(&d);
        return n + m != 5 || n == 0 || m == 0 || sluice_remove("./a") || sluice_remove("./b");
}

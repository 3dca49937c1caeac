/* SPDX-License-Identifier: MIT */
/* A queue of one type, and an opener of another. */
#include <errno.h>
#include <sluice.h>

struct price {
        uint64_t instrument;
        double bid, ask;
};
SLUICE_TYPED(price, struct price); /* price_send, price_peek, ... */

struct order {
        uint64_t instrument, amount;
};
SLUICE_TYPED(order, struct order);

int main(void)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_producer p, other;
        struct sluice_consumer c;
        struct price *next;
        const struct price *got;

        if (price_producer_open(&p, "./prices", &o) != 0 ||
            price_consumer_open(&c, "./prices", NULL) != 0 ||
            order_producer_open(&other, "./prices", NULL) != -EMEDIUMTYPE)
                return 1;
        if (price_reserve(&p, &next, SLUICE_FOREVER) == 0) {
                *next = (struct price){1, 99.5, 100.5}; /* in place */
                price_commit(&p);
        }
        if (price_peek(&c, &got, SLUICE_NOW) != 0 || got->ask - got->bid != 1)
                return 1;
        sluice_release(&c);
        sluice_producer_close(&p);
        sluice_consumer_close(&c);
        return sluice_remove("./prices");
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "hot.h"

SLUICE_TYPED(tick, struct tick);

void c_send(struct ends *e, int n)
{
        const struct tick t = {1, 2};

        for (int i = 0; i < n; i++)
                if (sluice_send(e->p, &t, sizeof t, SLUICE_FOREVER) != 0)
                        return;
}

void c_write(struct ends *e, int n)
{
        const uint64_t number = 1;
        void *to;

        for (int i = 0; i < n; i++) {
                if (sluice_reserve(e->p, sizeof number, &to, SLUICE_FOREVER) != 0)
                        return;
                memcpy(to, &number, sizeof number);
                if (sluice_commit(e->p, sizeof number) != 0)
                        return;
        }
}

void c_write_typed(struct ends *e, int n)
{
        struct tick *to;

        for (int i = 0; i < n; i++) {
                if (tick_reserve(e->p, &to, SLUICE_FOREVER) != 0)
                        return;
                to->number = 1;
                to->value = 2;
                if (tick_commit(e->p) != 0)
                        return;
        }
}

/* Until the end, which comes after n. */
void c_receive(struct ends *e, int n)
{
        struct sluice_consumer *const c = e->c;
        struct sluice_message m;

        (void)n;
        while (sluice_peek(c, &m, SLUICE_FOREVER) == 0) {
                take(m.data, m.len);
                (void)sluice_release(c);
        }
}

void c_receive_copied(struct ends *e, int n)
{
        struct tick t;

        for (int i = 0; i < n; i++) {
                if (sluice_recv(e->c, &t, sizeof t, SLUICE_FOREVER) < 0)
                        return;
                take(&t, sizeof t);
        }
}

void c_receive_typed(struct ends *e, int n)
{
        struct sluice_consumer *const c = e->c;
        const struct tick *t;

        (void)n;
        while (tick_peek(c, &t, SLUICE_FOREVER) == 0) {
                take(t, sizeof *t);
                (void)sluice_release(c);
        }
}

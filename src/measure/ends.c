/* SPDX-License-Identifier: MIT */
#include "ends.h"

int ends_open(struct ends *e, const char *out, const char *in, const struct sluice_options *options)
{
        int r = sluice_producer_open(&e->out, out, options);

        if (r)
                return r;
        r = sluice_consumer_open(&e->in, in, options);
        if (r)
                sluice_producer_close(&e->out);
        return r;
}

void ends_close(struct ends *e)
{
        sluice_producer_close(&e->out);
        sluice_consumer_close(&e->in);
}

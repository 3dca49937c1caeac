/* SPDX-License-Identifier: MIT */
/* No test, but what tests/tools/runtest.sh runs: it leaves a queue, and says
 * what that is and where. */
#define _GNU_SOURCE
#include "queue_util.h"

static void leave(void)
{
        struct sluice_queue_stat st;

        make("left", 0);
        st = look("left");
        printf("made %d %d /tmp/criterion_%d.sock %s\n", st.shmid, st.semid, (int)getppid(),
               getenv("RUNTEST_PRIVATE"));
        fflush(stdout);
}

QTest(leaver, fails)
{
        leave();
        check(false);
}

QTest(leaver, hangs)
{
        leave();
        for (;;)
                pause();
}

/* SPDX-License-Identifier: MIT */
#ifndef TEST_CENSUS_H
#define TEST_CENSUS_H
/* What the system holds, to be compared with what it held before. Knows no
 * test framework, and counts alike in a program that wraps libc. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>

struct census {
        int segments, sets; /* of this IPC namespace */
        int fds, mappings;  /* of this process: open files, System V segments */
};

/* 0, or -1: something cannot be counted. */
static inline int census_ipc(struct census *c)
{
        struct shm_info shm;
        struct seminfo sem;
        union {
                int val;
                struct seminfo *info;
        } arg = {.info = &sem};

        if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm) < 0 ||
            semctl(0, 0, SEM_INFO, arg) < 0)
                return -1;
        c->segments = shm.used_ids;
        c->sets = sem.semusz;
        return 0;
}

static inline int census_process(struct census *c)
{
        DIR *dir = opendir("/proc/self/fd");
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[4300];
        int r = dir && maps ? 0 : -1;

        c->fds = -2; /* dir and maps */
        c->mappings = 0;
        for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;)
                c->fds += e->d_name[0] != '.';
        while (r == 0 && fgets(line, sizeof line, maps))
                c->mappings += strstr(line, "/SYSV") != NULL;
        if (dir)
                closedir(dir);
        if (maps)
                fclose(maps);
        return r;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Runs a fuzz harness over every file of the directories given, without a
 * fuzzing engine. Names each file before it runs, so that a crash says
 * which one it was. Last line: `N passed, N failed`. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long passed, failed;

static void run_file(const char *path)
{
        static uint8_t data[1 << 20];
        FILE *file = fopen(path, "rb");
        size_t size;

        if (!file) {
                perror(path);
                failed++;
                return;
        }
        size = fread(data, 1, sizeof data, file);
        fclose(file);
        printf("%s\n", path);
        fflush(stdout);
        /* A copy of the exact size, so that a read beyond it is noticed. */
        uint8_t *copy = malloc(size ? size : 1);
        if (!copy)
                abort();
        memcpy(copy, data, size);
        if (LLVMFuzzerTestOneInput(copy, size) == 0)
                passed++;
        else
                failed++;
        free(copy);
}

static void run_directory(const char *directory)
{
        DIR *dir = opendir(directory);
        struct dirent *entry;
        char path[4096];

        if (!dir) {
                perror(directory);
                failed++;
                return;
        }
        while ((entry = readdir(dir)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
                run_file(path);
        }
        closedir(dir);
}

int main(int argc, char **argv)
{
        if (argc < 2) {
                fprintf(stderr, "usage: %s DIRECTORY...\n", argv[0]);
                return 2;
        }
        for (int i = 1; i < argc; i++)
                run_directory(argv[i]);
        if (passed + failed == 0) {
                fprintf(stderr, "%s: no files\n", argv[0]);
                failed++;
        }
        printf("%lu passed, %lu failed\n", passed, failed);
        return failed != 0;
}

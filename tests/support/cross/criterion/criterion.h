/* SPDX-License-Identifier: MIT */
#ifndef CROSS_CRITERION_H
#define CROSS_CRITERION_H
#pragma GCC system_header /* macros without their last argument, as in the original */
/*
 * So much of Criterion as the unit tests use, for processors that it is
 * not packaged for: each test runs in a process of its own, in the order
 * of the source. See runner.c.
 */
struct cross_options {
        int unused;
        unsigned timeout; /* seconds; 0: none, tools/runtest has one for all */
};

struct cross_test {
        const char *name; /* suite::test */
        const char *file;
        void (*body)(void);
        struct cross_options options;
        struct cross_test *next;
};

void cross_register(struct cross_test *test);
_Noreturn void cross_fail(const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
_Noreturn void cross_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define cr_assert_fail(...) cross_fail(__FILE__, __LINE__, __VA_ARGS__)
#define cr_fatal(...)       cross_fail(__FILE__, __LINE__, __VA_ARGS__)
#define cr_skip_test(...)   cross_skip(__VA_ARGS__)

/* Test(suite, name, .timeout = 60) */
#define Test(suite, test, ...)                                                                    \
        static void suite##_##test##_test(void);                                                  \
        static __attribute__((constructor)) void suite##_##test##_register(void)                  \
        {                                                                                         \
                static struct cross_test entry = {                                                \
                        #suite "::" #test, __FILE__, suite##_##test##_test, {0, __VA_ARGS__}, 0}; \
                                                                                                  \
                cross_register(&entry);                                                           \
        }                                                                                         \
        static void suite##_##test##_test(void)

#endif

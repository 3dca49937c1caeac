/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_GROUP_RCU_H
#define SLUICE_GROUP_RCU_H
/*
 * Read-side sections and what waits for them, by liburcu-bp.
 *
 * ThreadSanitizer does not see into liburcu, so it is told of the order that
 * RCU gives: what was done in a section, and before a member was retired,
 * comes before what is done after the grace period.
 */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define GROUP_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define GROUP_SANITIZED 1
#endif
#endif
#if defined __SANITIZE_THREAD__
#define GROUP_TSAN 1
#endif

/* Read-side sections are inlined; but not where its own code is looked at:
 * UndefinedBehaviorSanitizer finds in it that a registry entry is not aligned
 * as its type says; clang's analyzer does not know that a thread is registered. */
#if !defined __SANITIZE_ADDRESS__ && !defined GROUP_SANITIZED && !defined __clang_analyzer__
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-bp.h>

#ifdef GROUP_TSAN
#include <sanitizer/tsan_interface.h>
static inline void rcu_order_before(void *object)
{
        __tsan_release(object);
}
static inline void rcu_order_after(void *object)
{
        __tsan_acquire(object);
}
#else
static inline void rcu_order_before(void *object)
{
        (void)object;
}
static inline void rcu_order_after(void *object)
{
        (void)object;
}
#endif

static inline void section_begin(void)
{
        urcu_bp_read_lock();
}

/* order: stands for sections and grace periods; no word that is stored to. */
static inline void section_end(void *order)
{
        rcu_order_before(order);
        urcu_bp_read_unlock();
}

#endif

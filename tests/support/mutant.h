/* SPDX-License-Identifier: MIT */
#ifndef MUTANT_H
#define MUTANT_H
/* Instead of call_rcu: the function is called by another thread, at once. */
struct rcu_head;
void mutant_at_once(struct rcu_head *head, void (*function)(struct rcu_head *head));
#endif

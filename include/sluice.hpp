/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_HPP
#define SLUICE_HPP
/*
 * sluice for C++17 and later, over the C headers: no library of its own, and
 * on the way of a message the same instructions.
 *
 *      sluice::producer out("hello", sluice::or_create);
 *      if (!out.send("hi", 1s))
 *              std::cerr << "nobody takes it\n";
 *
 *      sluice::consumer in("hello", sluice::or_create);
 *      for (auto &&m : in)             // in place, until the sender has gone
 *              std::cout << m.text() << '\n';
 *
 *      sluice/error.hpp            errors, and results without one
 *      sluice/deadline.hpp         std::chrono
 *      sluice/view.hpp             bytes, message
 *      sluice/options.hpp          names and options of queues
 *      sluice/producer.hpp, consumer.hpp, loop.hpp  the two ends
 *      sluice/long.hpp             messages longer than the ring
 *      sluice/typed.hpp            queues of one type
 *      sluice/queue.hpp            create, remove, stat, list, dump
 *      sluice/channel.hpp, fanout.hpp  request and reply; several queues
 *      sluice/group.hpp            many queues, one thread: -lsluice-group
 *
 * doc/cpp.md says which call of C is which of these.
 */
#include "sluice/channel.hpp"
#include "sluice/consumer.hpp"
#include "sluice/deadline.hpp"
#include "sluice/error.hpp"
#include "sluice/fanout.hpp"
#include "sluice/group.hpp"
#include "sluice/long.hpp"
#include "sluice/options.hpp"
#include "sluice/producer.hpp"
#include "sluice/queue.hpp"
#include "sluice/typed.hpp"
#include "sluice/view.hpp"

#endif

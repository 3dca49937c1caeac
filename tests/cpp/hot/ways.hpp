/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CPP_WAYS_HPP
#define TESTS_CPP_WAYS_HPP
#include <sluice.hpp>

#include "hot.h"

SLUICE_TYPE(struct tick);

/* What a program has. */
struct cpp_ends {
        sluice::typed_producer<tick> p;
        sluice::typed_consumer<tick> c;
        sluice::producer_ref any_p;
        sluice::consumer_ref any_c;
};

FLAT void cpp_send(cpp_ends &e, int n);
FLAT void cpp_send_ec(cpp_ends &e, int n);
FLAT void cpp_send_typed(cpp_ends &e, int n);
FLAT void cpp_write(cpp_ends &e, int n);
FLAT void cpp_write_ec(cpp_ends &e, int n);
FLAT void cpp_write_typed(cpp_ends &e, int n);
FLAT void cpp_receive(cpp_ends &e, int n);
FLAT void cpp_receive_calls(cpp_ends &e, int n);
FLAT void cpp_receive_ec(cpp_ends &e, int n);
FLAT void cpp_receive_copied(cpp_ends &e, int n);
FLAT void cpp_receive_typed(cpp_ends &e, int n);

#endif

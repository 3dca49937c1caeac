/* SPDX-License-Identifier: MIT */
/* A C++ program that uses the C headers as they are. */
#include <iostream>
#include <sluice.h>
#include <string>

int main()
{
        sluice_options options = SLUICE_OPTIONS_INIT;
        sluice_producer producer = {};
        sluice_consumer consumer = {};
        const std::string sent = "hello";
        char text[16] = {};

        options.flags = SLUICE_CREATE;
        if (sluice_producer_open(&producer, "./cxx-queue", &options) != 0 ||
            sluice_consumer_open(&consumer, "./cxx-queue", nullptr) != 0 ||
            sluice_send(&producer, sent.data(), sent.size(), SLUICE_NOW) != 0 ||
            sluice_recv(&consumer, text, sizeof text - 1, SLUICE_NOW) < 0)
                return 1;
        std::cout << text << '\n';
        sluice_producer_close(&producer);
        sluice_consumer_close(&consumer);
        return sluice_remove("./cxx-queue") == 0 && text == sent ? 0 : 1;
}

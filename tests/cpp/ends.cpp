// SPDX-License-Identifier: MIT
// Producer, consumer, queue: what they send, and how they end.
#include "check.hpp"

#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <type_traits>
#include <unistd.h>

using namespace std::chrono_literals;
using sluice::now;

static_assert(!std::is_copy_constructible_v<sluice::producer>);
static_assert(!std::is_copy_assignable_v<sluice::consumer>);
static_assert(std::is_nothrow_move_constructible_v<sluice::producer>);
static_assert(std::is_nothrow_move_assignable_v<sluice::consumer>);
static_assert(std::is_nothrow_move_constructible_v<sluice::channel>);
static_assert(std::is_nothrow_move_constructible_v<sluice::group>);
static_assert(std::is_nothrow_move_assignable_v<sluice::queue>);

static void not_open()
{
        sluice::producer p;
        sluice::consumer c;
        std::error_code ec;

        CHECK(!p && !c && !p.is_open() && !c.is_open());
        CHECK_THROWS(EINVAL, p.send("x"));
        CHECK_THROWS(EINVAL, p.reserve(1));
        CHECK_THROWS(EINVAL, p.commit(0));
        CHECK_THROWS(EINVAL, p.publish());
        CHECK_THROWS(EINVAL, p.close());
        CHECK_THROWS(EINVAL, c.peek());
        CHECK_THROWS(EINVAL, c.release());
        CHECK_THROWS(EINVAL, c.close());
        CHECK_THROWS(EINVAL, c.begin());
        CHECK_THROWS(EINVAL, c.fd());
        p.interrupt();
        p.abort();
        CHECK(!p.send("x", now, ec) && ec.value() == EINVAL);
        CHECK(!c.peek(now, ec) && ec.value() == EINVAL);
        CHECK(p.used() == 0 && c.pending() == 0 && p.max_size() == 0);
        p = sluice::producer("none", ec);
        CHECK(!p && ec == std::errc::no_such_file_or_directory);
        c = sluice::consumer("none", ec);
        CHECK(!c && ec == std::errc::no_such_file_or_directory);
}

static void queues()
{
        std::error_code ec;
        sluice::queue q("q");
        sluice::queue r = std::move(q);

        CHECK(!q && r && r.name() == "q" && r.stat().capacity == 256 * 1024);
        CHECK_THROWS(EEXIST, sluice::queue("q"));
        sluice::create("q", {}, ec);
        CHECK(ec == std::errc::file_exists);
        CHECK(sluice::stat("q", ec).max_len == 128 * 1024 - 8 && !ec);
        CHECK(sluice::list().size() == 1 && sluice::list(ec).size() == 1 && !ec);
        CHECK(sluice::list([](const sluice::queue_stat &) { return true; }) == 1);
        CHECK_THROWS(EIO, sluice::list([](const sluice::queue_stat &) {
                             throw std::system_error(EIO, sluice::category());
                     }));
        r.remove();
        CHECK(!r && sluice::stat("q", ec).size == 0 && ec.value() == ENOENT);
        CHECK_THROWS(EINVAL, r.remove());
        r = sluice::queue("q", {}, ec);
        CHECK(r && !ec);
        r.keep();
        r = sluice::queue();
        sluice::reap(sluice::stat("q"));
        CHECK_THROWS(ENOENT, sluice::remove("q"));
        sluice::remove("q", ec);
        CHECK(ec.value() == ENOENT);
}

static void sending()
{
        sluice::queue q("q");
        sluice::producer p("q");
        sluice::consumer c("q");
        const sluice::bytes two[] = {"two", "three"};
        sluice::message got[4];
        char text[16];

        CHECK_THROWS(EBUSY, sluice::producer("q"));
        CHECK(p.send("one") && p.send_many(two, 2).value() == 2 && p.sendv({"fo", "ur"}));
        CHECK(p.send_tagged("five", 5) && p.pending() == 5 && c.pending() == 5 && !p.empty());
        CHECK(c.peek()->text() == "one" && c.peek()->position() == 0);
        CHECK(*c.peek_many(got, now) == 4 && got[2].text() == "three" && got[3].text() == "four");
        c.release_to(got[2].position());
        CHECK(p.pending() == 3);
        c.release();
        CHECK(c.peek()->tag() == 5 && c.peek()->kind() == SLUICE_WHOLE);
        CHECK(*c.recv(text) == 4 && std::string_view(text, 4) == "five");
        CHECK(c.empty() && p.empty() && c.messages() == 5 && p.messages() == 5);
        CHECK(c.peek(now).timed_out() && c.peek(1ms).timed_out() && c.recv(text, now).timed_out());
        CHECK(p.send("sixteen letters?") && thrown([&] { (void)c.recv({text, 4}); }) == EMSGSIZE);
        CHECK(p.send("seven") && c.peek_latest()->text() == "seven");
        c.advance();
        c.release();
        int dumped = 0;
        CHECK(p.send("eight") && sluice::dump("q", [&](const sluice::message &m) {
                                         dumped += m.text() == "eight";
                                 }) == 1);
        CHECK(dumped == 1);
        CHECK_THROWS(EMSGSIZE, p.send(std::string(p.max_size() + 1, 'x')));
}

static void in_place()
{
        sluice::queue q("q");
        sluice::producer p("q");
        sluice::consumer c("q");
        std::error_code ec = sluice::make_error(-EIO);

        if (auto to = p.reserve(4, now, ec)) {
                CHECK(to->size() == 4 && !ec);
                to->data()[0] = std::byte{'a'};
                p.set_tag(9);
                p.stage(1);
        }
        CHECK(c.peek(now, ec).timed_out() && ec == std::errc::resource_unavailable_try_again);
        CHECK(p.reserve(1));
        p.abort();
        p.publish();
        CHECK(c.peek()->text() == "a" && c.peek()->tag() == 9);
        p.reserve(1)->data()[0] = std::byte{'b'};
        p.commit(1);
        c.release();
        CHECK(c.peek()->as<char>() == 'b' && !c.peek()->as<int>());
        CHECK_THROWS(EINVAL, p.commit(1));
        p.stage(1, ec);
        CHECK(ec.value() == EINVAL);
        p.set_kind(SLUICE_LAST, ec);
        CHECK(ec.value() == EINVAL);
}

// What is there when the ring is full, and when the other side is gone.
static void ends()
{
        sluice::options small;
        small.capacity = 256;
        sluice::queue q("q", small);
        sluice::producer p("q");
        sluice::consumer c("q");
        std::error_code ec;

        while (p.send("x", now))
                continue;
        CHECK(p.send("x", now).timed_out() && p.send("x", 1ms, ec).timed_out());
        CHECK(ec == std::errc::timed_out && p.room() < 128);
        CHECK(p.offer("x").timed_out() && p.offer("x", 0, ec).timed_out());
        p.count_dropped(3);
        CHECK(q.stat().dropped == 5);
        CHECK(p.reserve(1, now).timed_out());
        c.close();
        const auto r = p.send("x", now);
        CHECK(r.closed() && r.error() == std::errc::broken_pipe);
        c = sluice::consumer("q");
        p.close();
        int n = 0;
        for (auto &&m : c)
                n += m.text() == "x";
        CHECK(n == 3 && c.last().closed() && !c.last().died());
        q.remove();
        CHECK_THROWS(ESTALE, c.peek(10s));
}

static void death()
{
        sluice::queue q("q");
        sluice::consumer c("q");
        const pid_t child = fork();

        if (child == 0) {
                sluice::producer p("q");
                _exit(p.send("from a child") ? 0 : 1); // no close
        }
        int status = 1, n = 0;
        for (auto &&m : c)
                n += m.text() == "from a child";
        CHECK(n == 1 && c.last().died() && c.last().error() == std::errc::owner_dead);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void waiting()
{
        sluice::options fifo = sluice::or_create;
        fifo.wake = sluice::wake::fifo;
        sluice::producer p("q", fifo);
        sluice::consumer c("q", fifo);
        sluice::queue rest("other"); // removed at the end whatever else
        std::error_code ec;

        CHECK(c.fd() >= 0 && p.fd(ec) >= 0 && !ec && c.arm() && p.await_peer(1s));
        c.disarm();
        CHECK(p.send("x") && !c.arm(ec) && !ec && !p.arm(8));
        p.disarm();
        c.disarm();
        c.release_to(c.position(), ec);
        CHECK(ec.value() == EINVAL && c.recv_long(*std::make_unique<sluice::long_message>(9), now));
        std::thread t([&] { c.interrupt(); });
        CHECK(c.peek(20s).interrupted());
        t.join();
        c.interrupt();
        for (auto &&m : c)
                CHECK(m.size() == 0);
        CHECK(c.last().interrupted());
        p.interrupt();
        CHECK(p.await_peer(10s, ec) || ec == std::errc::operation_canceled);
        sluice::producer moved = std::move(p);
        CHECK(!p && moved.send("y") && c.peek()->text() == "y");
        CHECK_THROWS(EINVAL, p.send("x"));
        sluice::consumer other = std::move(c);
        other.release();
        CHECK(other.until(1ms).begin() == sluice::end_of_messages() && other.last().timed_out());
        sluice::remove("q");
}

void test_ends()
{
        not_open();
        queues();
        sending();
        in_place();
        ends();
        death();
        waiting();
}

// SPDX-License-Identifier: MIT
// Errors, deadlines, views, options.
#include "check.hpp"

#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <ratio>
#include <string>
#include <vector>

using namespace std::chrono_literals;

static void errors()
{
        const std::error_code ec = sluice::make_error(-EPIPE);

        CHECK(ec.value() == EPIPE && ec.category() == sluice::category());
        CHECK(ec == std::errc::broken_pipe && ec != std::errc::timed_out);
        CHECK(sluice::make_error(-EOWNERDEAD) == std::errc::owner_dead);
        CHECK(sluice::make_error(-ECANCELED) == std::errc::operation_canceled);
        CHECK(ec.message() == sluice_strerror(-EPIPE));
        CHECK(std::string(sluice::category().name()) == "sluice");
        CHECK(!sluice::make_error(0) && !sluice::make_error(3));
        try {
                sluice::consumer c("nobody-made-this");
                CHECK(false);
        } catch (const std::system_error &e) {
                CHECK(e.code() == std::errc::no_such_file_or_directory);
                CHECK(std::string(e.what()).find("nobody-made-this: no such queue") !=
                      std::string::npos);
        }
        CHECK(sluice::result<void>(-EAGAIN).timed_out());
        CHECK(sluice::result<void>(-ETIMEDOUT).timed_out());
        CHECK(sluice::result<void>(-EPIPE).closed() && sluice::result<void>(-EPIPE).ended());
        CHECK(sluice::result<void>(-EOWNERDEAD).died() &&
              sluice::result<void>(-EOWNERDEAD).ended());
        CHECK(sluice::result<void>(-ECANCELED).interrupted());
        CHECK(sluice::result<void>(0) && !sluice::result<void>(0).ended());
        CHECK_THROWS(EAGAIN, sluice::result<int>(-EAGAIN, 0).value());
        CHECK_THROWS(0, sluice::result<int>(0, 1).value());
        CHECK_THROWS(EPIPE, sluice::result<void>(-EPIPE).value());
}

// A clock that stands still, and began to count at 1000 s.
struct still {
        using rep = std::int64_t;
        using period = std::milli;
        using duration = std::chrono::duration<rep, period>;
        using time_point = std::chrono::time_point<still>;
        static constexpr bool is_steady = false;
        static time_point now() noexcept
        {
                return time_point(1000s);
        }
};

static bool is_after(sluice::deadline d, std::int64_t ns)
{
        const std::int64_t ahead = d.native() - sluice_now_ns();

        return ahead <= ns && ahead > ns - 500000000;
}

static void durations()
{
        using std::chrono::duration;
        const auto native = [](sluice::deadline d) { return d.native(); };

        CHECK(native(0s) == SLUICE_NOW && native(-1ns) == SLUICE_NOW);
        CHECK(native(std::chrono::hours::min()) == SLUICE_NOW);
        CHECK(native(std::chrono::hours::max()) == SLUICE_FOREVER);
        CHECK(native(std::chrono::nanoseconds::max()) == SLUICE_FOREVER);
        CHECK(native(std::chrono::nanoseconds::max() - 1ns) == SLUICE_FOREVER);
        CHECK(is_after(2s, 2000000000) && is_after(2000000us, 2000000000));
        CHECK(is_after(duration<double>(1.5), 1500000000));
        CHECK(is_after(duration<int, std::ratio<60>>(1), 60000000000));
        CHECK(is_after(duration<std::uint8_t>(200), 200000000000));
        CHECK(native(duration<std::uint64_t>(UINT64_MAX)) == SLUICE_FOREVER);
        CHECK(native(duration<double>(1e30)) == SLUICE_FOREVER);
        CHECK(native(duration<double>(std::numeric_limits<double>::infinity())) == SLUICE_FOREVER);
        CHECK(native(duration<double>(std::nan(""))) == SLUICE_NOW);
        CHECK(native(duration<float>(-1.0F)) == SLUICE_NOW);
        // Rounded up: not a moment too early, and never to "now".
        CHECK(sluice::detail::saturated_ns(duration<std::int64_t, std::pico>(1)) == 1);
        CHECK(sluice::detail::saturated_ns(duration<std::int64_t, std::pico>(2001)) == 3);
        CHECK(sluice::detail::saturated_ns(duration<double, std::nano>(1.25)) == 2);
        CHECK(sluice::detail::saturated_ns(duration<double, std::nano>(3.0)) == 3);
        CHECK(sluice::detail::saturated_ns(duration<int, std::ratio<1, 3>>(1)) == 333333334);
}

static void time_points()
{
        using steady = std::chrono::steady_clock;
        using system = std::chrono::system_clock;
        const auto native = [](sluice::deadline d) { return d.native(); };

        CHECK(native(steady::time_point(123456789ns)) == 123456789);
        CHECK(native(std::chrono::time_point<steady, std::chrono::milliseconds>(7ms)) == 7000000);
        CHECK(native(steady::time_point(-1ns)) == SLUICE_NOW);
        CHECK(native(steady::time_point::max()) == SLUICE_FOREVER);
        CHECK(native(steady::time_point::min()) == SLUICE_NOW);
        // The steady clock is that of deadlines.
        CHECK(std::abs(steady::now().time_since_epoch().count() - sluice_now_ns()) < 500000000);
        CHECK(is_after(system::now() + 2s, 2000000000));
        CHECK(native(system::now() - 1s) == SLUICE_NOW);
        CHECK(native(system::time_point::max()) == SLUICE_FOREVER);
        CHECK(native(system::time_point::min()) == SLUICE_NOW);
        CHECK(is_after(still::time_point(1003s), 3000000000));
        CHECK(native(still::time_point(1000s)) == SLUICE_NOW);
        CHECK(native(still::time_point(999s)) == SLUICE_NOW);
        CHECK(native(still::time_point::max() - 1ms) == SLUICE_FOREVER);
        CHECK(native(sluice::deadline(SLUICE_FOREVER)) == native(sluice::forever));
}

static std::string as_text(sluice::bytes b)
{
        return std::string(b.text());
}

static void views()
{
        const std::vector<int> numbers{1, 2, 3};
        const std::array<short, 2> pair{7, 8};
        const int one = 1;
        char array[4] = {};
        std::string text = "abc";

        CHECK(as_text("hi") == "hi" && as_text(text) == "abc");
        CHECK(as_text(std::string_view("h\0i", 3)).size() == 3);
        CHECK(sluice::bytes(numbers).size() == 3 * sizeof(int));
        CHECK(sluice::bytes(pair).as<std::array<short, 2>>() == pair);
        CHECK(sluice::bytes_of(one).as<int>() == 1);
        CHECK(!sluice::bytes_of(one).as<char>());
        CHECK(sluice::bytes().empty() && sluice::bytes().text().empty());
        CHECK(sluice::bytes("xy").end() - sluice::bytes("xy").begin() != 0);
        CHECK(*sluice::bytes("xy").begin() == std::byte{'x'});
        CHECK(sluice::mutable_bytes(array).size() == 4);
        CHECK(sluice::mutable_bytes(array).first(2).size() == 2);
        CHECK(sluice::mutable_bytes(array).first(9).size() == 4);
        CHECK(sluice::mutable_bytes(text).size() == 3);
        CHECK(!std::is_convertible_v<const std::string &, sluice::mutable_bytes>);
        CHECK(!std::is_convertible_v<std::vector<std::string>, sluice::bytes>);
        CHECK(!std::is_convertible_v<std::vector<int *>, sluice::bytes>);
#ifdef __cpp_lib_span
        const std::span<const std::byte> span = sluice::bytes("xy");
        CHECK(span.size() == 2 && sluice::bytes(span).text() == "xy");
        const std::span<std::byte> to = sluice::mutable_bytes(array);
        CHECK(to.size() == 4 && sluice::mutable_bytes(std::span<char>(array)).size() == 4);
#endif
}

static void settings()
{
        sluice::options o;

        CHECK(o.native().flags == 0 && o.native().numa_node == 0);
        CHECK(o.native().size == sizeof(sluice_options) && o.native().type_id == 0);
        CHECK(sluice::or_create.native().flags == SLUICE_CREATE);
        o.prefault = o.any_owner = o.lock = o.huge_pages = true;
        CHECK(o.native().flags ==
              (SLUICE_PREFAULT | SLUICE_ANY_OWNER | SLUICE_LOCK | SLUICE_HUGETLB));
        o.capacity = 1 << 16;
        o.mode = 0640;
        o.wake = sluice::wake::fifo;
        o.spin = sluice::spin_none;
        o.slice = 5ms;
        o.numa_node = 0;
        o.record_align = 32;
        o.payload_align = 16;
        o.first_position = 64;
        const sluice_options n = o.native();
        CHECK(n.capacity == 1 << 16 && n.mode == 0640 && n.wake == SLUICE_WAKE_FIFO);
        CHECK(n.spin_ns == SLUICE_SPIN_NONE && n.slice_ns == 5000000 && n.numa_node == 1);
        CHECK(n.record_align == 32 && n.payload_align == 16 && n.first_position == 64);
        CHECK(sluice::spin_forever.count() == SLUICE_SPIN_FOREVER);
        CHECK(std::string(sluice::version()) == SLUICE_VERSION_STRING);
        CHECK(std::string(sluice::limit()).empty());
        CHECK(std::string(sluice::queue_name(std::filesystem::path("a/b")).c_str()) == "a/b");
        CHECK_THROWS(EINVAL, sluice::create(std::string("a\0b", 3)));
}

void test_values()
{
        errors();
        durations();
        time_points();
        views();
        settings();
}

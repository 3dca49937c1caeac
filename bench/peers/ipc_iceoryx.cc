/* SPDX-License-Identifier: MIT */
/*
 * iceoryx: publisher and subscriber that block, the subscriber asleep in a
 * WaitSet. It needs its daemon, RouDi: one is started as a child the first
 * time, with its default memory pools, and ends with the benchmark. There can
 * be one on a machine: while another program, or another benchmark, has one
 * running, iceoryx is left out.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_ipc.h"

#if __has_include(<iceoryx_posh/popo/untyped_publisher.hpp>) && __has_include(<sys/acl.h>)
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/internal/roudi/roudi.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/roudi/iceoryx_roudi_components.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

struct ends {
        std::unique_ptr<iox::popo::UntypedPublisher> out;
        std::unique_ptr<iox::popo::UntypedSubscriber> in;
        std::unique_ptr<iox::popo::WaitSet<>> wait;
        unsigned serial = 0;
};

static void quiet()
{
        iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
                iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
}

/* Until the benchmark ends, however it does. */
static void daemon_serve(int ready_fd, const sigset_t &stop)
{
        iox::roudi::IceOryxRouDiComponents parts{iox::RouDiConfig_t().setDefaults()};
        iox::roudi::RouDi roudi{
                parts.rouDiMemoryManager, parts.portManager,
                iox::roudi::RouDi::RoudiStartupParameters{iox::roudi::MonitoringMode::OFF, false}};
        int sig;

        if (write(ready_fd, "", 1) == 1)
                sigwait(&stop, &sig);
}

/* Of this benchmark's sides: another one may be running, or have been killed. */
static std::string side_name(pid_t benchmark, int side)
{
        return "bench-" + std::to_string(benchmark) + "-" + std::to_string(side);
}

static void daemon_main(int ready_fd, pid_t benchmark)
{
        sigset_t stop;

        sigemptyset(&stop);
        sigaddset(&stop, SIGTERM);
        sigprocmask(SIG_BLOCK, &stop, nullptr); /* its threads inherit that */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (!freopen("/dev/null", "w", stdout) ||
            !freopen("/dev/null", "w", stderr)) /* it greets */
                _exit(1);
        quiet();
        daemon_serve(ready_fd, stop);
        for (int side = 0; side < 2; side++)
                for (const char *suffix : {"", ".lock"})
                        unlink(("/tmp/" + side_name(benchmark, side) + suffix).c_str());
        _exit(0);
}

static pid_t daemon_pid, daemon_owner;

/* A side that fails calls exit, too. */
static void daemon_stop()
{
        if (getpid() != daemon_owner)
                return;
        kill(daemon_pid, SIGTERM);
        waitpid(daemon_pid, nullptr, 0);
}

/* false: it does not start, or has not when it was tried before. */
static bool daemon_runs()
{
        static bool tried, runs;
        int pipe_ends[2];
        char byte;

        if (tried)
                return runs;
        tried = true;
        if (pipe(pipe_ends) != 0)
                bench_die("pipe");
        daemon_owner = getpid();
        daemon_pid = fork();
        if (daemon_pid == 0)
                daemon_main(pipe_ends[1], daemon_owner);
        close(pipe_ends[1]);
        runs = daemon_pid > 0 && read(pipe_ends[0], &byte, 1) == 1;
        close(pipe_ends[0]);
        if (runs)
                atexit(daemon_stop);
        else
                bench_note("left out, because its daemon did not start: iceoryx\n");
        return runs;
}

static void *start(size_t)
{
        static unsigned serial;

        if (!daemon_runs())
                return nullptr;
        auto *e = new ends;

        e->serial = serial++;
        return e;
}

static void stop(void *ctx)
{
        delete static_cast<ends *>(ctx);
}

static iox::capro::ServiceDescription service(const ends *e, int which)
{
        char text[128] = "";

        std::snprintf(text, sizeof text, "%u-%d", e->serial, which);
        return {"bench", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, text), "stream"};
}

static void begin(void *ctx, int side)
{
        auto *e = static_cast<ends *>(ctx);
        iox::popo::PublisherOptions publish;
        iox::popo::SubscriberOptions subscribe;

        quiet();
        /* The same in each trial: RouDi clears away what had that name before. */
        iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(
                iox::cxx::TruncateToCapacity, side_name(getppid(), side).c_str()));
        publish.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
        subscribe.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
        subscribe.queueCapacity = 256;
        e->out = std::make_unique<iox::popo::UntypedPublisher>(service(e, side), publish);
        e->in = std::make_unique<iox::popo::UntypedSubscriber>(service(e, 1 - side), subscribe);
        e->wait = std::make_unique<iox::popo::WaitSet<>>();
        e->wait->attachState(*e->in, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) {
                bench_die("iceoryx: WaitSet");
        });
        while (!e->out->hasSubscribers() ||
               e->in->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
                usleep(1000);
}

static void put(void *ctx, int, const void *msg, size_t len)
{
        auto *e = static_cast<ends *>(ctx);

        for (bool sent = false; !sent;)
                e->out->loan(static_cast<uint32_t>(len))
                        .and_then([&](auto &payload) {
                                std::memcpy(payload, msg, len);
                                e->out->publish(payload);
                                sent = true;
                        })
                        .or_else([](auto) { usleep(10); });
}

static void get(void *ctx, int, void *msg, size_t len)
{
        auto *e = static_cast<ends *>(ctx);

        for (bool got = false; !got;)
                e->in->take()
                        .and_then([&](const void *payload) {
                                std::memcpy(msg, payload, len);
                                e->in->release(payload);
                                got = true;
                        })
                        .or_else([&](auto) { (void)e->wait->wait(); });
}

const struct bench_ipc bench_ipc_iceoryx[] = {
        {"iceoryx", 0, start, stop, begin, nullptr, put, get, BENCH_NONE}, BENCH_IPC_END};
#else
const struct bench_ipc bench_ipc_iceoryx[] = {BENCH_IPC_END};
#endif

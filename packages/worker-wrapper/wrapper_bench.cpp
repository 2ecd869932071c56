// What a worker costs: memory of the wrapper beside its sandbox, and the time from the entry in the stream to the
// agent's start as the agent itself sees it. The floor is bubblewrap alone with /bin/true.
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "packages/worker-wrapper/harness.hpp"
#include "packages/worker-wrapper/spawn.hpp"

namespace codegen::wrapper {
namespace {

constexpr const char* kAgent = "printf %s ${EPOCHREALTIME/[.,]/}; echo";

double resident_mb(const TestWorker& worker) {
    std::ifstream status("/proc/" + std::to_string(worker.pid()) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
    return 0;
}

void entry_to_agent(benchmark::State& state, Form form) {
    TestWorker worker(form, kAgent);
    worker.start();
    int number = 0;
    for ([[maybe_unused]] auto _ : state) {
        const std::string id = "r" + std::to_string(++number);
        const auto sent = to_micros(system_now());
        worker.send(id);
        worker.expect_result(id);
        for (const auto& event : worker.events())
            if (event.request_id == id && event.kind == contracts::AgentEventKind::text)
                state.SetIterationTime(static_cast<double>(std::stoll(*event.text) - sent) / 1e6);
        worker.redis.command({"DEL", "worker:w1:events"});
    }
    if (form == Form::sandbox) state.counters["rss_MB"] = resident_mb(worker);
}

void bubblewrap_alone(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        SpawnSpec spec;
        spec.argv = {"/usr/bin/bwrap", "--unshare-all", "--ro-bind", "/",         "/",  "--proc",
                     "/proc",          "--dev",         "/dev",      "/bin/bash", "-c", ":"};
        auto pid = spawn(spec);
        if (!pid) return state.SkipWithError(pid.error().message.c_str());
        ::waitpid(*pid, nullptr, 0);
    }
}

BENCHMARK_CAPTURE(entry_to_agent, sandbox, Form::sandbox)
    ->UseManualTime()
    ->Iterations(100)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(entry_to_agent, docker, Form::docker)
    ->UseManualTime()
    ->Iterations(100)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(bubblewrap_alone)->Iterations(100)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace codegen::wrapper

// Reading one queue message of about 410 bytes, beside the floor: Boost.JSON alone, which validates nothing.
#include <benchmark/benchmark.h>

#include <boost/json.hpp>

#include "shared/contracts/contracts.hpp"

namespace {

using namespace codegen;

const std::string kMessage =
    R"({"request_id":"6f1d2c3b-4a59-4e68-8f77-1a2b3c4d5e6f","status":"success","duration_ms":183000,)"
    R"("task_id":"2f6a1c9e-8b7d-4c5e-9f3a-1b2c3d4e5f60","commit_sha":"3b18e512dba79e4c8300dd08aeb37f8e728b8dad",)"
    R"("timestamp":"2026-11-22T20:15:30.123456Z","worker_id":"dev-2f6a1c9e-1","verdict":{"status":"success",)"
    R"("summary":"Added the page and its test.","data":{}},"session_id":"5d4c3b2a-1f0e-4d9c-8b7a-6f5e4d3c2b1a"})";

void parse_and_validate(benchmark::State& state) {
    for (auto _ : state) {
        auto message = json::parse<contracts::DeveloperWorkerOutput>(kMessage);
        if (!message) state.SkipWithError("the message was refused");
        benchmark::DoNotOptimize(message);
    }
    state.SetLabel(std::to_string(kMessage.size()) + " bytes");
}
BENCHMARK(parse_and_validate);

void floor_boost_json_parse(benchmark::State& state) {
    for (auto _ : state) {
        unsigned char buffer[8192];
        boost::json::monotonic_resource memory(buffer, sizeof buffer);
        auto value = boost::json::parse(kMessage, &memory);
        benchmark::DoNotOptimize(value);
    }
}
BENCHMARK(floor_boost_json_parse);

void write_message(benchmark::State& state) {
    const auto message = *json::parse<contracts::DeveloperWorkerOutput>(kMessage);
    for (auto _ : state) benchmark::DoNotOptimize(json::write(message));
}
BENCHMARK(write_message);

}  // namespace

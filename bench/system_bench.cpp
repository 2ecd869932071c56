// The figures of the whole product, each beside its floor in the same run. Times are wall time, set by hand.
#include <benchmark/benchmark.h>

#include <boost/json.hpp>
#include <charconv>
#include <csignal>
#include <fstream>
#include <sstream>

#include "shared/base/ids.hpp"
#include "shared/base/timestamp.hpp"
#include "tests/harness/control_plane.hpp"

namespace codegen::bench {
namespace {
namespace json = boost::json;
using namespace std::chrono_literals;
using testing::ControlPlane;
using testing::eventually;
using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) {
    return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

ControlPlane& plane(const std::string& runtime) {
    static std::map<std::string, std::unique_ptr<ControlPlane>> planes;
    auto& slot = planes[runtime];
    if (!slot) slot = std::make_unique<ControlPlane>(ControlPlane::Options{.runtime = runtime});
    return *slot;
}

double resident_megabytes(int pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
    return 0;
}

// A live custom worker whose agent is `command`; created through the queue as the workflow would.
class Worker {
  public:
    Worker(ControlPlane& control, json::array command) : control_(control) {
        const json::object create{{"command", "create"},
                                  {"request_id", new_uuid()},
                                  {"callback_stream", answers_},
                                  {"config",
                                   {{"name", name_},
                                    {"worker_type", "developer"},
                                    {"agent_type", "custom"},
                                    {"instructions", ""},
                                    {"allowed_commands", json::array{"result"}},
                                    {"capabilities", json::array{"git"}},
                                    {"env_vars", json::object{}},
                                    {"command", std::move(command)}}},
                                  {"context", {{"user_id", "1"}}}};
        const auto start = SteadyClock::now();
        control_.redis({"XADD", "worker:commands", "*", "data", json::serialize(create)});
        // `started` is published when the wrapper can read its input.
        std::string last = "0";
        for (bool started = false; !started;) {
            const auto reply = control_.redis({"XRANGE", "worker:lifecycle", "(" + last, "+"});
            for (const auto& entry : redis::parse_entries(reply, "worker:lifecycle")) {
                last = entry.id;
                started |= entry.field("data")->contains(name_) && entry.field("data")->contains("started");
            }
            if (seconds_since(start) > 120) throw std::runtime_error("worker did not start: " + control_.log());
        }
        start_seconds = seconds_since(start);
        eventually("the create is answered", [&] { return !control_.stream(answers_).empty(); });
    }
    ~Worker() {
        const json::object remove{{"command", "delete"}, {"request_id", new_uuid()}, {"worker_id", name_}};
        control_.redis({"XADD", "worker:commands", "*", "data", json::serialize(remove)});
        eventually(
            "the worker is gone",
            [&] { return control_.redis({"HGET", "worker:status:" + name_, "status"}).text == "STOPPED"; }, 60s);
        control_.redis({"DEL", answers_});
    }
    void input(const std::string& prompt) {
        const json::object message{
            {"request_id", new_uuid()}, {"task_id", new_uuid()}, {"project_id", new_uuid()}, {"prompt", prompt}};
        control_.redis({"XADD", "worker:" + name_ + ":input", "*", "data", json::serialize(message)});
    }
    const std::string& name() const { return name_; }
    double start_seconds = 0;

  private:
    ControlPlane& control_;
    const std::string name_ = "bench-" + random_token(4);
    const std::string answers_ = "bench:" + name_;
};

void command_line_project_list(benchmark::State& state) {
    auto& control = plane("sandbox");
    for (auto _ : state) {
        const auto start = SteadyClock::now();
        control.orchestrator({"project", "list"});
        state.SetIterationTime(seconds_since(start));
    }
}
BENCHMARK(command_line_project_list)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(50);

void floor_spawn_true(benchmark::State& state) {
    auto& control = plane("sandbox");
    for (auto _ : state) {
        const auto start = SteadyClock::now();
        control.run({"/bin/true"});
        state.SetIterationTime(seconds_since(start));
    }
}
BENCHMARK(floor_spawn_true)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(50);

void create_to_started(benchmark::State& state, const std::string& runtime) {
    auto& control = plane(runtime);
    Worker warm(control, {"/bin/true"});  // the image is there
    for (auto _ : state) {
        Worker worker(control, {"/bin/true"});
        state.SetIterationTime(worker.start_seconds);
    }
}
BENCHMARK_CAPTURE(create_to_started, sandbox, "sandbox")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(10);
BENCHMARK_CAPTURE(create_to_started, docker, "docker")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(10);

void floor_docker_run(benchmark::State& state) {
    auto& control = plane("docker");
    Worker warm(control, {"/bin/true"});
    const auto image = control.redis({"HGET", "worker:status:" + warm.name(), "image"}).text;
    for (auto _ : state) {
        const auto start = SteadyClock::now();
        if (control.run({"docker", "run", "--rm", "--network", "none", "--entrypoint", "true", image}).exit_code != 0)
            state.SkipWithError("docker run failed");
        state.SetIterationTime(seconds_since(start));
    }
}
BENCHMARK(floor_docker_run)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(10);

// From XADD to the agent's own first look at the clock.
void input_to_agent(benchmark::State& state, const std::string& runtime) {
    auto& control = plane(runtime);
    Worker worker(control, {"/usr/bin/date", "+%s%N"});
    const auto stream = "worker:" + worker.name() + ":events";
    const auto output = "worker:" + worker.name() + ":output";
    std::size_t done = 0;
    std::size_t seen = 0;
    for (auto _ : state) {
        const auto start =
            std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
                .count();
        worker.input("now");
        ++done;
        eventually("a result", [&] { return control.stream(output).size() >= done; });
        std::int64_t agent = 0;
        const auto events = control.stream(stream);
        for (; seen < events.size(); ++seen) {
            const auto event = json::parse(*events[seen].field("data"));
            const auto* text = event.as_object().if_contains("text");
            if (!text || !text->is_string()) continue;
            const std::string_view digits(text->as_string().data(), text->as_string().size());
            std::int64_t value = 0;
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
            if (value > 1'000'000'000'000'000'000) agent = value;
        }
        if (agent == 0) state.SkipWithError("the agent's time was not seen");
        state.SetIterationTime(static_cast<double>(agent - start) / 1e9);
    }
    for (int pid : testing::processes_with("worker-wrapper"))
        if (resident_megabytes(pid) > 0) {
            state.counters["wrapper_rss_mb"] = resident_megabytes(pid);
            break;
        }
}
BENCHMARK_CAPTURE(input_to_agent, sandbox, "sandbox")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(30);
BENCHMARK_CAPTURE(input_to_agent, docker, "docker")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(30);

void killed_body_to_failure_on_the_stream(benchmark::State& state, const std::string& runtime) {
    auto& control = plane(runtime);
    for (auto _ : state) {
        Worker worker(control, {"/bin/sleep", "1000"});
        worker.input("sleep");
        eventually("the agent runs", [&] {
            return !control.stream("worker:" + worker.name() + ":events").empty() ||
                   !testing::processes_with("/bin/sleep 1000").empty();
        });
        const auto before = control.stream("worker:developer:output").size();
        control.kill_body(worker.name());
        const auto start = SteadyClock::now();
        while (control.stream("worker:developer:output").size() == before && seconds_since(start) < 10) {
        }
        state.SetIterationTime(seconds_since(start));
    }
}
BENCHMARK_CAPTURE(killed_body_to_failure_on_the_stream, sandbox, "sandbox")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(10);
BENCHMARK_CAPTURE(killed_body_to_failure_on_the_stream, docker, "docker")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(10);

void idle_memory(benchmark::State& state) {
    auto& control = plane("sandbox");
    for (auto _ : state) state.SetIterationTime(0.001);
    state.counters["orchestratord_rss_mb"] = resident_megabytes(control.pid());
}
BENCHMARK(idle_memory)->UseManualTime()->Iterations(1);

}  // namespace
}  // namespace codegen::bench

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

// Ended by main(), before the statics that a control plane uses go.
std::map<std::string, std::unique_ptr<ControlPlane>>& planes() {
    static std::map<std::string, std::unique_ptr<ControlPlane>> all;
    return all;
}

constexpr int kCrowd = 50;

// `kind`: a runtime; "warm": Docker with prepared workers; "sleepy RUNTIME": idle workers are paused at once; "crowd":
// a sandbox with room for many.
ControlPlane::Options options_of(const std::string& kind) {
    constexpr std::string_view kSleepy = "sleepy ";
    if (kind == "warm") return {.runtime = "docker", .environment = {{"WARM_POOL", "1"}}};
    if (kind.starts_with(kSleepy))
        return {.runtime = kind.substr(kSleepy.size()), .environment = {{"WORKER_IDLE_PAUSE", "1"}}};
    if (kind == "crowd")
        return {.runtime = "sandbox",
                .environment = {{"MAX_CONCURRENT_WORKERS", std::to_string(kCrowd + 1)},
                                {"WORKER_MEMORY_LIMIT", "64m"},
                                {"WORKER_MEMORY_CHECK", "off"}}};
    return {.runtime = kind};
}

ControlPlane& plane(const std::string& kind) {
    auto& slot = planes()[kind];
    if (!slot) slot = std::make_unique<ControlPlane>(options_of(kind));
    return *slot;
}

void wait_for_prepared(ControlPlane& control) {
    const auto id = control.installation();
    eventually(
        "a worker is prepared",
        [&] {
            return !control
                        .run({"docker", "ps", "-q", "--filter", "label=codegen.installation=" + id, "--filter",
                              "name=^worker-prepared-"})
                        .output.empty();
        },
        60s);
}

void report_percentiles(benchmark::State& state, std::vector<double> seconds) {
    if (seconds.empty()) return;
    std::ranges::sort(seconds);
    const auto at = [&](double part) {
        return 1000 * seconds[static_cast<std::size_t>(part * static_cast<double>(seconds.size() - 1))];
    };
    state.counters["p50_ms"] = at(0.5);
    state.counters["p99_ms"] = at(0.99);
    state.counters["max_ms"] = at(1);
}

double resident_megabytes(int pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
    return 0;
}

// The entries after `last`, once there are some: asked once, so that looking does not slow down what is looked at.
std::vector<redis::StreamEntry> next_entries(ControlPlane& control, const std::string& stream,
                                             const std::string& last) {
    const auto reply = control.redis({"XREAD", "BLOCK", "4000", "STREAMS", stream, last});
    return redis::parse_xread(reply);
}

// A live custom worker whose agent is `command`; created through the queue as the workflow would.
class Worker {
  public:
    Worker(ControlPlane& control, json::array command, const std::string& prompt = {},
           const std::string& type = "developer")
        : control_(control) {
        const json::object create{{"command", "create"},
                                  {"request_id", new_uuid()},
                                  {"callback_stream", answers_},
                                  {"config",
                                   {{"name", name_},
                                    {"worker_type", type},
                                    {"agent_type", "custom"},
                                    {"instructions", ""},
                                    {"allowed_commands", json::array{"result"}},
                                    {"capabilities", json::array{"git"}},
                                    {"env_vars", json::object{}},
                                    {"command", std::move(command)}}},
                                  {"context", {{"user_id", "1"}}}};
        const auto start = SteadyClock::now();
        if (!prompt.empty()) input(prompt);
        control_.redis({"XADD", "worker:commands", "*", "data", json::serialize(create)});
        // `started` is published when the wrapper can read its input.
        std::string last = "0";
        for (bool started = false; !started;) {
            for (const auto& entry : next_entries(control_, "worker:lifecycle", last)) {
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
    // As a person's message to a Product Owner.
    void say(const std::string& prompt) {
        const json::object message{{"request_id", new_uuid()}, {"user_id", 1}, {"prompt", prompt}};
        control_.redis({"XADD", "worker:po:" + name_ + ":input", "*", "data", json::serialize(message)});
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
    std::vector<double> all;
    for (auto _ : state) {
        if (runtime == "warm") wait_for_prepared(control);
        Worker worker(control, {"/bin/true"});
        all.push_back(worker.start_seconds);
        state.SetIterationTime(all.back());
    }
    report_percentiles(state, std::move(all));
}
BENCHMARK_CAPTURE(create_to_started, sandbox, "sandbox")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(10);
BENCHMARK_CAPTURE(create_to_started, docker, "docker")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(10);
BENCHMARK_CAPTURE(create_to_started, docker_warm, "warm")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(10);

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

std::int64_t nanoseconds_now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// What the last of `runs` runs of `date +%s%N` said, once it has ended.
std::int64_t agents_time(ControlPlane& control, const std::string& worker, std::size_t runs) {
    const auto output = "worker:" + worker + ":output";
    std::size_t seen = 0;
    for (std::string last = "0"; seen < runs;) {
        const auto entries = next_entries(control, output, last);
        if (entries.empty()) throw std::runtime_error("no result on " + output + ": " + control.log());
        seen += entries.size();
        last = entries.back().id;
    }
    std::int64_t time = 0;
    for (const auto& entry : control.stream("worker:" + worker + ":events")) {
        const auto event = json::parse(*entry.field("data"));
        const auto* text = event.as_object().if_contains("text");
        if (!text || !text->is_string()) continue;
        std::int64_t value = 0;
        std::from_chars(text->as_string().data(), text->as_string().data() + text->as_string().size(), value);
        if (value > 1'000'000'000'000'000'000) time = value;
    }
    return time;
}

// From XADD to the agent's own first look at the clock.
void input_to_agent(benchmark::State& state, const std::string& runtime) {
    auto& control = plane(runtime);
    Worker worker(control, {"/usr/bin/date", "+%s%N"});
    std::size_t runs = 0;
    std::vector<double> all;
    for (auto _ : state) {
        const auto start = nanoseconds_now();
        worker.input("now");
        all.push_back(static_cast<double>(agents_time(control, worker.name(), ++runs) - start) / 1e9);
        state.SetIterationTime(all.back());
    }
    report_percentiles(state, std::move(all));
    const auto wrappers = testing::processes_with("worker-wrapper");
    const int wrapper = runtime == "docker" ? wrappers.at(0) : std::stoi(control.body_id(worker.name()));
    state.counters["wrapper_rss_mb"] = resident_megabytes(wrapper);
}
BENCHMARK_CAPTURE(input_to_agent, sandbox, "sandbox")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(30);
BENCHMARK_CAPTURE(input_to_agent, docker, "docker")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(30);

// From XADD to the agent's own first look at the clock, of a worker that was paused.
void paused_to_agent(benchmark::State& state, const std::string& runtime) {
    auto& control = plane("sleepy " + runtime);
    Worker worker(control, {"/usr/bin/date", "+%s%N"}, {}, "po");
    const auto output = "worker:po:" + worker.name() + ":output";
    std::size_t answers = 0;
    std::vector<double> all;
    for (auto _ : state) {
        const bool paused = eventually(
            "it is paused",
            [&] { return control.redis({"HGET", "worker:status:" + worker.name(), "status"}).text == "PAUSED"; }, 60s);
        const auto start = nanoseconds_now();
        worker.say("now");
        const bool answered = eventually("an answer", [&] { return control.stream(output).size() > answers; });
        if (!paused || !answered) {
            state.SkipWithError("it was not paused, or did not wake");
            break;
        }
        const auto answer = json::parse(*control.stream(output).at(answers++).field("data"));
        const auto& text = answer.at("text").as_string();
        std::int64_t looked = 0;
        std::from_chars(text.data(), text.data() + text.size(), looked);
        all.push_back(static_cast<double>(looked - start) / 1e9);
        state.SetIterationTime(all.back());
    }
    report_percentiles(state, std::move(all));
}
// Once: it takes longer to fall asleep than to wake.
BENCHMARK_CAPTURE(paused_to_agent, sandbox, "sandbox")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(50)
    ->Repetitions(1);
BENCHMARK_CAPTURE(paused_to_agent, docker, "docker")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(50)
    ->Repetitions(1);

// The input stands in its stream before the worker does.
void create_to_agent(benchmark::State& state, const std::string& runtime) {
    auto& control = plane(runtime);
    if (runtime == "warm") {
        const Worker first(control, {"/bin/true"});  // its kind is prepared from now on
    }
    std::vector<double> all;
    for (auto _ : state) {
        if (runtime == "warm") wait_for_prepared(control);
        const auto start = nanoseconds_now();
        Worker worker(control, {"/usr/bin/date", "+%s%N"}, "now");
        all.push_back(static_cast<double>(agents_time(control, worker.name(), 1) - start) / 1e9);
        state.SetIterationTime(all.back());
    }
    report_percentiles(state, std::move(all));
}
BENCHMARK_CAPTURE(create_to_agent, sandbox, "sandbox")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(20);
BENCHMARK_CAPTURE(create_to_agent, docker, "docker")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(20);
BENCHMARK_CAPTURE(create_to_agent, docker_warm, "warm")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(20);

std::int64_t milliseconds_of(const redis::StreamEntry& entry) {
    return std::stoll(entry.id.substr(0, entry.id.find('-')));
}

// When the body died: Docker: by the engine's own event; sandbox: when its wrapper got SIGKILL. In milliseconds.
std::int64_t kill_worker(ControlPlane& control, const std::string& runtime, const std::string& name) {
    const auto now = [] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::system_clock::now().time_since_epoch())
            .count();
    };
    const auto before = now();
    control.kill_body(name);
    if (runtime != "docker") return before;
    std::int64_t died = 0;
    eventually("the engine tells of the death", [&] {
        const auto events = control.run({"docker", "events", "--since", std::to_string(before / 1000), "--until",
                                         std::to_string(now() / 1000 + 1), "--filter", "event=die", "--filter",
                                         "container=worker-" + name, "--format", "{{.TimeNano}}"});
        died = std::strtoll(events.output.c_str(), nullptr, 10) / 1'000'000;
        return died > 0;
    });
    return died;
}

// To the entry's own time, which Redis set: resolution 1 ms.
void killed_body_to_failure_on_the_stream(benchmark::State& state, const std::string& runtime) {
    auto& control = plane(runtime);
    std::vector<double> all;
    for (auto _ : state) {
        Worker worker(control, {"/bin/sleep", "1000"});
        worker.input("sleep");
        eventually("the agent runs", [&] { return !control.stream("worker:" + worker.name() + ":events").empty(); });
        const auto before = control.stream("worker:developer:output").size();
        const auto died = kill_worker(control, runtime, worker.name());
        eventually("the failure is told", [&] { return control.stream("worker:developer:output").size() > before; });
        const auto told = milliseconds_of(control.stream("worker:developer:output")[before]);
        all.push_back(static_cast<double>(told - died) / 1000);
        state.SetIterationTime(std::max(all.back(), 1e-6));
    }
    report_percentiles(state, std::move(all));
}
BENCHMARK_CAPTURE(killed_body_to_failure_on_the_stream, sandbox, "sandbox")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(30);
BENCHMARK_CAPTURE(killed_body_to_failure_on_the_stream, docker, "docker")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(30);

void idle_memory(benchmark::State& state) {
    auto& control = plane("sandbox");
    for (auto _ : state) state.SetIterationTime(0.001);
    state.counters["orchestratord_rss_mb"] = resident_megabytes(control.pid());
}
BENCHMARK(idle_memory)->UseManualTime()->Iterations(1);

void memory_with_idle_workers(benchmark::State& state) {
    auto& control = plane("crowd");
    {
        const Worker first(control, {"/bin/true"});  // what is made once is there
    }
    const auto none = resident_megabytes(control.pid());
    std::vector<std::unique_ptr<Worker>> workers;
    for (auto _ : state) {
        const auto start = SteadyClock::now();
        while (workers.size() < kCrowd) workers.push_back(std::make_unique<Worker>(control, json::array{"/bin/true"}));
        state.SetIterationTime(seconds_since(start));
    }
    const auto many = resident_megabytes(control.pid());
    state.counters["orchestratord_rss_mb"] = many;
    state.counters["without_workers_mb"] = none;
    state.counters["kb_a_worker"] = (many - none) * 1024 / kCrowd;
}
BENCHMARK(memory_with_idle_workers)->UseManualTime()->Iterations(1)->Repetitions(1);

}  // namespace
}  // namespace codegen::bench

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    codegen::bench::planes().clear();
    return 0;
}

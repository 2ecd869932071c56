// Many of everything, and kills at random moments; `make soak` runs the same with larger figures. All by environment:
// SOAK_CYCLES, SOAK_WORKERS, SOAK_TASKS, SOAK_KILLS, SOAK_SEED (printed; the same seed draws the same moments).
#include <gtest/gtest.h>
#include <poll.h>

#include <charconv>
#include <fstream>
#include <random>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/history.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;

long setting(const char* name, long fallback) {
    const char* text = std::getenv(name);
    return text && *text ? std::stol(text) : fallback;
}

double resident_megabytes(int pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
    return 0;
}

class Soak : public OnEachRuntime {
  protected:
    static json::object create(const std::string& name) {
        return {{"command", "create"},
                {"request_id", new_uuid()},
                {"callback_stream", "soak:answers"},
                {"config",
                 {{"name", name},
                  {"worker_type", "developer"},
                  {"agent_type", "custom"},
                  {"instructions", ""},
                  {"allowed_commands", json::array{"result"}},
                  {"capabilities", json::array{"git"}},
                  {"env_vars", json::object{}},
                  {"command", json::array{"/bin/true"}}}},
                {"context", {{"user_id", "1"}}}};
    }
    // Sends and waits for its answer, which must be success.
    static void ask(ControlPlane& plane, const json::object& command) {
        plane.redis({"XADD", "worker:commands", "*", "data", json::serialize(command)});
        const std::string id = command.at("request_id").as_string().c_str();
        json::object found;
        ASSERT_TRUE(eventually(
            "an answer to " + json::serialize(command),
            [&] {
                for (const auto& entry : plane.stream("soak:answers")) {
                    auto answer = json::parse(*entry.field("data")).as_object();
                    if (answer.at("request_id").as_string() == id) found = std::move(answer);
                }
                return !found.empty();
            },
            120s));
        EXPECT_TRUE(found.at("success").as_bool()) << json::serialize(found);
        plane.redis({"DEL", "soak:answers"});
    }
    static std::vector<std::string> start_tasks(ControlPlane& plane, long count, const std::string& command) {
        const auto project = plane.create_project("soak");
        std::vector<std::string> tasks;
        for (long i = 0; i < count; ++i) tasks.push_back(plane.start_task(project, command));
        return tasks;
    }
    static long finished(ControlPlane& plane, const std::vector<std::string>& tasks) {
        return std::ranges::count_if(tasks, [&](const auto& id) {
            const std::string status = plane.task(id).at("status").as_string().c_str();
            return status != "queued" && status != "running";
        });
    }
};

TEST_P(Soak, CyclesOfCreateAndDeleteLeaveNothing) {
    const long cycles = setting("SOAK_CYCLES", 20);
    ControlPlane plane({.runtime = runtime()});
    const auto cycle = [&](long i) {
        const auto name = "soak-" + std::to_string(i);
        ask(plane, create(name));
        if (runtime() == "docker" && i == 0)
            EXPECT_FALSE(plane.run({"docker", "inspect", "-f", "{{range .Mounts}}{{.Type}} {{end}}", "worker-" + name})
                             .output.contains("volume"));
        ask(plane, {{"command", "delete"},
                    {"request_id", new_uuid()},
                    {"callback_stream", "soak:answers"},
                    {"worker_id", name}});
    };
    // The first ones fill caches and the allocator's arenas.
    const long warm = std::max(5l, cycles / 4);
    for (long i = 0; i < warm; ++i) cycle(i);
    const auto before = resident_megabytes(plane.pid());
    for (long i = warm; i < warm + cycles; ++i) cycle(i);
    const auto after = resident_megabytes(plane.pid());
    std::printf("%s: %ld cycles, RSS %.1f MB -> %.1f MB\n", runtime().c_str(), cycles, before, after);
    EXPECT_LT(after - before, 2.0) << "MB";
    check_history(plane, {}, 0);
    // Evidence is kept on purpose, within limits of its own.
    for (const auto& entry : fs::recursive_directory_iterator(plane.state()))
        if (!entry.path().string().starts_with((plane.state() / "evidence").string()))
            EXPECT_FALSE(entry.path().filename().string().starts_with("soak-")) << entry.path();
}

TEST_P(Soak, ManyWorkersAtOnceLoseNoResult) {
    const long workers = setting("SOAK_WORKERS", 10);
    ControlPlane plane(
        {.runtime = runtime(),
         .environment = {{"MAX_CONCURRENT_WORKERS", std::to_string(workers)}, {"WORKER_MEMORY_LIMIT", "64m"}}});
    // Each agent waits until all are there: they really live at the same time.
    const auto tasks = start_tasks(plane, workers, kWaitForGo + "echo $TASK_ID > x; " + kCommitAndReport);
    std::vector<std::string> names;
    for (const auto& id : tasks) names.push_back("dev-" + id + "-1");
    eventually(
        "all live at once",
        [&] {
            return std::ranges::all_of(names, [&](const auto& name) {
                return plane.redis({"HGET", "worker:status:" + name, "status"}).text == "RUNNING";
            });
        },
        std::chrono::seconds(60 + 5 * workers));
    std::printf("%s: %ld workers, RSS of the control plane %.1f MB\n", runtime().c_str(), workers,
                resident_megabytes(plane.pid()));
    for (const auto& name : names) std::ofstream(plane.worker_directory(name) / "workspace" / "go") << "go";
    for (const auto& id : tasks) {
        const auto record = plane.wait_for_end(id, std::chrono::seconds(60 + 5 * workers));
        EXPECT_EQ(record.at("status").as_string(), "completed") << json::serialize(record);
        EXPECT_EQ(plane.api("/api/task-executions?task_id=" + id).as_array().size(), 1u);
    }
    check_history(plane, tasks, 0);
}

TEST_P(Soak, TheControlPlaneIsKilledAtRandomMoments) {
    const long count = setting("SOAK_TASKS", 10);
    const long kills = setting("SOAK_KILLS", 3);
    const auto seed = static_cast<std::uint32_t>(setting("SOAK_SEED", ::getpid()));
    std::printf("SOAK_SEED=%u\n", seed);
    std::mt19937 random(seed);
    ControlPlane plane({.runtime = runtime(), .environment = {{"WORKER_MEMORY_LIMIT", "64m"}}});
    const auto tasks = start_tasks(plane, count, "sleep 0.$((RANDOM % 9)); echo x > x; " + kCommitAndReport);
    for (long i = 0; i < kills; ++i) {
        // Spread over the run: the next one after its share of the tasks, and a random moment later.
        eventually(
            "tasks go on", [&] { return finished(plane, tasks) >= i * count / kills; },
            std::chrono::seconds(120 + 3 * count));
        ::poll(nullptr, 0, static_cast<int>(random() % 1000));
        plane.kill_hard();
        plane.start();
    }
    for (const auto& id : tasks) {
        const auto record = plane.wait_for_end(id, std::chrono::seconds(120 + 3 * count));
        EXPECT_EQ(record.at("status").as_string(), "completed") << json::serialize(record);
    }
    check_history(plane, tasks, static_cast<int>(kills));
}

CODEGEN_ON_EACH_RUNTIME(Soak);

}  // namespace
}  // namespace codegen::testing

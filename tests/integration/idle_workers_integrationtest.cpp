// Many idle workers at once in the sandbox: all start, stay small, still do their work, and leave nothing.
// CODEGEN_IDLE_WORKERS says how many (default 20; `make soak`: 500); the figures are printed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "shared/base/ids.hpp"
#include "shared/process/tree.hpp"
#include "tests/harness/control_plane.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

// The number behind `name` in lines of "name number kB".
std::int64_t kilobytes(const fs::path& file, std::string_view name) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(name)) return std::atoll(line.c_str() + name.size());
    return 0;
}

std::int64_t proportional_kilobytes(int pid) { return kilobytes(fmt::format("/proc/{}/smaps_rollup", pid), "Pss:"); }

int open_files(int pid) {
    std::error_code error;
    int count = 0;
    for (auto it = fs::directory_iterator(fmt::format("/proc/{}/fd", pid), error); !error && it != fs::end(it);
         it.increment(error))
        ++count;
    return count;
}

// The control plane is started with few open files allowed, as many shells have it, and must help itself.
class FewOpenFiles {
  public:
    FewOpenFiles() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit few{128, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &few);
    }
    ~FewOpenFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    FewOpenFiles(const FewOpenFiles&) = delete;

  private:
    rlimit before_{};
};

TEST(IdleWorkers, AllStartStaySmallDoTheirWorkAndLeaveNothing) {
    const char* wanted = std::getenv("CODEGEN_IDLE_WORKERS");
    const int count = wanted ? std::max(1, std::atoi(wanted)) : 20;
    const auto limit = 30s + std::chrono::milliseconds(500) * count;
    const FewOpenFiles few;
    ControlPlane plane({.runtime = "sandbox",
                        .environment = {{"MAX_CONCURRENT_WORKERS", std::to_string(count)},
                                        {"WORKER_CREATION_TIMEOUT", "3600"},
                                        {"WORKER_MEMORY_LIMIT", "256m"}}});
    const auto name = [](int i) { return fmt::format("idle-{}", i); };
    const auto say = [&](boost::json::object message) {
        message["request_id"] = new_uuid();
        plane.redis({"XADD", "worker:commands", "*", "data", boost::json::serialize(message)});
    };
    const auto all = [&](const std::function<bool(const std::string&)>& condition) {
        for (int i = 0; i < count; ++i)
            if (!condition(name(i))) return false;
        return true;
    };
    const auto before = kilobytes(fmt::format("/proc/{}/status", plane.pid()), "VmRSS:");
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i)
        say({{"command", "create"},
             {"config",
              {{"name", name(i)},
               {"worker_type", "developer"},
               {"agent_type", "custom"},
               {"instructions", ""},
               {"allowed_commands", boost::json::array{"result"}},
               {"capabilities", boost::json::array{"git"}},
               {"env_vars", boost::json::object{}},
               {"pool", false},
               {"command",
                boost::json::array{"/bin/sh", "-c",
                                   "cat >/dev/null; orchestrator result --status success --summary awake"}}}},
             {"context", {{"user_id", "1"}}}});
    ASSERT_TRUE(eventually(
        "every worker gives signs of life",
        [&] {
            return all([&](const std::string& id) {
                return plane.redis({"HGET", "worker:status:" + id, "status"}).text == "RUNNING" &&
                       plane.redis({"EXISTS", "worker:heartbeat:" + id}).integer == 1;
            });
        },
        limit));
    const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();

    // wrapper, and the bubblewrap with its init that waits for the next request
    std::int64_t sum = 0;
    std::int64_t largest = 0;
    std::size_t processes = 0;
    const auto table = process::list_processes();
    for (int i = 0; i < count; ++i) {
        const int wrapper = std::stoi(plane.body_id(name(i)));
        std::int64_t of_worker = proportional_kilobytes(wrapper);
        const auto members = process::tree_members(table, wrapper, process::read_process(wrapper)->started);
        for (const auto& member : members) of_worker += proportional_kilobytes(member.pid);
        processes += 1 + members.size();
        sum += of_worker;
        largest = std::max(largest, of_worker);
    }
    const auto control = kilobytes(fmt::format("/proc/{}/status", plane.pid()), "VmRSS:");
    std::printf(
        "%d idle workers in %.1f s: PSS %lld kB each on average, %lld kB the largest, %zu processes; orchestratord: "
        "%lld kB "
        "resident (%lld kB for each worker), %d open files\n",
        count, took, static_cast<long long>(sum / count), static_cast<long long>(largest), processes,
        static_cast<long long>(control), static_cast<long long>((control - before) / count), open_files(plane.pid()));
    EXPECT_GT(sum, 0);
    EXPECT_LT(sum / count, 4096) << "an idle worker takes a few megabytes at most";

    for (int i = 0; i < count; i += std::max(1, count / 10))
        plane.redis({"XADD", "worker:" + name(i) + ":input", "*", "data",
                     boost::json::serialize(boost::json::object{{"request_id", new_uuid()},
                                                                {"task_id", new_uuid()},
                                                                {"project_id", new_uuid()},
                                                                {"prompt", "wake up"}})});
    for (int i = 0; i < count; i += std::max(1, count / 10))
        eventually(
            name(i) + " does its work",
            [&] {
                const auto outputs = plane.stream("worker:" + name(i) + ":output");
                return !outputs.empty() && outputs[0].field("data")->contains("awake");
            },
            60s);

    for (int i = 0; i < count; ++i) say({{"command", "delete"}, {"worker_id", name(i)}});
    eventually(
        "every worker is deleted",
        [&] {
            return all([&](const std::string& id) {
                return plane.redis({"HGET", "worker:status:" + id, "status"}).text == "STOPPED";
            });
        },
        limit);
    EXPECT_TRUE(fs::is_empty(plane.state() / "workers"));
    eventually("no process of a worker is left",
               [&] { return processes_with(plane.state().string() + "/workers/").empty(); });
    plane.stop();
}

}  // namespace
}  // namespace codegen::testing

// `orchestrator project list`: wall time of the whole process, fork to exit, against an API on a unix socket. The floor
// beside it: /bin/true started the same way.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <thread>

#include "services/api/service.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::cli {
namespace {

// The exit status, or -1.
int spawn_and_wait(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> env;
    for (const auto& variable : environment) env.push_back(const_cast<char*>(variable.c_str()));
    env.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    const int failed = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), env.data());
    posix_spawn_file_actions_destroy(&actions);
    int status = -1;
    if (failed == 0) ::waitpid(pid, &status, 0);
    return status;
}

// The API on a thread of its own.
class ApiThread {
  public:
    ApiThread() {
        database_ = std::move(storage::open_sqlite(directory_ / "codegen.db").value());
        api_ = std::make_unique<api::Service>(*database_, api::Options{.state_directory = directory_.path()});
        codegen::testing::run(io_, api_->bootstrap()).value();
        server_ = std::make_unique<http::Server>(io_.get_executor(), api_->handler(), api_->server_options());
        server_->listen_unix(directory_ / "api.sock", 0600).value();
        io_.restart();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~ApiThread() {
        io_.stop();
        thread_.join();
    }
    std::string state() const { return directory_.path().string(); }

  private:
    asio::io_context io_{1};
    codegen::testing::TempDirectory directory_;
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<api::Service> api_;
    std::unique_ptr<http::Server> server_;
    std::thread thread_;
};

// Beside the benchmark in the build tree: build/benchmarks/, build/bin/.
std::string program() {
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin/orchestrator").string();
}

void project_list(benchmark::State& state) {
    ApiThread api;
    const std::vector<std::string> arguments{program(), "project", "list"};
    const std::vector<std::string> environment{"CODEGEN_STATE_DIR=" + api.state()};
    for (auto _ : state)
        if (spawn_and_wait(arguments, environment) != 0) return state.SkipWithError("project list failed");
}
BENCHMARK(project_list)->Unit(benchmark::kMillisecond)->UseRealTime();

void floor_true(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(spawn_and_wait({"/bin/true"}, {}));
}
BENCHMARK(floor_true)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace codegen::cli

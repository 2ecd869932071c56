// worker-wrapper: see usage() below. One process a worker; `launch` and `init` are what it starts itself as.
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "packages/worker-wrapper/config_wait.hpp"
#include "packages/worker-wrapper/launch_plan.hpp"
#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/privileges.hpp"
#include "packages/worker-wrapper/wrapper.hpp"
#include "shared/posix/file.hpp"

namespace {

using namespace codegen;

enum Exit { kStopped = 0, kUsage = 2, kConfiguration = 3, kEnvironment = 4 };

constexpr std::size_t kLargestConfig = 16u << 20;

constexpr std::string_view kHelp = R"(worker-wrapper - runs one worker of the Codegen Orchestrator

usage:
  worker-wrapper                        run the worker that WRAPPER_CONFIG describes
  worker-wrapper wait                   the same, once that file is there: a prepared worker
  worker-wrapper init CONTROL REPORT    PID 1 inside a sandbox (started by the worker-wrapper outside);
  worker-wrapper launch PLAN REPORT     with the agent's uid in a container (the same): numbers of inherited
                                        descriptors
  worker-wrapper --version | --help

Without "sandbox" in its configuration it must be PID 1 of a container: uid 0, capabilities SETUID and SETGID. With
"sandbox" it runs on the host and starts one bubblewrap for each run of the agent.

environment:
  WRAPPER_CONFIG   path of the configuration (shared/contracts/wrapper_config.hpp), written by the worker-manager

signals:
  TERM, INT, HUP   stop the agent (SIGTERM, SIGKILL after kill_grace_ms), keep and publish the result `cancelled` of a
                   run in flight, publish `stopped`, exit 0. 143 is seen only when it is killed before it could start.

exit codes:
  0 stopped as told   2 wrong usage   3 the configuration is missing or wrong
  4 the environment does not allow it (not PID 1, no agent.sock, no loopback port)
  init, launch: that of the agent, 128 + signal; 126: it could not be started

logs: JSON lines on stderr
)";

int wrong_usage(const std::string& why) {
    std::fprintf(stderr, "worker-wrapper: %s; see worker-wrapper --help\n", why.c_str());
    return kUsage;
}

int run_worker(bool wait) {
    const char* path = std::getenv("WRAPPER_CONFIG");
    auto stop = [](int code, const Error& error) {
        wrapper::log("critical", error.message, {{"exit_code", code}});
        return code;
    };
    if (path == nullptr || *path == '\0')
        return stop(
            kConfiguration,
            {ErrorCategory::fatal, "invalid", "WRAPPER_CONFIG is not set, expected the path of config.json", {}});
    if (wait) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        auto there = wrapper::wait_for_config(path);
        if (!there) return stop(kEnvironment, there.error());
        if (!*there) return kStopped;
    }
    auto text = posix::read_file(path, kLargestConfig);
    if (!text) return stop(kConfiguration, in_context(text.error(), "WRAPPER_CONFIG"));
    auto config = json::parse<contracts::WrapperConfig>(*text);
    if (!config) return stop(kConfiguration, in_context(invalid(config.error()), path));
    wrapper::set_log_worker(config->worker_id);
    wrapper::keep_log(std::filesystem::path(config->state_directory) / "wrapper.log",
                      static_cast<std::size_t>(config->record_limit));
    if (auto checked = wrapper::check_config(*config); !checked)
        return stop(kConfiguration, in_context(checked.error(), path));
    if (auto restricted = wrapper::restrict_process(*config); !restricted)
        return stop(kEnvironment, restricted.error());
    std::signal(SIGPIPE, SIG_IGN);  // an agent may close its stdin; spawn() gives children the default back
    std::error_code ignored;
    const std::string own_program = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
    wrapper::Loop loop;
    wrapper::Wrapper worker(loop, std::move(*config), own_program);
    if (auto ran = worker.run(); !ran) return stop(kEnvironment, ran.error());
    return kStopped;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    if (mode.empty() || (mode == "wait" && argc == 2)) return run_worker(!mode.empty());
    if (mode == "--version") {
        std::puts("worker-wrapper " CODEGEN_VERSION);
        return 0;
    }
    if (mode == "--help") {
        std::fputs(std::string(kHelp).c_str(), stdout);
        return 0;
    }
    if (mode != "init" && mode != "launch") return wrong_usage("unknown mode \"" + std::string(mode) + "\"");
    if (argc != 4) return wrong_usage(std::string(mode) + " needs two descriptors");
    const int first = std::atoi(argv[2]);
    const int report = std::atoi(argv[3]);
    if (first < 3 || report < 3) return wrong_usage("both must be descriptors from 3 on");
    return mode == "init" ? wrapper::run_init(first, report) : wrapper::run_launch(first, report);
}

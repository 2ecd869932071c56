#include "packages/worker-wrapper/inner_engine.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <chrono>

#include "packages/worker-wrapper/spawn.hpp"
#include "shared/posix/file.hpp"

namespace codegen::wrapper {
namespace {

constexpr std::chrono::seconds kLimit{30};

bool answers(std::string_view path) {
    const posix::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::string last_line(const std::string& log) {
    auto text = posix::read_file(log, 16u << 20).value_or("");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.rfind('\n') + 1).substr(0, 500);
}

}  // namespace

Result<void> start_inner_engine(const contracts::WrapperConfig& config) {
    const std::string log = config.state_directory + "/engine.log";
    const posix::Fd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!output) return posix::errno_error("open " + log, errno);
    const std::string data(contracts::kInnerEngineData);
    SpawnSpec spec;
    spec.argv = {"dockerd",
                 "--host=unix://" + std::string(contracts::kInnerEngineSocket),
                 "--group=" + std::to_string(config.agent_gid),
                 "--data-root=" + data,
                 "--exec-root=" + data + "/exec",
                 "--pidfile=" + data + "/docker.pid"};
    spec.environment = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                        {"HOME", "/root"},
                        {"TMPDIR", data},
                        {"HTTPS_PROXY", "http://127.0.0.1:" + std::to_string(config.loopback_port)}};
    spec.output = output.get();
    spec.errors = output.get();
    auto pid = spawn(spec);
    if (!pid) return std::unexpected(in_context(pid.error(), "the engine inside the worker"));
    const auto deadline = std::chrono::steady_clock::now() + kLimit;
    while (!answers(contracts::kInnerEngineSocket)) {
        const bool dead = ::waitpid(*pid, nullptr, WNOHANG) == *pid;
        if (dead || std::chrono::steady_clock::now() > deadline) {
            if (!dead) ::kill(*pid, SIGKILL);
            return fail(ErrorCategory::fatal, "unavailable",
                        std::string("the engine inside the worker ") + (dead ? "ended" : "does not answer") + ": " +
                            last_line(log));
        }
        ::poll(nullptr, 0, 20);
    }
    return {};
}

}  // namespace codegen::wrapper

// Child processes of the control plane: spawned with pipes and a composed environment, killed as a whole tree.
// (The worker-wrapper has its own epoll shell; see packages/worker-wrapper.)
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::process {

struct Spec {
    std::vector<std::string> argv;  // argv[0] is looked up in PATH of `environment` unless it has a slash
    std::map<std::string, std::string> environment;  // exactly this; never inherited
    std::filesystem::path directory;                 // working directory; empty: unchanged
    std::string input;                               // written to stdin, then end of file; empty: stdin is /dev/null
    bool new_session = true;                         // setsid
    bool die_with_parent = true;                     // PR_SET_PDEATHSIG SIGKILL
    std::optional<std::pair<int, int>> user;         // uid, gid: dropped to (with no supplementary groups) before exec
    posix::Fd output_to;  // when set: stdout goes to this descriptor instead of being collected
};

struct Limits {
    std::chrono::milliseconds timeout{60000};
    std::size_t output_bytes = 16u << 20;  // of each stream; beyond it the tree is killed
};

struct Outcome {
    enum class End { exited, signalled, timeout, output_limit } end = End::exited;
    int code = 0;  // exit status or signal
    std::string output;
    std::string errors;
    bool ok() const { return end == End::exited && code == 0; }
    std::string describe()
        const;  // "exit 1", "killed by signal 9", "stopped after 5000 ms", ... and the last line of errors
};

// Runs to its end. All signal dispositions and the mask are default in the child; only stdin, stdout, stderr are open.
// On timeout, output limit or cancellation every process of the tree is killed: the session's process group, and
// descendants that left it (found through /proc by parentage and session; the process is a child subreaper, so orphans
// stay findable). Errors: only when it could not be started ("spawn": names the program and why). `on_line`, when set,
// is called with every complete line of stdout and stderr as it comes.
Task<Result<Outcome>> run(Spec spec, Limits limits = {}, std::function<void(std::string_view)> on_line = {});

// A child that runs on (redis-server, dockerd, a sandbox's wrapper).
class Child {
  public:
    virtual ~Child() = default;  // does not kill
    virtual int pid() const = 0;
    virtual Task<int> wait() = 0;  // wait status (WIFEXITED...); once
    virtual void signal(int number) = 0;
    virtual void kill_tree() = 0;
};
// stdout and stderr go to `log` (appended, 0600), stdin is /dev/null.
Result<std::unique_ptr<Child>> start(asio::any_io_executor executor, Spec spec, const std::filesystem::path& log);

// A process that may not be our child: completes when it has ended (pidfd).
Task<Result<void>> wait_for_exit(int pid);
// Boot-relative start time of a process, to tell it from a later one with the same pid; nullopt: no such process.
std::optional<std::uint64_t> start_time(int pid);

// PATH, HOME, LANG and nothing else, for the tools that the control plane calls.
std::map<std::string, std::string> minimal_environment();

}  // namespace codegen::process

// Child processes of the control plane: spawned with pipes and a composed environment, killed as a whole tree.
// (The worker-wrapper has its own epoll shell; see packages/worker-wrapper.)
#pragma once
#include <boost/asio/any_io_executor.hpp>
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
    std::vector<std::string> cgroups;                // directories of groups that it joins, before it drops to `user`
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
// On timeout, output limit or cancellation every process of the tree is killed: the session's processes, and
// descendants that left it. The child is the subreaper of its descendants, so that orphans stay findable through /proc
// as long as it lives; what stays behind in its session when it ends by itself is killed too.
// Errors: "spawn" when it could not be started (names the program and why); transient "cancelled". `on_line`, when set,
// is called with every line of stdout and stderr as it comes, the unfinished last one at the end.
Task<Result<Outcome>> run(Spec spec, Limits limits = {}, std::function<void(std::string_view)> on_line = {});

// A child that runs on (redis-server, dockerd, a sandbox's wrapper). Use it on one thread. PR_SET_PDEATHSIG fires when
// the thread that started it ends.
class Child {
  public:
    virtual ~Child() = default;  // does not kill
    virtual int pid() const = 0;
    virtual Task<int> wait() = 0;         // wait status (WIFEXITED...), once; -1 when cancelled
    virtual void signal(int number) = 0;  // nothing once wait() has returned
    virtual void kill_tree() = 0;         // as run() does it; also finds what the ended child left in its session
};
// stdout and stderr go to `log` (appended, 0600), stdin is /dev/null. Spec::input and output_to are not for this one.
Result<std::unique_ptr<Child>> start(asio::any_io_executor executor, Spec spec, const std::filesystem::path& log);

// For a program's main: orphans of its children become its own children instead of init's...
void become_subreaper();
// ...and are reaped when they have ended, every `interval`, until cancelled. Children that run() or start() wait for
// are left to them.
Task<void> reap_orphans(std::chrono::milliseconds interval = std::chrono::milliseconds(1000));

// Kills a process and all its descendants, found by parentage and, when it leads a session, by session. It may have
// ended already. `started` is its start_time(), which tells it from a later process with the same pid.
void kill_process_tree(int pid, std::uint64_t started);

// A process that may not be our child: completes when it has ended (pidfd).
Task<Result<void>> wait_for_exit(int pid);
// Boot-relative start time of a process, to tell it from a later one with the same pid; nullopt: no such process.
std::optional<std::uint64_t> start_time(int pid);

// PATH, HOME, LANG and nothing else, for the tools that the control plane calls.
std::map<std::string, std::string> minimal_environment();

}  // namespace codegen::process

// With real processes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>

#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"
#include "shared/process/tree.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::process {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using End = Outcome::End;

Spec shell(std::string script) {
    Spec spec;
    spec.argv = {"sh", "-c", std::move(script)};
    spec.environment = minimal_environment();
    return spec;
}

class ProcessTest : public ::testing::Test {
  protected:
    Result<Outcome> run_spec(Spec spec, Limits limits = {}, std::function<void(std::string_view)> on_line = {}) {
        return testing::run(io_, run(std::move(spec), limits, std::move(on_line)));
    }
    Outcome must(Spec spec, Limits limits = {}, std::function<void(std::string_view)> on_line = {}) {
        auto outcome = run_spec(std::move(spec), limits, std::move(on_line));
        if (!outcome) {
            ADD_FAILURE() << outcome.error().message;
            return {};
        }
        return std::move(*outcome);
    }
    int pid_in(const std::string& name) {
        int pid = 0;
        const auto text = posix::read_file(directory_ / name, 100);
        if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
        return pid;
    }
    // Runs the loop until the condition holds.
    bool eventually(const std::function<bool()>& condition) {
        const auto until = std::chrono::steady_clock::now() + 10s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > until) return false;
            io_.restart();
            io_.run_for(5ms);
        }
        return true;
    }
    bool gone(int pid) {
        return eventually([&] {
            const auto entry = read_process(pid);
            return !entry || !entry->alive();
        });
    }

    testing::TempDirectory directory_;
    asio::io_context io_;
};

TEST_F(ProcessTest, CollectsOutputErrorsAndStatus) {
    auto outcome = must(shell("echo out; echo err >&2; exit 3"));
    EXPECT_EQ(outcome.end, End::exited);
    EXPECT_EQ(outcome.code, 3);
    EXPECT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.output, "out\n");
    EXPECT_EQ(outcome.errors, "err\n");
    EXPECT_EQ(outcome.describe(), "exit 3: err");
}

TEST_F(ProcessTest, InputArrivesByteForByteAndEnds) {
    Spec spec = shell("cat");
    spec.input.assign(3 << 20, 'x');
    spec.input[1000] = '\0';
    const std::string input = spec.input;
    auto outcome = must(std::move(spec));
    EXPECT_TRUE(outcome.ok());
    EXPECT_EQ(outcome.output, input);
    EXPECT_EQ(must(shell("wc -c")).output, "0\n") << "without input: end of file at once";
}

TEST_F(ProcessTest, ArgumentsAndEnvironmentAreExactlyThose) {
    Spec spec;
    spec.argv = {"/usr/bin/env"};
    spec.environment = {{"A", "1 $B\n'\""}};
    EXPECT_EQ(must(std::move(spec)).output, "A=1 $B\n'\"\n");
    Spec echo;
    echo.argv = {"printf", "%s|", "a b", "", "$x\n"};
    echo.environment = minimal_environment();
    EXPECT_EQ(must(std::move(echo)).output, "a b||$x\n|");
}

TEST_F(ProcessTest, SaysWhyItCouldNotStart) {
    Spec missing;
    missing.argv = {"no-such-program-here"};
    missing.environment = {{"PATH", "/bin"}};
    auto outcome = run_spec(std::move(missing));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, "spawn");
    EXPECT_THAT(outcome.error().message, HasSubstr("no-such-program-here: not found in PATH=/bin"));

    Spec not_executable;
    not_executable.argv = {"/etc/passwd"};
    EXPECT_THAT(run_spec(std::move(not_executable)).error().message, HasSubstr("/etc/passwd: Permission denied"));

    Spec bad_directory = shell("true");
    bad_directory.directory = directory_ / "absent";
    EXPECT_THAT(run_spec(std::move(bad_directory)).error().message, HasSubstr("absent: No such file or directory"));
    EXPECT_FALSE(run_spec(Spec{}));
    Spec nul = shell("true");
    nul.argv.push_back(std::string("a\0b", 3));
    EXPECT_THAT(run_spec(std::move(nul)).error().message, HasSubstr("NUL"));
}

TEST_F(ProcessTest, TheChildHasDefaultSignalsAndOnlyItsStreams) {
    // Ignored and blocked here, and a descriptor that lacks CLOEXEC.
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGUSR1, SIG_IGN);
    // glibc's own signals, as an odd ancestor of ours may have left them: only the kernel lets us.
    struct {
        void (*handler)(int) = SIG_IGN;
        unsigned long rest[3] = {};
    } ignored;
    for (int number : {32, 33}) ASSERT_EQ(::syscall(SYS_rt_sigaction, number, &ignored, nullptr, 8), 0);
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    const posix::Fd leaky(::open("/dev/null", O_RDONLY));
    auto outcome = must(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd"));
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::signal(SIGUSR1, SIG_DFL);
    // 3 is ls' own.
    EXPECT_EQ(outcome.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n1\n2\n3\n");
}

TEST_F(ProcessTest, RunsInItsDirectoryAndSession) {
    Spec spec = shell("pwd; echo $$; cut -d' ' -f6 /proc/$$/stat");
    spec.directory = directory_.path();
    const auto lines = must(std::move(spec)).output;
    EXPECT_THAT(lines, StartsWith(directory_.path().native() + "\n"));
    const auto pid = lines.substr(directory_.path().native().size() + 1);
    EXPECT_EQ(pid.substr(0, pid.find('\n') + 1), pid.substr(pid.find('\n') + 1));
}

TEST_F(ProcessTest, DropsToAnotherUser) {
    if (::getuid() != 0) {
        Spec spec = shell("true");
        spec.user = {{12345, 12345}};
        EXPECT_THAT(run_spec(std::move(spec)).error().message, HasSubstr("change user: Operation not permitted"));
        return;
    }
    Spec spec = shell("id -u; id -g; id -G; cat");
    spec.user = {{12345, 23456}};
    spec.input = "readable";
    EXPECT_EQ(must(std::move(spec)).output, "12345\n23456\n23456\nreadable");
    EXPECT_EQ(must(shell("id -u")).output, "0\n");
}

TEST_F(ProcessTest, LinesComeWholeAndAsTheyAreWritten) {
    std::vector<std::string> lines;
    auto outcome = must(shell("printf 'a\\nb'; printf 'c\\n\\n'; printf tail"), {},
                        [&](std::string_view line) { lines.emplace_back(line); });
    EXPECT_THAT(lines, ::testing::ElementsAre("a", "bc", "", "tail"));
    EXPECT_EQ(outcome.output, "a\nbc\n\ntail");

    // The child waits until its first line was seen.
    const auto fifo = directory_ / "go";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    Spec spec = shell("echo first; cat " + fifo.native());
    must(std::move(spec), {.timeout = 10s, .output_bytes = 1000}, [&](std::string_view line) {
        if (line != "first") return;
        const posix::Fd go(::open(fifo.c_str(), O_WRONLY));  // waits for the reader
        ASSERT_EQ(::write(go.get(), "x", 1), 1);
    });
}

TEST_F(ProcessTest, OutputCanGoToADescriptor) {
    const auto path = directory_ / "out";
    Spec spec = shell("echo to file; echo err >&2");
    spec.output_to = posix::Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    auto outcome = must(std::move(spec));
    EXPECT_EQ(outcome.output, "");
    EXPECT_EQ(outcome.errors, "err\n");
    EXPECT_EQ(posix::read_file(path, 100).value_or("?"), "to file\n");
}

// Every way out of the tree: background, nohup, setsid, orphaned by a double fork, and a stopped process.
constexpr auto kEscapes = R"(
sleep 1000 & echo $! > background
setsid sh -c 'echo $$ > session; exec sleep 1000' &
(setsid sh -c 'echo $$ > orphan; sleep 1000 & echo $! > orphans_child; wait' &)
(setsid setsid setsid sh -c '(sh -c "echo \$\$ > deep; trap \"\" TERM HUP INT; kill -STOP \$\$; sleep 1000" &)' &)
while ! [ -s deep ] || ! [ -s orphans_child ] || ! [ -s session ]; do :; done
echo ready
)";
constexpr std::array kEscaped{"background", "session", "orphan", "orphans_child", "deep"};

TEST_F(ProcessTest, ATimeoutKillsTheWholeTree) {
    Spec spec = shell(std::string(kEscapes) + "exec sleep 1000");
    spec.directory = directory_.path();
    bool ready = false;
    auto outcome = must(std::move(spec), {.timeout = 2000ms}, [&](std::string_view line) { ready = line == "ready"; });
    ASSERT_TRUE(ready);
    EXPECT_EQ(outcome.end, End::timeout);
    EXPECT_EQ(outcome.describe(), "stopped after 2000 ms");
    for (const auto* name : kEscaped) EXPECT_TRUE(gone(pid_in(name))) << name;
}

TEST_F(ProcessTest, TooMuchOutputKillsTheWholeTree) {
    Spec spec = shell(std::string(kEscapes) + "yes");
    spec.directory = directory_.path();
    auto outcome = must(std::move(spec), {.timeout = 30s, .output_bytes = 100000});
    EXPECT_EQ(outcome.end, End::output_limit);
    EXPECT_EQ(outcome.output.size(), 100000u);
    for (const auto* name : kEscaped) EXPECT_TRUE(gone(pid_in(name))) << name;
}

TEST_F(ProcessTest, CancellationKillsTheWholeTree) {
    Spec spec = shell(std::string(kEscapes) + "exec sleep 1000");
    spec.directory = directory_.path();
    asio::cancellation_signal cancel;
    std::optional<Result<Outcome>> result;
    asio::co_spawn(io_,
                   run(std::move(spec), {}, [&](std::string_view) { cancel.emit(asio::cancellation_type::terminal); }),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, Result<Outcome> r) {
                       EXPECT_FALSE(e);
                       result = std::move(r);
                   }));
    ASSERT_TRUE(eventually([&] { return result.has_value(); }));
    ASSERT_FALSE(*result);
    EXPECT_EQ(result->error().code, "cancelled");
    for (const auto* name : kEscaped) EXPECT_TRUE(gone(pid_in(name))) << name;
}

TEST_F(ProcessTest, ACallerThatWasCancelledStaysCancelled) {
    // run() changes the cancellation state of its own coroutine only.
    asio::cancellation_signal cancel;
    bool state_kept = false;
    bool ended = false;
    auto body = [](asio::cancellation_signal* signal, bool* kept) -> Task<void> {
        auto outcome = co_await run(shell("echo x; exec sleep 1000"), {},
                                    [signal](std::string_view) { signal->emit(asio::cancellation_type::terminal); });
        EXPECT_FALSE(outcome);
        const auto state = co_await asio::this_coro::cancellation_state;
        *kept = state.cancelled() != asio::cancellation_type::none;
    };
    asio::co_spawn(io_, body(&cancel, &state_kept),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr) { ended = true; }));
    ASSERT_TRUE(eventually([&] { return ended; }));
    EXPECT_TRUE(state_kept);
}

TEST_F(ProcessTest, ADestroyedCoroutineKillsItsTree) {
    Spec spec = shell("echo $$ > root; exec sleep 1000");
    spec.directory = directory_.path();
    int pid = 0;
    {
        asio::io_context io;
        asio::co_spawn(io, run(std::move(spec)), [](std::exception_ptr, const Result<Outcome>&) {});
        const auto until = std::chrono::steady_clock::now() + 10s;
        while ((pid = pid_in("root")) == 0 && std::chrono::steady_clock::now() < until) io.run_for(1ms);
        ASSERT_NE(pid, 0);
    }
    EXPECT_FALSE(read_process(pid)) << "killed and reaped";
}

TEST_F(ProcessTest, WhatStaysInTheSessionEndsWithItsLeader) {
    Spec spec = shell("sleep 1000 & echo $! > background; echo done");
    spec.directory = directory_.path();
    auto outcome = must(std::move(spec), {.timeout = 10s});
    EXPECT_EQ(outcome.end, End::exited) << "does not wait for the background process that holds stdout";
    EXPECT_EQ(outcome.output, "done\n");
    EXPECT_TRUE(gone(pid_in("background")));
}

TEST_F(ProcessTest, TenAtOnceAndUnrelatedChildrenAreLeftAlone) {
    const pid_t unrelated = ::fork();
    if (unrelated == 0) {
        ::pause();
        ::_exit(0);
    }
    using namespace asio::experimental::awaitable_operators;
    int ended = 0;
    for (int i = 0; i < 10; ++i) {
        asio::co_spawn(io_, run(shell("sleep 0.0" + std::to_string(i) + "; exit " + std::to_string(i))),
                       [&ended, i](std::exception_ptr, const Result<Outcome>& outcome) {
                           ASSERT_TRUE(outcome);
                           EXPECT_EQ(outcome->code, i);
                           ++ended;
                       });
    }
    must(shell("exec sleep 1000"), {.timeout = 50ms});
    EXPECT_TRUE(eventually([&] { return ended == 10; }));
    EXPECT_EQ(::waitpid(unrelated, nullptr, WNOHANG), 0) << "alive and not reaped";
    ::kill(unrelated, SIGKILL);
    ::waitpid(unrelated, nullptr, 0);
}

TEST_F(ProcessTest, AKilledProgramIsReportedWithItsSignal) {
    auto outcome = must(shell("kill -9 $$"));
    EXPECT_EQ(outcome.end, End::signalled);
    EXPECT_EQ(outcome.code, 9);
    EXPECT_EQ(outcome.describe(), "killed by signal 9");
}

TEST_F(ProcessTest, AChildRunsOnLogsAndIsWaitedFor) {
    const auto log = directory_ / "log";
    Spec spec = shell("trap 'echo term; exit 5' TERM; echo started; while :; do sleep 0.01; done");
    auto child = start(io_.get_executor(), std::move(spec), log);
    ASSERT_TRUE(child) << child.error().message;
    ASSERT_TRUE(eventually([&] { return posix::read_file(log, 1000).value_or("").contains("started"); }));
    (*child)->signal(SIGTERM);
    const int status = testing::run(io_, (*child)->wait());
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 5);
    EXPECT_EQ(posix::read_file(log, 1000).value_or(""), "started\nterm\n");
    EXPECT_EQ(std::filesystem::status(log).permissions(), std::filesystem::perms(0600));
    (*child)->signal(SIGKILL);  // nothing
    (*child)->kill_tree();
}

TEST_F(ProcessTest, KillTreeOfAChild) {
    Spec spec = shell(std::string(kEscapes) + "exec sleep 1000");
    spec.directory = directory_.path();
    const auto log = directory_ / "log";
    auto child = start(io_.get_executor(), std::move(spec), log);
    ASSERT_TRUE(child);
    ASSERT_TRUE(eventually([&] { return posix::read_file(log, 1000).value_or("").contains("ready"); }));
    const int pid = (*child)->pid();
    (*child)->kill_tree();
    const int status = testing::run(io_, (*child)->wait());
    EXPECT_TRUE(WIFSIGNALED(status));
    for (const auto* name : kEscaped) EXPECT_TRUE(gone(pid_in(name))) << name;
    EXPECT_FALSE(start_time(pid));
}

TEST_F(ProcessTest, DiesWithItsParent) {
    const pid_t parent = ::fork();
    if (parent == 0) {
        asio::io_context io;
        Spec spec = shell("echo $$ > orphan; exec sleep 1000");
        spec.directory = directory_.path();
        auto child = start(io.get_executor(), std::move(spec), directory_ / "log");
        if (!child) ::_exit(1);
        ::pause();
    }
    ASSERT_TRUE(eventually([&] { return pid_in("orphan") != 0; }));
    EXPECT_TRUE(start_time(pid_in("orphan")));
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    EXPECT_TRUE(gone(pid_in("orphan")));
}

TEST_F(ProcessTest, WaitsForAProcessThatIsNotItsChild) {
    // The grandchild outlives its parent; it is nobody's child here.
    auto outcome = must([&] {
        Spec spec = shell(
            "(setsid sh -c 'echo $$ > far; while ! [ -e go ]; do sleep 0.01; done' > /dev/null 2>&1 &) ; "
            "while ! [ -s far ]; do :; done");
        spec.directory = directory_.path();
        return spec;
    }());
    ASSERT_TRUE(outcome.ok());
    const int pid = pid_in("far");
    // run() leaves what has left the session of a leader that ended by itself.
    ASSERT_TRUE(start_time(pid));
    bool ended = false;
    asio::co_spawn(io_, wait_for_exit(pid), [&](std::exception_ptr, const Result<void>& result) {
        EXPECT_TRUE(result);
        ended = true;
    });
    io_.restart();
    io_.run_for(20ms);
    EXPECT_FALSE(ended);
    posix::Fd(::open((directory_ / "go").c_str(), O_CREAT | O_WRONLY, 0600)).reset();
    EXPECT_TRUE(eventually([&] { return ended; }));
    EXPECT_TRUE(testing::run(io_, wait_for_exit(0x7ffffff0))) << "no such process: it has ended";
}

TEST_F(ProcessTest, OrphansAreReaped) {
    // In a process of its own: being a subreaper is for good.
    const pid_t tester = ::fork();
    if (tester == 0) {
        become_subreaper();
        asio::io_context io;
        Spec spec = shell(
            "(setsid sh -c 'echo $$ > far; exec sleep 0.05' > /dev/null 2>&1 &) ; while ! [ -s far ]; do :; done");
        spec.directory = directory_.path();
        asio::co_spawn(io, reap_orphans(5ms), [](std::exception_ptr) {});
        asio::co_spawn(io, run(std::move(spec)), [](std::exception_ptr, const Result<Outcome>&) {});
        int far = 0;
        const auto until = std::chrono::steady_clock::now() + 10s;
        while (std::chrono::steady_clock::now() < until) {
            io.run_for(5ms);
            far = pid_in("far");
            if (far != 0 && !start_time(far)) ::_exit(0);
        }
        ::_exit(far == 0 ? 1 : 2);
    }
    int status = 0;
    ::waitpid(tester, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST_F(ProcessTest, NoDescriptorIsLeaked) {
    const auto count = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                             std::filesystem::directory_iterator());
    };
    must(shell("true"));
    const auto before = count();
    for (int i = 0; i < 20; ++i) must(shell("echo x"));
    Spec missing;
    missing.argv = {"/absent"};
    EXPECT_FALSE(run_spec(std::move(missing)));
    EXPECT_EQ(count(), before);
}

}  // namespace
}  // namespace codegen::process

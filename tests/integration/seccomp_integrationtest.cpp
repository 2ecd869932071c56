// The sandbox's filter beside the one that the engine here gives its containers: no system call is let through that
// Docker's refuses. Tried, not compared by name: each call is made inside a worker of either runtime.
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;

// Each call in a child of its own, with arguments that are all -1: what is not refused fails on them. Not vfork, whose
// child would run in perl's own memory. Prints "<number> <errno or 0>".
constexpr const char* kTryAllCalls = R"(perl -e '
    for my $n (0 .. 460) {
        next if $n == 58;
        my $child = fork;
        if (!$child) {
            alarm 1;
            my $errno = syscall($n, -1, -1, -1, -1, -1, -1) == -1 ? $! + 0 : 0;
            require POSIX;  # which changes $!
            POSIX::_exit($errno);
        }
        waitpid $child, 0;
        print "$n ", $? & 127 ? 0 : $? >> 8, "\n";
    }' > calls.new; mv calls.new calls; )";

std::map<int, int> try_all_calls(const std::string& runtime) {
    ControlPlane plane({.runtime = runtime});
    const auto task = plane.start_task(plane.create_project("calls"), kTryAllCalls + kWaitForGo + kCommitAndReport);
    const auto workspace = plane.worker_directory(plane.wait_for_worker(task)) / "workspace";
    eventually("all calls were tried", [&] { return fs::exists(workspace / "calls"); }, std::chrono::seconds(120));
    std::map<int, int> out;
    std::ifstream in(workspace / "calls");
    for (int number = 0, error = 0; in >> number >> error;) out[number] = error;
    std::ofstream(workspace / "go").close();
    plane.wait_for_end(task);
    return out;
}

bool refused(int error) { return error == EPERM || error == ENOSYS; }

TEST(SeccompOfBothRuntimes, TheSandboxRefusesWhateverDockerRefuses) {
    const auto docker = try_all_calls("docker");
    const auto sandbox = try_all_calls("sandbox");
    ASSERT_GT(docker.size(), 400u);
    int refusals = 0;
    for (const auto& [number, error] : docker) {
        if (!refused(error)) continue;
        ++refusals;
        ASSERT_TRUE(sandbox.contains(number));
        EXPECT_TRUE(refused(sandbox.at(number)))
            << "system call " << number << ": Docker answers " << error << ", the sandbox " << sandbox.at(number);
    }
    EXPECT_GT(refusals, 30) << "Docker's own filter is not there";
}

}  // namespace
}  // namespace codegen::testing

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include "services/infra-service/run_directory.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::infra {
namespace {

namespace fs = std::filesystem;

// A process that provisions and dies at once, as by SIGKILL: what it started, and its files, are left. Returns the pid
// of what it started, in a session of its own.
int die_in_the_middle(const fs::path& runs) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const int child = ::fork();
    if (child == 0) {
        auto run = RunDirectory::make(runs);
        const int started = ::fork();
        if (started == 0) {
            ::setsid();
            ::execl("/bin/sleep", "sleep", "600", nullptr);
            ::_exit(1);
        }
        if (!run || !run->write("own_key", "private") || ::getpgid(started) < 0) ::_exit(1);
        while (::getsid(started) != started) ::sched_yield();
        run->note_process(started);
        const bool told = ::write(ends[1], &started, sizeof started) == sizeof started;
        ::_exit(told ? 0 : 1);
    }
    int pid = 0;
    EXPECT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    ::close(ends[0]);
    ::close(ends[1]);
    return pid;
}

// It is nobody's child of ours: gone, or a zombie that init has not looked at yet.
bool runs(int pid) {
    const auto line = posix::read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    return line && line->find(") Z ") == std::string::npos;
}

TEST(RunDirectory, HoldsSecretsForOneRunOnly) {
    const codegen::testing::TempDirectory state;
    fs::path path;
    {
        auto run = RunDirectory::make(state / "infra" / "runs");
        ASSERT_TRUE(run) << run.error().message;
        path = run->path();
        struct stat status{};
        ASSERT_EQ(::stat(path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0700u);
        const auto file = run->write("own_key", "private");
        ASSERT_TRUE(file);
        ASSERT_EQ(::stat(file->c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u);
        const RunDirectory moved(std::move(*run));
        EXPECT_TRUE(fs::exists(path));
    }
    EXPECT_FALSE(fs::exists(path));
    EXPECT_FALSE(RunDirectory::make(state / "missing" / "infra" / "runs")) << "the state directory must be there";
}

TEST(RunDirectory, WhatAProcessThatDiedLeftIsKilledAndRemoved) {
    const codegen::testing::TempDirectory state;
    const auto folder = state / "infra" / "runs";
    const int left = die_in_the_middle(folder);
    ASSERT_GT(left, 1);
    EXPECT_TRUE(runs(left));
    auto living = RunDirectory::make(folder);
    ASSERT_TRUE(living);
    EXPECT_EQ(remove_left_runs(folder), 1);
    for (int i = 0; i < 1000 && runs(left); ++i) ::usleep(1000);
    EXPECT_FALSE(runs(left));
    EXPECT_TRUE(fs::exists(living->path())) << "its process lives";
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
    EXPECT_EQ(remove_left_runs(folder), 0);
    EXPECT_EQ(remove_left_runs(state / "nowhere"), 0);
}

}  // namespace
}  // namespace codegen::infra

#include "packages/worker-wrapper/config_wait.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "shared/posix/file.hpp"

namespace codegen::wrapper {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

// In a process of its own, as in production: signals are the process's.
class ConfigWait : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string path = "/tmp/codegen-config-wait-XXXXXX";
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        folder_ = path;
    }
    void TearDown() override {
        if (child_ > 0) {
            ::kill(child_, SIGKILL);
            ::waitpid(child_, nullptr, 0);
        }
        fs::remove_all(folder_);
    }
    void begin() {
        child_ = ::fork();
        if (child_ == 0) {
            const auto there = wait_for_config(folder_ / "config.json");
            ::_exit(there ? (*there ? 10 : 11) : 12);
        }
    }
    // Its exit code, -1 when it does not end.
    int end(std::chrono::seconds limit = 10s) {
        for (const auto deadline = std::chrono::steady_clock::now() + limit;
             std::chrono::steady_clock::now() < deadline;) {
            int status = 0;
            if (::waitpid(child_, &status, WNOHANG) == child_) {
                child_ = -1;
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
            std::this_thread::yield();
        }
        return -1;
    }
    // It sleeps in its poll: the signals are blocked by then.
    void until_it_waits() const {
        const auto mark = fs::path("/proc") / std::to_string(child_) / "status";
        for (bool waits = false; !waits;) {
            std::ifstream in(mark);
            for (std::string line; std::getline(in, line);)
                if (line.starts_with("SigBlk:"))
                    waits = (std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1)) & 1;
        }
    }
    fs::path folder_;
    pid_t child_ = -1;
};

TEST_F(ConfigWait, EndsWhenTheFileComes) {
    begin();
    until_it_waits();
    std::ofstream(folder_ / "something-else").close();
    EXPECT_EQ(::waitpid(child_, nullptr, WNOHANG), 0);
    ASSERT_TRUE(posix::write_file_atomically(folder_ / "config.json", "{}", 0600));
    EXPECT_EQ(end(), 10);
}

TEST_F(ConfigWait, EndsAtOnceWhenTheFileIsThere) {
    ASSERT_TRUE(posix::write_file_atomically(folder_ / "config.json", "{}", 0600));
    begin();
    EXPECT_EQ(end(), 10);
}

TEST_F(ConfigWait, EndsOnASignal) {
    begin();
    until_it_waits();
    ::kill(child_, SIGTERM);
    EXPECT_EQ(end(), 11);
}

TEST_F(ConfigWait, SaysThatTheFolderIsMissing) {
    const auto there = wait_for_config(folder_ / "nowhere" / "config.json");
    ASSERT_FALSE(there);
    EXPECT_NE(there.error().message.find("watch " + (folder_ / "nowhere").string()), std::string::npos);
}

}  // namespace
}  // namespace codegen::wrapper

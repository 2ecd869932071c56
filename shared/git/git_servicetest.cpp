// With the real git.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <filesystem>
#include <fstream>

#include "shared/git/git.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::git {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class GitTest : public ::testing::Test {
  protected:
    Result<std::string> output_of(Call call) { return testing::run(io_, output(std::move(call))); }
    std::string must(Call call) {
        auto done = output_of(std::move(call));
        if (!done) {
            ADD_FAILURE() << done.error().message;
            return {};
        }
        return std::move(*done);
    }
    Call in_tree(std::vector<std::string> arguments) {
        return {.repository = tree_ / ".git",
                .arguments = std::move(arguments),
                .work_tree = tree_,
                .environment = {{"GIT_AUTHOR_NAME", "a"},
                                {"GIT_AUTHOR_EMAIL", "a@example.org"},
                                {"GIT_COMMITTER_NAME", "a"},
                                {"GIT_COMMITTER_EMAIL", "a@example.org"}}};
    }
    void write(const fs::path& path, std::string_view text, mode_t mode = 0600) {
        fs::create_directories(path.parent_path());
        ASSERT_TRUE(posix::write_file_atomically(path, std::string(text), mode));
    }
    void begin() {
        fs::create_directories(tree_);
        must(in_tree({"init", "-q", "--template=", "--initial-branch=main"}));
        write(tree_ / "a.txt", "a\n");
    }
    // A place on this machine where nobody listens.
    std::string nobody() {
        asio::ip::tcp::acceptor taken(io_, {asio::ip::address_v4::loopback(), 0});
        return "http://127.0.0.1:" + std::to_string(taken.local_endpoint().port()) + "/x.git";
    }

    asio::io_context io_;
    testing::TempDirectory directory_;
    fs::path tree_ = directory_.path() / "tree";
};

TEST_F(GitTest, NothingOfARepositoryOrAPersonRunsOrIsRead) {
    begin();
    const auto ran = directory_.path() / "ran";
    const auto script = "#!/bin/sh\necho \"$0\" >>'" + ran.string() + "'\n";
    for (const char* hook : {"pre-commit", "post-commit", "reference-transaction", "post-index-change"})
        write(tree_ / ".git" / "hooks" / hook, script, 0755);
    write(directory_.path() / "monitor", script, 0755);
    const auto home = directory_.path() / "home";
    write(home / ".gitconfig", "[user]\n\tname = somebody\n[core]\n\texcludesFile = " + (home / "ignore").string() +
                                   "\n\tfsmonitor = " + (directory_.path() / "monitor").string() + "\n");
    write(home / "ignore", "a.txt\n");
    std::ofstream(tree_ / ".git" / "config", std::ios::app)
        << "[core]\n\tfsmonitor = " << (directory_.path() / "monitor").string() << "\n\thooksPath = hooks\n";
    const std::string before = ::getenv("HOME") ? ::getenv("HOME") : "";
    ::setenv("HOME", home.c_str(), 1);
    must(in_tree({"add", "--all"}));
    must(in_tree({"commit", "-q", "-m", "x"}));
    const auto files = must(in_tree({"ls-files"}));
    ::setenv("HOME", before.c_str(), 1);
    EXPECT_EQ(files, "a.txt\n");
    EXPECT_EQ(must(in_tree({"log", "--format=%an"})), "a\n");
    EXPECT_FALSE(fs::exists(ran));
}

TEST_F(GitTest, AFailureNamesTheStepAndGitsLastLine) {
    begin();
    auto failed = output_of(in_tree({"rev-parse", "--verify", "nothing"}));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, "git");
    EXPECT_EQ(failed.error().category, ErrorCategory::permanent);
    EXPECT_THAT(failed.error().message,
                AllOf(HasSubstr("git rev-parse: exit 128"), HasSubstr("Needed a single revision")));
}

TEST_F(GitTest, OtherMachinesAreReachedOnlyWhenThatIsAsked) {
    begin();
    const auto url = nobody();
    auto refused = output_of(in_tree({"ls-remote", url}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, ErrorCategory::permanent);
    EXPECT_THAT(refused.error().message, HasSubstr("transport 'http' not allowed"));
    auto call = in_tree({"ls-remote", url});
    call.network = true;
    auto away = output_of(std::move(call));
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().category, ErrorCategory::transient);
    EXPECT_THAT(away.error().message, Not(HasSubstr("not allowed")));
    call = in_tree({"ls-remote", "ext::true"});
    call.network = true;
    auto program = output_of(std::move(call));
    ASSERT_FALSE(program);
    EXPECT_THAT(program.error().message, HasSubstr("transport 'ext' not allowed"));
}

TEST_F(GitTest, ConfigurationOfACallReachesGitAndNoArgument) {
    begin();
    auto call = in_tree({"config", "--get-all", "http.extraHeader"});
    call.configuration = {{"http.extraHeader", "Authorization: secret"}};
    EXPECT_EQ(must(call), "Authorization: secret\n");
    EXPECT_THAT(call.arguments, Not(::testing::Contains(HasSubstr("secret"))));
}

TEST_F(GitTest, BoundsStopWhatGrows) {
    begin();
    write(tree_ / "large", std::string(2 << 20, 'x'));
    auto call = in_tree({"hash-object", "-w", "--stdin"});
    call.input_file = tree_ / "large";
    call.configuration = {{"core.compression", "0"}};
    EXPECT_THAT(must(call), ::testing::MatchesRegex("[0-9a-f]{40}\n"));
    call.bounds = Bounds{.file_bytes = 1 << 20};
    call.configuration.emplace_back("core.looseCompression", "0");
    write(tree_ / "large", std::string(2 << 20, 'y'));
    EXPECT_FALSE(output_of(call));
}

}  // namespace
}  // namespace codegen::git

// Conversations that outlive their bodies, as far as files, rows and refusals go; what an agent makes of them is shown
// by the tests with real runtimes.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "services/worker-manager/repository/tree.hpp"
#include "services/worker-manager/tests/service_fixture.hpp"
#include "shared/base/ids.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class SessionTest : public ServiceFixture {
  protected:
    boost::json::object create(const std::string& name, const std::string& session, const std::string& user = "1") {
        auto message = create_message(name, "create-" + name);
        message["context"].as_object()["session_id"] = session;
        message["context"].as_object()["user_id"] = user;
        return ask(message);
    }
    fs::path home(const std::string& worker) const { return state() / "workers" / worker / "home"; }
    fs::path kept(const std::string& session) const { return state() / "sessions" / session / "home"; }
    // What the wrapper and its agent leave.
    void say_something(const std::string& worker) {
        std::ofstream(home(worker) / "said.txt") << worker;
        std::ofstream(state() / "workers" / worker / "state" / "attempts-r1") << "1";
    }
    const std::string id_ = new_uuid();
};

TEST_F(SessionTest, ANewWorkerGetsTheFilesOfTheOldOne) {
    start();
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    EXPECT_EQ(runtime_->specs.at("dev-1").environment.at("SESSION_ID"), id_);
    EXPECT_TRUE(runtime_->specs.at("dev-1").config.session_lost) << "named, and never heard of";
    say_something("dev-1");
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_TRUE(fs::exists(kept(id_) / "said.txt"));

    restart();
    ASSERT_EQ(create("dev-2", id_)["success"], true);
    EXPECT_TRUE(fs::exists(home("dev-2") / "said.txt"));
    EXPECT_FALSE(fs::exists(kept(id_)));
    EXPECT_FALSE(runtime_->specs.at("dev-2").config.session_lost);
    EXPECT_TRUE(runtime_->specs.at("dev-2").config.session_named);
    // Nothing was said this time: it is kept all the same.
    ASSERT_EQ(ask(remove_message("dev-2", "d-2"))["success"], true);
    EXPECT_TRUE(fs::exists(kept(id_) / "said.txt"));
}

TEST_F(SessionTest, WhoHasNothingToSayLeavesNothing) {
    start();
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    must_create("dev-2");
    EXPECT_FALSE(runtime_->specs.at("dev-2").config.session_id) << "a custom command that nobody gave one";
    std::ofstream(state() / "workers/dev-2/state/attempts-r1") << "1";
    ASSERT_EQ(ask(remove_message("dev-2", "d-2"))["success"], true);
    EXPECT_TRUE(fs::is_empty(state() / "sessions"));
}

TEST_F(SessionTest, AnEndedWorkerGivesItAway) {
    start();
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    say_something("dev-1");
    runtime_->kill("dev-1");
    ASSERT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    ASSERT_EQ(create("dev-2", id_)["success"], true);
    EXPECT_TRUE(fs::exists(home("dev-2") / "said.txt"));
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_TRUE(fs::exists(home("dev-2") / "said.txt"));
}

TEST_F(SessionTest, ALivingOneDoesNotAndNobodyTakesAnothersOrAMadeUpOne) {
    start();
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    say_something("dev-1");
    EXPECT_THAT(error_of(create("dev-2", id_)), HasSubstr("worker dev-1 leads the conversation"));
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_THAT(error_of(create("dev-3", id_, "2")), HasSubstr("is the conversation of another user"));
    EXPECT_THAT(error_of(create("dev-4", "../../etc")), HasSubstr("context.session_id: \"../../etc\" is not a UUID"));
    EXPECT_TRUE(fs::exists(kept(id_) / "said.txt")) << "a refusal takes nothing";
}

TEST_F(SessionTest, ALostOneIsSaidToBeLost) {
    start();
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    say_something("dev-1");
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    run(remove_tree(kept(id_)));
    ASSERT_EQ(create("dev-2", id_)["success"], true);
    EXPECT_TRUE(runtime_->specs.at("dev-2").config.session_lost);
    EXPECT_EQ(runtime_->specs.at("dev-2").config.session_id, id_);
}

// What an agent says its conversation is called is a claim.
TEST_F(SessionTest, NobodyTakesAnothersNameForItsOwn) {
    start();
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    say_something("dev-1");
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    const auto other = new_uuid();
    ASSERT_EQ(create("dev-2", other)["success"], true);
    say_something("dev-2");
    contracts::ResultFile result;
    result.output.request_id = "r1";
    result.output.session_id = id_;
    std::ofstream(state() / "workers/dev-2/state/result-r1.json") << json::write(result);
    ASSERT_EQ(ask(remove_message("dev-2", "d-2"))["success"], true);
    EXPECT_EQ(posix::read_file(kept(id_) / "said.txt", 100).value(), "dev-1");
    EXPECT_EQ(posix::read_file(kept(other) / "said.txt", 100).value(), "dev-2");
}

TEST_F(SessionTest, AnUnusedOneIsForgotten) {
    options_.session_ttl = std::chrono::seconds(0);
    options_.sweep_interval = std::chrono::milliseconds(10);
    fs::create_directories(state() / "sessions" / "stranger");
    start();
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    say_something("dev-1");
    EXPECT_TRUE(eventually([&] { return !fs::exists(state() / "sessions" / "stranger"); }));
    const auto other = new_uuid();
    ASSERT_EQ(create("dev-2", other)["success"], true);
    say_something("dev-2");
    ASSERT_EQ(ask(remove_message("dev-2", "d-2"))["success"], true);
    EXPECT_TRUE(eventually([&] { return !fs::exists(state() / "sessions" / other); }));
    EXPECT_TRUE(fs::exists(home("dev-1") / "said.txt")) << "the worker is there";
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_TRUE(eventually([&] { return fs::is_empty(state() / "sessions"); }));
}

// An agent may leave what it likes in its home.
TEST_F(SessionTest, LinksInItAreNotFollowed) {
    if (::geteuid() != 0) GTEST_FAIL() << "changes owners: run as root";
    start();
    const auto outside = state() / "outside.txt";
    std::ofstream(outside) << "mine";
    fs::create_directory(state() / "outside");
    std::ofstream(state() / "outside" / "file") << "mine";
    ASSERT_EQ(create("dev-1", id_)["success"], true);
    say_something("dev-1");
    fs::create_symlink(outside, home("dev-1") / "link");
    fs::create_directory_symlink(state() / "outside", home("dev-1") / "folder");
    ASSERT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    ASSERT_EQ(create("dev-2", id_)["success"], true);
    const auto owner = [](const fs::path& path) {
        struct stat status{};
        return ::lstat(path.c_str(), &status) == 0 ? static_cast<int>(status.st_uid) : -1;
    };
    EXPECT_EQ(owner(home("dev-2") / "said.txt"), 10001);
    EXPECT_EQ(owner(home("dev-2") / "link"), 10001);
    EXPECT_EQ(owner(outside), 0);
    EXPECT_EQ(owner(state() / "outside" / "file"), 0);
}

}  // namespace
}  // namespace codegen::worker_manager

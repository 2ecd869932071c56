#include "apps/orchestratord/host_sessions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/testing/temp_directory.hpp"

namespace codegen::orchestratord {
namespace {

using contracts::AgentType;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class HostSessionsTest : public ::testing::Test {
  protected:
    void SetUp() override {
        for (const char* name : {"state", "claude", "codex"}) fs::create_directories(directory_ / name);
    }
    Result<std::map<AgentType, fs::path>> parse(const std::string& text) const {
        return parse_host_sessions(text, directory_ / "state");
    }
    std::string path(const std::string& name) const { return (directory_ / name).string(); }
    std::string error(const std::string& text) const {
        const auto parsed = parse(text);
        EXPECT_FALSE(parsed) << text;
        if (parsed) return "";
        EXPECT_EQ(parsed.error().category, ErrorCategory::fatal);
        return parsed.error().message;
    }
    testing::TempDirectory directory_;
};

TEST_F(HostSessionsTest, NameADirectoryForEachAgent) {
    EXPECT_TRUE(parse("")->empty());
    const auto two = parse("claude=" + path("claude") + ",codex=" + path("codex"));
    ASSERT_TRUE(two) << two.error().message;
    EXPECT_EQ(two->at(AgentType::claude), path("claude"));
    EXPECT_EQ(two->at(AgentType::codex), path("codex"));
}

TEST_F(HostSessionsTest, SayWhichPartIsWrong) {
    EXPECT_THAT(error("claude"), HasSubstr("expected agent=DIRECTORY"));
    EXPECT_THAT(error("cloud=" + path("claude")), HasSubstr("expected one of claude"));
    EXPECT_THAT(error("claude=relative"), HasSubstr("absolute"));
    EXPECT_THAT(error("claude=" + path("nowhere")), HasSubstr("no such directory"));
    EXPECT_THAT(error("claude=" + path("claude") + ",claude=" + path("codex")), HasSubstr("already"));
}

TEST_F(HostSessionsTest, ShareNothing) {
    fs::create_directories(directory_ / "claude" / "inner");
    EXPECT_THAT(error("claude=" + path("claude") + ",codex=" + path("claude")), HasSubstr("lie apart"));
    EXPECT_THAT(error("claude=" + path("claude") + ",codex=" + path("claude/inner")), HasSubstr("lie apart"));
    EXPECT_THAT(error("codex=" + path("claude/inner") + ",claude=" + path("claude")), HasSubstr("lie apart"));
}

TEST_F(HostSessionsTest, LendNothingButALogin) {
    fs::create_directories(directory_ / "state" / "logins");
    fs::create_directory_symlink(directory_ / "state", directory_ / "link");
    for (const auto& lent :
         {std::string("/"), directory_.path().string(), path("state"), path("state/logins"), path("link")})
        EXPECT_THAT(error("claude=" + lent), HasSubstr("apart from")) << lent;
}

}  // namespace
}  // namespace codegen::orchestratord

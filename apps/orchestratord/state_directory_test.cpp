#include "apps/orchestratord/state_directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "shared/base/ids.hpp"

namespace codegen::orchestratord {
namespace {
namespace fs = std::filesystem;

TEST(StateDirectory, LocksKeepsItsIdAndItsModes) {
    const auto path = fs::temp_directory_path() / ("state-" + random_token(6));
    std::string id;
    {
        const auto first = StateDirectory::open(path);
        ASSERT_TRUE(first) << first.error().message;
        id = first->instance_id();
        const auto second = StateDirectory::open(path);
        ASSERT_FALSE(second);
        EXPECT_NE(second.error().message.find("pid " + std::to_string(::getpid())), std::string::npos)
            << second.error().message;
        struct stat st{};
        ASSERT_EQ(::stat((path / "redis").c_str(), &st), 0);
        EXPECT_EQ(st.st_mode & 0777, 0700u);
        ASSERT_EQ(::stat(path.c_str(), &st), 0);
        EXPECT_EQ(st.st_mode & 0777, 0711u);
    }
    const auto again = StateDirectory::open(path);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->instance_id(), id);
    fs::remove_all(path);
    EXPECT_FALSE(StateDirectory::open("/proc/nowhere/state"));
}

TEST(StateDirectory, ARoleThatRunsOnceADirectoryIsLocked) {
    const auto path = fs::temp_directory_path() / ("state-" + random_token(6));
    // The processes of `serve` share the directory, but not the role.
    const auto one = StateDirectory::open(path, false);
    const auto two = StateDirectory::open(path, false);
    ASSERT_TRUE(one && two);
    {
        const auto held = one->lock_role("worker-manager");
        ASSERT_TRUE(held) << held.error().message;
        const auto refused = two->lock_role("worker-manager");
        ASSERT_FALSE(refused);
        EXPECT_NE(refused.error().message.find("the role worker-manager of state directory"), std::string::npos)
            << refused.error().message;
        EXPECT_TRUE(two->lock_role("other"));
    }
    EXPECT_TRUE(two->lock_role("worker-manager"));
    fs::remove_all(path);
}

TEST(StateDirectory, DefaultPath) {
    auto env = [](std::map<std::string, std::string, std::less<>> values) {
        return [values](std::string_view name) -> std::optional<std::string> {
            auto it = values.find(name);
            return it == values.end() ? std::nullopt : std::optional(it->second);
        };
    };
    EXPECT_EQ(StateDirectory::default_path(env({}), true), "/var/lib/codegen");
    EXPECT_EQ(StateDirectory::default_path(env({{"HOME", "/home/a"}}), false), "/home/a/.local/state/codegen");
    EXPECT_EQ(StateDirectory::default_path(env({{"HOME", "/home/a"}, {"XDG_STATE_HOME", "/x"}}), false), "/x/codegen");
    EXPECT_EQ(StateDirectory::default_path(env({{"CODEGEN_STATE_DIR", "/s"}}), true), "/s");
    const auto nowhere = StateDirectory::open(StateDirectory::default_path(env({}), false));
    ASSERT_FALSE(nowhere);
    EXPECT_NE(nowhere.error().message.find("CODEGEN_STATE_DIR"), std::string::npos) << nowhere.error().message;
}

}  // namespace
}  // namespace codegen::orchestratord

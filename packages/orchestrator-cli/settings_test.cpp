#include "packages/orchestrator-cli/settings.hpp"

#include <gtest/gtest.h>

#include <map>

namespace codegen::cli {
namespace {

Environment variables(std::map<std::string, std::string, std::less<>> values) {
    return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
        const auto found = values.find(name);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    };
}

TEST(Settings, state_directory) {
    EXPECT_EQ(default_state_directory(variables({{"CODEGEN_STATE_DIR", "/x"}}), true), "/x");
    EXPECT_EQ(default_state_directory(variables({}), true), "/var/lib/codegen");
    EXPECT_EQ(default_state_directory(variables({{"XDG_STATE_HOME", "/s"}, {"HOME", "/h"}}), false), "/s/codegen");
    EXPECT_EQ(default_state_directory(variables({{"HOME", "/h"}}), false), "/h/.local/state/codegen");
    EXPECT_EQ(default_state_directory(variables({}), false), "") << "not a directory that anybody could have made";
}

TEST(Settings, addresses) {
    EXPECT_EQ(load_settings(variables({{"CODEGEN_STATE_DIR", "/x"}}), false).api_url, "http+unix:///x/api.sock");
    EXPECT_EQ(load_settings(variables({{"ORCHESTRATOR_API_URL", "http://a:1"}}), false).api_url, "http://a:1");
    EXPECT_EQ(
        load_settings(variables({{"ORCHESTRATOR_API_URL", "http://a:1"}, {"API_URL", "http://b:2"}}), false).api_url,
        "http://b:2");
    const auto inside = load_settings(
        variables({{"CODEGEN_GATEWAY", "/run/codegen"}, {"API_URL", "http://b:2"}, {"ORCHESTRATOR_TOKEN", "t"}}),
        false);
    EXPECT_EQ(inside.api_url, "http+unix:///run/codegen/http.sock");
    EXPECT_EQ(*load_token(inside), "");
    EXPECT_EQ(load_redis_url(inside).error().code, "forbidden");
}

TEST(Settings, missing_permissions_mean_all_only_outside_a_worker) {
    EXPECT_FALSE(load_settings(variables({}), false).allowed_commands);
    EXPECT_EQ(load_settings(variables({{"CODEGEN_GATEWAY", "/g"}}), false).allowed_commands,
              std::vector<std::string>{});
    EXPECT_EQ(load_settings(variables({{"ORCHESTRATOR_ALLOWED_TOOLS", "respond"}}), false).allowed_commands,
              std::vector<std::string>{"respond"});
}

TEST(Settings, no_control_plane_says_what_to_do) {
    const auto error = load_token(load_settings(variables({{"CODEGEN_STATE_DIR", "/nonexistent"}}), false)).error();
    EXPECT_EQ(error.code, "unavailable");
    EXPECT_NE(error.message.find("make up"), std::string::npos);
}

}  // namespace
}  // namespace codegen::cli

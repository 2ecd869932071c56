// The real Claude Code in a user's own image, which does not hold it.
#include <gtest/gtest.h>

#include "shared/testing/fake_model_provider.hpp"
#include "tests/harness/direct_worker.hpp"

namespace codegen::testing {
namespace {
namespace json = boost::json;

class ClaudeInAnOwnImage : public ::testing::Test {
  protected:
    static json::object claude(const std::string& worker, const std::string& image) {
        auto config = direct_config(worker, {});
        config["agent_type"] = "claude";
        config.erase("command");
        config["image"] = image;
        return config;
    }
    FakeModelProvider provider_;
    ControlPlane plane_{
        {.runtime = "docker",
         .environment = {{"ANTHROPIC_BASE_URL", provider_.base_url()}, {"ANTHROPIC_API_KEY", provider_.key()}}}};
};

TEST_F(ClaudeInAnOwnImage, WorksInADebianRootAndIsRefusedWithoutGlibc) {
    const OwnRoot debian(plane_, debian_root(plane_));
    const auto worker = direct_name();
    const auto made = create_directly(plane_, claude(worker, debian.name()));
    ASSERT_EQ(made.at("success"), true) << json::serialize(made);
    provider_.push(ModelTurn::call("Bash", {{"command", "echo hello > made"}, {"description", "run it"}}));
    provider_.push(ModelTurn::say(
        R"(Done. <result>{"status":"success","summary":"made it","data":{"no_changes":true}}</result>)"));
    const auto output = work_directly(plane_, worker, plane_.create_project("p"));
    EXPECT_EQ(output.at("status"), "success") << json::serialize(output) << plane_.log();
    EXPECT_EQ(workspace_file(plane_, worker, "made"), "hello\n");

    const OwnRoot busybox(plane_, kBusyboxRoot);
    const auto refused = direct_error(create_directly(plane_, claude(direct_name(), busybox.name())));
    EXPECT_TRUE(refused.contains("has no /lib64/ld-linux-x86-64.so.2, which the program of claude needs")) << refused;
}

}  // namespace
}  // namespace codegen::testing

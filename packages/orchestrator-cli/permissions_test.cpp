#include "packages/orchestrator-cli/permissions.hpp"

#include <gtest/gtest.h>

namespace codegen::cli {
namespace {

TEST(Permissions, patterns) {
    EXPECT_TRUE(is_allowed({"*"}, "worker.exec"));
    EXPECT_TRUE(is_allowed({"project.*"}, "project.list"));
    EXPECT_FALSE(is_allowed({"project.*"}, "projects.list"));
    EXPECT_FALSE(is_allowed({"project.*"}, "project"));
    EXPECT_TRUE(is_allowed({"result", "respond"}, "respond"));
    EXPECT_FALSE(is_allowed({"project.list"}, "project.lister"));
    EXPECT_FALSE(is_allowed({}, "project.list"));
}

TEST(Permissions, profiles_and_spelling) {
    EXPECT_EQ(parse_allowed_commands(" project.list ,,respond,project.list"),
              (std::vector<std::string>{"project.list", "respond"}));
    EXPECT_EQ(parse_allowed_commands("PRODUCT_OWNER"), std::vector<std::string>{"*"});
    EXPECT_TRUE(is_allowed(parse_allowed_commands("DEVELOPER"), "engineering.status"));
    EXPECT_FALSE(is_allowed(parse_allowed_commands("DEVELOPER"), "engineering.start"));
    EXPECT_TRUE(is_allowed(parse_allowed_commands("DEVOPS"), "deploy.start"));
    EXPECT_TRUE(is_allowed(parse_allowed_commands("engineering.trigger"), "engineering.start"));
    EXPECT_TRUE(parse_allowed_commands(" , ").empty());
}

}  // namespace
}  // namespace codegen::cli

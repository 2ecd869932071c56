#include "shared/contracts/permissions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::contracts {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using List = std::vector<std::string>;

TEST(Permissions, PatternsAllowCommands) {
    EXPECT_TRUE(allows({"*"}, "anything.at.all"));
    EXPECT_TRUE(allows({"project.*"}, "project.get"));
    EXPECT_FALSE(allows({"project.*"}, "projects"));
    EXPECT_FALSE(allows({"project.*"}, "*"));
    EXPECT_TRUE(allows({"engineering.trigger"}, "engineering.start"));
    EXPECT_FALSE(allows({}, "respond"));
    EXPECT_FALSE(allows({"respond"}, "respond.more"));
}

TEST(Permissions, WhatBothListsAllow) {
    EXPECT_THAT(allowed_by_both({"*"}, {"project.get"}), ElementsAre("project.get"));
    EXPECT_THAT(allowed_by_both({"project.get"}, {"*"}), ElementsAre("project.get"));
    EXPECT_THAT(allowed_by_both({"*"}, {"*"}), ElementsAre("*"));
    EXPECT_THAT(allowed_by_both({"project.*", "result"}, {"project.get", "project.create", "engineering.start"}),
                ElementsAre("project.get", "project.create"));
    EXPECT_THAT(allowed_by_both({"project.get"}, {"project.*", "project.get"}), ElementsAre("project.get"));
    EXPECT_THAT(allowed_by_both({"engineering.trigger"}, {"engineering.*"}), ElementsAre("engineering.trigger"));
    EXPECT_THAT(allowed_by_both({"*"}, {}), IsEmpty());
    EXPECT_THAT(allowed_by_both({"result"}, {"respond"}), IsEmpty());
    // Whatever the lists: a command is in the outcome where it is in both.
    const std::vector<List> lists{{},           {"*"},          {"a.*"},   {"a.b"},
                                  {"a.*", "c"}, {"a.b", "c.d"}, {"a.b.*"}, {"engineering.trigger"}};
    for (const auto& left : lists)
        for (const auto& right : lists)
            for (const auto* command : {"a.b", "a.c", "a.b.c", "c", "c.d", "engineering.start"})
                EXPECT_EQ(allows(allowed_by_both(left, right), command),
                          allows(left, command) && allows(right, command))
                    << ::testing::PrintToString(left) << ::testing::PrintToString(right) << command;
}

}  // namespace
}  // namespace codegen::contracts

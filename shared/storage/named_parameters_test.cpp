#include "shared/storage/named_parameters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NamedParameters, BecomeNumbersInTheOrderOfTheirFirstUse) {
    const auto sql = positional("UPDATE t SET a = :first, b = :second_2 WHERE id = :first AND c=:_c");
    EXPECT_EQ(sql.text, "UPDATE t SET a = $1, b = $2 WHERE id = $1 AND c=$3");
    EXPECT_THAT(sql.names, ElementsAre("first", "second_2", "_c"));
}

TEST(NamedParameters, TextsIdentifiersCommentsAndCastsAreLeftAlone) {
    const std::string sql = "SELECT ':a', 'it'':b', \":c\", d::bigint, e[1:2] -- :f\n, /* :g */ 12:00";
    EXPECT_EQ(positional(sql).text, sql);
    EXPECT_THAT(positional(sql).names, IsEmpty());
    EXPECT_EQ(positional("SELECT ':a' || :b || ':c'").text, "SELECT ':a' || $1 || ':c'");
}

TEST(NamedParameters, WhatIsNotClosedEndsWithTheText) {
    for (const std::string sql :
         {"", ":", "SELECT 'x :a", "SELECT \"x :a", "SELECT 1 -- :a", "SELECT 1 /* :a", "a :", "::"})
        EXPECT_EQ(positional(sql).text, sql);
    EXPECT_EQ(positional("a = :b").text, "a = $1");
}

}  // namespace
}  // namespace codegen::storage

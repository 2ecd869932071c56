#include "services/workflow/policy.hpp"

#include <gtest/gtest.h>

namespace codegen::workflow {
namespace {

TEST(Policy, retries_are_read) {
    const auto some = parse_retries(" infrastructure=1, killed = 2 ,");
    ASSERT_TRUE(some) << some.error().message;
    EXPECT_EQ(*some, (std::map<Reason, int>{{Reason::infrastructure, 1}, {Reason::killed, 2}}));
    EXPECT_TRUE(parse_retries("")->empty());
}

TEST(Policy, what_is_wrong_is_named) {
    const auto complaint = [](std::string_view text) {
        const auto read = parse_retries(text);
        return read ? std::string() : read.error().message;
    };
    EXPECT_TRUE(complaint("infrastructure").contains("REASON=COUNT"));
    EXPECT_TRUE(complaint("weather=1").contains("out_of_memory")) << "the possible reasons are named";
    EXPECT_TRUE(complaint("killed=-1").contains("0 to 10"));
    EXPECT_TRUE(complaint("killed=11").contains("killed=11"));
    EXPECT_TRUE(complaint("killed=two").contains("killed=two"));
    EXPECT_TRUE(complaint("cancelled=1").contains("stays cancelled"));
}

}  // namespace
}  // namespace codegen::workflow

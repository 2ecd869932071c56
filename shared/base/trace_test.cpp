#include "shared/base/trace.hpp"

#include <gtest/gtest.h>

namespace codegen {
namespace {

constexpr auto kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Trace, reads_and_hands_on) {
    EXPECT_TRUE(is_traceparent(kTrace));
    EXPECT_TRUE(is_traceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later"));
    for (const auto* bad : {"", "x", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "00-x",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01"})
        EXPECT_FALSE(is_traceparent(bad)) << bad;
    const auto next = next_traceparent(kTrace);
    EXPECT_TRUE(is_traceparent(next));
    EXPECT_EQ(next.substr(0, 36), std::string(kTrace).substr(0, 36));
    EXPECT_NE(next, kTrace);
    EXPECT_TRUE(next.ends_with("-01"));
    EXPECT_EQ(next_traceparent("x"), "");
    EXPECT_TRUE(is_traceparent(new_traceparent()));
    EXPECT_NE(new_traceparent(), new_traceparent());
    EXPECT_EQ(trace_id_of(kTrace), "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(trace_id_of("x"), "");
    EXPECT_TRUE(is_correlation_id("a-b_c.d:1"));
    for (const auto& bad : {std::string(), std::string("a b"), std::string(129, 'a')})
        EXPECT_FALSE(is_correlation_id(bad));
}

}  // namespace
}  // namespace codegen

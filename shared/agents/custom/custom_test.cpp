#include "shared/agents/custom/custom.hpp"

#include <gtest/gtest.h>

namespace codegen::agents {
namespace {

using contracts::AgentEventKind;

TEST(CustomStream, EachLineIsItsOwnText) {
    auto stream = Custom().stream({});
    const auto events = stream->line("hello", false);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, AgentEventKind::text);
    EXPECT_EQ(events[0].text, "hello");
    for (std::string_view line : {"<result>", "{\"status\":\"failure\",", "\"summary\":\"over lines\"}", "</result>"})
        stream->line(line, false);
    ASSERT_TRUE(stream->verdict());
    EXPECT_EQ(stream->verdict()->summary, "over lines");
    EXPECT_FALSE(stream->final_record_expected());
}

}  // namespace
}  // namespace codegen::agents

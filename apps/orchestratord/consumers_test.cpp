// asyncapi.json tells others who reads what: it must be what the roles do.
#include "apps/orchestratord/consumers.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "shared/contracts/contracts.hpp"
#include "shared/contracts/stream_table.hpp"
#include "shared/redis/consumer_core.hpp"

namespace codegen::orchestratord {
namespace {

TEST(Consumers, AreInTheTableOfStreams) {
    const auto table = contracts::stream_table();
    ASSERT_FALSE(consumed_streams().empty());
    for (const auto& consumed : consumed_streams()) {
        const auto stream = std::ranges::find(table, consumed.stream, &contracts::StreamDescription::address);
        ASSERT_NE(stream, table.end()) << consumed.stream << " is not in shared/contracts/stream_table.cpp";
        EXPECT_TRUE(std::ranges::any_of(stream->readers,
                                        [&](const contracts::StreamReader& reader) {
                                            return reader.role == consumed.role && reader.group == consumed.group;
                                        }))
            << consumed.stream << " is read by " << consumed.role << " as " << consumed.group;
    }
}

TEST(DeadLetters, AreWhatTheirContractSays) {
    const auto letter = redis::make_dead_letter("{not json", {.error = "does not validate",
                                                              .category = ErrorCategory::upstream,
                                                              .timestamp = format_timestamp(system_now()),
                                                              .service = "workflow",
                                                              .attempts = 3,
                                                              .stream = "engineering:queue",
                                                              .entry_id = "1-0"});
    const auto context = json::parse<contracts::DeadLetterContext>(letter.error_context);
    ASSERT_TRUE(context) << invalid(context.error()).message;
    EXPECT_EQ(context->category, contracts::DeadLetterCategory::upstream);
    EXPECT_EQ(boost::json::parse(letter.error_context), json::to_value(*context));
}

}  // namespace
}  // namespace codegen::orchestratord

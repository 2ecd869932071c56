#include <gmock/gmock.h>

#include "packages/orchestrator-cli/cli_fixture.hpp"
#include "shared/redis/consumer.hpp"

namespace codegen::cli::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;

class DeadLetters : public CliTest {
  protected:
    // Runs a real consumer until it has taken `count` entries: "bad" fails for good, everything else is fine.
    std::vector<redis::Delivery> consume(std::size_t count) {
        std::vector<redis::Delivery> seen;
        std::optional<redis::Consumer> consumer;
        consumer.emplace(
            io_.get_executor(), redis_.address(),
            redis::ConsumerOptions{.stream = "a:queue", .group = "g", .consumer = "c", .service = "tester"},
            [&](redis::Delivery delivery) -> Task<Result<void>> {
                seen.push_back(delivery);
                if (seen.size() == count) consumer->stop();
                return [](bool bad) -> Task<Result<void>> {
                    if (bad) co_return fail(ErrorCategory::permanent, "invalid", "it is bad");
                    co_return Result<void>();
                }(delivery.data.contains("bad"));
            });
        const auto ended = run(io_, consumer->run(), 10s);
        EXPECT_TRUE(ended);
        return seen;
    }
    std::string only_letter() {
        const auto letters = orchestrator({"dlq", "list", "a:queue"}).data();
        return letters.as_array().size() == 1 ? text(letters.as_array()[0], "id") : std::string();
    }
};

TEST_F(DeadLetters, from_the_consumer_that_gave_up_back_into_its_queue) {
    EXPECT_EQ(orchestrator({"dlq", "list"}).data(), boost::json::array());
    EXPECT_THAT(orchestrator({"dlq", "list", "--text"}).output, HasSubstr("no dead letters"));
    const std::string bytes = "bad \xff\x01 \"not json\"";
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    redis_.command({"XADD", "a:queue", "*", "data", bytes, "traceparent", trace});
    consume(1);

    const auto queues = orchestrator({"dlq", "list"}).data().as_array();
    ASSERT_EQ(queues.size(), 1u);
    EXPECT_EQ(text(queues[0], "queue"), "a:queue");
    EXPECT_EQ(queues[0].at("letters"), 1);
    EXPECT_THAT(orchestrator({"dlq", "list", "--text"}).output, HasSubstr("a:queue"));
    const auto id = only_letter();
    EXPECT_THAT(orchestrator({"dlq", "list", "a:queue", "--text"}).output, HasSubstr("it is bad"));

    const auto shown = orchestrator({"dlq", "show", "a:queue:dlq", id}).data();
    EXPECT_EQ(text(shown, "original_base64"), "YmFkIP8BICJub3QganNvbiI=");
    EXPECT_EQ(text(shown.at("error_context"), "error"), "it is bad");
    EXPECT_EQ(text(shown.at("error_context"), "service"), "tester");
    EXPECT_EQ(text(shown, "traceparent"), trace);
    EXPECT_EQ(orchestrator({"dlq", "show", "a:queue", id, "--raw"}).output, bytes);
    const auto people = orchestrator({"dlq", "show", "a:queue", id, "--text"});
    EXPECT_THAT(people.output, HasSubstr("permanent"));
    EXPECT_THAT(people.output, ::testing::Not(HasSubstr("\x01")));

    const auto retried = orchestrator({"dlq", "retry", "a:queue", id});
    EXPECT_EQ(retried.exit, 0) << retried.output;
    EXPECT_EQ(only_letter(), "");
    EXPECT_EQ(orchestrator({"dlq", "retry", "a:queue", id}).exit, 4) << "once only";
    const auto again = consume(1);
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].data, bytes);
    EXPECT_EQ(again[0].traceparent, trace);
    EXPECT_NE(only_letter(), "") << "still bad";
}

// Written by an older writer: the fields are the message.
TEST_F(DeadLetters, an_entry_without_data_comes_back_as_its_fields) {
    redis_.command({"XADD", "a:queue", "*", "task_id", "bad \"t\"", "user_id", "7"});
    consume(1);
    EXPECT_EQ(orchestrator({"dlq", "retry", "a:queue", "--all"}).exit, 0);
    const auto again = consume(1);
    ASSERT_EQ(again.size(), 1u);
    EXPECT_THAT(again[0].entry.fields,
                ::testing::UnorderedElementsAre(Pair("task_id", "bad \"t\""), Pair("user_id", "7")));
}

TEST_F(DeadLetters, are_dropped_only_on_yes) {
    for (int i = 0; i < 3; ++i) redis_.command({"XADD", "a:queue", "*", "data", "bad"});
    consume(3);
    const auto refused = orchestrator({"dlq", "drop", "a:queue", "--all"});
    EXPECT_EQ(refused.exit, 2);
    EXPECT_THAT(text(refused.json(), "message"), HasSubstr("3 dead letters of a:queue for ever: say --yes"));
    EXPECT_EQ(orchestrator({"dlq", "list", "a:queue"}).data().as_array().size(), 3u);
    const auto first = text(orchestrator({"dlq", "list", "a:queue"}).data().as_array()[0], "id");
    EXPECT_EQ(orchestrator({"dlq", "drop", "a:queue", first, "--yes"}).exit, 0);
    EXPECT_EQ(orchestrator({"dlq", "drop", "a:queue", first, "--yes"}).exit, 4);
    EXPECT_EQ(orchestrator({"dlq", "drop", "a:queue", "--all", "--yes"}).data().at("dropped"), 2);
    EXPECT_EQ(orchestrator({"dlq", "list"}).data(), boost::json::array());
}

TEST_F(DeadLetters, wrong_usage_and_other_peoples_entries) {
    EXPECT_EQ(orchestrator({"dlq", "show", "a:queue", "first"}).exit, 2);
    EXPECT_EQ(orchestrator({"dlq", "show", "a:queue", "1-1"}).exit, 4);
    EXPECT_EQ(orchestrator({"dlq", "retry", "a:queue"}).exit, 2);
    EXPECT_EQ(orchestrator({"dlq", "retry", "a:queue", "1-1", "--all"}).exit, 2);
    redis_.command({"XADD", "b:queue:dlq", "1-1", "something", "else"});
    redis_.command({"SET", "c:dlq", "no stream"});
    const auto queues = orchestrator({"dlq", "list"}).data().as_array();
    ASSERT_EQ(queues.size(), 1u);
    EXPECT_EQ(orchestrator({"dlq", "show", "b:queue", "1-1"}).exit, 0);
    const auto retried = orchestrator({"dlq", "retry", "b:queue", "1-1"});
    EXPECT_EQ(retried.exit, 1);
    EXPECT_THAT(text(retried.json(), "message"), HasSubstr("original_message"));
    EXPECT_EQ(orchestrator({"dlq", "list", "b:queue"}).data().as_array().size(), 1u) << "it stays";
}

TEST_F(DeadLetters, what_is_none_stops_no_others) {
    redis_.command({"XADD", "a:queue", "*", "data", "bad"});
    redis_.command({"XADD", "a:queue:dlq", "1-1", "data", "{}"});  // older than the letter
    consume(1);
    redis_.command({"XADD", "a:queue:dlq", "*", "data", "{}"});
    const auto retried = orchestrator({"dlq", "retry", "a:queue", "--all"});
    EXPECT_EQ(retried.exit, 0) << retried.output;
    EXPECT_EQ(retried.data().as_array().size(), 1u);
    EXPECT_THAT(text(retried.json(), "message"), HasSubstr("left where they are: 1-1, "));
    EXPECT_EQ(redis_.command({"XLEN", "a:queue:dlq"}).integer, 2);
    EXPECT_THAT(orchestrator({"dlq", "retry", "a:queue", "--all", "--text"}).output, HasSubstr("1-1"));
    EXPECT_EQ(consume(1).size(), 1u);
}

// As the input of a worker that was deleted.
TEST_F(DeadLetters, of_a_stream_that_nobody_reads_any_more_stay) {
    redis_.command({"XADD", "a:queue", "*", "data", "bad"});
    consume(1);
    redis_.command({"DEL", "a:queue"});
    const auto retried = orchestrator({"dlq", "retry", "a:queue", "--all"});
    EXPECT_EQ(retried.exit, 1) << retried.output;
    EXPECT_THAT(text(retried.json(), "message"), HasSubstr("nobody reads this stream any more"));
    EXPECT_NE(only_letter(), "");
    EXPECT_EQ(redis_.command({"EXISTS", "a:queue"}).integer, 0);
}

}  // namespace
}  // namespace codegen::cli::testing

// What model requests cost and when a run must stop: the parts without I/O.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "services/worker-manager/gateway/earlier_usage.hpp"
#include "services/worker-manager/gateway/model_request.hpp"
#include "services/worker-manager/gateway/patience.hpp"
#include "services/worker-manager/gateway/price_book.hpp"
#include "services/worker-manager/gateway/spending.hpp"
#include "services/worker-manager/gateway/usage.hpp"
#include "shared/testing/run.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

UsageReader read(bool event_stream, std::string_view text, std::size_t slice = 1) {
    UsageReader reader(event_stream);
    for (std::size_t at = 0; at < text.size(); at += slice) reader.feed(text.substr(at, slice));
    reader.finish();
    return reader;
}

TEST(Usage, OfAnthropicsMessages) {
    const std::string begin =
        "event: message_start\ndata: "
        "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":4,\"cache_"
        "creation_input_tokens\":2,\"output_tokens\":1}}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"usage {\"}}\n\n";
    const std::string end = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":25}}\r\n\r\n";
    for (const std::size_t slice : {1u, 7u, 1000u}) {
        const auto whole = read(true, begin + end, slice);
        EXPECT_EQ(whole.usage(), (ModelUsage{10, 25, 4, 2}));
        EXPECT_TRUE(whole.complete());
        EXPECT_FALSE(whole.failed());
    }
    const auto cut = read(true, begin);
    EXPECT_EQ(cut.usage(), (ModelUsage{10, 1, 4, 2}));
    EXPECT_FALSE(cut.complete());
    EXPECT_TRUE(read(true, begin + "event: error\ndata: {\"type\":\"error\"}\n\n").failed());
    EXPECT_EQ(read(false, R"({"type":"message","usage":{"input_tokens":3,"output_tokens":5}})").usage(),
              (ModelUsage{3, 5, 0, 0}));
}

TEST(Usage, OfOpenAisResponsesAndChatCompletions) {
    const auto responses = read(
        true,
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n"
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":"
        "100,\"input_tokens_details\":{\"cached_tokens\":60},\"output_tokens\":7,\"total_tokens\":107}}}\n\n");
    EXPECT_EQ(responses.usage(), (ModelUsage{40, 7, 60, 0}));
    EXPECT_TRUE(responses.complete());
    const auto chat = read(true,
                           "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n"
                           "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
                           "\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\ndata: [DONE]\n\n");
    EXPECT_EQ(chat.usage(), (ModelUsage{5, 2, 4, 0}));
    EXPECT_TRUE(chat.complete());
    EXPECT_FALSE(read(true, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n").complete());
    EXPECT_EQ(read(false, R"({"usage":{"prompt_tokens":3,"completion_tokens":5}})").usage(), (ModelUsage{3, 5, 0, 0}));
    EXPECT_TRUE(read(true, "event: response.failed\ndata: {}\n\n").failed());
}

TEST(Usage, NonsenseCountsNothing) {
    for (const auto* text :
         {"{]", "[]", "7", R"({"usage":7})", R"({"usage":{"input_tokens":"9"}})", R"({"usage":{"input_tokens":-9}})"})
        EXPECT_EQ(read(false, text).usage(), ModelUsage{}) << text;
    EXPECT_LE(read(false, R"({"usage":{"input_tokens":9223372036854775807}})").usage().total(), 1ll << 41);
    UsageReader endless(true);
    for (int i = 0; i < 10; ++i) endless.feed(std::string(1 << 20, 'x'));
    endless.finish();
    EXPECT_EQ(endless.usage(), ModelUsage{});
    EXPECT_FALSE(endless.complete());
}

TEST(ModelRequest, SaysItsModelWhateverElseItHolds) {
    const auto asked = read_model_request(
        R"( {"messages":[{"model":"inner","stream":true,"content":"{\"model\":\"quoted\"}"}],"model":"claude-x",
            "tools":[[[]]],"n":1,"f":1.5,"z":null,"stream":true})");
    EXPECT_EQ(asked.model, "claude-x");
    EXPECT_TRUE(asked.streams);
    EXPECT_FALSE(asked.has_stream_options);
    EXPECT_EQ(read_model_request(R"({"model":"a\u0062c"})").model, "abc");
    for (const auto* odd :
         {"", "[]", "7", "{", R"({"model":7})", R"({"model":"cheap","model":"dear"})", R"([{"model":"x"}])",
          R"({"model":"x"} trailing)", R"({"model":["x"]})", R"({"model":{"model":"x"}})"})
        EXPECT_EQ(read_model_request(odd).model, "") << odd;
    std::string deep = R"({"model":"m","x":)";
    deep += std::string(10000, '[') + std::string(10000, ']') + "}";
    EXPECT_EQ(read_model_request(deep).model, "");
}

TEST(ModelRequest, AStreamedChatIsAskedForItsUsage) {
    const auto asking = [](std::string body) {
        const auto asked = read_model_request(body);
        return asking_for_usage(std::move(body), asked);
    };
    const auto wants = [&](const char* body) {
        const auto value = boost::json::parse(asking(body));
        const auto* options = value.as_object().if_contains("stream_options");
        return options && options->is_object() && options->as_object().contains("include_usage") &&
               options->at("include_usage").as_bool();
    };
    EXPECT_TRUE(wants(R"(  {"model":"m","stream":true})"));
    EXPECT_TRUE(wants(R"({"stream":true,"stream_options":{"include_usage":false,"other":1}})"));
    EXPECT_TRUE(wants(R"({"stream":true,"stream_options":null})"));
    EXPECT_THAT(asking(R"({"stream":true,"stream_options":{"other":1}})"), HasSubstr(R"("other":1)"));
    for (const auto* same : {R"({"stream":true,"stream_options":{"include_usage":true}})", R"({"stream":false})",
                             R"({"model":"m"})", "no json", "[]"})
        EXPECT_EQ(asking(same), same);
}

TEST(Spending, ABudgetIsKeptByThePrice) {
    const ModelPrice price{.input = 3, .output = 15, .cache_read = 0.3, .cache_write = 3.75};
    EXPECT_DOUBLE_EQ(cost_usd(price, {1'000'000, 100'000, 1'000'000, 1'000'000}), 3 + 1.5 + 0.3 + 3.75);
    Spending spending;
    EXPECT_TRUE(spending.begin({"r1", 0.1}));
    EXPECT_TRUE(spending.with_budget());
    spending.add({10'000, 1'000, 0, 0}, price);  // 0.045
    spending.add({10'000, 1'000, 0, 0}, price);
    EXPECT_FALSE(spending.exceeded());
    spending.add({10'000, 0, 0, 0}, price);
    ASSERT_TRUE(spending.exceeded());
    EXPECT_THAT(*spending.exceeded(), HasSubstr("0.1200 USD"));
    EXPECT_THAT(*spending.exceeded(), HasSubstr("the budget is 0.1 USD"));
    spending.end("another");
    EXPECT_EQ(spending.run(), "r1");
    spending.end("r1");
    EXPECT_FALSE(spending.exceeded());
}

TEST(Spending, RunsOfOneTaskAddUpAndOthersDoNot) {
    for (const bool one_task : {true, false}) {
        Spending spending;
        spending.limit(100, one_task);
        spending.begin({"r1", {}});
        spending.add({60, 0, 0, 0}, {});
        EXPECT_TRUE(spending.begin({"r2", {}}));
        spending.add({10, 20, 5, 5}, {});
        EXPECT_EQ(spending.tokens(), one_task ? 100 : 40);
        EXPECT_FALSE(spending.exceeded());
        spending.add({1, 0, 0, 0}, {});
        EXPECT_EQ(spending.exceeded().has_value(), one_task);
    }
}

TEST(Spending, WhatIsKnownTwiceCountsOnce) {
    Spending spending;
    spending.limit(1000, true);
    spending.add_earlier(200, 0);                        // of this worker, as stored
    EXPECT_TRUE(spending.begin({"r1", 5.0, 450, 1.5}));  // of the task, as the wrapper was told before the restart
    spending.add({10, 0, 0, 0}, {});
    EXPECT_EQ(spending.tokens(), 460);
    spending.add_earlier(240, 0.5);  // of other workers
    EXPECT_EQ(spending.tokens(), 460);
    EXPECT_DOUBLE_EQ(spending.usd(), 1.5);
    EXPECT_FALSE(spending.begin({"r1", 5.0, 300, 1}));  // an older figure
    EXPECT_EQ(spending.tokens(), 460);
}

TEST(EarlierUsage, TakesEachWorkersHighestCounts) {
    const auto sum = earlier_usage(R"([
        {"worker_id": "dev-1", "input_tokens": 1, "result_data": {"gateway": {"model_input_tokens": 100, "model_cost_microusd": 500000}}},
        {"worker_id": "dev-1", "result_data": {"gateway": {"model_input_tokens": 150, "model_output_tokens": 1, "model_cost_microusd": 750000}}},
        {"worker_id": "dev-2", "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 2, "cost_usd": 0.25},
        {"worker_id": "me", "input_tokens": 1000, "result_data": {"gateway": {"model_input_tokens": 1000}}},
        {"worker_id": 7}, 7])",
                                   "me");
    EXPECT_EQ(sum.tokens, 151 + 17);
    EXPECT_DOUBLE_EQ(sum.usd, 1.0);
    EXPECT_EQ(earlier_usage("{", "me").tokens, 0);
    EXPECT_EQ(earlier_usage("{}", "me").tokens, 0);
}

TEST(Patience, EndsAfterALongRowOfFailuresOnly) {
    const ProviderPatience::Time start{};
    ProviderPatience patience(10s);
    EXPECT_FALSE(patience.failed(start));
    EXPECT_FALSE(patience.failed(start + 9s));
    EXPECT_TRUE(patience.failed(start + 11s));
    EXPECT_TRUE(patience.lost(start + 20s));
    EXPECT_FALSE(patience.lost(start + 22s));
    EXPECT_FALSE(patience.failed(start + 22s)) << "tried again, a new row begins";

    ProviderPatience two(10s);  // two are no row
    EXPECT_FALSE(two.failed(start));
    EXPECT_FALSE(two.failed(start + 10s));

    ProviderPatience mixed(10s);
    EXPECT_FALSE(mixed.failed(start));
    EXPECT_FALSE(mixed.failed(start + 9s));
    mixed.succeeded();
    EXPECT_FALSE(mixed.failed(start + 12s));

    ProviderPatience waiting(10s);  // an agent that waits longer and longer before it tries again
    EXPECT_FALSE(waiting.failed(start));
    EXPECT_FALSE(waiting.failed(start + 11s));
    EXPECT_TRUE(waiting.failed(start + 131s));

    ProviderPatience rare(10s);
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(rare.failed(start + i * 121s));
    ProviderPatience patient(300s);
    EXPECT_FALSE(patient.failed(start));
    EXPECT_FALSE(patient.failed(start + 290s));
    EXPECT_TRUE(patient.failed(start + 580s));

    ProviderPatience endless(0s);
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(endless.failed(start + i * 100s));
}

TEST(Prices, OfAnEntry) {
    const auto price = price_from_json(R"({"id":"m","input_price":3,"output_price":15.0})");
    ASSERT_TRUE(price);
    EXPECT_EQ(price->cache_read, 3);
    EXPECT_EQ(price->cache_write, 3.75);
    EXPECT_EQ(price_from_json(R"({"input_price":3,"output_price":1,"cache_read_price":0.3})")->cache_read, 0.3);
    for (const auto* none : {"", "[]", R"({"input_price":3})", R"({"input_price":-1,"output_price":1})"})
        EXPECT_FALSE(price_from_json(none)) << none;
}

TEST(Prices, AreAskedOnceAndKept) {
    asio::io_context io;
    int asked = 0;
    bool away = false;
    auto book = std::make_shared<PriceBook>(
        [&](std::string model) {
            ++asked;
            return [](std::string name, bool gone) -> Task<Result<std::optional<std::string>>> {
                if (gone) co_return fail(ErrorCategory::transient, "unavailable", "the API is away");
                if (name != "claude-x") co_return std::optional<std::string>{};
                co_return std::optional<std::string>(R"({"input_price":3,"output_price":15})");
            }(std::move(model), away);
        },
        0ms);
    const auto find = [&](const char* model) { return testing::run(io, PriceBook::find(book, model)); };
    EXPECT_EQ(find("claude-x").value()->input, 3);
    EXPECT_EQ(find("claude-x-20250929").value()->input, 3);
    EXPECT_EQ(find("claude-x-2025-09-29").value()->input, 3);
    EXPECT_FALSE(find("claude-y").value());
    EXPECT_FALSE(find("").value());
    EXPECT_EQ(asked, 6);
    away = true;  // the former one stays
    EXPECT_EQ(find("claude-x").value()->input, 3);
    EXPECT_EQ(find("unseen").error().code, "unavailable");
    auto kept = std::make_shared<PriceBook>(
        [&](std::string) {
            ++asked;
            return []() -> Task<Result<std::optional<std::string>>> { co_return std::optional<std::string>{}; }();
        },
        1h);
    asked = 0;
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(testing::run(io, PriceBook::find(kept, "m")).value());
    EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace codegen::worker_manager

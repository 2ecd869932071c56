#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <future>

#include "shared/http/client.hpp"
#include "shared/testing/fake_model_provider.hpp"
#include "shared/testing/run.hpp"

namespace codegen::testing {
namespace {

using namespace std::chrono_literals;

struct Answer {
    unsigned status = 0;
    std::string body;
    http::Headers headers;
};

constexpr std::string_view kTools = R"("tools":[{"name":"Write","input_schema":{"type":"object"}}])";

std::string main_body(bool stream) {
    return R"({"model":"claude-test","max_tokens":100,"stream":)" + std::string(stream ? "true" : "false") +
           R"(,"messages":[{"role":"user","content":"hello"}],)" + std::string(kTools) + "}";
}

http::Request post(std::string target, std::string body, const std::string& key) {
    http::Request request;
    request.method = "POST";
    request.target = std::move(target);
    request.headers.set("x-api-key", key);
    request.headers.set("content-type", "application/json");
    request.body = std::move(body);
    return request;
}

// Sends one request from an io_context of its own, as an agent would: the provider lives on another thread.
Answer send(const FakeModelProvider& provider, http::Request request) {
    asio::io_context io;
    const auto url = http::parse_url(provider.base_url());
    EXPECT_TRUE(url);
    http::Client client(io.get_executor(), *url);
    auto response = run(io, client.send(std::move(request), 30s));
    if (!response) return {0, response.error().message, {}};
    return {response->status, response->body, response->headers};
}

Answer ask(const FakeModelProvider& provider, bool stream) {
    return send(provider, post("/v1/messages?beta=true", main_body(stream), provider.key()));
}

// The events of a stream: name, data.
std::vector<std::pair<std::string, boost::json::object>> events(const std::string& body) {
    std::vector<std::pair<std::string, boost::json::object>> out;
    for (std::size_t at = 0; at < body.size();) {
        const auto end = body.find("\n\n", at);
        const auto block = body.substr(at, end - at);
        const auto line = block.find("\ndata: ");
        out.emplace_back(block.substr(7, line - 7), boost::json::parse(block.substr(line + 7)).as_object());
        at = end == std::string::npos ? body.size() : end + 2;
    }
    return out;
}

// The text of an answer, streamed or not.
std::string text_of(const std::string& body) {
    if (body.starts_with('{')) {
        const auto message = boost::json::parse(body).as_object();
        return message.contains("content") ? std::string(message.at("content").at(0).at("text").as_string()) : body;
    }
    std::string text;
    for (const auto& [name, data] : events(body))
        if (name == "content_block_delta") text += data.at("delta").at("text").as_string();
    return text;
}

TEST(FakeModelProvider, AnswersPlainText) {
    FakeModelProvider provider;
    provider.push(ModelTurn::say("Hi."));
    const auto answer = ask(provider, false);
    ASSERT_EQ(answer.status, 200u) << answer.body;
    const auto message = boost::json::parse(answer.body).as_object();
    EXPECT_EQ(message.at("content").at(0).at("text"), "Hi.");
    EXPECT_EQ(message.at("stop_reason"), "end_turn");
    EXPECT_EQ(message.at("model"), "claude-test");
    EXPECT_EQ(message.at("usage").at("output_tokens"), 20);
    ASSERT_EQ(provider.main_requests().size(), 1u);
    const auto request = provider.main_requests().front();
    EXPECT_EQ(request.json.at("messages").at(0).at("content"), "hello");
    EXPECT_EQ(request.headers.get("X-Api-Key"), provider.key());
    EXPECT_EQ(request.answered, 200u);
}

TEST(FakeModelProvider, StreamsTextAndToolCalls) {
    FakeModelProvider provider;
    provider.push(ModelTurn::call("Write", {{"file_path", "/w/\u00e9.txt"}, {"content", "a\nb"}}, "I write пиш."));
    const auto answer = ask(provider, true);
    ASSERT_EQ(answer.status, 200u) << answer.body;
    EXPECT_TRUE(answer.headers.get("content-type")->starts_with("text/event-stream"));
    std::vector<std::string> names;
    std::string text;
    std::string input;
    for (const auto& [name, data] : events(answer.body)) {
        names.push_back(name);
        EXPECT_EQ(data.at("type"), boost::json::string_view(name));
        if (name == "message_delta") {
            EXPECT_EQ(data.at("delta").at("stop_reason"), "tool_use");
        }
        if (name != "content_block_delta") continue;
        const auto& delta = data.at("delta").as_object();
        if (delta.at("type") == "text_delta") text += delta.at("text").as_string();
        if (delta.at("type") == "input_json_delta") input += delta.at("partial_json").as_string();
    }
    EXPECT_EQ(names, (std::vector<std::string>{"message_start", "ping", "content_block_start", "content_block_delta",
                                               "content_block_delta", "content_block_stop", "content_block_start",
                                               "content_block_delta", "content_block_delta", "content_block_stop",
                                               "message_delta", "message_stop"}));
    EXPECT_EQ(text, "I write пиш.");
    EXPECT_EQ(boost::json::parse(input).at("content"), "a\nb");
}

TEST(FakeModelProvider, FailsAsScripted) {
    FakeModelProvider provider;
    const std::vector<std::pair<unsigned, std::string>> kinds{
        {401, "authentication_error"}, {429, "rate_limit_error"}, {500, "api_error"}, {529, "overloaded_error"}};
    for (const auto& [status, type] : kinds) {
        auto turn = ModelTurn::fail(status, "because");
        turn.retry_after = 3;
        provider.push(turn);
        const auto answer = ask(provider, true);
        EXPECT_EQ(answer.status, status);
        EXPECT_EQ(boost::json::parse(answer.body).at("error").at("type"), boost::json::string_view(type));
        EXPECT_EQ(answer.headers.get("retry-after"), "3");
    }
    const auto beyond = ask(provider, false);
    EXPECT_EQ(beyond.status, 400u);
    EXPECT_TRUE(beyond.body.contains("no more turns")) << beyond.body;
}

TEST(FakeModelProvider, AWrongKeyIsRefusedAndTakesNoTurn) {
    FakeModelProvider provider;
    provider.push(ModelTurn::say("secret"));
    const auto answer = send(provider, post("/v1/messages", main_body(false), "other"));
    EXPECT_EQ(answer.status, 401u);
    EXPECT_EQ(provider.turns_left(), 1u);
    EXPECT_EQ(provider.main_requests().front().answered, 401u);
    auto bearer = post("/v1/messages", main_body(false), "");
    bearer.headers.set("authorization", "Bearer " + provider.key());
    EXPECT_EQ(send(provider, bearer).status, 200u);
}

TEST(FakeModelProvider, SideRequestsTakeNoTurn) {
    FakeModelProvider provider;
    provider.push(ModelTurn::say("main"));
    const auto title = send(provider, post("/v1/messages", R"({"model":"m","messages":[]})", provider.key()));
    EXPECT_EQ(title.status, 200u);
    const auto probe =
        send(provider, post("/v1/messages", R"({"max_tokens":1,)" + std::string(kTools) + "}", provider.key()));
    EXPECT_EQ(probe.status, 200u);
    const auto count = send(provider, post("/v1/messages/count_tokens", "{}", provider.key()));
    EXPECT_TRUE(count.body.contains("input_tokens")) << count.body;
    http::Request head;
    head.method = "HEAD";
    EXPECT_EQ(send(provider, head).status, 200u);
    EXPECT_EQ(send(provider, post("/v1/elsewhere", "{}", provider.key())).status, 404u);
    EXPECT_EQ(send(provider, post("/v1/messages", "not json", provider.key())).status, 400u);
    EXPECT_EQ(provider.turns_left(), 1u);
    EXPECT_EQ(provider.requests().size(), 6u);
    EXPECT_TRUE(provider.main_requests().empty());
}

TEST(FakeModelProvider, EveryMessageIsMainWhenAsked) {
    FakeModelProvider provider({.key = "k", .every_message_is_main = true});
    provider.push(ModelTurn::say("for a client without tools"));
    EXPECT_TRUE(send(provider, post("/v1/messages", "{}", "k")).body.contains("without tools"));
}

TEST(FakeModelProvider, HoldsUntilReleased) {
    using Hold = ModelTurn::Hold;
    for (const auto where : {Hold::before_head, Hold::before_content}) {
        for (const bool stream : {true, false}) {
            FakeModelProvider provider;
            provider.push(ModelTurn::say("late").held(where));
            auto answer = std::async(std::launch::async, [&] { return ask(provider, stream); });
            ASSERT_TRUE(provider.wait_held());
            EXPECT_TRUE(provider.wait_main_requests(1));
            EXPECT_EQ(answer.wait_for(0s), std::future_status::timeout);
            provider.release();
            EXPECT_EQ(text_of(answer.get().body), "late");
        }
    }
}

TEST(FakeModelProvider, AReleaseAheadIsRemembered) {
    FakeModelProvider provider;
    provider.release();
    provider.push(ModelTurn::say("at once").held());
    EXPECT_EQ(text_of(ask(provider, true).body), "at once");
    EXPECT_FALSE(provider.wait_held(0ms));
    EXPECT_FALSE(provider.wait_main_requests(2, 0ms));
}

TEST(FakeModelProvider, CutsTheConnection) {
    FakeModelProvider provider;
    for (const auto where : {ModelTurn::Cut::before_content, ModelTurn::Cut::after_first_block}) {
        auto turn = ModelTurn::say("half");
        turn.cut = where;
        provider.push(turn);
        EXPECT_EQ(ask(provider, true).status, 0u);
    }
    provider.push(ModelTurn::say("again"));
    EXPECT_EQ(text_of(ask(provider, true).body), "again");
}

TEST(FakeModelProvider, EndsWhileATurnIsHeld) {
    std::future<Answer> answer;
    {
        FakeModelProvider provider;
        provider.push(ModelTurn::say("never").held(ModelTurn::Hold::before_head));
        answer = std::async(std::launch::async, [&provider] { return ask(provider, true); });
        ASSERT_TRUE(provider.wait_held());
    }
    EXPECT_NE(answer.get().status, 200u);
}

Answer ask_openai(const FakeModelProvider& provider, const std::string& target, bool stream) {
    auto request =
        post(target,
             R"({"model":"gpt-test","stream":)" + std::string(stream ? "true" : "false") +
                 R"(,"input":[{"role":"user","content":"hi"}],"tools":[{"type":"function","name":"shell"}]})",
             "");
    request.headers.erase("x-api-key");
    request.headers.set("authorization", "Bearer " + provider.key());
    return send(provider, std::move(request));
}

TEST(FakeModelProvider, AnswersTheResponsesApiWholeAndAsAStream) {
    FakeModelProvider provider;
    const auto turn = ModelTurn::call("shell", {{"cmd", "ls"}}, "I look пиш.");
    provider.push(turn);
    provider.push(turn);
    const auto whole = boost::json::parse(ask_openai(provider, "/v1/responses", false).body).as_object();
    EXPECT_EQ(whole.at("output").at(0).at("content").at(0).at("text"), "I look пиш.");
    EXPECT_EQ(whole.at("output").at(1).at("arguments"), R"({"cmd":"ls"})");
    EXPECT_EQ(whole.at("usage").at("input_tokens"), 110) << "cached tokens are input too";
    const auto answer = ask_openai(provider, "/v1/responses", true);
    std::string text;
    std::string arguments;
    std::int64_t sequence = 0;
    boost::json::object last;
    for (const auto& [name, data] : events(answer.body)) {
        EXPECT_EQ(data.at("type"), boost::json::string_view(name));
        EXPECT_EQ(data.at("sequence_number"), sequence++);
        if (name == "response.output_text.delta") text += data.at("delta").as_string();
        if (name == "response.function_call_arguments.delta") arguments += data.at("delta").as_string();
        last = data;
    }
    EXPECT_EQ(text, "I look пиш.");
    EXPECT_EQ(arguments, R"({"cmd":"ls"})");
    EXPECT_EQ(last.at("type"), "response.completed");
    EXPECT_EQ(last.at("response").at("output").as_array().size(), 2u);
    EXPECT_EQ(last.at("response").at("usage").at("input_tokens_details").at("cached_tokens"), 7);
    EXPECT_EQ(provider.main_requests().size(), 2u);
}

TEST(FakeModelProvider, AnswersChatCompletionsWholeAndAsAStream) {
    FakeModelProvider provider;
    const auto turn = ModelTurn::call("shell", {{"cmd", "ls"}}, "I look.");
    provider.push(turn);
    provider.push(turn);
    const auto whole = boost::json::parse(ask_openai(provider, "/v1/chat/completions", false).body).as_object();
    const auto& message = whole.at("choices").at(0).at("message");
    EXPECT_EQ(message.at("content"), "I look.");
    EXPECT_EQ(message.at("tool_calls").at(0).at("function").at("name"), "shell");
    EXPECT_EQ(whole.at("choices").at(0).at("finish_reason"), "tool_calls");
    const auto body = ask_openai(provider, "/v1/chat/completions", true).body;
    std::string text;
    std::string arguments;
    std::int64_t total = 0;
    std::size_t at = 0;
    for (std::size_t end = 0; (end = body.find("\n\n", at)) != std::string::npos; at = end + 2) {
        const auto line = body.substr(at + 6, end - at - 6);
        if (line == "[DONE]") break;
        const auto chunk = boost::json::parse(line).as_object();
        if (const auto* usage = chunk.if_contains("usage")) total = usage->at("total_tokens").as_int64();
        for (const auto& choice : chunk.at("choices").as_array()) {
            const auto& delta = choice.at("delta").as_object();
            if (const auto* piece = delta.if_contains("content")) text += piece->as_string();
            if (const auto* calls = delta.if_contains("tool_calls"))
                arguments += calls->at(0).at("function").at("arguments").as_string();
        }
    }
    EXPECT_TRUE(body.ends_with("data: [DONE]\n\n"));
    EXPECT_EQ(text, "I look.");
    EXPECT_EQ(arguments, R"({"cmd":"ls"})");
    EXPECT_EQ(total, 130);
}

TEST(FakeModelProvider, EachApiHasItsOwnShapeOfAnError) {
    FakeModelProvider provider;
    for (unsigned status : {401u, 429u, 500u, 529u}) {
        provider.push(ModelTurn::fail(status, "as the script says"));
        const auto answer = ask_openai(provider, "/v1/responses", true);
        EXPECT_EQ(answer.status, status);
        const auto document = boost::json::parse(answer.body).as_object();
        EXPECT_FALSE(document.contains("type"));
        EXPECT_EQ(document.at("error").at("message"), "as the script says");
    }
    provider.always(ModelTurn::fail(503));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask_openai(provider, "/v1/chat/completions", true).status, 503u);
    EXPECT_EQ(ask(provider, true).status, 503u);
}

TEST(FakeModelProvider, KnowsToolsThatAreNamedInTheConversation) {
    FakeModelProvider provider;
    provider.push(ModelTurn::call_freeform("exec", "text(1)"));
    auto request =
        post("/v1/responses", R"({"model":"m","stream":true,"input":[{"type":"additional_tools"}]})", provider.key());
    const auto body = send(provider, std::move(request)).body;
    EXPECT_NE(body.find("custom_tool_call"), std::string::npos) << body;
    EXPECT_EQ(provider.turns_left(), 0u);
}

}  // namespace
}  // namespace codegen::testing

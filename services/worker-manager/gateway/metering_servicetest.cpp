// Budgets, limits and patience with real sockets: what the wrapper hears, what the agent gets, what the provider sees.
#include <fstream>

#include "services/worker-manager/tests/gateway_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;

constexpr const char* kBody =
    R"({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})";

class MeteringTest : public GatewayFixture {
  protected:
    void price(double usd_per_million, const std::string& model = "m") {
        auto put = run(admin_->call(
            "PUT", "/api/available-models/" + model,
            boost::json::serialize(boost::json::object{
                {"provider", "fake"}, {"input_price", usd_per_million}, {"output_price", usd_per_million}})));
        ASSERT_TRUE(put) << put.error().message;
    }
    void know_prices() {
        settings_.prices = std::make_shared<PriceBook>(
            prices_from(clients::ApiClient::make(io_.get_executor(), api_url(), service_token_).value()));
    }
    http::Response message() { return ask("POST", "/model/anthropic/v1/messages", kBody); }
    std::unique_ptr<http::ResponseStream> begin_message(const std::string& target = "/model/anthropic/v1/messages") {
        auto answer = run(http_->open({"POST", target, {}, kBody}, std::chrono::seconds(20)));
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? std::move(*answer) : nullptr;
    }
    std::string rest_of(http::ResponseStream& answer) {
        std::string all;
        for (;;) {
            auto piece = run(answer.read_some());
            if (!piece) return all + " CUT";
            if (piece->empty()) return all;
            all += *piece;
        }
    }
};

// An answer of the fake provider: 100 tokens in, 20 out, 7 read from and 3 written to the cache.
TEST_F(MeteringTest, ABudgetEndsTheRunInTheMiddleOfAnAnswer) {
    price(1000);  // 100 + 20 + 7 tokens of 0.001 USD, 3 of 0.00125
    know_prices();
    provider_.push(testing::ModelTurn::say("one"));
    provider_.push(testing::ModelTurn::say("two").held());
    open(R"({"run":"r1","budget_usd":0.2})");
    EXPECT_EQ(message().status, 200u);
    const auto used = hear();
    EXPECT_EQ(used.at("run"), "r1");
    EXPECT_EQ(used.at("tokens"), 130);
    EXPECT_NEAR(used.at("usd").to_number<double>(), 0.13075, 1e-9);

    auto answer = begin_message();
    const auto stop = hear();  // while the provider still holds the rest
    EXPECT_EQ(stop.at("run"), "r1");
    EXPECT_EQ(stop.at("stop"), "budget");
    EXPECT_THAT(std::string(stop.at("error").as_string()), HasSubstr("the budget is 0.2 USD"));
    provider_.release();
    EXPECT_THAT(rest_of(*answer), HasSubstr("message_stop"));
    const auto refused = message();
    EXPECT_EQ(refused.status, 400u);
    EXPECT_EQ(refused.headers.get("Codegen-Gateway"), "budget");
    EXPECT_EQ(provider_.requests().size(), 2u);
    EXPECT_EQ(gateway_->counts().model_own_errors, 1);
    EXPECT_EQ(gateway_->counts().model_cost_microusd, 261500);

    // The next run of another task has its own budget.
    say(R"({"ended":"r1"})");
    say(R"({"run":"r2","budget_usd":0.2})");
    provider_.push(testing::ModelTurn::say("three"));
    EXPECT_TRUE(eventually([&] { return message().status == 200; }));
}

TEST_F(MeteringTest, RunsOfOneTaskShareItsLimits) {
    settings_.max_tokens_per_task = 250;
    identity_.task_id = new_uuid();
    for (int i = 0; i < 3; ++i) provider_.push(testing::ModelTurn::say("x"));
    GatewayCounts earlier;
    earlier.model_input_tokens = 100;
    open(R"({"run":"r1"})", earlier);
    EXPECT_EQ(message().status, 200u);
    EXPECT_EQ(hear().at("tokens"), 230);
    say(R"({"ended":"r1"})");
    say(R"({"run":"r2"})");
    EXPECT_EQ(message().status, 200u);
    const auto stop = hear();
    EXPECT_EQ(stop.at("run"), "r2");
    EXPECT_EQ(stop.at("stop"), "budget");
    EXPECT_THAT(std::string(stop.at("error").as_string()), HasSubstr("the limit is 250 (MAX_TOKENS_PER_TASK)"));
    EXPECT_EQ(hear().at("tokens"), 360);
    say(R"({"run":"r3"})");
    EXPECT_EQ(hear().at("stop"), "budget");  // at once: the task has nothing left
    EXPECT_EQ(message().status, 400u);
}

TEST_F(MeteringTest, WhatAFormerGatewayHadCountedIsNotForgotten) {
    price(1000);
    know_prices();
    open(R"({"run":"r1","budget_usd":0.2,"tokens":1300,"usd":0.25})");
    EXPECT_EQ(hear().at("stop"), "budget");
    EXPECT_EQ(message().status, 400u);
    EXPECT_TRUE(provider_.requests().empty());
}

TEST_F(MeteringTest, WithoutAPriceABudgetIsNotSpentUnseen) {
    know_prices();
    open(R"({"run":"r1","budget_usd":5})");
    const auto refused = message();
    EXPECT_EQ(refused.status, 400u);
    EXPECT_THAT(refused.body, HasSubstr("PUT /api/available-models/m"));
    EXPECT_EQ(hear().at("stop"), "budget");
    EXPECT_TRUE(provider_.requests().empty());
    say(R"({"run":"r2"})");  // none set: no price needed
    provider_.push(testing::ModelTurn::say("x"));
    EXPECT_TRUE(eventually([&] { return message().status == 200; }));
    EXPECT_EQ(gateway_->counts().model_cost_microusd, 0);
}

TEST_F(MeteringTest, AnApiThatIsAwayEndsNoRun) {
    price(1);
    know_prices();
    open(R"({"run":"r1","budget_usd":5})");
    run(api_server_->stop(std::chrono::milliseconds(0)));
    api_server_.reset();
    std::filesystem::remove(state() / "api.sock");
    const auto refused = message();
    EXPECT_EQ(refused.status, 503u);
    EXPECT_EQ(refused.headers.get("Codegen-Gateway"), "no_prices");
    api_server_ =
        std::make_unique<http::Server>(io_.get_executor(), api_service_->handler(), api_service_->server_options());
    ASSERT_TRUE(api_server_->listen_unix(state() / "api.sock", 0600));
    provider_.push(testing::ModelTurn::say("x"));
    EXPECT_EQ(message().status, 200u);
}

TEST_F(MeteringTest, CuttingAnswersShortIsNotFree) {
    price(1000);
    know_prices();
    provider_.push(testing::ModelTurn::say(std::string(64000, 'x')).held());
    open(R"({"run":"r1","budget_usd":100})");
    {
        auto answer = begin_message();
        auto first = run(answer->read_some());
        ASSERT_TRUE(first && !first->empty());
    }  // and away
    const auto used = hear();
    EXPECT_GE(used.at("tokens").as_int64(), 110);  // the input, as the beginning said
    EXPECT_EQ(gateway_->counts().model_unmetered, 1);
    EXPECT_EQ(gateway_->counts().model_errors, 0) << "the worker left, the provider did its part";
    provider_.release();
}

TEST_F(MeteringTest, ARequestWaitsForTheRunThatIsStillToBeAnnounced) {
    settings_.run_wait = std::chrono::milliseconds(50);
    open("");
    const auto nobody = message();
    EXPECT_EQ(nobody.status, 503u);
    EXPECT_EQ(nobody.headers.get("Codegen-Gateway"), "no_run");
    EXPECT_NE(ask("GET", "/model/anthropic/v1/models").status, 503u);  // costs nothing
    EXPECT_EQ(provider_.requests().size(), 1u);
    run(gateway_->close());

    settings_.run_wait = std::chrono::seconds(20);
    open("");
    provider_.push(testing::ModelTurn::say("x"));
    async::Scope scope(io_.get_executor());
    unsigned status = 0;
    scope.spawn("early", [](http::Client* client, unsigned* out) -> Task<void> {
        auto response =
            co_await client->send({"POST", "/model/anthropic/v1/messages", {}, kBody}, std::chrono::seconds(20));
        *out = response ? response->status : 1;
    }(http_.get(), &status));
    run(async::sleep_for(std::chrono::milliseconds(20)));
    EXPECT_EQ(status, 0u);
    say(R"({"run":"r1"})");
    EXPECT_TRUE(eventually([&] { return status == 200; }));
    run(scope.stop());
}

TEST_F(MeteringTest, AProviderThatOnlyFailsIsGivenUp) {
    settings_.provider_patience = std::chrono::milliseconds(300);
    open();
    for (int i = 0; i < 1000; ++i) provider_.push(testing::ModelTurn::fail(529, "overloaded"));
    http::Response last;
    EXPECT_TRUE(eventually([&] { return (last = message()).status != 529; }));
    EXPECT_EQ(last.status, 400u);
    EXPECT_EQ(last.headers.get("Codegen-Gateway"), "provider_error");
    EXPECT_THAT(last.body, HasSubstr("status 529"));
    const auto stop = hear();
    EXPECT_EQ(stop.at("stop"), "provider_error");
    const auto asked = provider_.requests().size();
    EXPECT_GE(asked, 3u);
    EXPECT_EQ(gateway_->counts().model_errors, static_cast<std::int64_t>(asked));
    EXPECT_EQ(message().status, 400u);
    EXPECT_EQ(provider_.requests().size(), asked);                     // it is left alone
    EXPECT_TRUE(eventually([&] { return message().status == 529; }));  // and tried again later
}

TEST_F(MeteringTest, EveryKindOfFailureOfAProviderCounts) {
    settings_.provider_patience = std::chrono::milliseconds(200);
    const auto given_up = [&] {
        EXPECT_TRUE(eventually([&] { return message().headers.get("Codegen-Gateway") == "provider_error"; }));
        const auto stop = hear();
        run(gateway_->close());
        return std::string(stop.at("error").as_string());
    };
    settings_.providers = {anthropic_provider("http://127.0.0.1:1", "k", "")};
    open();
    EXPECT_THAT(given_up(), HasSubstr("127.0.0.1"));
    settings_.providers = {anthropic_provider(provider_.base_url(), "", "")};
    open();
    EXPECT_THAT(given_up(), HasSubstr("set ANTHROPIC_API_KEY"));
    settings_.providers = {anthropic_provider(provider_.base_url(), provider_.key(), "")};
    auto turn = testing::ModelTurn::say("first");
    turn.cut = testing::ModelTurn::Cut::after_first_block;
    for (int i = 0; i < 1000; ++i) provider_.push(turn);
    open();
    async::Scope scope(io_.get_executor());
    scope.spawn("agent", [](http::Client* client) -> Task<void> {
        for (;;) {
            auto response =
                co_await client->send({"POST", "/model/anthropic/v1/messages", {}, kBody}, std::chrono::seconds(20));
            if (response && response->status == 400) co_return;
        }
    }(http_.get()));
    auto line = hear();
    while (!line.empty() && !line.contains("stop")) line = hear();
    EXPECT_EQ(line.at("stop"), "provider_error");
    EXPECT_THAT(std::string(line.at("error").as_string()), HasSubstr("a cut answer"));
    run(scope.stop());
}

TEST_F(MeteringTest, WhatTheControlSocketCannotReadItPassesOver) {
    provider_.push(testing::ModelTurn::say("x"));
    open("");
    for (const auto* line : {"", "{", "[]", "7", "{}", R"({"run":7})", R"({"ended":"r9"})"}) say(line);
    say(R"({"run":"r1","budget_usd":"much","tokens":-5,"usd":1e400})");
    say(R"({"run":"r1","tokens":1e300})");
    EXPECT_TRUE(eventually([&] { return message().status == 200; }));
    say(std::string(10000, 'x'));
    auto line = hear();
    while (!line.empty()) line = hear();  // it ends this connection
    boost::system::error_code ec;
    asio::local::stream_protocol::socket again(io_);
    again.connect(asio::local::stream_protocol::endpoint((place() / "wrapper" / "control.sock").string()), ec);
    EXPECT_FALSE(ec) << ec.message();
}

// A server that answers whatever the test says, on a thread of its own.
class ScriptedProvider {
  public:
    explicit ScriptedProvider(http::Handler handler)
        : work_(asio::make_work_guard(io_)), server_(io_.get_executor(), std::move(handler)) {
        port_ = server_.listen_tcp("127.0.0.1", 0).value();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~ScriptedProvider() {
        io_.stop();
        thread_.join();
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  private:
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    http::Server server_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

std::int64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::int64_t size = 0, resident = 0;
    file >> size >> resident;
    return resident * ::sysconf(_SC_PAGESIZE);
}

constexpr std::size_t kFlood = 256u << 20;

Task<Result<void>> flood(http::Stream* stream) {
    const std::string piece(64u << 10, 'x');
    for (std::size_t sent = 0; sent < kFlood; sent += piece.size()) {
        auto written = co_await stream->write(piece);
        if (!written) co_return written;
    }
    co_return Result<void>{};
}

Task<http::Reply> flooding(http::Request, http::Peer) {
    http::Reply reply;
    reply.head.headers.set("Content-Type", "text/event-stream");
    reply.body = [](http::Stream& stream) { return flood(&stream); };
    co_return reply;
}

TEST_F(MeteringTest, ASlowWorkerHoldsTheProviderBackAndNothingPilesUp) {
    const ScriptedProvider provider(flooding);
    settings_.providers = {anthropic_provider(provider.url(), "k", "")};
    open();
    auto answer = begin_message();
    ASSERT_TRUE(answer);
    // Until nothing moves any more: the worker reads nothing, and the sockets between are full.
    std::int64_t before = -1;
    EXPECT_TRUE(eventually([&] {
        run(async::sleep_for(std::chrono::milliseconds(100)));
        return std::exchange(before, gateway_->counts().model_bytes_received) == before && before > 0;
    }));
    EXPECT_LT(before, std::int64_t{16} << 20) << "bytes that the gateway took without a reader";
    const auto resident = resident_bytes();
    std::size_t got = 0;
    std::int64_t most = 0;
    for (;;) {
        auto piece = run(answer->read_some());
        ASSERT_TRUE(piece) << piece.error().message;
        if (piece->empty()) break;
        got += piece->size();
        most = std::max(most, resident_bytes() - resident);
    }
    EXPECT_EQ(got, kFlood);
#if !__has_feature(address_sanitizer)  // which keeps freed memory for a while
    EXPECT_LT(most, std::int64_t{32} << 20);
#endif
}

Task<http::Reply> chatting(http::Request request, http::Peer) {
    http::Reply reply;
    reply.head.headers.set("Content-Type", "text/event-stream");
    reply.head.headers.set("Codegen-Gateway", "a lie");
    const bool asked = request.body.find(R"("include_usage":true)") != std::string::npos;
    reply.head.body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    if (asked) reply.head.body += "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":2}}\n\n";
    reply.head.body += "data: [DONE]\n\n";
    co_return reply;
}

TEST_F(MeteringTest, AStreamedChatCompletionIsMeteredThoughTheAgentDoesNotAskForIt) {
    const ScriptedProvider provider(chatting);
    settings_.providers = {openai_provider(provider.url() + "/v1", "k")};
    open();
    const auto answer = ask("POST", "/model/openai/v1/chat/completions", R"({"model":"gpt-x","stream":true})");
    EXPECT_EQ(answer.status, 200u);
    EXPECT_FALSE(answer.headers.get("Codegen-Gateway")) << "only the gateway's own answers have it";
    EXPECT_EQ(hear().at("tokens"), 42);
    EXPECT_EQ(gateway_->counts().model_input_tokens, 40);
    EXPECT_EQ(gateway_->counts().model_unmetered, 0);
}

}  // namespace
}  // namespace codegen::worker_manager

#include <gmock/gmock.h>

#include "apps/orchestratord/observe.hpp"
#include "shared/http/client.hpp"
#include "shared/json/json.hpp"
#include "shared/logging/log.hpp"
#include "shared/metrics/metrics.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"
#include "shared/testing/temp_redis.hpp"

namespace codegen::orchestratord {
namespace {

using codegen::testing::run;
using ::testing::HasSubstr;
using ::testing::Not;

class ObserveTest : public ::testing::Test {
  protected:
    void SetUp() override {
        ObserveOptions options;
        options.roles = {"workflow"};
        options.redis = redis_.address();
        options.checks = {{"database", [this] { return check(this); }}};
        options.tokens = [] { return std::vector<std::string>{"", "the-token"}; };
        observer_ = std::make_unique<Observer>(io_.get_executor(), std::move(options));
        ASSERT_TRUE(observer_->listen(directory_ / "observe.sock"));
        port_ = observer_->listen_tcp("127.0.0.1", 0).value();
    }
    void TearDown() override {
        run(io_, observer_->stop());
        log::set_level(log::Level::info);
    }
    static Task<Result<void>> check(ObserveTest* self) {
        if (self->database_) co_return Result<void>();
        co_return fail(ErrorCategory::transient, "connection", "the database is away");
    }
    http::Response ask(const std::string& url, const std::string& method, const std::string& target,
                       const std::string& body = {}, const std::string& token = {}) {
        http::Client client(io_.get_executor(), *http::parse_url(url));
        http::Request request;
        request.method = method;
        request.target = target;
        request.body = body;
        if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
        auto response = run(io_, client.send(std::move(request)));
        EXPECT_TRUE(response) << response.error().message;
        return response ? *response : http::Response{};
    }
    http::Response here(const std::string& target, const std::string& method = "GET", const std::string& body = {}) {
        return ask("http+unix://" + (directory_ / "observe.sock").string(), method, target, body);
    }
    std::string tcp() const { return "http://127.0.0.1:" + std::to_string(port_); }
    // As a peer that is not this machine.
    unsigned from_elsewhere(const std::string& method, const std::string& target, const std::string& token = {}) {
        http::Request request;
        request.method = method;
        request.target = target;
        request.body = R"({"level":"info"})";
        if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
        return run(io_, observer_->handler()(std::move(request), http::Peer{})).head.status;
    }

    asio::io_context io_{1};
    codegen::testing::TempDirectory directory_;
    codegen::testing::TempRedis redis_{io_};
    std::unique_ptr<Observer> observer_;
    std::uint16_t port_ = 0;
    bool database_ = true;
};

TEST_F(ObserveTest, readiness_names_what_is_missing) {
    EXPECT_EQ(here("/health").status, 200u);
    EXPECT_EQ(here("/ready").status, 503u) << "still starting";
    observer_->set_ready(true);
    EXPECT_EQ(here("/ready").status, 200u);
    database_ = false;
    const auto away = here("/ready");
    EXPECT_EQ(away.status, 503u);
    EXPECT_THAT(away.body, HasSubstr("the database is away"));
    database_ = true;
    redis_.kill();
    EXPECT_EQ(here("/ready").status, 503u);
    EXPECT_EQ(here("/health").status, 200u) << "it lives; a restart would not help";
    redis_.restart();
    for (int i = 0; i < 100 && here("/ready").status != 200; ++i)
        run(io_, async::sleep_for(std::chrono::milliseconds(20)));
    EXPECT_EQ(here("/ready").status, 200u);
}

TEST_F(ObserveTest, queues_are_counted_when_asked) {
    for (int i = 0; i < 3; ++i) redis_.command({"XADD", "engineering:queue", "*", "data", "{}"});
    redis_.command({"XGROUP", "CREATE", "engineering:queue", "capability-workers", "0"});
    redis_.command(
        {"XREADGROUP", "GROUP", "capability-workers", "c", "COUNT", "1", "STREAMS", "engineering:queue", ">"});
    redis_.command({"XADD", "engineering:queue:dlq", "*", "original_message", "x"});
    metrics::count("codegen_messages_total", {{"stream", "engineering:queue"}, {"end", "done"}});
    const auto text = here("/metrics").body;
    for (const auto* line :
         {"codegen_queue_depth{stream=\"engineering:queue\"} 3\n",
          "codegen_queue_lag{stream=\"engineering:queue\",group=\"capability-workers\"} 2\n",
          "codegen_queue_pending{stream=\"engineering:queue\",group=\"capability-workers\"} 1\n",
          "codegen_queue_consumers{stream=\"engineering:queue\",group=\"capability-workers\"} 1\n",
          "codegen_dead_letters{stream=\"engineering:queue\"} 1\n", "codegen_role_info{role=\"workflow\"} 1\n",
          "codegen_build_info{version=\"" CODEGEN_VERSION "\"} 1\n", "codegen_ready 0\n",
          "codegen_messages_total{stream=\"engineering:queue\",end=\"done\"}"})
        EXPECT_THAT(text, HasSubstr(line));
    EXPECT_THAT(text, Not(HasSubstr("worker:lifecycle"))) << "of another role";
    redis_.kill();
    EXPECT_THAT(here("/metrics").body, HasSubstr("codegen_build_info")) << "also without Redis";
}

TEST_F(ObserveTest, the_log_level_changes_while_it_runs) {
    EXPECT_EQ(here("/log-level").body, R"({"level":"info"})");
    EXPECT_EQ(here("/log-level", "PUT", R"({"level":"debug"})").body, R"({"level":"debug"})");
    EXPECT_EQ(log::level(), log::Level::debug);
    for (const auto* bad : {"", "{}", R"({"level":1})", R"({"level":"loud"})"})
        EXPECT_EQ(here("/log-level", "PUT", bad).status, 422u) << bad;
    EXPECT_EQ(log::level(), log::Level::debug);
}

TEST_F(ObserveTest, who_may_what) {
    for (const auto* path : {"/health", "/ready", "/metrics", "/log-level"})
        EXPECT_NE(ask(tcp(), "GET", path).status, 401u) << path;
    const std::string body = R"({"level":"info"})";
    EXPECT_EQ(ask(tcp(), "PUT", "/log-level", body).status, 401u) << "anybody on this machine";
    EXPECT_EQ(ask(tcp(), "PUT", "/log-level", body, "wrong").status, 401u);
    EXPECT_EQ(ask(tcp(), "PUT", "/log-level", body, "the-token").status, 200u);
    EXPECT_EQ(from_elsewhere("GET", "/health"), 200u);
    EXPECT_EQ(from_elsewhere("GET", "/metrics"), 401u);
    EXPECT_EQ(from_elsewhere("GET", "/metrics", "the-token"), 200u);
    EXPECT_EQ(from_elsewhere("PUT", "/log-level"), 401u);
    EXPECT_EQ(here("/secrets").status, 404u);
    EXPECT_EQ(here("/health", "DELETE").status, 405u);
}

}  // namespace
}  // namespace codegen::orchestratord

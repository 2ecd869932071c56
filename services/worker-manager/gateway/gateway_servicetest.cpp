#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>

#include "services/worker-manager/tests/gateway_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using GatewayTest = GatewayFixture;

unsigned mode_of(const std::filesystem::path& path) {
    struct stat st{};
    EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
    return st.st_mode & 07777;
}

TEST_F(GatewayTest, SocketsHaveTheModesThatKeepTheAgentFromTheWrappers) {
    open();
    EXPECT_EQ(mode_of(place()), 0750u);
    EXPECT_EQ(mode_of(place() / "wrapper"), 0700u);
    EXPECT_EQ(mode_of(place() / "agent"), 0750u);
    EXPECT_EQ(mode_of(place() / "wrapper" / "redis.sock"), 0600u);
    EXPECT_EQ(mode_of(place() / "wrapper" / "control.sock"), 0600u);
    EXPECT_EQ(mode_of(place() / "http.sock"), 0660u);
}

TEST_F(GatewayTest, TheWorkersRedisUserMayDoItsWorkAndNothingElse) {
    open();
    const std::vector<redis::Arguments> allowed{
        {"PING"},
        {"XGROUP", "CREATE", "worker:dev-1:input", "worker-wrapper", "0", "MKSTREAM"},
        {"XREADGROUP", "GROUP", "worker-wrapper", "dev-1", "COUNT", "1", "STREAMS", "worker:dev-1:input", ">"},
        {"XACK", "worker:dev-1:input", "worker-wrapper", "1-1"},
        {"XAUTOCLAIM", "worker:dev-1:input", "worker-wrapper", "dev-1", "0", "0"},
        {"XADD", "worker:dev-1:output", "*", "data", "{}"},
        {"XADD", "worker:dev-1:events", "MAXLEN", "~", "100", "*", "data", "{}"},
        {"XADD", "worker:lifecycle", "*", "data", "{}"},
        {"XADD", "worker:developer:output", "*", "data", "{}"},
        {"XADD", "worker:dev-1:input:dlq", "*", "data", "{}"},
        {"SET", "worker:heartbeat:dev-1", "1", "EX", "30"},
        {"GET", "worker:session:dev-1"},
        {"SET", "worker:session:dev-1", "{}", "EX", "7200"},
        {"HSET", "worker:status:dev-1", "last_activity", "now"},
    };
    for (const auto& command : allowed) EXPECT_EQ(as_worker(command), "OK") << command[0] << " " << command.back();
    const std::vector<redis::Arguments> denied{
        {"XADD", "worker:dev-1:input", "*", "data", "{}"},
        {"XADD", "worker:dev-2:output", "*", "data", "{}"},
        {"XADD", "worker:po:dev-1:output", "*", "data", "{}"},
        {"XADD", "worker:commands", "*", "data", "{}"},
        {"XADD", "engineering:queue", "*", "data", "{}"},
        {"XGROUP", "CREATE", "worker:dev-2:input", "g", "0", "MKSTREAM"},
        {"XGROUP", "DESTROY", "worker:dev-1:input", "worker-wrapper"},
        {"XREADGROUP", "GROUP", "developer-workers", "dev-1", "STREAMS", "worker:developer:input", ">"},
        {"XREAD", "STREAMS", "worker:developer:output", "0"},
        {"XRANGE", "worker:lifecycle", "-", "+"},
        {"XTRIM", "worker:dev-1:output", "MAXLEN", "0"},
        {"XDEL", "worker:dev-1:output", "1-1"},
        {"DEL", "worker:dev-1:output"},
        {"GET", "worker:heartbeat:dev-2"},
        {"HGETALL", "worker:status:dev-2"},
        {"KEYS", "*"},
        {"SCAN", "0"},
        {"EVAL", "return 1", "0"},
        {"FUNCTION", "LIST"},
        {"CONFIG", "GET", "*"},
        {"ACL", "LIST"},
        {"ACL", "WHOAMI"},
        {"FLUSHALL"},
        {"SELECT", "1"},
        {"MONITOR"},
        {"SUBSCRIBE", "x"},
        {"PUBLISH", "x", "y"},
        {"CLIENT", "LIST"},
        {"CLIENT", "KILL", "TYPE", "normal"},
        {"SHUTDOWN"},
        {"REPLICAOF", "NO", "ONE"},
        {"SWAPDB", "0", "1"},
        {"MIGRATE", "h", "1", "k", "0", "1"},
    };
    for (const auto& command : denied) EXPECT_EQ(as_worker(command), "NOPERM") << command[0] << " " << command.back();
}

TEST_F(GatewayTest, APoolWorkerReadsTheSharedStreamToo) {
    identity_.pool = true;
    open();
    EXPECT_EQ(as_worker({"XGROUP", "CREATE", "worker:developer:input", "developer-workers", "0", "MKSTREAM"}), "OK");
    EXPECT_EQ(
        as_worker({"XREADGROUP", "GROUP", "developer-workers", "dev-1", "STREAMS", "worker:developer:input", ">"}),
        "OK");
    EXPECT_EQ(as_worker({"XADD", "worker:developer:input", "*", "data", "{}"}), "NOPERM");
}

TEST_F(GatewayTest, AProductOwnerWritesItsOwnOutput) {
    identity_.worker_type = contracts::WorkerType::po;
    open();
    EXPECT_EQ(as_worker({"XADD", "worker:po:dev-1:output", "*", "data", "{}"}), "OK");
    EXPECT_EQ(as_worker({"XGROUP", "CREATE", "worker:po:dev-1:input", "worker-wrapper", "0", "MKSTREAM"}), "OK");
    EXPECT_EQ(as_worker({"XADD", "worker:developer:output", "*", "data", "{}"}), "NOPERM");
}

TEST_F(GatewayTest, CommandsThatShedTheUserAreRefusedInTheirPlace) {
    open();
    const std::string ping = "*1\r\n$4\r\nPING\r\n";
    const auto replies = raw_redis(ping + "*2\r\n$4\r\nauth\r\n$1\r\nx\r\n" + ping);
    EXPECT_TRUE(replies.starts_with("+PONG\r\n-ERR unknown command 'CODEGEN-GATEWAY-REFUSES-AUTH'")) << replies;
    EXPECT_TRUE(replies.ends_with("\r\n+PONG\r\n")) << replies;
    EXPECT_THAT(raw_redis("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"), HasSubstr("REFUSES-HELLO"));
    EXPECT_THAT(raw_redis("*1\r\n$5\r\nReset\r\n"), HasSubstr("REFUSES-RESET"));
}

TEST_F(GatewayTest, InlineAndMalformedCommandsEndTheConnection) {
    open();
    const auto inline_reply = raw_redis("PING\r\nPING\r\n");
    EXPECT_THAT(inline_reply, HasSubstr("REFUSES-INLINE-COMMANDS"));
    EXPECT_THAT(inline_reply, Not(HasSubstr("PONG")));
    EXPECT_THAT(raw_redis("*1\r\n:5\r\n"), HasSubstr("REFUSES-WHAT-IS-NO-ARRAY"));
    EXPECT_THAT(raw_redis("+AUTH x\r\n"), HasSubstr("REFUSES"));
    EXPECT_EQ(as_worker({"PING"}), "OK");
}

TEST_F(GatewayTest, ARedisThatCameBackEmptyJustWorks) {
    open();
    EXPECT_EQ(as_worker({"PING"}), "OK");
    redis({"FLUSHALL"});
    redis({"ACL", "DELUSER", "worker-dev-1"});
    EXPECT_TRUE(eventually([&] { return as_worker({"XADD", "worker:lifecycle", "*", "data", "{}"}) == "OK"; }));
}

TEST_F(GatewayTest, ABlockingReadGetsItsEntryThroughTheProxy) {
    open();
    EXPECT_EQ(as_worker({"XGROUP", "CREATE", "worker:dev-1:input", "worker-wrapper", "0", "MKSTREAM"}), "OK");
    async::Scope scope(io_.get_executor());
    std::string got;
    scope.spawn("reader", [](redis::Client* client, std::string* out) -> Task<void> {
        auto reply = co_await client->command(
            {"XREADGROUP", "GROUP", "worker-wrapper", "dev-1", "BLOCK", "10000", "STREAMS", "worker:dev-1:input", ">"},
            std::chrono::seconds(15));
        if (reply) *out = *redis::parse_xread(*reply).at(0).field("data");
    }(worker_redis_.get(), &got));
    redis({"XADD", "worker:dev-1:input", "*", "data", std::string(1 << 20, 'x')});
    EXPECT_TRUE(eventually([&] { return got.size() == 1u << 20; }));
    run(scope.stop());
}

TEST_F(GatewayTest, TheApiIsReachedAsTheWorkerWhateverTheCallerSaysItIs) {
    const auto project = make_project();
    open();
    give_token();
    http::Headers lies;
    lies.set("Authorization", "Bearer " + admin_token_);
    lies.set("X-Telegram-ID", "1");
    const auto got = ask("GET", "/api/projects/" + project, {}, lies);
    EXPECT_EQ(got.status, 200u) << got.body;
    EXPECT_THAT(got.body, HasSubstr(project));
    for (const auto* target :
         {"/api/users", "/api/tokens", "/api/api-keys/x", "/api/projects/../tokens", "/api//tokens", "/api/%74okens"})
        EXPECT_EQ(ask("GET", target, {}, lies).status, 403u) << target;
    EXPECT_EQ(ask("DELETE", "/api/projects/" + project, {}, lies).status, 403u);
    EXPECT_EQ(ask("POST", "/api/projects", R"({"name":"x"})", lies).status, 403u);
    EXPECT_EQ(ask("GET", "/api/servers").status, 403u);
    EXPECT_EQ(ask("GET", "/elsewhere").status, 403u);
    EXPECT_EQ(ask("GET", "/api/health").status, 200u);
    EXPECT_GE(gateway_->counts().refusals, 10);
    EXPECT_EQ(gateway_->counts().api_requests, 2);
}

TEST_F(GatewayTest, ARequestWaitsForTheTokenThatIsStillToCome) {
    settings_.token_wait = std::chrono::milliseconds(50);
    open();
    EXPECT_EQ(ask("GET", "/api/projects").status, 503u);
    give_token();
    EXPECT_EQ(ask("GET", "/api/projects").status, 200u);
}

TEST_F(GatewayTest, AnApiThatIsAwayIsA503) {
    settings_.api_url = "http+unix://" + (state() / "nobody.sock").string();
    open();
    gateway_->set_token("x");
    EXPECT_EQ(ask("GET", "/api/projects").status, 503u);
}

TEST_F(GatewayTest, AQueueEntryIsAddedOnlyWithThePermissionAndForOnesOwn) {
    const auto project = make_project();
    const auto task = make_task(project);
    const auto body = boost::json::serialize(boost::json::object{
        {"task_id", task}, {"project_id", project}, {"user_id", 999}, {"callback_stream", "worker:commands"}});
    open();
    give_token();
    const auto refused = ask("POST", "/streams/engineering:queue", body);
    EXPECT_EQ(refused.status, 403u);
    EXPECT_THAT(refused.body, HasSubstr("engineering.start"));
    EXPECT_TRUE(messages("engineering:queue").empty());

    run(gateway_->close());
    identity_.actions = {"*"};
    open();
    give_token();
    const auto added = ask("POST", "/streams/engineering:queue", body);
    EXPECT_EQ(added.status, 200u) << added.body;
    ASSERT_EQ(messages("engineering:queue").size(), 1u);
    auto message = messages("engineering:queue")[0];
    EXPECT_EQ(message["user_id"], 1);
    EXPECT_EQ(message["task_id"].as_string(), task);
    EXPECT_FALSE(message.contains("callback_stream"));
    EXPECT_EQ(ask("POST", "/streams/engineering:queue", R"({"task_id":"x"})").status, 422u);
    EXPECT_EQ(ask("POST", "/streams/worker:commands", body).status, 403u);
    EXPECT_EQ(ask("POST", "/streams/worker:po:dev-2:output", R"({"user_id":1,"text":"x"})").status, 403u);
    EXPECT_EQ(ask("POST", "/streams/task_progress:" + task, R"({"type":"completed","message":"hi"})").status, 200u);
    EXPECT_EQ(messages("task_progress:" + task).at(0).at("type"), "progress");
    EXPECT_EQ(gateway_->counts().stream_entries, 2);
}

TEST_F(GatewayTest, TellsWhetherAnybodyTakesWhatItMayStart) {
    open();
    give_token();
    EXPECT_EQ(ask("GET", "/streams/engineering:queue").status, 403u) << "it may not start";
    run(gateway_->close());
    identity_.actions = {"*"};
    open();
    give_token();
    EXPECT_EQ(ask("GET", "/streams/worker:commands").status, 403u);
    EXPECT_EQ(ask("GET", "/streams/engineering:queue").body, R"({"taken":false})");
    ASSERT_TRUE(run(redis_->command({"XGROUP", "CREATE", "engineering:queue", "capability-workers", "0", "MKSTREAM"})));
    EXPECT_EQ(ask("GET", "/streams/engineering:queue").body, R"({"taken":false})");
    ASSERT_TRUE(
        run(redis_->command({"XGROUP", "CREATECONSUMER", "engineering:queue", "capability-workers", "workflow"})));
    EXPECT_EQ(ask("GET", "/streams/engineering:queue").body, R"({"taken":true})");
}

TEST_F(GatewayTest, SomebodyElsesTaskIsRefused) {
    const auto project = make_project();
    const auto task = make_task(project);
    auto user = run(admin_->call("POST", "/api/users", R"({"username":"other"})"));
    ASSERT_TRUE(user) << user.error().message;
    identity_.actions = {"*"};
    identity_.user_id = boost::json::parse(*user).at("id").as_int64();
    open();
    give_token(std::to_string(*identity_.user_id));
    const auto refused =
        ask("POST", "/streams/engineering:queue",
            boost::json::serialize(boost::json::object{{"task_id", task}, {"project_id", project}, {"user_id", 1}}));
    EXPECT_EQ(refused.status, 403u) << refused.body;
    EXPECT_TRUE(messages("engineering:queue").empty());
}

TEST_F(GatewayTest, TheModelAnswersPieceByPieceWithTheRealKeyPutIn) {
    provider_.push(testing::ModelTurn::say("hello from the model").held());
    open();
    http::Request request{"POST",
                          "/model/anthropic/v1/messages?beta=true",
                          {},
                          R"({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})"};
    request.headers.set("x-api-key", "placeholder");
    request.headers.set("Authorization", "Bearer placeholder");
    request.headers.set("anthropic-version", "2023-06-01");
    request.headers.set("Content-Type", "application/json");
    auto answer = run(http_->open(request, std::chrono::seconds(20)));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ((*answer)->head().status, 200u);
    auto first = run((*answer)->read_some());
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_THAT(*first, HasSubstr("message_start"));  // while the provider still holds the rest
    provider_.release();
    std::string all = *first;
    for (;;) {
        auto piece = run((*answer)->read_some());
        ASSERT_TRUE(piece) << piece.error().message;
        if (piece->empty()) break;
        all += *piece;
    }
    EXPECT_THAT(all, HasSubstr("message_stop"));
    const auto seen = provider_.requests().at(0);
    EXPECT_EQ(seen.target, "/v1/messages?beta=true");
    EXPECT_EQ(seen.headers.get("x-api-key"), provider_.key());
    EXPECT_FALSE(seen.headers.get("authorization"));
    EXPECT_EQ(seen.headers.get("anthropic-version"), "2023-06-01");
    EXPECT_TRUE(eventually([&] { return gateway_->counts().model_output_tokens == 20; }));
    EXPECT_EQ(gateway_->counts().model_input_tokens, 100);
    EXPECT_EQ(gateway_->counts().model_cache_read_tokens, 7);
    EXPECT_EQ(gateway_->counts().model_requests, 1);
    EXPECT_EQ(gateway_->counts().model_bytes_received, static_cast<std::int64_t>(all.size()));
}

TEST_F(GatewayTest, AnAnswerInOnePieceAndAnErrorPassUnchanged) {
    provider_.push(testing::ModelTurn::say("whole"));
    provider_.push(testing::ModelTurn::fail(529, "overloaded today"));
    open();
    const std::string body = R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]})";
    const auto good = ask("POST", "/model/anthropic/v1/messages", body);
    EXPECT_EQ(good.status, 200u);
    EXPECT_THAT(good.body, HasSubstr("whole"));
    const auto bad = ask("POST", "/model/anthropic/v1/messages", body);
    EXPECT_EQ(bad.status, 529u);
    EXPECT_THAT(bad.body, HasSubstr("overloaded today"));
    EXPECT_TRUE(eventually([&] { return gateway_->counts().model_input_tokens == 100; }));
    EXPECT_EQ(gateway_->counts().model_errors, 1);
    EXPECT_EQ(gateway_->counts().model_own_errors, 0);
    EXPECT_FALSE(bad.headers.get("Codegen-Gateway"));
}

TEST_F(GatewayTest, AnAnswerThatIsCutIsCutHereToo) {
    auto turn = testing::ModelTurn::say("first");
    turn.cut = testing::ModelTurn::Cut::after_first_block;
    provider_.push(turn);
    open();
    auto answer =
        run(http_->open({"POST",
                         "/model/anthropic/v1/messages",
                         {},
                         R"({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})"},
                        std::chrono::seconds(20)));
    ASSERT_TRUE(answer) << answer.error().message;
    for (;;) {
        auto piece = run((*answer)->read_some());
        if (!piece) break;  // what we want
        ASSERT_FALSE(piece->empty()) << "the cut answer looked complete";
    }
}

TEST_F(GatewayTest, OnlyTheProvidersOpenPathsAreReached) {
    open();
    for (const auto* target :
         {"/model/anthropic/v1/organizations", "/model/anthropic/v1/messages/../organizations",
          "/model/anthropic/v1/messagesx", "/model/anthropic/v1/messages%2f..", "/model/anthropic/v1/messages/batches",
          "/model/anthropic/v1/messages/batches/b1/results", "/model/anthropic/v1/models/a/b",
          "/model/anthropic/v1/models/", "/model/openai/v1/responses", "/model/anthropic", "/model/"})
        EXPECT_EQ(ask("POST", target, "{}").status, 403u) << target;
    EXPECT_EQ(ask("DELETE", "/model/anthropic/v1/messages/batches", "").status, 403u);
    EXPECT_TRUE(provider_.requests().empty());
}

TEST_F(GatewayTest, WithoutAKeyTheAnswerSaysWhatToSet) {
    settings_.providers = {anthropic_provider(provider_.base_url(), "", "")};
    open();
    const auto answer = ask("POST", "/model/anthropic/v1/messages", "{}");
    EXPECT_EQ(answer.status, 401u);
    EXPECT_THAT(answer.body, HasSubstr("authentication_error"));
    EXPECT_THAT(answer.body, HasSubstr("ANTHROPIC_API_KEY"));
    EXPECT_EQ(answer.headers.get("Codegen-Gateway"), "no_key");
    EXPECT_EQ(gateway_->counts().model_own_errors, 1);
    EXPECT_EQ(gateway_->counts().model_errors, 0);
    EXPECT_TRUE(provider_.requests().empty());
}

TEST_F(GatewayTest, OpenAiIsReachedWithItsKeyWhicheverWayItsAddressIsWritten) {
    for (const auto* suffix : {"", "/", "/v1", "/v1/"}) {
        settings_.providers = {openai_provider(provider_.base_url() + suffix, "sk-real")};
        open();
        http::Headers headers;
        headers.set("Authorization", "Bearer placeholder");
        headers.set("OpenAI-Organization", "somebody");
        for (const auto* path : {"/v1/responses", "/v1/chat/completions"}) {
            ask("POST", std::string("/model/openai") + path, R"({"model":"m"})", headers);
            const auto seen = provider_.requests().back();
            EXPECT_EQ(seen.target, path) << suffix;
            EXPECT_EQ(seen.headers.get("authorization"), "Bearer sk-real");
            EXPECT_FALSE(seen.headers.get("openai-organization"));
        }
        EXPECT_EQ(ask("POST", "/model/openai/v1/files", "{}").status, 403u);
        EXPECT_EQ(ask("GET", "/model/openai/v1/responses/r1").status, 403u);
        run(gateway_->close());
    }
}

TEST_F(GatewayTest, FactorysSessionsAndTelemetryAreAnsweredHere) {
    for (const auto* key : {"", "fk-real"}) {
        settings_.providers = {factory_provider(provider_.base_url(), key)};
        open();
        EXPECT_EQ(ask("GET", "/model/factory/api/sessions/9ee45cb1").status, 404u);
        EXPECT_EQ(ask("POST", "/model/factory/api/otlp/traces/ingest", "{}").status, 200u);
        EXPECT_EQ(ask("POST", "/model/factory/api/ingest", "{}").status, 200u);
        EXPECT_EQ(ask("GET", "/model/factory/api/sessions").status, 403u);
        EXPECT_EQ(ask("GET", "/model/factory/api/sessions/../keys").status, 403u);
        EXPECT_EQ(ask("GET", "/model/factory/api/ingest").status, 403u);
        run(gateway_->close());
    }
    EXPECT_TRUE(provider_.requests().empty());
}

TEST_F(GatewayTest, FactorysModelsNeedItsKeyAndWithoutOneDroidIsNobody) {
    settings_.providers = {factory_provider(provider_.base_url(), "")};
    open();
    EXPECT_EQ(ask("GET", "/model/factory/api/cli/whoami").status, 404u);
    const auto keyless = ask("POST", "/model/factory/api/llm/o/v1/responses", "{}");
    EXPECT_EQ(keyless.status, 401u);
    EXPECT_THAT(keyless.body, HasSubstr("FACTORY_API_KEY"));
    EXPECT_TRUE(provider_.requests().empty());
    run(gateway_->close());
    settings_.providers = {factory_provider(provider_.base_url(), "fk-real")};
    open();
    ask("GET", "/model/factory/api/cli/whoami");
    ask("POST", "/model/factory/api/llm/a/v1/messages", "{}");
    ASSERT_EQ(provider_.requests().size(), 2u);
    for (const auto& seen : provider_.requests()) EXPECT_EQ(seen.headers.get("authorization"), "Bearer fk-real");
}

TEST_F(GatewayTest, AProviderIsReachedThroughAProxy) {
    const auto there = http::parse_url(provider_.base_url()).value();
    settings_.providers = {anthropic_provider("http://model.invalid", provider_.key(), "")};
    settings_.providers.front().proxy = http::Proxy{there.host, there.port, "Basic eDp5"};
    open();
    ask("POST", "/model/anthropic/v1/messages",
        R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]})");
    ASSERT_EQ(provider_.requests().size(), 1u) << "it stands in for the proxy: no name is looked up here";
    const auto seen = provider_.requests().front();
    EXPECT_EQ(seen.target, "http://model.invalid/v1/messages");
    EXPECT_EQ(seen.headers.get("host"), "model.invalid");
    EXPECT_EQ(seen.headers.get("proxy-authorization"), "Basic eDp5");
    EXPECT_EQ(seen.headers.get("x-api-key"), provider_.key());
}

TEST_F(GatewayTest, AProviderThatIsAwayIsA502InItsOwnShape) {
    settings_.providers = {anthropic_provider("http://127.0.0.1:1", "k", "")};
    open();
    const auto answer = ask("POST", "/model/anthropic/v1/messages", "{}");
    EXPECT_EQ(answer.status, 502u);
    EXPECT_THAT(answer.body, HasSubstr("codegen gateway"));
    EXPECT_EQ(answer.headers.get("Codegen-Gateway"), "provider_unreachable");
    EXPECT_EQ(gateway_->counts().model_errors, 1);
    EXPECT_EQ(boost::json::parse(answer.body).at("type"), "error");
}

TEST_F(GatewayTest, ARequestBeyondTheLimitIsRefused) {
    settings_.body_limit = 1000;
    open();
    EXPECT_EQ(ask("POST", "/model/anthropic/v1/messages", std::string(2000, 'x')).status, 413u);
}

TEST_F(GatewayTest, ARequestsAllowedCommandsBindHereWhateverTheAgentsEnvironmentSays) {
    const auto project = make_project();
    const auto task = make_task(project);
    const auto start =
        boost::json::serialize(boost::json::object{{"task_id", task}, {"project_id", project}, {"user_id", 1}});
    identity_.actions = {"*"};
    open(R"({"run":"r1","allowed_commands":["project.get"]})");
    give_token();
    EXPECT_EQ(ask("GET", "/api/projects/" + project).status, 200u);
    const auto refused = ask("POST", "/api/projects", R"({"name":"x"})");
    EXPECT_EQ(refused.status, 403u);
    EXPECT_THAT(refused.body, HasSubstr("needs the permission project.create, this worker has project.get"));
    EXPECT_EQ(ask("POST", "/streams/engineering:queue", start).status, 403u);
    EXPECT_EQ(ask("GET", "/streams/engineering:queue").status, 403u);
    EXPECT_TRUE(messages("engineering:queue").empty());
    // What is no list permits nothing.
    say(R"({"run":"r2","allowed_commands":"*"})");
    EXPECT_TRUE(eventually([&] { return ask("GET", "/api/projects/" + project).status == 403; }));
    // A request that names none has all that the worker has, and so has a person beside it when nothing runs.
    say(R"({"run":"r3"})");
    EXPECT_TRUE(eventually([&] { return ask("GET", "/streams/engineering:queue").status == 200; }));
    say(R"({"run":"r4","allowed_commands":[]})");
    EXPECT_TRUE(eventually([&] { return ask("GET", "/streams/engineering:queue").status == 403; }));
    say(R"({"ended":"r4"})");
    EXPECT_TRUE(eventually([&] { return ask("POST", "/streams/engineering:queue", start).status == 200; }));
}

TEST_F(GatewayTest, ARequestDoesNotWidenWhatItsWorkerMay) {
    open(R"({"run":"r1","allowed_commands":["*"]})");
    give_token();
    EXPECT_EQ(ask("GET", "/api/projects").status, 200u);
    EXPECT_EQ(ask("POST", "/api/projects", R"({"name":"x"})").status, 403u);
    EXPECT_EQ(ask("GET", "/streams/scaffolder:queue").status, 403u);
}

TEST_F(GatewayTest, NothingIsPermittedBeforeTheWrapperHasSaidWhatRuns) {
    settings_.run_wait = std::chrono::milliseconds(50);
    open("");
    give_token();
    const auto unknown = ask("GET", "/api/projects");
    EXPECT_EQ(unknown.status, 503u);
    EXPECT_THAT(unknown.body, HasSubstr("what runs in this worker is not known yet"));
    EXPECT_EQ(ask("POST", "/streams/task_progress:x", "{}").status, 503u);
    EXPECT_EQ(ask("GET", "/api/health").status, 200u);
    say(R"({"idle":true})");
    EXPECT_TRUE(eventually([&] { return ask("GET", "/api/projects").status == 200; }));
    control_->close();  // it may come back with a run
    EXPECT_TRUE(eventually([&] { return ask("GET", "/api/projects").status == 503; }));
}

TEST_F(GatewayTest, OnlyARequestToAModelMayBeLargeAndNothingIsReadOfOneThatLeadsNowhere) {
    open();
    give_token();
    const auto declared = [&](const std::string& target, std::size_t bytes) {
        asio::local::stream_protocol::socket socket(io_);
        socket.connect(asio::local::stream_protocol::endpoint((place() / "http.sock").string()));
        return run(exchange(std::move(socket), fmt::format("POST {} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                                                           "Content-Length: {}\r\n\r\n",
                                                           target, bytes)))
            .substr(0, 12);
    };
    for (const auto* nowhere : {"/elsewhere", "/api/users", "/api/../x", "/streams/worker:commands",
                                "/streams/engineering:queue", "/model/nobody/v1/messages", "/model/anthropic/v1/files"})
        EXPECT_EQ(declared(nowhere, 3), "HTTP/1.1 403") << nowhere;
    identity_.actions = {"*"};
    run(gateway_->close());
    open();
    EXPECT_EQ(declared("/api/projects", 5u << 20), "HTTP/1.1 413");
    EXPECT_EQ(declared("/streams/engineering:queue", 5u << 20), "HTTP/1.1 413");
    EXPECT_EQ(declared("/model/anthropic/v1/messages", 65u << 20), "HTTP/1.1 413");
    EXPECT_EQ(declared("/model/anthropic/v1/messages", 64u << 20), "HTTP/1.1 100");
    const std::string tens(30u << 20, ' ');
    ask("POST", "/model/anthropic/v1/messages", "{}" + tens);  // the fake provider itself takes 10 MB
    EXPECT_EQ(gateway_->counts().model_bytes_sent, static_cast<std::int64_t>(tens.size() + 2));
}

TEST_F(GatewayTest, TheBodiesOfOneWorkerHaveTheRoomOfTwoLargestTogether) {
    open();
    std::vector<asio::local::stream_protocol::socket> sockets;
    const auto begin = [&](std::size_t bytes) {
        auto& socket = sockets.emplace_back(io_);
        socket.connect(asio::local::stream_protocol::endpoint((place() / "http.sock").string()));
        asio::write(socket, asio::buffer(fmt::format("POST /model/anthropic/v1/messages HTTP/1.1\r\nHost: h\r\n"
                                                     "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                                                     bytes)));
        std::string head;
        return run(next_line(&socket, &head)).value_or("");
    };
    EXPECT_THAT(begin(64u << 20), HasSubstr("100 Continue"));
    EXPECT_THAT(begin(64u << 20), HasSubstr("100 Continue"));
    EXPECT_THAT(begin(1), HasSubstr("503 Service Unavailable"));
    sockets.clear();
    EXPECT_TRUE(eventually([&] { return begin(1).contains("100 Continue"); }));
}

class TunnelTest : public GatewayTest {
  protected:
    void SetUp() override {
        GatewayTest::SetUp();
        acceptor_.open(asio::ip::tcp::v4());
        acceptor_.bind({asio::ip::address_v4::loopback(), 0});
        acceptor_.listen();
        echo_.spawn("echo", serve(&acceptor_));
    }
    void TearDown() override {
        run(echo_.stop());
        GatewayTest::TearDown();
    }
    static Task<void> serve(asio::ip::tcp::acceptor* acceptor) {
        for (;;) {
            auto [ec, socket] = co_await acceptor->async_accept(async::use_tuple);
            if (ec) co_return;
            char buffer[1024];
            for (;;) {
                auto [read_ec, n] = co_await socket.async_read_some(asio::buffer(buffer), async::use_tuple);
                if (read_ec) break;
                co_await asio::async_write(socket, asio::buffer(buffer, n), async::use_tuple);
            }
        }
    }
    void allow(std::vector<std::string> entries) { settings_.egress = EgressRules::parse(entries).value(); }
    std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
    asio::ip::tcp::acceptor acceptor_{io_};
    async::Scope echo_{io_.get_executor()};
};

TEST_F(TunnelTest, AnAddressListedLiterallyIsReached) {
    allow({"127.0.0.1:" + port()});
    open();
    auto stream = run(http_->upgrade({"CONNECT", "127.0.0.1:" + port(), {}, {}}, std::chrono::seconds(5)));
    ASSERT_TRUE(stream) << stream.error().message;
    ASSERT_TRUE(run((*stream)->write("over the wall")));
    std::string got;
    char buffer[100];
    while (got.size() < 13) {
        auto n = run((*stream)->read_some(buffer));
        ASSERT_TRUE(n && *n > 0);
        got.append(buffer, *n);
    }
    EXPECT_EQ(got, "over the wall");
    (*stream)->close();
    EXPECT_TRUE(eventually([&] { return gateway_->counts().tunnel_bytes_received == 13; }));
    EXPECT_EQ(gateway_->counts().tunnels, 1);
}

TEST_F(TunnelTest, EverythingElseIsRefusedWithTheReason) {
    allow({"*.example.com:443", "inner.example.com:" + port()});
    settings_.resolve = [](std::string) -> Task<Result<std::vector<asio::ip::address>>> {
        co_return std::vector<asio::ip::address>{asio::ip::address_v4::loopback()};
    };
    open();
    const auto unlisted = ask("CONNECT", "github.com:443");
    EXPECT_EQ(unlisted.status, 403u);
    EXPECT_THAT(unlisted.body, HasSubstr("github.com:443 is not on the list"));
    EXPECT_EQ(ask("CONNECT", "127.0.0.1:" + port()).status, 403u);
    const auto internal = ask("CONNECT", "inner.example.com:" + port());
    EXPECT_EQ(internal.status, 403u);
    EXPECT_THAT(internal.body, HasSubstr("internal address"));
    EXPECT_EQ(gateway_->counts().tunnels, 0);
    EXPECT_EQ(gateway_->counts().refusals, 3);
}

TEST_F(TunnelTest, ANameIsResolvedOnce) {
    allow({"twice.example.com:" + port(), "127.0.0.1:" + port()});
    auto asked = std::make_shared<int>(0);
    settings_.resolve = [asked](std::string) -> Task<Result<std::vector<asio::ip::address>>> {
        ++*asked;
        return [](int n) -> Task<Result<std::vector<asio::ip::address>>> {
            co_return std::vector<asio::ip::address>{asio::ip::make_address(n == 1 ? "127.0.0.1" : "169.254.169.254")};
        }(*asked);
    };
    open();
    auto stream = run(http_->upgrade({"CONNECT", "twice.example.com:" + port(), {}, {}}, std::chrono::seconds(5)));
    ASSERT_TRUE(stream) << stream.error().message;
    EXPECT_EQ(*asked, 1);
}

TEST_F(TunnelTest, OfSeveralAddressesOnlyAllowedOnesAreTried) {
    allow({"mixed.example.com:" + port(), "127.0.0.1:" + port()});
    settings_.resolve = [](std::string) -> Task<Result<std::vector<asio::ip::address>>> {
        std::vector<asio::ip::address> found;
        for (const auto* text : {"169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.1"})
            found.push_back(asio::ip::make_address(text));
        co_return found;
    };
    open();
    auto stream = run(http_->upgrade({"CONNECT", "mixed.example.com:" + port(), {}, {}}, std::chrono::seconds(5)));
    ASSERT_TRUE(stream) << stream.error().message;
    EXPECT_EQ(gateway_->counts().tunnels, 1);
}

TEST_F(TunnelTest, TheHostsOfItsProjectAreAllowedBesideThoseOfTheInstallation) {
    const auto target = "127.0.0.1:" + port();
    allow({"example.com:443"});
    open();
    EXPECT_EQ(ask("CONNECT", target).status, 403u);
    run(gateway_->close());
    identity_.egress_allow = {target};
    open();
    EXPECT_TRUE(run(http_->upgrade({"CONNECT", target, {}, {}}, std::chrono::seconds(5))));
    run(gateway_->close());
    identity_.egress_allow = {"no port"};
    const auto refused =
        Gateway::make(io_.get_executor(), *redis_, std::make_shared<const GatewaySettings>(settings_), identity_);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("the project's config.egress_allow"));
    EXPECT_THAT(refused.error().message, HasSubstr("no port"));
}

TEST_F(GatewayTest, AGatewayOpensAgainAtTheSamePlaceAfterACrash) {
    open();
    EXPECT_EQ(as_worker({"PING"}), "OK");
    // The former one never closed: its socket files are still there.
    gateway_.reset();
    open();
    EXPECT_EQ(as_worker({"PING"}), "OK");
    EXPECT_EQ(ask("GET", "/elsewhere").status, 403u);
    EXPECT_EQ(gateway_->counts().refusals, 1);
}

}  // namespace
}  // namespace codegen::worker_manager

// What holds for every request alike: conditions, repeats, limits, other origins, compression.
#include <zlib.h>

#include "services/api/api_fixture.hpp"
#include "shared/async/scope.hpp"

namespace codegen::api {
namespace {

using ::testing::HasSubstr;
using Json = boost::json::object;

class ExchangeTest : public ApiFixture {
  protected:
    std::string etag(const http::Response& response) { return std::string(response.headers.get("ETag").value_or("")); }
    http::Response post(const std::string& target, const std::string& body, const std::string& key,
                        const std::string& token) {
        return send("POST", target, token, body, {{"Idempotency-Key", key}});
    }
    http::Response post(const std::string& target, const std::string& body, const std::string& key) {
        return post(target, body, key, admin_);
    }
    static Task<void> ask(http::Client* client, http::Request request, std::vector<http::Response>* out) {
        auto answer = co_await client->send(std::move(request));
        out->push_back(answer.value());
    }
    std::vector<http::Response> at_once(int times, http::Request request) {
        request.headers.set("Authorization", "Bearer " + admin_);
        std::vector<http::Response> answers;
        async::Scope scope(io_.get_executor());
        for (int i = 0; i < times; ++i) scope.spawn("request", ask(unix_.get(), request, &answers));
        testing::run(io_, scope.drain());
        return answers;
    }
    std::size_t count(const std::string& target) { return must(200, admin("GET", target)).as_array().size(); }
    void sql(std::string text) {
        auto done = testing::run(io_, database_->query(std::move(text)));
        ASSERT_TRUE(done) << done.error().message;
    }
};

TEST_F(ExchangeTest, AChangeOfAnotherStateIs412AndChangesNothing) {
    const auto project = make_project(admin_);
    const auto task = make_task(admin_, project);
    must(201, admin("POST", "/api/servers", R"({"handle": "vps-1", "host": "h", "public_ip": "203.0.113.1"})"));
    must(201, admin("PUT", "/api/available-models/m", R"({"provider": "p"})"));
    for (const auto& [method, target, body] : std::vector<std::tuple<std::string, std::string, std::string>>{
             {"PATCH", "/api/projects/" + project, R"({"description": "new"})"},
             {"PUT", "/api/projects/" + project, R"({"name": "other"})"},
             {"PATCH", "/api/tasks/" + task, R"({"status": "running"})"},
             {"PATCH", "/api/servers/vps-1", R"({"notes": "new"})"},
             {"PUT", "/api/available-models/m", R"({"provider": "q"})"}}) {
        const auto first = admin("GET", target);
        const auto tag = etag(first);
        ASSERT_FALSE(tag.empty()) << target;
        const auto changed = send(method, target, admin_, body, {{"If-Match", "\"1-1\", " + tag}});
        EXPECT_EQ(changed.status, 200u) << target << changed.body;
        EXPECT_NE(etag(changed), tag);
        EXPECT_EQ(etag(admin("GET", target)), etag(changed)) << target;
        const auto before = admin("GET", target).body;
        for (const auto& stale : {tag, std::string("\"x\""), "W/" + etag(changed), std::string("nonsense")}) {
            const auto refused = send(method, target, admin_, body, {{"If-Match", stale}});
            EXPECT_EQ(refused.status, 412u) << target << " " << stale;
            EXPECT_EQ(refused.headers.get("Content-Type"), "application/problem+json");
        }
        EXPECT_EQ(admin("GET", target).body, before);
        EXPECT_EQ(send(method, target, admin_, body, {{"If-Match", "*"}}).status, 200u) << target;
    }
    EXPECT_EQ(send("PATCH", "/api/projects/" + new_uuid(), admin_, "{}", {{"If-Match", "\"1-1\""}}).status, 404u);
}

TEST_F(ExchangeTest, OfManyConditionalChangesOneGetsThrough) {
    const auto target = "/api/projects/" + make_project(admin_);
    const auto tag = etag(admin("GET", target));
    http::Request request{.method = "PATCH", .target = target, .headers = {}, .body = R"({"description": "x"})"};
    request.headers.set("If-Match", tag);
    const auto answers = at_once(8, std::move(request));
    ASSERT_EQ(answers.size(), 8u);
    EXPECT_EQ(std::ranges::count(answers, 200u, &http::Response::status), 1);
    EXPECT_EQ(std::ranges::count(answers, 412u, &http::Response::status), 7);
}

TEST_F(ExchangeTest, WhatTheClientHasIs304) {
    const auto project = make_project(admin_);
    for (const auto& target : {"/api/projects/" + project, std::string("/api/projects")}) {
        const auto first = admin("GET", target);
        ASSERT_FALSE(etag(first).empty());
        for (const auto& tags : {etag(first), "\"other\", W/" + etag(first), std::string("*")}) {
            const auto again = send("GET", target, admin_, {}, {{"If-None-Match", tags}});
            EXPECT_EQ(again.status, 304u) << tags;
            EXPECT_TRUE(again.body.empty());
            EXPECT_EQ(etag(again), etag(first));
        }
        must(200, admin("PATCH", "/api/projects/" + project, R"({"description": ")" + new_uuid() + "\"}"));
        const auto changed = send("GET", target, admin_, {}, {{"If-None-Match", etag(first)}});
        EXPECT_EQ(changed.status, 200u);
        EXPECT_NE(etag(changed), etag(first));
    }
    EXPECT_EQ(send("GET", "/api/projects", "", {}, {{"If-None-Match", "*"}}).status, 401u);
    EXPECT_EQ(send("GET", "/api/projects/" + new_uuid(), admin_, {}, {{"If-None-Match", "*"}}).status, 404u);
}

TEST_F(ExchangeTest, TheSamePostWithItsKeyHasOneEffectAndOneAnswer) {
    const auto first = post("/api/users", R"({"username": "ann"})", "key-1");
    must(201, first);
    EXPECT_FALSE(first.headers.get("Idempotency-Replayed"));
    const auto again = post("/api/users", R"({"username": "ann"})", "key-1");
    EXPECT_EQ(again.status, 201u);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
    EXPECT_EQ(count("/api/users"), 2u);
    const auto other = post("/api/users", R"({"username": "bob"})", "key-1");
    EXPECT_EQ(other.status, 422u);
    EXPECT_THAT(other.body, HasSubstr("Idempotency-Key"));
    EXPECT_EQ(post("/api/projects", R"({"name": "x"})", "key-1").status, 422u);
    must(201, post("/api/users", R"({"username": "ann"})", "key-2"));
    must(201, post("/api/users", R"({"username": "ann"})", "key-1", control_));  // another token's key
    EXPECT_EQ(count("/api/users"), 4u);
    for (const auto& bad : {std::string(256, 'k'), std::string("a b")})
        EXPECT_EQ(post("/api/users", "{}", bad).status, 422u) << bad;
    // A refusal has no effect, and is judged anew.
    EXPECT_EQ(post("/api/tasks", R"({"type": "odd"})", "key-3").status, 422u);
    EXPECT_EQ(post("/api/tasks", R"({"type": "deploy"})", "key-3").status, 201u);
}

TEST_F(ExchangeTest, ASecretInARepeatedAnswerStandsEncrypted) {
    const auto first = post("/api/tokens", R"({"kind": "service"})", "token-1");
    const auto secret = text(must(201, first), "secret");
    EXPECT_EQ(post("/api/tokens", R"({"kind": "service"})", "token-1").body, first.body);
    stop();
    EXPECT_FALSE(store_.holds(secret));
    start();
    EXPECT_EQ(post("/api/tokens", R"({"kind": "service"})", "token-1").body, first.body);  // also after a restart
    // With another key for secrets the answer cannot be read any more; the effect is not made again.
    sql("UPDATE idempotency_keys SET response = 'v1.0123456789abcdef.AAAA'");
    const auto lost = post("/api/tokens", R"({"kind": "service"})", "token-1");
    EXPECT_EQ(lost.status, 409u);
    EXPECT_THAT(lost.body, HasSubstr("took effect"));
}

TEST_F(ExchangeTest, OfManyAtOnceOneHasTheEffect) {
    http::Request request{.method = "POST", .target = "/api/users", .headers = {}, .body = "{}"};
    request.headers.set("Idempotency-Key", "at-once");
    const auto answers = at_once(12, std::move(request));
    ASSERT_EQ(answers.size(), 12u);
    std::set<std::string> bodies;
    for (const auto& answer : answers) {
        EXPECT_TRUE(answer.status == 201 || answer.status == 409) << answer.body;
        if (answer.status == 201) bodies.insert(answer.body);
        if (answer.status == 409) EXPECT_EQ(answer.headers.get("Retry-After"), "1");
    }
    EXPECT_EQ(bodies.size(), 1u);
    EXPECT_EQ(count("/api/users"), 2u);
}

TEST_F(ExchangeTest, AFirstRequestThatDiedIsTakenOverOrToldAsDone) {
    must(201, post("/api/users", "{}", "before"));
    sql("UPDATE idempotency_keys SET status = NULL, response = NULL");  // it died between effect and answer
    EXPECT_EQ(post("/api/users", "{}", "before").headers.get("Retry-After"), "1");
    now_ += std::chrono::seconds(61);
    const auto told = post("/api/users", "{}", "before");
    EXPECT_EQ(told.status, 409u);
    EXPECT_THAT(told.body, HasSubstr("took effect"));
    EXPECT_EQ(count("/api/users"), 2u);
    sql("UPDATE idempotency_keys SET effect = 0");  // it died before
    must(201, post("/api/users", "{}", "before"));
    EXPECT_EQ(count("/api/users"), 3u);
}

TEST_F(ExchangeTest, AKeyIsForgottenAfterADayAndATokenHasABoundedNumber) {
    const auto first = must(201, post("/api/users", "{}", "day"));
    now_ += std::chrono::hours(23);
    EXPECT_EQ(must(201, post("/api/users", "{}", "day")), first);
    now_ += std::chrono::hours(2);
    EXPECT_NE(must(201, post("/api/users", "{}", "day")), first);
    sql("INSERT INTO idempotency_keys (scope, key, request_hash, effect, claimed_at, created_at) "
        "SELECT scope, n.n, '', 0, claimed_at, created_at FROM idempotency_keys, "
        "(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9999) "
        "SELECT CAST(i AS TEXT) AS n FROM c) AS n");
    const auto full = post("/api/users", "{}", "one-more");
    EXPECT_EQ(full.status, 429u);
    EXPECT_TRUE(full.headers.get("Retry-After"));
    now_ += std::chrono::hours(25);
    must(201, post("/api/users", "{}", "one-more"));
}

TEST_F(ExchangeTest, ATokenThatAsksTooOftenIs429) {
    options_.rate_limit = 5;
    restart();
    const auto user = std::string(control_);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(send("GET", "/api/projects", user).status, 200u);
    const auto refused = send("GET", "/api/projects", user);
    EXPECT_EQ(refused.status, 429u);
    EXPECT_EQ(refused.headers.get("Content-Type"), "application/problem+json");
    const auto wait = std::stoi(std::string(refused.headers.get("Retry-After").value_or("0")));
    EXPECT_GE(wait, 1);
    EXPECT_LE(wait, 12);
    EXPECT_EQ(admin("GET", "/api/projects").status, 200u);  // another token's
    EXPECT_EQ(send("GET", "/health", "").status, 200u);
}

TEST_F(ExchangeTest, PagesOfOtherOriginsAreRefusedUnlessNamed) {
    const Extra page{{"Origin", "https://panel.example"}};
    const Extra ahead{{"Origin", "https://panel.example"}, {"Access-Control-Request-Method", "PATCH"}};
    EXPECT_EQ(send("OPTIONS", "/api/projects", "", {}, ahead).status, 405u);
    EXPECT_FALSE(send("GET", "/api/projects", admin_, {}, page).headers.get("Access-Control-Allow-Origin"));
    options_.cors_origins = {"https://panel.example", "http://localhost:5173"};
    restart();
    const auto allowed = send("OPTIONS", "/api/projects", "", {}, ahead);
    EXPECT_EQ(allowed.status, 204u);
    EXPECT_EQ(allowed.headers.get("Access-Control-Allow-Origin"), "https://panel.example");
    EXPECT_THAT(std::string(allowed.headers.get("Access-Control-Allow-Methods").value_or("")), HasSubstr("PATCH"));
    EXPECT_THAT(std::string(allowed.headers.get("Access-Control-Allow-Headers").value_or("")), HasSubstr("If-Match"));
    for (const auto& token : {admin_, std::string("wrong")}) {  // a page may read refusals too
        const auto answer = send("GET", "/api/projects", token, {}, page);
        EXPECT_EQ(answer.headers.get("Access-Control-Allow-Origin"), "https://panel.example");
        EXPECT_EQ(answer.headers.get("Vary"), "Origin");
        EXPECT_FALSE(answer.headers.get("Access-Control-Allow-Credentials"));
    }
    for (const auto* other : {"https://panel.example.evil.example", "http://panel.example", "null"}) {
        EXPECT_FALSE(
            send("GET", "/api/projects", admin_, {}, {{"Origin", other}}).headers.get("Access-Control-Allow-Origin"));
        EXPECT_EQ(
            send("OPTIONS", "/api/projects", "", {}, {{"Origin", other}, {"Access-Control-Request-Method", "GET"}})
                .status,
            405u);
    }
    for (const auto* bad : {"panel.example", "https://panel.example/", "https://a.example/path", "ftp://x"}) {
        Options options = options_;
        options.cors_origins = {bad};
        Service service(*database_, options);
        const auto started = testing::run(io_, service.bootstrap());
        ASSERT_FALSE(started) << bad;
        EXPECT_THAT(started.error().message, HasSubstr(std::string("API_CORS_ORIGINS has \"") + bad));
    }
}

std::string unpacked(const std::string& packed) {
    z_stream stream{};
    EXPECT_EQ(::inflateInit2(&stream, 15 + 16), Z_OK);
    std::string text(1 << 20, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(text.data());
    stream.avail_out = static_cast<uInt>(text.size());
    EXPECT_EQ(::inflate(&stream, Z_FINISH), Z_STREAM_END);
    text.resize(stream.total_out);
    ::inflateEnd(&stream);
    return text;
}

TEST_F(ExchangeTest, LargeAnswersAreCompressedForWhoWantsThat) {
    for (int i = 0; i < 30; ++i) make_project(admin_, "shop " + std::to_string(i));
    const auto plain = admin("GET", "/api/projects");
    EXPECT_FALSE(plain.headers.get("Content-Encoding"));
    for (const auto* wants : {"gzip", "br, GZIP;q=0.5", "*"}) {
        const auto packed = send("GET", "/api/projects", admin_, {}, {{"Accept-Encoding", wants}});
        ASSERT_EQ(packed.headers.get("Content-Encoding"), "gzip") << wants;
        EXPECT_EQ(packed.headers.get("Vary"), "Accept-Encoding");
        EXPECT_LT(packed.body.size() * 3, plain.body.size());
        EXPECT_EQ(unpacked(packed.body), plain.body);
        EXPECT_NE(etag(packed), etag(plain));  // another representation
        const auto known =
            send("GET", "/api/projects", admin_, {}, {{"Accept-Encoding", wants}, {"If-None-Match", etag(packed)}});
        EXPECT_EQ(known.status, 304u);
    }
    for (const auto* refuses : {"identity", "gzip;q=0", "gzip;q=0, *", "br", "gzipped"})
        EXPECT_EQ(send("GET", "/api/projects", admin_, {}, {{"Accept-Encoding", refuses}}).body, plain.body) << refuses;
    const Extra wants{{"Accept-Encoding", "gzip"}};
    EXPECT_FALSE(send("GET", "/api/users/1", admin_, {}, wants).headers.get("Content-Encoding"));  // small
    must(201, admin("POST", "/api/api-keys",
                    R"({"service": "x", "type": "system", "value": ")" + std::string(5000, 'v') + "\"}"));
    EXPECT_FALSE(send("GET", "/api/api-keys/x", control_, {}, wants).headers.get("Content-Encoding"));  // a secret
    // The tag of the compressed form names the same object.
    const auto project = "/api/projects/" + make_project(admin_, std::string(150, 'x'));
    must(200, admin("PATCH", project, R"({"description": ")" + std::string(5000, 'd') + "\"}"));
    const auto packed = send("GET", project, admin_, {}, wants);
    ASSERT_EQ(packed.headers.get("Content-Encoding"), "gzip");
    EXPECT_EQ(send("PATCH", project, admin_, "{}", {{"If-Match", etag(packed)}}).status, 200u);
    const auto refused = send("GET", "/docs", "", {}, wants);
    EXPECT_EQ(refused.headers.get("Content-Encoding"), "gzip");
}

}  // namespace
}  // namespace codegen::api

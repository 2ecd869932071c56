// The client against a real HTTP server that answers what the test says, and against none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>

#include "shared/async/scope.hpp"
#include "shared/clients/api/api_client.hpp"
#include "shared/http/server.hpp"
#include "shared/testing/run.hpp"

namespace codegen::clients {
namespace {

using ::testing::HasSubstr;

Task<http::Reply> answer(http::Response response) {
    co_return http::Reply{.head = std::move(response), .body = {}, .upgrade = {}};
}

using Acceptor = asio::local::stream_protocol::acceptor;
// Reads a little of each connection, writes `bytes`, closes.
Task<void> answer_raw(Acceptor* acceptor, std::string bytes) {
    while (true) {
        auto [error, socket] = co_await acceptor->async_accept(async::use_tuple);
        if (error) co_return;
        std::array<char, 4096> buffer;
        co_await socket.async_read_some(asio::buffer(buffer), async::use_tuple);
        co_await asio::async_write(socket, asio::buffer(bytes), async::use_tuple);
    }
}

class ApiClientTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "codegen-client-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override {
        if (server_) testing::run(io_, server_->stop(std::chrono::milliseconds(10)));
        server_.reset();
        std::filesystem::remove_all(directory_);
    }
    void serve() {
        server_ = std::make_unique<http::Server>(io_.get_executor(), [this](http::Request request, http::Peer) {
            requests_.push_back(std::move(request));
            return answer(response_);
        });
        ASSERT_TRUE(server_->listen_unix(socket(), 0600));
    }
    std::filesystem::path socket() const { return directory_ / "api.sock"; }
    ApiClient client(std::string token = "secret-token") {
        return ApiClient::make(io_.get_executor(), "http+unix://" + socket().string(), std::move(token)).value();
    }
    Result<std::string> call(std::string method = "GET", std::string target = "/api/tasks", std::string body = {},
                             std::string token = "secret-token") {
        auto api = client(std::move(token));
        return testing::run(io_, api.call(std::move(method), std::move(target), std::move(body)));
    }

    asio::io_context io_;
    std::filesystem::path directory_;
    std::unique_ptr<http::Server> server_;
    http::Response response_;
    std::vector<http::Request> requests_;
};

TEST_F(ApiClientTest, SendsWhatItIsToldAndReturnsTheBody) {
    serve();
    response_.status = 201;
    response_.body = R"({"a": 1})";
    auto api = client();
    auto body = testing::run(io_, api.call("POST", "/api/tasks?x=1", R"({"b": 2})", "corr-1"));
    ASSERT_TRUE(body) << body.error().message;
    EXPECT_EQ(*body, R"({"a": 1})");
    ASSERT_EQ(requests_.size(), 1u);
    EXPECT_EQ(requests_[0].method, "POST");
    EXPECT_EQ(requests_[0].target, "/api/tasks?x=1");
    EXPECT_EQ(requests_[0].body, R"({"b": 2})");
    EXPECT_EQ(requests_[0].headers.get("Authorization"), "Bearer secret-token");
    EXPECT_EQ(requests_[0].headers.get("X-Correlation-ID"), "corr-1");
    EXPECT_EQ(requests_[0].headers.get("Content-Type"), "application/json");

    ASSERT_TRUE(call("GET", "/api/tasks", {}, ""));
    EXPECT_FALSE(requests_[1].headers.get("Authorization"));
    EXPECT_FALSE(requests_[1].headers.get("Content-Type"));
    EXPECT_FALSE(requests_[1].headers.get("X-Correlation-ID"));
}

TEST_F(ApiClientTest, ReadsTheContract) {
    serve();
    response_.body = R"({"id": 7, "telegram_id": 9, "is_admin": true, "new_field": []})";
    auto api = client();
    auto user = testing::run(io_, api.get<contracts::User>("/api/users/7"));
    ASSERT_TRUE(user) << user.error().message;
    EXPECT_EQ(user->id, 7);
    EXPECT_EQ(user->telegram_id, 9);
    auto sent = testing::run(io_, api.send<contracts::User>("POST", "/api/users", "{}"));
    ASSERT_TRUE(sent) << sent.error().message;
    EXPECT_EQ(requests_.back().method, "POST");
}

TEST_F(ApiClientTest, AChangeIsOfWhatWasRead) {
    // A server with one project: every write gives it another ETag, and If-Match is demanded.
    int version = 1;
    std::string name = "a";
    int writes_of_others = 3;
    server_ = std::make_unique<http::Server>(io_.get_executor(), [&](http::Request request, http::Peer) {
        http::Response response;
        response.status = 200;
        const auto tag = "\"" + std::to_string(version) + "\"";
        response.headers.set("ETag", tag);
        response.body = R"({"id": "p", "name": ")" + name + R"(", "status": "draft", "modules": []})";
        if (request.method == "GET" && writes_of_others-- > 0) name += std::to_string(++version);  // right afterwards
        if (request.method == "PATCH") {
            const bool as_read = request.headers.get("If-Match") == tag;
            response.status = as_read ? 200 : 412;
            if (as_read) name = boost::json::parse(request.body).at("name").as_string();
        }
        return answer(response);
    });
    ASSERT_TRUE(server_->listen_unix(socket(), 0600));
    auto api = client();
    const auto longer = [](const contracts::Project& project) {
        return boost::json::object{{"name", project.name + "!"}};
    };
    auto done = testing::run(io_, api.change<contracts::Project>("/api/projects/p", longer));
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(name, "a234!") << "nothing is lost";
    writes_of_others = 1000;
    done = testing::run(io_, api.change<contracts::Project>("/api/projects/p", longer));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().category, ErrorCategory::transient);
    const auto before = version;
    writes_of_others = 0;
    done = testing::run(io_, api.change<contracts::Project>(
                                 "/api/projects/p", [](const contracts::Project&) { return boost::json::object(); }));
    ASSERT_TRUE(done);
    EXPECT_EQ(version, before);
}

TEST_F(ApiClientTest, EveryStatusHasItsError) {
    serve();
    struct Case {
        unsigned status;
        ErrorCategory category;
        std::string code;
    };
    for (const auto& [status, category, code] :
         {Case{400, ErrorCategory::permanent, "invalid"}, Case{401, ErrorCategory::fatal, "unauthorized"},
          Case{403, ErrorCategory::permanent, "forbidden"}, Case{404, ErrorCategory::permanent, "not_found"},
          Case{405, ErrorCategory::permanent, "invalid"}, Case{409, ErrorCategory::permanent, "conflict"},
          Case{413, ErrorCategory::permanent, "invalid"}, Case{422, ErrorCategory::permanent, "invalid"},
          Case{429, ErrorCategory::upstream, "unavailable"}, Case{500, ErrorCategory::transient, "unavailable"},
          Case{503, ErrorCategory::transient, "unavailable"}, Case{302, ErrorCategory::permanent, "invalid"}}) {
        response_ = http::problem(status, "the detail", {{"spec", "too odd"}});
        const auto result = call("PATCH", "/api/tasks/1?secret=x", "{}");
        ASSERT_FALSE(result) << status;
        EXPECT_EQ(result.error().category, category) << status;
        EXPECT_EQ(result.error().code, code) << status;
        EXPECT_THAT(result.error().message, HasSubstr("API PATCH /api/tasks/1: " + std::to_string(status)));
        EXPECT_THAT(result.error().message, HasSubstr("the detail"));
        EXPECT_THAT(result.error().message, HasSubstr("spec: too odd"));
        EXPECT_EQ(result.error().message.find("secret"), std::string::npos);
    }
    response_ = http::problem(401, "no token");
    const auto anonymous = call("GET", "/api/tasks", {}, "");
    ASSERT_FALSE(anonymous);
    EXPECT_EQ(anonymous.error().category, ErrorCategory::permanent);
}

TEST_F(ApiClientTest, AnErrorWithoutAProblemDocumentShowsItsBeginning) {
    serve();
    response_.status = 502;
    response_.body = "<html>" + std::string(1000, 'x');
    const auto page = call();
    ASSERT_FALSE(page);
    EXPECT_THAT(page.error().message, HasSubstr("502 <html>"));
    EXPECT_LT(page.error().message.size(), 300u);
    response_.body.clear();
    EXPECT_THAT(call().error().message, HasSubstr("no reason given"));
}

TEST_F(ApiClientTest, ABodyThatIsNotTheContractNamesTheField) {
    serve();
    auto api = client();
    response_.body = R"({"id": "seven", "is_admin": false})";
    const auto wrong = testing::run(io_, api.get<contracts::User>("/api/users/7"));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, "invalid");
    EXPECT_THAT(wrong.error().message, HasSubstr("answer of the API"));
    EXPECT_THAT(wrong.error().message, HasSubstr("id"));
    for (const auto* bad : {"", "{", "[]", "OK"}) {
        response_.body = bad;
        EXPECT_FALSE(testing::run(io_, api.get<contracts::User>("/api/users/7"))) << bad;
    }
}

TEST_F(ApiClientTest, NoServerIsTransientAndItComesBack) {
    const auto missing = call();
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().category, ErrorCategory::transient);
    EXPECT_EQ(missing.error().code, "unavailable");
    EXPECT_THAT(missing.error().message, HasSubstr("API GET /api/tasks"));
    auto api = client();
    serve();
    EXPECT_TRUE(testing::run(io_, api.call("GET", "/api/tasks")));
    testing::run(io_, server_->stop(std::chrono::milliseconds(10)));
    server_.reset();
    const auto gone = testing::run(io_, api.call("GET", "/api/tasks"));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, "unavailable");
    serve();
    EXPECT_TRUE(testing::run(io_, api.call("GET", "/api/tasks")));
}

TEST_F(ApiClientTest, WhatIsNotHttpIsAnError) {
    for (const auto* bytes :
         {"garbage\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"}) {
        std::filesystem::remove(socket());
        Acceptor acceptor(io_, asio::local::stream_protocol::endpoint(socket().string()));
        async::Scope scope(io_.get_executor());
        scope.spawn("raw server", answer_raw(&acceptor, bytes));
        const auto result = call();
        EXPECT_FALSE(result) << bytes;
        testing::run(io_, scope.stop());
    }
}

TEST_F(ApiClientTest, AUrlThatIsNoneIsRefused) {
    for (const auto* bad : {"", "api.sock", "ftp://x", "http://", "http+unix://"}) {
        const auto made = ApiClient::make(io_.get_executor(), bad, "t");
        ASSERT_FALSE(made) << bad;
        EXPECT_THAT(made.error().message, HasSubstr("URL of the API"));
    }
}

}  // namespace
}  // namespace codegen::clients

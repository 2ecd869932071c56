// For the service tests: a real server with a real database, asked over a unix socket and over TCP.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "services/api/service.hpp"
#include "shared/base/ids.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/posix/file.hpp"
#include "shared/storage/database.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/test_store.hpp"

namespace codegen::api {

class ApiFixture : public ::testing::Test {
  protected:
    using Extra = std::vector<std::pair<std::string, std::string>>;

    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "codegen-api-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        start();
    }
    void TearDown() override {
        stop();
        std::filesystem::remove_all(directory_);
    }

    void start() {
        database_ = store_.open();
        options_.state_directory = directory_;
        options_.strict_contracts = true;
        options_.clock = [this] { return now_ += std::chrono::microseconds(1); };
        service_ = std::make_unique<Service>(*database_, options_);
        auto ready = testing::run(io_, service_->bootstrap());
        ASSERT_TRUE(ready) << ready.error().message;
        admin_ = read("admin.token");
        control_ = read("service.token");
        server_ = std::make_unique<http::Server>(io_.get_executor(), service_->handler(), service_->server_options());
        auto listening = server_->listen_unix(directory_ / "api.sock", 0600);
        ASSERT_TRUE(listening) << listening.error().message;
        auto port = server_->listen_tcp("127.0.0.1", 0);
        ASSERT_TRUE(port) << port.error().message;
        port_ = *port;
        unix_ = connect("http+unix://" + (directory_ / "api.sock").string());
        tcp_ = connect("http://127.0.0.1:" + std::to_string(port_));
    }
    void stop() {
        unix_.reset();
        tcp_.reset();
        if (server_) testing::run(io_, server_->stop(std::chrono::milliseconds(100)));
        server_.reset();
        service_.reset();
        database_.reset();
    }
    void restart() {
        stop();
        start();
    }

    std::unique_ptr<http::Client> connect(const std::string& url) {
        return std::make_unique<http::Client>(io_.get_executor(), http::parse_url(url).value());
    }
    std::string read(const std::string& file) { return posix::read_file(directory_ / file, 1000).value(); }

    http::Response send(http::Client& client, std::string method, std::string target, const std::string& token,
                        std::string body = {}, const Extra& extra = {}) {
        http::Request request;
        request.method = std::move(method);
        request.target = std::move(target);
        if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
        for (const auto& [name, value] : extra) request.headers.set(name, value);
        request.body = std::move(body);
        auto response = testing::run(io_, client.send(std::move(request)));
        if (!response) throw std::runtime_error(response.error().message);
        return std::move(*response);
    }
    http::Response send(std::string method, std::string target, const std::string& token, std::string body = {},
                        const Extra& extra = {}) {
        return send(*unix_, std::move(method), std::move(target), token, std::move(body), extra);
    }
    http::Response admin(std::string method, std::string target, std::string body = {}) {
        return send(std::move(method), std::move(target), admin_, std::move(body));
    }
    // The answer's JSON; the test fails when the status is another one.
    boost::json::value must(unsigned status, const http::Response& response) {
        EXPECT_EQ(response.status, status) << response.body;
        if (response.body.empty()) return nullptr;
        return boost::json::parse(response.body);
    }
    static std::string text(const boost::json::value& object, const char* name) {
        return std::string(object.at(name).as_string());
    }

    std::int64_t make_user(std::int64_t telegram_id, bool is_admin = false) {
        boost::json::object body{{"telegram_id", telegram_id}, {"is_admin", is_admin}};
        return must(201, admin("POST", "/api/users", boost::json::serialize(body))).at("id").as_int64();
    }
    std::string make_token(boost::json::object body) {
        return text(must(201, admin("POST", "/api/tokens", boost::json::serialize(body))), "secret");
    }
    std::string user_token(std::int64_t user_id) { return make_token({{"kind", "user"}, {"user_id", user_id}}); }
    std::string worker_token(const std::string& task_id, boost::json::array actions) {
        return make_token({{"kind", "worker"}, {"worker_id", "dev-1"}, {"task_id", task_id}, {"actions", actions}});
    }
    std::string make_project(const std::string& token, const std::string& name = "shop") {
        boost::json::object body{{"name", name}};
        return text(must(201, send("POST", "/api/projects", token, boost::json::serialize(body))), "id");
    }
    std::string make_task(const std::string& token, const std::string& project_id) {
        boost::json::object body{{"project_id", project_id}, {"type", "engineering"}, {"spec", "add a button"}};
        return text(must(201, send("POST", "/api/tasks", token, boost::json::serialize(body))), "id");
    }

    asio::io_context io_;
    testing::TestStore store_{io_};
    std::filesystem::path directory_;
    Options options_;
    Timestamp now_ = parse_timestamp("2026-01-10T12:00:00Z").value();
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<Service> service_;
    std::unique_ptr<http::Server> server_;
    std::unique_ptr<http::Client> unix_;
    std::unique_ptr<http::Client> tcp_;
    std::uint16_t port_ = 0;
    std::string admin_;
    std::string control_;  // the service token
};

}  // namespace codegen::api

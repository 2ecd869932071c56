// For the service tests: a real Redis, the real API on a unix socket with a SQLite file, one thread for all of it.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "services/api/service.hpp"
#include "shared/async/scope.hpp"
#include "shared/clients/api/api_client.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/posix/file.hpp"
#include "shared/redis/server_process.hpp"
#include "shared/storage/database.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {

class ManagerFixture : public ::testing::Test {
  protected:
    void SetUp() override {
        auto redis = run(redis_server_.start());
        ASSERT_TRUE(redis) << redis.error().message;
        redis_ = std::make_unique<redis::Client>(io_.get_executor(), redis_server_.address());
        auto database = storage::open_sqlite(state() / "codegen.db");
        ASSERT_TRUE(database) << database.error().message;
        database_ = std::move(*database);
        api::Options options;
        options.state_directory = state();
        api_service_ = std::make_unique<api::Service>(*database_, options);
        auto ready = run(api_service_->bootstrap());
        ASSERT_TRUE(ready) << ready.error().message;
        admin_token_ = posix::read_file(state() / "admin.token", 1000).value();
        service_token_ = posix::read_file(state() / "service.token", 1000).value();
        api_server_ =
            std::make_unique<http::Server>(io_.get_executor(), api_service_->handler(), api_service_->server_options());
        auto listening = api_server_->listen_unix(state() / "api.sock", 0600);
        ASSERT_TRUE(listening) << listening.error().message;
        admin_ = std::make_unique<clients::ApiClient>(
            clients::ApiClient::make(io_.get_executor(), api_url(), admin_token_).value());
    }
    void TearDown() override {
        if (api_server_) run(api_server_->stop(std::chrono::milliseconds(0)));
        if (redis_) redis_->close();
        run(redis_server_.stop());
    }

    template <class T>
    T run(Task<T> task) {
        return codegen::testing::run(io_, std::move(task));
    }
    redis::Reply redis(redis::Arguments command) {
        auto reply = run(redis_->command(std::move(command)));
        if (!reply) {
            ADD_FAILURE() << reply.error().message;
            return {};
        }
        return std::move(*reply);
    }
    std::vector<boost::json::object> messages(const std::string& stream) {
        std::vector<boost::json::object> out;
        for (const auto& entry : redis::parse_entries(redis({"XRANGE", stream, "-", "+"}), stream))
            if (const auto* data = entry.field("data")) out.push_back(boost::json::parse(*data).as_object());
        return out;
    }
    static Task<bool> wait_for(std::function<Task<bool>()> condition, std::chrono::milliseconds limit) {
        const auto end = std::chrono::steady_clock::now() + limit;
        for (;;) {
            const bool there = co_await condition();
            if (there) co_return true;
            if (std::chrono::steady_clock::now() > end) co_return false;
            co_await async::sleep_for(std::chrono::milliseconds(5));
        }
    }
    bool eventually(std::function<bool()> condition, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            run(async::sleep_for(std::chrono::milliseconds(5)));
        }
        return true;
    }
    // The answer with this request_id on `stream`.
    std::optional<boost::json::object> answer(const std::string& stream, const std::string& request_id,
                                              std::chrono::milliseconds limit = std::chrono::seconds(20)) {
        std::optional<boost::json::object> found;
        eventually(
            [&] {
                for (auto& message : messages(stream))
                    if (message["request_id"] == boost::json::string(request_id)) found = message;
                return found.has_value();
            },
            limit);
        return found;
    }
    // A project of user 1 and a task in it.
    std::string make_project(const std::string& name = "demo") {
        auto body =
            run(admin_->call("POST", "/api/projects", boost::json::serialize(boost::json::object{{"name", name}})));
        EXPECT_TRUE(body) << body.error().message;
        return std::string(boost::json::parse(*body).at("id").as_string());
    }
    std::string make_task(const std::string& project_id) {
        auto body =
            run(admin_->call("POST", "/api/tasks",
                             boost::json::serialize(boost::json::object{
                                 {"project_id", project_id}, {"type", "engineering"}, {"spec", "x"}, {"user_id", 1}})));
        EXPECT_TRUE(body) << body.error().message;
        return std::string(boost::json::parse(*body).at("id").as_string());
    }

    const std::filesystem::path& state() const { return directory_.path(); }
    std::string api_url() const { return "http+unix://" + (state() / "api.sock").string(); }

    codegen::testing::TempDirectory directory_;
    asio::io_context io_{1};
    redis::RedisServer redis_server_{io_.get_executor(), {.directory = directory_.path() / "redis"}};
    std::unique_ptr<redis::Client> redis_;
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<api::Service> api_service_;
    std::unique_ptr<http::Server> api_server_;
    std::unique_ptr<clients::ApiClient> admin_;
    std::string admin_token_;
    std::string service_token_;
};

}  // namespace codegen::worker_manager

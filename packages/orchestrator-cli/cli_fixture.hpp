// The real `orchestrator` program against a real API and a real Redis in the test's process.
#pragma once
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "services/api/service.hpp"
#include "shared/async/scope.hpp"
#include "shared/contracts/contracts.hpp"
#include "shared/http/client.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"
#include "shared/testing/temp_redis.hpp"

namespace codegen::cli::testing {

using codegen::testing::run;
using namespace std::chrono_literals;

struct Ran {
    int exit = -1;
    std::string output;
    std::string errors;
    // The last line: with --follow the events come before it.
    boost::json::object json() const {
        auto text = output;
        while (text.ends_with('\n')) text.pop_back();
        const auto line = text.substr(text.rfind('\n') + 1);
        boost::json::error_code bad;
        auto value = boost::json::parse(line, bad);
        EXPECT_TRUE(!bad && value.is_object()) << "no envelope: " << output << errors;
        return !bad && value.is_object() ? value.as_object() : boost::json::object();
    }
    boost::json::value data() const {
        const auto envelope = json();
        const auto* found = envelope.if_contains("data");
        return found ? *found : boost::json::value();
    }
};

class CliTest : public ::testing::Test {
  protected:
    // A control plane's state directory, as `orchestratord` leaves it.
    void SetUp() override {
        auto opened = storage::open_sqlite(directory_ / "codegen.db");
        ASSERT_TRUE(opened) << opened.error().message;
        database_ = std::move(*opened);
        api::Options options;
        options.state_directory = directory_.path();
        api_ = std::make_unique<api::Service>(*database_, options);
        const auto ready = run(io_, api_->bootstrap());
        ASSERT_TRUE(ready) << ready.error().message;
        server_ = std::make_unique<http::Server>(io_.get_executor(), api_->handler(), api_->server_options());
        const auto listening = server_->listen_unix(directory_ / "api.sock", 0600);
        ASSERT_TRUE(listening) << listening.error().message;
        ASSERT_TRUE(posix::write_file_atomically(directory_ / "redis.url", redis_.url(), 0600));
        take_from("engineering:queue");
        environment_ = {
            {"CODEGEN_STATE_DIR", directory_.path().string()}, {"PATH", "/usr/bin:/bin"}, {"HOME", "/nonexistent"}};
    }
    void TearDown() override {
        if (server_) run(io_, server_->stop(100ms));
        server_.reset();
    }

    Ran orchestrator(std::vector<std::string> arguments, std::string input = {}) {
        return run(io_, start(std::move(arguments), std::move(input)), 120s);
    }
    Task<Ran> start(std::vector<std::string> arguments, std::string input = {}) {
        process::Spec spec;
        spec.argv = std::move(arguments);
        spec.argv.insert(spec.argv.begin(), CODEGEN_BIN_DIR "/orchestrator");
        spec.environment = environment_;
        spec.input = std::move(input);
        auto outcome = co_await process::run(std::move(spec));
        EXPECT_TRUE(outcome) << outcome.error().message;
        if (!outcome) co_return Ran{};
        EXPECT_EQ(outcome->end, process::Outcome::End::exited) << outcome->describe();
        co_return Ran{outcome->code, std::move(outcome->output), std::move(outcome->errors)};
    }

    // As a role that runs does it.
    void take_from(const std::string& stream, const std::string& group = "capability-workers") {
        redis_.command({"XGROUP", "CREATE", stream, group, "0", "MKSTREAM"});
        redis_.command({"XGROUP", "CREATECONSUMER", stream, group, "a-role"});
    }
    // The entries of a stream, as JSON.
    std::vector<boost::json::object> stream(const std::string& name) {
        std::vector<boost::json::object> out;
        for (const auto& entry : redis::parse_entries(redis_.command({"XRANGE", name, "-", "+"}), name))
            out.push_back(boost::json::parse(*entry.field("data")).as_object());
        return out;
    }
    void publish(const std::string& name, const boost::json::object& message) {
        redis_.command({"XADD", name, "*", "data", boost::json::serialize(message)});
    }
    // What the workflow would write.
    void patch(const std::string& task, boost::json::object fields) {
        auto token = posix::read_file(directory_ / "service.token", 1000);
        http::Client client(io_.get_executor(), *http::parse_url("http+unix://" + (directory_ / "api.sock").string()));
        http::Request request;
        request.method = "PATCH";
        request.target = "/api/tasks/" + task;
        request.headers.set("Authorization", "Bearer " + *token);
        request.body = boost::json::serialize(fields);
        auto response = run(io_, client.send(std::move(request)));
        ASSERT_TRUE(response) << response.error().message;
        ASSERT_EQ(response->status, 200u) << response->body;
    }
    static std::string text(const boost::json::value& object, std::string_view name) {
        const auto* value = object.is_object() ? object.get_object().if_contains(name) : nullptr;
        return value && value->is_string() ? std::string(value->get_string()) : std::string();
    }
    std::string make_project() { return text(orchestrator({"project", "create", "--name", "shop"}).data(), "id"); }

    asio::io_context io_{1};
    codegen::testing::TempDirectory directory_;
    codegen::testing::TempRedis redis_{io_};
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<api::Service> api_;
    std::unique_ptr<http::Server> server_;
    std::map<std::string, std::string> environment_;
};

}  // namespace codegen::cli::testing

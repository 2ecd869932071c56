// A workflow with a real Redis, a real API and a real database; the test is the worker-manager and the worker.
#pragma once
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <set>

#include "services/api/service.hpp"
#include "services/workflow/service.hpp"
#include "shared/async/scope.hpp"
#include "shared/contracts/contracts.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"
#include "shared/testing/temp_redis.hpp"
#include "shared/testing/test_store.hpp"

namespace codegen::workflow::testing {

using codegen::testing::run;
using namespace std::chrono_literals;

inline std::string slurp(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class WorkflowTest : public ::testing::Test {
  protected:
    void SetUp() override {
        database_ = store_.open();
        api_ = std::make_unique<codegen::api::Service>(*database_,
                                                       codegen::api::Options{.state_directory = directory_.path()});
        const auto ready = run(io_, api_->bootstrap());
        ASSERT_TRUE(ready) << ready.error().message;
        server_ = std::make_unique<http::Server>(io_.get_executor(), api_->handler(), api_->server_options());
        const auto listening = server_->listen_unix(directory_ / "api.sock", 0600);
        ASSERT_TRUE(listening) << listening.error().message;
        admin_.emplace(client("admin.token"));
        wire_ = std::make_unique<redis::Client>(io_.get_executor(), redis_.address());
        options_.repositories = directory_ / "repositories";
        options_.redis = redis_.address();
        options_.instance = "test";
        options_.sweeper.interval = 50ms;
        options_.data_loss_interval = 50ms;
        start();
    }

    void TearDown() override {
        stop();
        if (wire_) wire_->close();
        if (server_) run(io_, server_->stop(100ms));
        server_.reset();
    }

    clients::ApiClient client(std::string_view token_file) {
        auto made = clients::ApiClient::make(io_.get_executor(), "http+unix://" + (directory_ / "api.sock").string(),
                                             slurp(directory_ / std::string(token_file)));
        EXPECT_TRUE(made) << made.error().message;
        return std::move(*made);
    }

    void start() {
        service_ = std::make_unique<Service>(io_.get_executor(), *database_, client("service.token"), options_);
        scope_.emplace(io_.get_executor());
        ended_.reset();
        scope_->spawn("workflow", [](WorkflowTest* self) -> Task<void> {
            auto ended = co_await self->service_->run();
            self->ended_ = std::move(ended);
        }(this));
    }
    void stop() {
        if (!service_) return;
        service_->stop();
        run(io_, scope_->drain());
        EXPECT_TRUE(ended_ && *ended_);
        service_.reset();
        scope_.reset();
    }
    void restart() {
        stop();
        start();
    }

    // -- the API as a person sees it
    boost::json::object call(std::string method, std::string target, boost::json::object body = {}) {
        auto answer = run(io_, admin_->call(method, target, body.empty() ? "" : boost::json::serialize(body)));
        EXPECT_TRUE(answer) << method << " " << target << ": " << answer.error().message;
        if (!answer) return {};
        auto parsed = boost::json::parse(*answer);
        return parsed.is_object() ? parsed.as_object() : boost::json::object{{"list", parsed}};
    }
    std::string make_project(std::string name = "shop") {
        return text(call("POST", "/api/projects", {{"name", name}}), "id");
    }
    std::string make_task(boost::json::object metadata = {{"agent", "custom"}, {"agent_command", "true"}},
                          std::string spec = "do it") {
        project_ = make_project();
        return text(
            call("POST", "/api/tasks",
                 {{"project_id", project_}, {"type", "engineering"}, {"spec", spec}, {"task_metadata", metadata}}),
            "id");
    }
    boost::json::object task(const std::string& id) { return call("GET", "/api/tasks/" + id); }
    boost::json::array executions(const std::string& id) {
        return call("GET", "/api/task-executions?task_id=" + id).at("list").as_array();
    }

    template <class Condition>
    ::testing::AssertionResult eventually(Condition condition, std::chrono::milliseconds limit = 15s) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline)
                return ::testing::AssertionFailure() << "not within the limit";
            run(io_, async::sleep_for(10ms));
        }
        return ::testing::AssertionSuccess();
    }
    boost::json::object wait_task(const std::string& id, std::string_view status) {
        EXPECT_TRUE(eventually([&] { return text(task(id), "status") == status; }))
            << "task is " << boost::json::serialize(task(id)) << ", expected " << status;
        return task(id);
    }

    // -- the wire
    void send(std::string stream, std::string message) {
        auto added = run(io_, redis::publish(*wire_, stream, message));
        ASSERT_TRUE(added) << added.error().message;
    }
    void send(std::string_view stream, const boost::json::object& message) {
        send(std::string(stream), boost::json::serialize(message));
    }
    void enqueue(const std::string& id, boost::json::object more = {}) {
        boost::json::object message{{"task_id", id}, {"project_id", project_}, {"user_id", 1}, {"request_id", id}};
        for (const auto& [name, value] : more) message[name] = value;
        send("engineering:queue", message);
    }
    // The next entry of a stream that this test has not read yet: its message.
    boost::json::object next(const std::string& stream) {
        const auto entry = next_entry(stream);
        const auto* data = entry ? entry->field("data") : nullptr;
        EXPECT_TRUE(data) << "nothing on " << stream;
        return data ? boost::json::parse(*data).as_object() : boost::json::object();
    }
    struct DeadLetter {
        std::string original;
        boost::json::object context;
    };
    DeadLetter dead_letter(const std::string& stream) {
        const auto entry = next_entry(stream + ":dlq");
        EXPECT_TRUE(entry) << "nothing on " << stream << ":dlq";
        if (!entry) return {};
        return {*entry->field("original_message"), boost::json::parse(*entry->field("error_context")).as_object()};
    }
    std::optional<redis::StreamEntry> next_entry(const std::string& stream, std::chrono::milliseconds limit = 15s) {
        std::vector<redis::StreamEntry> entries;
        const bool came = static_cast<bool>(eventually(
            [&] {
                auto reply = run(io_, wire_->command({"XREAD", "COUNT", "1", "STREAMS", stream, position(stream)}));
                if (reply) entries = redis::parse_xread(*reply);
                return !entries.empty();
            },
            limit));
        if (!came) return {};
        positions_[stream] = entries.front().id;
        return entries.front();
    }
    // A command may be there twice: what is published while a starting service publishes all that waits.
    boost::json::object command(std::string_view kind) {
        for (;;) {
            auto message = next("worker:commands");
            const bool again =
                message.contains("request_id") && !seen_commands_.insert(text(message, "request_id")).second;
            if (again && text(message, "command") != kind) continue;
            EXPECT_EQ(text(message, "command"), kind) << boost::json::serialize(message);
            return message;
        }
    }
    std::int64_t length(const std::string& stream) { return redis_.command({"XLEN", stream}).integer; }
    std::string& position(const std::string& stream) { return positions_.try_emplace(stream, "0").first->second; }

    // -- the worker-manager's and the worker's side
    boost::json::object accept_create() {
        const auto create = command("create");
        send("worker:responses:developer", {{"request_id", create.at("request_id")},
                                            {"success", true},
                                            {"worker_id", create.at("config").at("name")}});
        return create;
    }
    boost::json::object take_input(const std::string& worker) { return next("worker:" + worker + ":input"); }
    void develop(const boost::json::object& input, boost::json::object more = {}) {
        boost::json::object output{{"request_id", input.at("request_id")},
                                   {"task_id", input.at("task_id")},
                                   {"status", "success"},
                                   {"verdict", {{"status", "success"}, {"summary", "done"}}}};
        for (const auto& [name, value] : more) output[name] = value;
        send("worker:developer:output", output);
    }
    void accept_collect(boost::json::object more = {}) {
        const auto collect = command("collect");
        boost::json::object response{{"request_id", collect.at("request_id")},
                                     {"success", true},
                                     {"commit_sha", "c0ffee"},
                                     {"commits", 1},
                                     {"files_changed", {"README.md"}}};
        for (const auto& [name, value] : more) response[name] = value;
        send("worker:responses:developer", response);
    }
    boost::json::object accept_delete() {
        const auto removal = command("delete");
        send("worker:responses:developer",
             {{"request_id", removal.at("request_id")}, {"success", true}, {"gateway", {{"requests", 7}}}});
        return removal;
    }
    std::string worker_of(const boost::json::object& create) { return text(create.at("config").as_object(), "name"); }
    static std::string text(const boost::json::object& object, std::string_view name) {
        const auto* value = object.if_contains(name);
        return value && value->is_string() ? std::string(value->get_string()) : std::string();
    }

    static boost::json::value js(std::string_view value) { return boost::json::string(value); }

    asio::io_context io_{1};
    codegen::testing::TempDirectory directory_;
    codegen::testing::TempRedis redis_{io_};
    codegen::testing::TestStore store_{io_};
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<codegen::api::Service> api_;
    std::unique_ptr<http::Server> server_;
    std::optional<clients::ApiClient> admin_;
    std::unique_ptr<redis::Client> wire_;
    ServiceOptions options_;
    std::unique_ptr<Service> service_;
    std::optional<async::Scope> scope_;
    std::optional<Result<void>> ended_;
    std::string project_;
    std::map<std::string, std::string> positions_;
    std::set<std::string> seen_commands_;  // request ids
};

}  // namespace codegen::workflow::testing

// An infra-service with a real API, Redis and database; the servers are containers, the playbooks short ones.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "services/api/service.hpp"
#include "services/infra-service/service.hpp"
#include "shared/http/server.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"
#include "shared/testing/temp_redis.hpp"
#include "shared/testing/test_server.hpp"
#include "shared/testing/test_store.hpp"

namespace codegen::infra::testing {

using codegen::testing::run;
using codegen::testing::TestServer;
using namespace std::chrono_literals;

class InfraTest : public ::testing::Test {
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
        const auto playbooks = directory_ / "playbooks";
        std::filesystem::create_directories(playbooks);
        std::filesystem::create_symlink(CODEGEN_SOURCE_DIR "/services/infra-service/playbooks/callback",
                                        playbooks / "callback");
        playbook("provision.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n");
        playbook("recover.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n");
        options_.redis = redis_.address();
        options_.instance = "test";
        options_.work.folder = directory_ / "infra";
        options_.work.playbooks = playbooks;
        options_.work.ssh_waits = {50ms, 100ms};
        options_.work.boot_waits = {100ms, 200ms, 400ms, 800ms};
        options_.provisioner.poll = 50ms;
        options_.provisioner.lease = 4s;
        options_.sweep = 500ms;
        options_.claim_idle = 2s;
    }
    void TearDown() override {
        stop();
        if (wire_) wire_->close();
        if (server_) run(io_, server_->stop(100ms));
        server_.reset();
        // Keys, passwords and inventories do not outlive their provisioning.
        std::error_code none;
        for (const auto& left : std::filesystem::directory_iterator(directory_ / "infra" / "runs", none))
            ADD_FAILURE() << left.path() << " is left";
    }

    clients::ApiClient client(const std::string& token_file) {
        auto made = clients::ApiClient::make(io_.get_executor(), "http+unix://" + (directory_ / "api.sock").string(),
                                             posix::read_file(directory_ / token_file, 1000).value());
        EXPECT_TRUE(made) << made.error().message;
        return std::move(*made);
    }
    void playbook(const std::string& name, const std::string& text) {
        ASSERT_TRUE(posix::write_file_atomically(directory_ / "playbooks" / name, text, 0600));
    }

    // A copy of the role; several may run.
    struct Copy {
        std::unique_ptr<Service> service;
        std::unique_ptr<async::Scope> scope;
        std::optional<Result<void>> ended;
    };
    Copy& start(const std::string& instance = "test") {
        auto options = options_;
        options.instance = instance;
        auto& copy = copies_.emplace_back();
        copy.service =
            std::make_unique<Service>(io_.get_executor(), *database_, client("infra.token"), std::move(options));
        copy.scope = std::make_unique<async::Scope>(io_.get_executor());
        copy.scope->spawn("infra-service", [](Copy* one) -> Task<void> {
            auto ended = co_await one->service->run();
            one->ended = std::move(ended);
        }(&copy));
        return copy;
    }
    void stop() {
        for (auto& copy : copies_) {
            if (!copy.service) continue;
            copy.service->stop();
            run(io_, copy.scope->drain());
            EXPECT_TRUE(copy.ended && *copy.ended);
        }
        copies_.clear();
    }

    // -- the API as a person sees it
    boost::json::value call(std::string method, std::string target, boost::json::object body = {}) {
        auto answer = run(io_, admin_->call(method, target, body.empty() ? "" : boost::json::serialize(body)));
        EXPECT_TRUE(answer) << method << " " << target << ": " << answer.error().message;
        return answer && !answer->empty() ? boost::json::parse(*answer) : boost::json::value();
    }
    void add(const std::string& handle, const std::string& address, const std::string& private_key = {},
             boost::json::object more = {}) {
        boost::json::object body{{"handle", handle}, {"host", address}, {"public_ip", address}, {"is_managed", true}};
        if (!private_key.empty()) body["ssh_key_enc"] = private_key;
        for (const auto& [name, value] : more) body[name] = value;
        call("POST", "/api/servers", body);
    }
    boost::json::object server(const std::string& handle) { return call("GET", "/api/servers/" + handle).as_object(); }
    std::string status(const std::string& handle) { return text(server(handle), "status"); }
    boost::json::array incidents(const std::string& handle, const std::string& rest = "/active") {
        return call("GET", "/api/incidents" + rest + "?server_handle=" + handle).as_array();
    }
    static std::string text(const boost::json::value& object, std::string_view name) {
        const auto* value = object.is_object() ? object.get_object().if_contains(name) : nullptr;
        return value && value->is_string() ? std::string(value->get_string()) : std::string();
    }

    // -- the wire
    std::string ask(const std::string& handle, boost::json::object more = {}) {
        const auto id = new_uuid();
        boost::json::object message{{"server_handle", handle}, {"request_id", id}};
        for (const auto& [name, value] : more) message[name] = value;
        const auto added = run(io_, redis::publish(*wire_, "provisioner:queue", boost::json::serialize(message)));
        EXPECT_TRUE(added);
        return text(message, "request_id");
    }
    std::vector<boost::json::object> stream(const std::string& name) {
        std::vector<boost::json::object> out;
        for (const auto& entry : redis::parse_entries(redis_.command({"XRANGE", name, "-", "+"}), name))
            if (const auto* data = entry.field("data")) out.push_back(boost::json::parse(*data).as_object());
        return out;
    }
    std::vector<boost::json::object> results(const std::string& request) {
        std::vector<boost::json::object> out;
        for (auto& result : stream("provisioner:results"))
            if (text(result, "request_id") == request) out.push_back(std::move(result));
        return out;
    }
    boost::json::object result(const std::string& request, std::chrono::milliseconds limit = 90s) {
        EXPECT_TRUE(eventually([&] { return !results(request).empty(); }, limit)) << "no result of " << request;
        const auto found = results(request);
        return found.empty() ? boost::json::object() : found.front();
    }
    std::string progress(const std::string& request) {
        std::string out;
        for (const auto& event : stream("task_progress:" + request)) out += text(event, "message") + "\n";
        return out;
    }
    template <class Condition>
    ::testing::AssertionResult eventually(Condition condition, std::chrono::milliseconds limit = 30s) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline)
                return ::testing::AssertionFailure() << "not within the limit";
            run(io_, async::sleep_for(20ms));
        }
        return ::testing::AssertionSuccess();
    }

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
    std::list<Copy> copies_;
};

}  // namespace codegen::infra::testing

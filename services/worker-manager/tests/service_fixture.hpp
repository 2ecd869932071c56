// The service on a real Redis and API, its bodies plain processes.
#pragma once
#include <filesystem>
#include <fstream>

#include "services/worker-manager/service.hpp"
#include "services/worker-manager/tests/manager_fixture.hpp"
#include "services/worker-manager/tests/process_runtime.hpp"

namespace codegen::worker_manager {

class ServiceFixture : public ManagerFixture {
  protected:
    void SetUp() override {
        ManagerFixture::SetUp();
        std::filesystem::create_directories(state() / "repositories");
        std::filesystem::create_directories(state() / "programs");
        for (const auto* name : {"orchestrator", "worker-wrapper"})
            std::ofstream(state() / "programs" / name) << "#!/bin/sh\n";
        options_.state_directory = state();
        options_.programs_source = state() / "programs";
        options_.installation = "test";
        options_.instance = "manager-1";
        options_.redis = redis_server_.address();
        options_.api_url = api_url();
        options_.service_token = service_token_;
        options_.sweep_interval = std::chrono::milliseconds(100);
        options_.providers = {anthropic_provider("", "", "")};
        runtime_ = std::make_shared<ProcessRuntime>(io_.get_executor(), state() / "workers");
    }
    void TearDown() override {
        stop();
        runtime_.reset();
        ManagerFixture::TearDown();
    }
    void start() {
        service_ = std::make_unique<Service>(io_.get_executor(), options_, *database_, runtime_);
        scope_ = std::make_unique<async::Scope>(io_.get_executor());
        ended_.reset();
        scope_->spawn("service", [](Service* service, std::optional<Result<void>>* out) -> Task<void> {
            *out = co_await service->run();
        }(service_.get(), &ended_));
    }
    void stop() {
        if (!service_) return;
        run(service_->stop());
        run(scope_->stop());
        service_.reset();
    }
    // As a crash would: nothing is closed, nothing said.
    void restart() {
        stop();
        start();
    }

    void send(const boost::json::object& message, const std::string& stream = "worker:commands") {
        redis({"XADD", stream, "*", "data", boost::json::serialize(message)});
    }
    boost::json::object create_message(const std::string& name, const std::string& request_id) {
        return {{"command", "create"},
                {"request_id", request_id},
                {"config",
                 {{"name", name},
                  {"worker_type", "developer"},
                  {"agent_type", "custom"},
                  {"instructions", "do it"},
                  {"allowed_commands", {"project.get", "result"}},
                  {"capabilities", {"git"}},
                  {"command", {"bash", "-c", "true"}}}},
                {"context", {{"user_id", "1"}}}};
    }
    boost::json::object ask(const boost::json::object& message) {
        send(message);
        return answered(message);
    }
    boost::json::object answered(const boost::json::object& message) {
        const std::string id(message.at("request_id").as_string());
        auto found = answer("worker:responses:developer", id);
        EXPECT_TRUE(found) << "no answer to " << boost::json::serialize(message);
        return found.value_or(boost::json::object{});
    }
    void must_create(const std::string& name) {
        auto response = ask(create_message(name, "create-" + name));
        ASSERT_EQ(response["success"], true) << boost::json::serialize(response);
    }
    boost::json::object remove_message(const std::string& name, const std::string& request_id) {
        return {{"command", "delete"}, {"request_id", request_id}, {"worker_id", name}};
    }
    std::string status(const std::string& name) { return redis({"HGET", "worker:status:" + name, "status"}).text; }
    std::size_t tokens() {
        auto body = run(admin_->call("GET", "/api/tokens?worker_id=dev-1"));
        EXPECT_TRUE(body);
        return body ? boost::json::parse(*body).as_array().size() : 0;
    }
    std::string error_of(boost::json::object response) {
        return response.contains("error") ? std::string(response["error"].as_string()) : "";
    }

    Options options_;
    std::shared_ptr<ProcessRuntime> runtime_;
    std::unique_ptr<Service> service_;
    std::optional<Result<void>> ended_;
    std::unique_ptr<async::Scope> scope_;
};

}  // namespace codegen::worker_manager

// Two hosts: two managers, each with bodies, state directory and database of its own, on one Redis and one API.
#include <fmt/format.h>

#include <fstream>

#include "services/worker-manager/service.hpp"
#include "services/worker-manager/tests/manager_fixture.hpp"
#include "services/worker-manager/tests/process_runtime.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

struct Host {
    Options options;
    std::unique_ptr<storage::Database> database;
    std::shared_ptr<ProcessRuntime> runtime;
    std::unique_ptr<Service> service;
    std::unique_ptr<async::Scope> scope;
    std::optional<Result<void>> ended;
};

class HostsTest : public ManagerFixture {
  protected:
    void SetUp() override {
        ManagerFixture::SetUp();
        for (const std::string name : {"north", "south"}) {
            auto& host = hosts_[name];
            const auto home = state() / name;
            fs::create_directories(home / "repositories");
            fs::create_directories(home / "programs");
            for (const auto* program : {"orchestrator", "worker-wrapper"})
                std::ofstream(home / "programs" / program) << "#!/bin/sh\n";
            auto& o = host.options;
            o.state_directory = home;
            o.programs_source = home / "programs";
            o.installation = name;
            o.instance = name;
            o.host = name;
            o.redis = redis_server_.address();
            o.api_url = api_url();
            o.service_token = service_token_;
            o.sweep_interval = std::chrono::milliseconds(100);
            o.providers = {anthropic_provider("", "", "")};
            host.runtime = std::make_shared<ProcessRuntime>(io_.get_executor(), home / "workers");
            host.database = std::move(*storage::open_sqlite(home / "manager.db"));
        }
    }
    void TearDown() override {
        for (auto& [name, host] : hosts_) stop(name);
        hosts_.clear();
        ManagerFixture::TearDown();
    }
    void start(const std::string& name) {
        auto& host = hosts_.at(name);
        host.service = std::make_unique<Service>(io_.get_executor(), host.options, *host.database, host.runtime);
        host.scope = std::make_unique<async::Scope>(io_.get_executor());
        host.ended.reset();
        host.scope->spawn("service", [](Service* service, std::optional<Result<void>>* out) -> Task<void> {
            *out = co_await service->run();
        }(host.service.get(), &host.ended));
        ASSERT_TRUE(eventually(
            [&] { return redis({"HEXISTS", "worker-manager:hosts", name}).integer == 1 || host.ended.has_value(); }));
    }
    void stop(const std::string& name) {
        auto& host = hosts_.at(name);
        if (!host.service) return;
        run(host.service->stop());
        run(host.scope->stop());
        host.service.reset();
    }
    boost::json::object create(const std::string& name, const std::string& request_id) {
        return {{"command", "create"},
                {"request_id", request_id},
                {"config",
                 {{"name", name},
                  {"worker_type", "developer"},
                  {"agent_type", "custom"},
                  {"instructions", "do it"},
                  {"allowed_commands", boost::json::array{"result"}},
                  {"capabilities", boost::json::array{"git"}},
                  {"command", {"bash", "-c", "true"}}}},
                {"context", {{"user_id", "1"}}}};
    }
    void send(const boost::json::object& message, const std::string& stream = "worker:commands") {
        redis({"XADD", stream, "*", "data", boost::json::serialize(message)});
    }
    boost::json::object ask(const boost::json::object& message) {
        send(message);
        const std::string id(message.at("request_id").as_string());
        auto found = answer("worker:responses:developer", id);
        EXPECT_TRUE(found) << "no answer to " << boost::json::serialize(message);
        return found.value_or(boost::json::object{});
    }
    ProcessRuntime& bodies(const std::string& host) { return *hosts_.at(host).runtime; }
    std::string field(const std::string& worker, const char* name) {
        return redis({"HGET", "worker:status:" + worker, name}).text;
    }
    // A worker on a chosen host: the other one is away while it is made.
    void make_on(const std::string& host, const std::string& worker) {
        start(host);
        ASSERT_EQ(ask(create(worker, "create-" + worker))["success"], true);
        ASSERT_TRUE(eventually([&] { return field(worker, "host") == host; }));
    }

    std::map<std::string, Host> hosts_;
};

TEST_F(HostsTest, WhatConcernsAWorkerReachesItsHostWhoeverReadIt) {
    make_on("north", "dev-n");
    stop("north");
    make_on("south", "dev-s");
    start("north");
    // Often enough that each reads some of the other's.
    for (int i = 0; i < 10; ++i)
        for (const auto* worker : {"dev-n", "dev-s"})
            EXPECT_EQ(ask({{"command", "status"},
                           {"request_id", fmt::format("s-{}-{}", worker, i)},
                           {"worker_id", worker}})["status"],
                      "running");
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(ask(create("dev-n", fmt::format("n-{}", i)))["success"], true) << "it is there already";
        EXPECT_EQ(ask(create("dev-s", fmt::format("s-{}", i)))["success"], true);
    }
    EXPECT_EQ(bodies("north").starts, 1);
    EXPECT_EQ(bodies("south").starts, 1);
    EXPECT_EQ(field("dev-n", "host"), "north");
    EXPECT_EQ(field("dev-s", "host"), "south");
    for (const auto* worker : {"dev-n", "dev-s"})
        EXPECT_EQ(ask({{"command", "delete"}, {"request_id", std::string("d-") + worker}, {"worker_id", worker}})
                      .at("success"),
                  true);
    EXPECT_FALSE(bodies("north").runs("dev-n"));
    EXPECT_FALSE(bodies("south").runs("dev-s"));
    EXPECT_FALSE(bodies("north").was_removed("dev-s")) << "never touched the other's";
    EXPECT_FALSE(bodies("south").was_removed("dev-n"));
}

TEST_F(HostsTest, ALifecycleEventReachesTheManagerOfItsWorker) {
    make_on("north", "dev-n");
    start("south");
    stop("north");
    // South is alone and reads it; north hears of it when it is back.
    send({{"worker_id", "dev-n"}, {"event", "stopped"}}, "worker:lifecycle");
    EXPECT_TRUE(eventually([&] { return redis({"XLEN", "worker:lifecycle:north"}).integer == 1; }));
    start("north");
    EXPECT_TRUE(eventually([&] { return field("dev-n", "status") == "COMPLETED"; }));
}

TEST_F(HostsTest, AWaitingCreateGoesToTheHostThatHasRoom) {
    hosts_.at("north").options.max_workers = 1;
    make_on("north", "dev-1");
    send(create("dev-2", "create-dev-2"));
    ASSERT_TRUE(eventually([&] { return field("dev-2", "status") == "QUEUED"; }));
    start("south");
    auto made = answer("worker:responses:developer", "create-dev-2");
    ASSERT_TRUE(made);
    EXPECT_EQ((*made)["success"], true) << boost::json::serialize(*made);
    EXPECT_TRUE(bodies("south").runs("dev-2"));
    EXPECT_TRUE(eventually([&] { return field("dev-2", "host") == "south"; }));
    // While both are there, whichever reads a create: north stays full.
    for (int i = 3; i < 9; ++i)
        EXPECT_EQ(ask(create(fmt::format("dev-{}", i), fmt::format("create-dev-{}", i)))["success"], true);
    EXPECT_EQ(bodies("north").starts, 1);
    EXPECT_EQ(bodies("south").starts, 7);
    EXPECT_EQ(messages("worker:responses:developer").size(), 8u) << "one answer each";
}

TEST_F(HostsTest, ARepositoryThatOnlyOneHostHasDecidesWhoTakesIt) {
    start("north");
    start("south");
    fs::create_directories(hosts_.at("north").options.state_directory / "repositories" / "demo.git");
    for (int i = 0; i < 6; ++i) {
        auto command = create(fmt::format("dev-{}", i), fmt::format("c-{}", i));
        command["workspace"] = {
            {"repo_url", (hosts_.at("north").options.state_directory / "repositories/demo.git").string()},
            {"branch", "task/x"}};
        // It is no git repository: the error is the one of whoever has the folder.
        auto refused = ask(command);
        EXPECT_THAT(std::string(refused["error"].as_string()), HasSubstr("workspace: "));
    }
    EXPECT_EQ(bodies("south").images, 0);
}

TEST_F(HostsTest, ARedisThatLostEverythingMakesNoSecondBody) {
    make_on("north", "dev-n");
    start("south");
    redis({"FLUSHALL"});
    // Sent again by whoever waits for it, before north has said whose it is.
    for (int i = 0; i < 6; ++i) send(create("dev-n", "create-dev-n"));
    EXPECT_TRUE(answer("worker:responses:developer", "create-dev-n"));
    EXPECT_TRUE(eventually([&] { return messages("worker:responses:developer").size() == 6; }));
    EXPECT_EQ(bodies("south").starts, 0);
    EXPECT_EQ(bodies("north").starts, 1);
}

TEST_F(HostsTest, TwoInstallationsInOneDatabaseAreRefused) {
    start("north");
    hosts_.at("south").database =
        std::move(*storage::open_sqlite(hosts_.at("north").options.state_directory / "manager.db"));
    auto& south = hosts_.at("south");
    Service second(io_.get_executor(), south.options, *south.database, south.runtime);
    auto ended = run(second.run());
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().category, ErrorCategory::fatal);
    EXPECT_THAT(ended.error().message, HasSubstr("DATABASE_URL of its own"));
    run(second.stop());
}

}  // namespace
}  // namespace codegen::worker_manager

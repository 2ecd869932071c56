#include <sys/stat.h>

#include <fstream>

#include "services/worker-manager/repository/git.hpp"
#include "services/worker-manager/tests/service_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

using ServiceTest = ServiceFixture;

TEST_F(ServiceTest, AWorkerIsMadeAskedForAndRemovedWithoutATrace) {
    start();
    must_create("dev-1");
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_EQ(tokens(), 1u);
    EXPECT_TRUE(fs::exists(state() / "workers/dev-1/gateway/http.sock"));
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "RUNNING"; }));
    const auto& spec = runtime_->specs.at("dev-1");
    EXPECT_EQ(spec.config.instructions, "do it");
    EXPECT_EQ(spec.environment.at("ALLOWED_COMMANDS"), "project.get,result");
    EXPECT_EQ(spec.environment.at("USER_ID"), "1");
    EXPECT_TRUE(fs::exists(spec.programs / "worker-wrapper"));
    auto asked = ask({{"command", "status"}, {"request_id", "s-1"}, {"worker_id", "dev-1"}});
    EXPECT_EQ(asked["status"], "running");

    send({{"worker_id", "dev-1"}, {"event", "started"}}, "worker:lifecycle");
    redis({"SET", "worker:heartbeat:dev-1", "1"});
    redis({"XADD", "worker:dev-1:events", "*", "data", "{}"});
    auto removed = ask(remove_message("dev-1", "d-1"));
    EXPECT_EQ(removed["success"], true);
    EXPECT_TRUE(removed["gateway"].is_object());
    EXPECT_FALSE(runtime_->runs("dev-1"));
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1"));
    EXPECT_TRUE(eventually([&] { return tokens() == 0; }));
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "STOPPED"; }));
    EXPECT_GT(redis({"TTL", "worker:status:dev-1"}).integer, 80000);
    for (const auto* key : {"worker:dev-1:input", "worker:dev-1:events", "worker:heartbeat:dev-1"})
        EXPECT_EQ(redis({"EXISTS", key}).integer, 0) << key;
    EXPECT_TRUE(redis({"ACL", "GETUSER", "worker-dev-1"}).is_nil());
    // Again, and of one that never was.
    EXPECT_EQ(ask(remove_message("dev-1", "d-2"))["success"], true);
    EXPECT_EQ(ask(remove_message("never", "d-3"))["success"], true);
    EXPECT_EQ(ask({{"command", "status"}, {"request_id", "s-2"}, {"worker_id", "never"}})["success"], false);
}

TEST_F(ServiceTest, CreateIsIdempotentByNameAndConfiguration) {
    start();
    must_create("dev-1");
    auto again = ask(create_message("dev-1", "again"));
    EXPECT_EQ(again["success"], true);
    EXPECT_EQ(runtime_->starts, 1);
    auto other = create_message("dev-1", "other");
    other["config"].as_object()["instructions"] = "something else";
    auto refused = ask(other);
    EXPECT_EQ(refused["success"], false);
    EXPECT_THAT(error_of(refused), HasSubstr("another configuration"));
    EXPECT_EQ(ask(remove_message("dev-1", "d"))["success"], true);
    // A late copy of the first command makes no zombie; a new command makes a new worker.
    auto late = create_message("dev-1", "create-dev-1");
    send(late);
    EXPECT_EQ(ask(create_message("dev-1", "anew"))["success"], true);
    EXPECT_EQ(runtime_->starts, 2);
    EXPECT_EQ(runtime_->specs.at("dev-1").attempt, 2);
}

TEST_F(ServiceTest, WhatCannotBeMadeIsRefusedWithThePlace) {
    start();
    const auto refused = [&](const std::string& id, std::function<void(boost::json::object&)> change) {
        auto message = create_message("dev-1", id);
        change(message);
        return error_of(ask(message));
    };
    EXPECT_THAT(refused("1", [](auto& m) { m["config"].as_object()["name"] = "developer"; }), HasSubstr("reserved"));
    EXPECT_THAT(refused("2", [](auto& m) { m["config"].as_object()["memory_limit"] = "64g"; }),
                HasSubstr("config.memory_limit"));
    EXPECT_THAT(refused("3", [](auto& m) { m["config"].as_object()["capabilities"] = boost::json::array{"docker"}; }),
                HasSubstr("is refused"));
    EXPECT_THAT(refused("4", [](auto& m) { m["config"].as_object()["auth_mode"] = "host_session"; }),
                HasSubstr("not allowed here"));
    EXPECT_THAT(refused("5", [](auto& m) { m["config"].as_object()["network"] = "host"; }),
                HasSubstr("not allowed here"));
    EXPECT_THAT(refused("6", [](auto& m) { m["workspace"] = {{"repo_url", "/etc"}, {"branch", "task/x"}}; }),
                HasSubstr("workspace.repo_url"));
    EXPECT_THAT(refused("7", [](auto& m) { m["workspace"] = {{"repo_url", "../workers"}, {"branch", "task/x"}}; }),
                HasSubstr("workspace.repo_url"));
    EXPECT_THAT(refused("8", [](auto& m) { m["context"] = {{"user_id", "me"}}; }), HasSubstr("context.user_id"));
    EXPECT_EQ(runtime_->starts, 0);
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1"));
}

TEST_F(ServiceTest, NetworksAreThoseThatTheOperatorNamed) {
    options_.allowed_networks = {"build-net"};
    start();
    auto message = create_message("dev-1", "c-1");
    message["config"].as_object()["network"] = "build-net";
    EXPECT_EQ(ask(message)["success"], true);
    EXPECT_EQ(runtime_->specs.at("dev-1").network, "build-net");
    message = create_message("dev-2", "c-2");
    message["config"].as_object()["network"] = "host";
    EXPECT_THAT(error_of(ask(message)), HasSubstr("WORKER_NETWORKS"));
}

TEST_F(ServiceTest, AWorkerThatOutlivesItsTokenGetsANewOneInTime) {
    options_.sweep_interval = std::chrono::milliseconds(10);
    options_.token_life = std::chrono::seconds(3600);
    start();
    must_create("dev-1");
    const auto ids = [&] {
        auto body = run(admin_->call("GET", "/api/tokens?worker_id=dev-1"));
        std::vector<std::string> out;
        for (const auto& token : boost::json::parse(body.value()).as_array())
            out.emplace_back(token.at("id").as_string());
        return out;
    };
    const auto first = ids();
    ASSERT_EQ(first.size(), 1u);
    stop();
    // Its half is over as soon as it is given: every look renews it.
    options_.token_life = std::chrono::seconds(1);
    start();
    std::set<std::string> seen;
    EXPECT_TRUE(eventually([&] {
        for (auto& id : ids()) seen.insert(std::move(id));
        seen.erase(first.front());  // the former manager's
        return seen.size() >= 3;
    }));
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_TRUE(eventually([&] { return ids().empty(); })) << "none is left behind";
}

TEST_F(ServiceTest, ALoginThatTheOperatorTookBackIsRefusedAlsoToWhoWaitsForIt) {
    runtime_->called = "sandbox";
    runtime_->hold_images = true;
    fs::create_directories(state() / "login");
    options_.host_sessions = {{contracts::AgentType::custom, state() / "login"}};
    start();
    auto message = create_message("dev-1", "c-1");
    message["config"].as_object()["auth_mode"] = "host_session";
    send(message);
    ASSERT_TRUE(eventually([&] { return status("dev-1") == "STARTING"; }));
    stop();
    runtime_->hold_images = false;
    options_.host_sessions.clear();
    start();
    EXPECT_THAT(error_of(answered(message)), HasSubstr("HOST_SESSIONS=custom=DIRECTORY"));
    EXPECT_EQ(runtime_->starts, 0);
    EXPECT_FALSE(ended_) << "the manager lives";
}

TEST_F(ServiceTest, AFailureInAnyStepUndoesWhatWasMade) {
    runtime_->start_error = Error{ErrorCategory::permanent, "engine", "no space left", {}};
    start();
    auto failed = ask(create_message("dev-1", "c-1"));
    EXPECT_EQ(failed["success"], false);
    EXPECT_THAT(error_of(failed), HasSubstr("create worker dev-1: process: no space left"));
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1"));
    EXPECT_TRUE(eventually([&] { return tokens() == 0; }));
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    runtime_->start_error.reset();
    runtime_->image_error = Error{ErrorCategory::permanent, "build", "step 3: exit 1", {}};
    EXPECT_THAT(error_of(ask(create_message("dev-1", "c-2"))), HasSubstr("image: step 3: exit 1"));
    runtime_->image_error.reset();
    must_create("dev-1");
}

TEST_F(ServiceTest, WorkersBeyondTheSlotsWaitInOrderAndGiveUpInTheEnd) {
    options_.max_workers = 1;
    options_.creation_timeout = std::chrono::milliseconds(1500);
    start();
    must_create("dev-1");
    send(create_message("dev-2", "c-2"));
    EXPECT_TRUE(eventually([&] { return redis({"LLEN", "worker:creation_queue"}).integer == 1; }));
    EXPECT_EQ(status("dev-2"), "QUEUED");
    send(remove_message("dev-1", "d-1"));
    EXPECT_EQ(answered(create_message("dev-2", "c-2"))["success"], true);
    send(create_message("dev-3", "c-3"));
    auto refused = answered(create_message("dev-3", "c-3"));
    EXPECT_EQ(refused["success"], false);
    EXPECT_TRUE(error_of(refused).starts_with("no_capacity")) << error_of(refused);
    EXPECT_TRUE(eventually([&] { return redis({"LLEN", "worker:creation_queue"}).integer == 0; }));
}

TEST_F(ServiceTest, ManagersThatComeBackKeepTheOrderOfThoseWhoWait) {
    options_.max_workers = 1;
    start();
    must_create("dev-1");
    for (const auto* id : {"4", "2", "3"}) {
        send(create_message(std::string("dev-") + id, std::string("c-") + id));
        EXPECT_TRUE(eventually([&] { return status(std::string("dev-") + id) == "QUEUED"; }));
    }
    const auto queue = [&] {
        std::vector<std::string> names;
        for (const auto& item : redis({"LRANGE", "worker:creation_queue", "0", "-1"}).elements)
            names.emplace_back(boost::json::parse(item.text).at("config").at("name").as_string());
        return names;
    };
    const std::vector<std::string> order{"dev-4", "dev-2", "dev-3"};
    EXPECT_TRUE(eventually([&] { return queue() == order; }));
    stop();
    redis({"DEL", "worker:creation_queue"});  // a mirror: the order does not come from it
    start();
    EXPECT_TRUE(eventually([&] { return queue() == order; }));
    std::string living = "dev-1";
    for (const auto& next : order) {
        send(remove_message(living, "d-" + living));
        EXPECT_EQ(answered(create_message(next, "c-" + next.substr(4)))["success"], true);
        EXPECT_EQ(runtime_->specs.size(), next == "dev-4" ? 2u : next == "dev-2" ? 3u : 4u) << "one at a time";
        living = next;
    }
    EXPECT_TRUE(eventually([&] { return queue().empty(); }));
}

TEST_F(ServiceTest, WithoutItsMemoryAWorkerWaitsAsForASlot) {
    HostMemory memory{.total = 8ll << 30, .available = 1ll << 30};
    options_.host_memory = [&] { return std::optional(memory); };
    options_.memory_interval = std::chrono::milliseconds(10);
    options_.limits.memory_bytes = 2ll << 30;
    start();
    send(create_message("dev-1", "c-1"));
    EXPECT_TRUE(eventually([&] { return redis({"LLEN", "worker:creation_queue"}).integer == 1; }));
    EXPECT_EQ(status("dev-1"), "QUEUED");
    auto small = create_message("dev-2", "c-2");
    small["config"].as_object()["memory_limit"] = "512m";
    send(small);
    EXPECT_TRUE(eventually([&] { return redis({"LLEN", "worker:creation_queue"}).integer == 2; })) << "no overtaking";
    EXPECT_EQ(runtime_->starts, 0);
    memory.available = 3ll << 30;
    EXPECT_EQ(answered(create_message("dev-1", "c-1"))["success"], true);
    EXPECT_EQ(answered(small)["success"], true);

    auto huge = create_message("dev-3", "c-3");
    huge["config"].as_object()["memory_limit"] = "8g";
    memory.total = 4ll << 30;
    EXPECT_THAT(error_of(ask(huge)), HasSubstr("can never be free here, this host has 4294967296"));
}

TEST_F(ServiceTest, WhoWaitsForMemoryTooLongIsToldSo) {
    HostMemory memory{.total = 8ll << 30, .available = 1ll << 30};
    options_.host_memory = [&] { return std::optional(memory); };
    options_.memory_interval = std::chrono::milliseconds(10);
    options_.creation_timeout = std::chrono::milliseconds(300);
    start();
    const auto refused = error_of(ask(create_message("dev-1", "c-1")));
    EXPECT_TRUE(refused.starts_with("no_capacity: this host had not enough memory")) << refused;
    EXPECT_THAT(refused, HasSubstr("1073741824 bytes available"));
}

TEST_F(ServiceTest, LimitsOfAWorkerReachItsBody) {
    start();
    auto message = create_message("dev-1", "c-1");
    message["config"].as_object()["memory_limit"] = "256m";
    message["config"].as_object()["cpu_limit"] = 0.5;
    message["config"].as_object()["pids_limit"] = 64;
    EXPECT_EQ(ask(message)["success"], true);
    const auto& limits = runtime_->specs.at("dev-1").limits;
    EXPECT_EQ(limits.memory_bytes, 256 << 20);
    EXPECT_EQ(limits.cpus, 0.5);
    EXPECT_EQ(limits.processes, 64);
}

TEST_F(ServiceTest, ADeletionInterruptsTheCreation) {
    runtime_->hold_images = true;
    start();
    send(create_message("dev-1", "c-1"));
    EXPECT_TRUE(eventually([&] { return runtime_->images == 1; }));
    auto removed = ask(remove_message("dev-1", "d-1"));
    EXPECT_EQ(removed["success"], true);
    EXPECT_EQ(answered(create_message("dev-1", "c-1"))["success"], false);
    EXPECT_EQ(runtime_->starts, 0);
    runtime_->hold_images = false;
}

TEST_F(ServiceTest, AKilledWorkerAnswersForTheRequestInFlightWithinAFifthOfASecond) {
    start();
    must_create("dev-1");
    send({{"request_id", "r-1"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-1:input");
    const auto begin = std::chrono::steady_clock::now();
    runtime_->kill("dev-1");
    auto crash = answer("worker:developer:output", "r-1");
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(crash);
    EXPECT_LT(took, std::chrono::milliseconds(200));
    EXPECT_EQ((*crash)["reason"], "killed");
    EXPECT_EQ((*crash)["task_id"], "t-1");
    EXPECT_EQ((*crash)["worker_id"], "dev-1");
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "exit_code"}).text, "137");
    // A request that is sent to it afterwards is answered too.
    send({{"request_id", "r-2"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-1:input");
    EXPECT_TRUE(answer("worker:developer:output", "r-2"));
    EXPECT_EQ(ask({{"command", "status"}, {"request_id", "s"}, {"worker_id", "dev-1"}})["status"], "failed");
    EXPECT_EQ(messages("worker:developer:output").size(), 2u);
}

TEST_F(ServiceTest, TheEnginesMarkMakesItOutOfMemory) {
    start();
    must_create("dev-1");
    send({{"request_id", "r-1"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-1:input");
    runtime_->mark_out_of_memory = true;
    runtime_->kill("dev-1");
    auto crash = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(crash);
    EXPECT_EQ((*crash)["reason"], "out_of_memory");
    // The facts outlive the body.
    EXPECT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "STOPPED"; }));
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "out_of_memory"}).text, "1");
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "exit_code"}).text, "137");
}

TEST_F(ServiceTest, AResultThatWasWrittenButNotPublishedIsPublished) {
    start();
    must_create("dev-1");
    send({{"request_id", "r-1"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-1:input");
    contracts::ResultFile file;
    file.output.request_id = "r-1";
    file.output.task_id = "t-1";
    file.output.status = contracts::ResultStatus::success;
    ASSERT_TRUE(posix::write_file_atomically(state() / "workers/dev-1/state/result-r-1.json", json::write(file), 0600));
    runtime_->kill("dev-1");
    auto result = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(result);
    EXPECT_EQ((*result)["status"], "success");
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    EXPECT_EQ(messages("worker:developer:output").size(), 1u);
}

TEST_F(ServiceTest, AWorkerThatEndsAfterItsTaskIsCompletedAndItsResultGoesOutOnce) {
    options_.max_workers = 1;
    start();
    must_create("dev-1");
    EXPECT_TRUE(runtime_->specs.at("dev-1").config.pool) << "created without a task: for anybody's";
    EXPECT_FALSE(runtime_->specs.at("dev-1").config.one_task);
    ask(remove_message("dev-1", "d-1"));
    auto message = create_message("dev-1", "c-2");
    message["context"] = {{"task_id", "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c"}};
    EXPECT_EQ(ask(message)["success"], true);
    EXPECT_TRUE(runtime_->specs.at("dev-1").config.one_task);
    const auto input =
        boost::json::object{{"request_id", "r-1"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}};
    send(input, "worker:dev-1:input");
    contracts::ResultFile file;
    file.output.request_id = "r-1";
    file.output.task_id = "t-1";
    file.output.status = contracts::ResultStatus::success;
    const auto worker_state = state() / "workers/dev-1/state";
    ASSERT_TRUE(posix::write_file_atomically(worker_state / "result-r-1.json", json::write(file), 0600));
    std::ofstream(worker_state / "result-r-1.published").close();
    runtime_->report({"dev-1", redis({"HGET", "worker:status:dev-1", "container_id"}).text, 0, false});
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "COMPLETED"; }));
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "error"}).text, "");
    EXPECT_EQ(redis({"XLEN", "worker:developer:output"}).integer, 0) << "the wrapper has sent it";
    EXPECT_EQ(ask({{"command", "status"}, {"request_id", "s-1"}, {"worker_id", "dev-1"}})["status"], "stopped");
    must_create("dev-2");               // its slot is free
    send(input, "worker:dev-1:input");  // somebody did not hear it
    auto again = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)["status"], "success");
}

TEST_F(ServiceTest, AManagerThatComesBackAdoptsWhatItFinds) {
    start();
    must_create("dev-1");
    must_create("dev-2");
    must_create("dev-3");
    const auto sockets = state() / "workers/dev-1/gateway";
    send({{"request_id", "r-2"}, {"task_id", "t-2"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-2:input");
    stop();
    EXPECT_FALSE(fs::exists(sockets / "http.sock"));
    runtime_->kill("dev-2");
    EXPECT_TRUE(eventually([&] { return !runtime_->runs("dev-2"); }));
    runtime_->strangers = {{"stray", "pid:1", 1, true}};
    redis({"FLUSHALL"});
    send({{"request_id", "r-2"}, {"task_id", "t-2"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-2:input");
    start();
    EXPECT_TRUE(
        eventually([&] { return fs::exists(sockets / "http.sock") && fs::exists(sockets / "wrapper/redis.sock"); }));
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_EQ(runtime_->starts, 3);
    http::Client gateway(io_.get_executor(),
                         http::parse_url("http+unix://" + (sockets / "http.sock").string()).value());
    auto projects = run(gateway.send({"GET", "/api/projects/" + make_project(), {}, {}}, std::chrono::seconds(15)));
    ASSERT_TRUE(projects) << projects.error().message;
    EXPECT_EQ(projects->status, 200u) << projects->body;
    EXPECT_TRUE(eventually([&] { return tokens() == 1; }));  // the former one is gone
    auto crash = answer("worker:developer:output", "r-2");
    ASSERT_TRUE(crash);
    EXPECT_EQ((*crash)["reason"], "killed");
    EXPECT_TRUE(eventually([&] { return runtime_->was_removed("stray"); }));
    EXPECT_FALSE(runtime_->was_removed("dev-1"));
    EXPECT_EQ(ask(create_message("dev-1", "again"))["success"], true);
}

TEST_F(ServiceTest, ABodyThatVanishedWhileNobodyLookedWasKilled) {
    start();
    must_create("dev-1");
    send({{"request_id", "r-1"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-1:input");
    stop();
    runtime_->silent = true;
    runtime_->kill("dev-1");
    EXPECT_TRUE(eventually([&] { return !runtime_->runs("dev-1"); }));
    start();
    auto crash = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(crash);
    EXPECT_EQ((*crash)["reason"], "killed");
}

TEST_F(ServiceTest, ABodyThatSomebodyRemovedWithoutATraceIsMissedBeforeLong) {
    start();
    must_create("dev-1");
    send({{"request_id", "r-1"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-1:input");
    runtime_->silent = true;
    runtime_->kill("dev-1");
    auto crash = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(crash);
    EXPECT_EQ((*crash)["reason"], "killed");
}

TEST_F(ServiceTest, AnotherRuntimeDoesNotTakeWorkersForDead) {
    start();
    must_create("dev-1");
    stop();
    runtime_->called = "another";
    start();
    ASSERT_TRUE(eventually([&] { return ended_.has_value(); }));
    ASSERT_FALSE(*ended_);
    EXPECT_EQ(ended_->error().category, ErrorCategory::fatal);
    EXPECT_THAT(ended_->error().message, HasSubstr("set RUNTIME=process"));
    EXPECT_TRUE(runtime_->runs("dev-1"));
    stop();
    runtime_->called = "process";
    start();
    EXPECT_EQ(ask({{"command", "status"}, {"request_id", "s"}, {"worker_id", "dev-1"}})["status"], "running");
}

TEST_F(ServiceTest, ACreationWaitsForAnEngineThatIsAway) {
    runtime_->start_error = Error{ErrorCategory::transient, "unavailable", "the engine does not answer", {}};
    start();
    send(create_message("dev-1", "c-1"));
    EXPECT_FALSE(answer("worker:responses:developer", "c-1", std::chrono::milliseconds(1500)));
    runtime_->start_error.reset();
    EXPECT_EQ(answered(create_message("dev-1", "c-1"))["success"], true);
    EXPECT_EQ(runtime_->starts, 1);
    EXPECT_TRUE(runtime_->runs("dev-1"));
}

TEST_F(ServiceTest, AStatusThatRedisLostComesBack) {
    options_.sweep_interval = std::chrono::milliseconds(10);
    start();
    must_create("dev-1");
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "RUNNING"; }));
    redis({"FLUSHALL"});
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "RUNNING"; }));
    EXPECT_EQ(ask({{"command", "status"}, {"request_id", "s"}, {"worker_id", "dev-1"}})["status"], "running");
}

TEST_F(ServiceTest, AnEngineThatDoesNotAnswerMeansUnknown) {
    start();
    must_create("dev-1");
    send({{"request_id", "r-1"}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, "worker:dev-1:input");
    stop();
    runtime_->unreachable = true;
    start();
    EXPECT_EQ(ask({{"command", "status"}, {"request_id", "s"}, {"worker_id", "dev-1"}})["status"], "running");
    EXPECT_TRUE(messages("worker:developer:output").empty());
    send(remove_message("dev-1", "d-1"));
    EXPECT_FALSE(answer("worker:responses:developer", "d-1", std::chrono::milliseconds(300)));
    EXPECT_TRUE(runtime_->runs("dev-1"));
    // The deletion survives another restart and is done when the engine is back.
    restart();
    runtime_->unreachable = false;
    EXPECT_EQ(answered(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_FALSE(runtime_->runs("dev-1"));
}

TEST_F(ServiceTest, ACreationThatWasCutOffIsMadeAfterTheRestart) {
    runtime_->hold_images = true;
    start();
    send(create_message("dev-1", "c-1"));
    EXPECT_TRUE(eventually([&] { return runtime_->images == 1; }));
    stop();
    runtime_->hold_images = false;
    start();
    EXPECT_EQ(answered(create_message("dev-1", "c-1"))["success"], true);
    EXPECT_TRUE(runtime_->runs("dev-1"));
}

TEST_F(ServiceTest, AMalformedCommandIsADeadLetterAndTheNextIsServed) {
    start();
    redis({"XADD", "worker:commands", "*", "data", "{ not json"});
    redis({"XADD", "worker:lifecycle", "*", "data", R"({"worker_id":"x","event":"exploded"})"});
    must_create("dev-1");
    EXPECT_TRUE(eventually([&] {
        return redis({"XLEN", "worker:commands:dlq"}).integer == 1 &&
               redis({"XLEN", "worker:lifecycle:dlq"}).integer == 1;
    }));
    const auto letters =
        redis::parse_entries(redis({"XRANGE", "worker:commands:dlq", "-", "+"}), "worker:commands:dlq");
    EXPECT_EQ(*letters.at(0).field("original_message"), "{ not json");
}

class CollectTest : public ServiceTest {
  protected:
    void SetUp() override {
        ServiceTest::SetUp();
        repository_ = state() / "repositories" / "demo.git";
        shell("git init -q --bare -b main '" + repository_.string() +
              "' && git init -q -b main seed && cd seed && echo hello > README && git add . && " + identity() +
              " git commit -qm first && git push -q '" + repository_.string() + "' main");
        start();
    }
    static std::string identity() {
        return "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b";
    }
    std::string shell(const std::string& script) {
        process::Spec spec;
        spec.argv = {"bash", "-ec",
                     "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory "
                     "GIT_CONFIG_VALUE_0='*'; cd '" +
                         state().string() + "'; " + script};
        spec.environment = process::minimal_environment();
        auto outcome = run(process::run(std::move(spec)));
        EXPECT_TRUE(outcome && outcome->ok())
            << script << ": " << (outcome ? outcome->describe() + outcome->errors : outcome.error().message);
        auto text = outcome ? outcome->output : "";
        if (text.ends_with('\n')) text.pop_back();
        return text;
    }
    void create_with_workspace() {
        auto message = create_message("dev-1", "c-1");
        message["workspace"] = {{"repo_url", repository_.string()}, {"branch", "task/t1"}};
        auto response = ask(message);
        ASSERT_EQ(response["success"], true) << boost::json::serialize(response);
        base_ = runtime_->specs.at("dev-1").config.base_sha.value();
    }
    // What the wrapper does at the end: a bundle of base..HEAD and the result beside it. As ourselves: a test's tree.
    void finish(const std::string& work) {
        create_with_workspace();
        shell("cd workers/dev-1/workspace && " + work);
        const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
        if (head != base_)
            shell("git -C workers/dev-1/workspace bundle create -q '" + (worker_state() / "work.bundle").string() +
                  "' " + base_ + "..HEAD");
        write_result(head, head == base_ ? std::nullopt : std::optional<std::string>("work.bundle"));
    }
    void write_result(std::optional<std::string> head, std::optional<std::string> bundle,
                      std::optional<std::string> bundle_error = {}) {
        contracts::ResultFile file;
        file.output.request_id = "r-1";
        file.output.task_id = "t1";
        file.output.status = contracts::ResultStatus::success;
        file.head_sha = std::move(head);
        file.bundle = std::move(bundle);
        file.bundle_error = std::move(bundle_error);
        ASSERT_TRUE(posix::write_file_atomically(worker_state() / "result-r-1.json", json::write(file), 0600));
    }
    boost::json::object collect(std::optional<std::string> claimed = {}, const std::string& branch = "task/t1") {
        boost::json::object message{{"command", "collect"},
                                    {"request_id", "collect-" + std::to_string(++collects_)},
                                    {"worker_id", "dev-1"},
                                    {"branch", branch}};
        if (claimed) message["claimed_sha"] = *claimed;
        return ask(message);
    }
    bool has_branch() { return !shell("git -C '" + repository_.string() + "' for-each-ref refs/heads/task").empty(); }
    fs::path worker_state() const { return state() / "workers/dev-1/state"; }
    std::string commit(const std::string& message = "work") {
        return identity() + " git -c core.hooksPath=/dev/null commit -qm '" + message + "'";
    }

    fs::path repository_;
    std::string base_;
    int collects_ = 0;
};

TEST_F(CollectTest, TheWorkspaceIsACloneThatSharesNothing) {
    create_with_workspace();
    const auto workspace = state() / "workers/dev-1/workspace";
    if (::geteuid() == 0) {
        EXPECT_EQ(shell("find workers/dev-1/workspace ! -uid 10001"), "");
        EXPECT_EQ(shell("find repositories -uid 10001"), "");
    }
    EXPECT_EQ(shell("git -C workers/dev-1/workspace symbolic-ref HEAD"), "refs/heads/task/t1");
    EXPECT_EQ(shell("git -C workers/dev-1/workspace remote"), "");
    EXPECT_EQ(shell("git -C workers/dev-1/workspace status --porcelain"), "");
    EXPECT_EQ(shell("git -C workers/dev-1/workspace rev-parse HEAD"), base_);
    EXPECT_FALSE(fs::exists(workspace / ".git/objects/info/alternates"));
    EXPECT_EQ(shell("find workers/dev-1/workspace -type f -links +1"), "");
    EXPECT_EQ(shell("stat -c %a workers workers/dev-1 workers/dev-1/state workers/dev-1/home"), "711\n711\n700\n700");
}

// -- workspaces that outlive their worker (keeping.cpp)

class KeepingTest : public CollectTest {
  protected:
    boost::json::object keep(const std::string& request_id) {
        auto message = remove_message("dev-1", request_id);
        message["keep_workspace"] = true;
        return ask(message);
    }
    boost::json::object resume_message(const std::string& request_id) {
        auto message = create_message("dev-1", request_id);
        message["workspace"] = {{"repo_url", repository_.string()}, {"branch", "task/t1"}, {"resume", true}};
        return message;
    }
    // A worker with a commit, an unfinished file and a memory, whose body was given back.
    void make_and_keep() {
        create_with_workspace();
        shell("cd workers/dev-1/workspace && echo work > work.txt && git add . && " + commit() +
              " && echo half > half.txt && mkdir ../home/.agent && echo memory > ../home/.agent/session");
        head_ = shell("git -C workers/dev-1/workspace rev-parse HEAD");
        ASSERT_EQ(keep("k-1")["success"], true);
    }
    void expect_everything_is_back() {
        EXPECT_EQ(shell("git -C workers/dev-1/workspace rev-parse HEAD"), head_);
        EXPECT_EQ(shell("cat workers/dev-1/workspace/half.txt workers/dev-1/home/.agent/session"), "half\nmemory");
        EXPECT_EQ(runtime_->specs.at("dev-1").config.base_sha, base_)
            << "what is new is still told from what was given";
        if (::geteuid() == 0) EXPECT_EQ(shell("find workers/dev-1/workspace workers/dev-1/home ! -uid 10001"), "");
    }
    bool kept() const { return fs::exists(state() / "kept/dev-1"); }

    std::string head_;
};

TEST_F(KeepingTest, ANewBodyGoesOnInTheKeptWorkspaceAndItsWorkIsCollected) {
    make_and_keep();
    EXPECT_FALSE(runtime_->runs("dev-1")) << "its slot is free";
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1"));
    EXPECT_TRUE(eventually([&] { return tokens() == 0; }));
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    expect_everything_is_back();
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_EQ(tokens(), 1u) << "a new one";
    shell("git -C workers/dev-1/workspace bundle create -q '" + (worker_state() / "work.bundle").string() + "' " +
          base_ + "..HEAD");
    write_result(head_, "work.bundle");
    EXPECT_EQ(collect(head_)["commit_sha"], boost::json::string(head_));
    EXPECT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_FALSE(kept());
}

TEST_F(KeepingTest, WhereItLiesIsKnownAsLongAsItLiesThere) {
    options_.sweep_interval = std::chrono::milliseconds(10);
    make_and_keep();
    const auto life = [&] { return redis({"TTL", "worker:status:dev-1"}).integer; };
    redis({"EXPIRE", "worker:status:dev-1", "600"});
    EXPECT_TRUE(eventually([&] { return life() > 86000; }));
    redis({"DEL", "worker:status:dev-1"});
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "STOPPED" && life() > 86000; }));
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "host"}).text, options_.host);
    // Another host's worker of the name is not touched.
    redis({"HSET", "worker:status:dev-1", "host", "elsewhere", "status", "RUNNING"});
    redis({"EXPIRE", "worker:status:dev-1", "600"});
    fs::create_directories(state() / "kept/witness/workspace");
    EXPECT_TRUE(eventually([&] { return status("witness") == "STOPPED"; }));
    redis({"DEL", "worker:status:witness"});
    EXPECT_TRUE(eventually([&] { return status("witness") == "STOPPED"; })) << "a whole round";
    EXPECT_LE(life(), 600);
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "host"}).text, "elsewhere");
}

TEST_F(KeepingTest, AnotherManagerGoesOnInIt) {
    make_and_keep();
    restart();
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    expect_everything_is_back();
}

TEST_F(KeepingTest, WhatItHasUsedCountsOn) {
    make_and_keep();
    const auto place = state() / "kept/dev-1/origin.json";
    auto origin = boost::json::parse(posix::read_file(place, 1u << 16).value()).as_object();
    origin.at("gateway").as_object()["api_requests"] = 41;
    std::ofstream(place) << boost::json::serialize(origin);
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    const auto gone = ask(remove_message("dev-1", "d-1"));
    EXPECT_EQ(gone.at("gateway").at("api_requests"), 41) << boost::json::serialize(gone);
}

TEST_F(KeepingTest, AWorkerThatStillLivesIsLeftAsItIs) {
    create_with_workspace();
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    EXPECT_EQ(runtime_->starts, 1);
}

TEST_F(KeepingTest, AWorkerThatHasEndedGetsANewBodyWhereItWas) {
    create_with_workspace();
    shell("echo half > workers/dev-1/workspace/half.txt");
    runtime_->kill("dev-1");
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    EXPECT_EQ(runtime_->starts, 2);
    EXPECT_EQ(shell("cat workers/dev-1/workspace/half.txt"), "half");
}

TEST_F(KeepingTest, WhatNobodyKeptCannotBeResumed) {
    EXPECT_THAT(error_of(ask(resume_message("c-0"))), HasSubstr("no workspace of dev-1 is kept here"));
    make_and_keep();
    EXPECT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);  // of one that has no body: what is kept goes
    EXPECT_FALSE(kept());
    EXPECT_THAT(error_of(ask(resume_message("c-2"))), HasSubstr("no workspace of dev-1 is kept here"));
    EXPECT_FALSE(kept()) << "an attempt leaves nothing";
}

TEST_F(KeepingTest, ABodyThatCannotBeMadeLosesNothing) {
    make_and_keep();
    runtime_->start_error = Error{ErrorCategory::permanent, "engine", "no space left", {}};
    EXPECT_THAT(error_of(ask(resume_message("c-2"))), HasSubstr("no space left"));
    runtime_->start_error.reset();
    EXPECT_EQ(ask(resume_message("c-3"))["success"], true);
    expect_everything_is_back();
}

TEST_F(KeepingTest, ACreationThatWasCutOffTakesItAgain) {
    make_and_keep();
    runtime_->hold_images = true;
    send(resume_message("c-2"));
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "STARTING"; }));
    // As if the last manager had died between its steps: workspace taken, home not yet.
    shell("mkdir -p workers/dev-1/home && mv kept/dev-1/workspace workers/dev-1/workspace");
    stop();
    runtime_->hold_images = false;
    start();
    EXPECT_EQ(answered(resume_message("c-2"))["success"], true);
    expect_everything_is_back();
}

TEST_F(KeepingTest, ADeletionThatKeepsNothingWins) {
    create_with_workspace();
    auto message = remove_message("dev-1", "k-1");
    message["keep_workspace"] = true;
    send(message);
    send(remove_message("dev-1", "d-1"));
    EXPECT_EQ(answered(message)["success"], true);
    EXPECT_EQ(answered(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_FALSE(kept());
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1"));
}

TEST_F(KeepingTest, AFreshWorkerOfTheNameForgetsWhatWasKept) {
    make_and_keep();
    auto message = create_message("dev-1", "c-2");
    message["workspace"] = {{"repo_url", repository_.string()}, {"branch", "task/t1"}};
    EXPECT_EQ(ask(message)["success"], true);
    EXPECT_FALSE(kept());
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1/workspace/half.txt"));
}

TEST_F(CollectTest, NewCommitsArriveOnTheTasksBranch) {
    finish("echo one > one && git add . && " + commit() + " && mkdir d && echo two > d/two && git add . && " +
           commit());
    const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
    auto response = collect(head);
    EXPECT_EQ(response["success"], true) << boost::json::serialize(response);
    EXPECT_EQ(response["commit_sha"].as_string(), head);
    EXPECT_EQ(response["commits"], 2);
    EXPECT_EQ(boost::json::serialize(response["files_changed"]), R"(["d/two","one"])");
    EXPECT_TRUE(response["gateway"].is_object());
    EXPECT_EQ(shell("git -C '" + repository_.string() + "' rev-parse refs/heads/task/t1"), head);
    EXPECT_EQ(shell("git -C '" + repository_.string() + "' rev-parse refs/heads/main"), base_);
    shell("git -C '" + repository_.string() + "' fsck --strict");
    // Once more: the same.
    EXPECT_EQ(collect(head)["commit_sha"].as_string(), head);
    EXPECT_EQ(collect(head.substr(0, 10))["success"], true);
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

TEST_F(CollectTest, NothingNewIsNoCommit) {
    finish("true");
    auto response = collect();
    EXPECT_EQ(response["success"], true) << boost::json::serialize(response);
    EXPECT_FALSE(response.contains("commit_sha"));
    EXPECT_EQ(response["commits"], 0);
    EXPECT_EQ(collect(base_)["reason"], "no_commit");
    EXPECT_EQ(collect(std::string(40, 'a'))["reason"], "commit_missing");
    EXPECT_FALSE(has_branch());
}

TEST_F(CollectTest, AClaimThatDoesNotHoldIsSaid) {
    finish("git checkout -q -b other && echo x > x && git add . && " + commit() +
           " && git checkout -q task/t1 && echo y > y && git add . && " + commit());
    EXPECT_EQ(collect(std::string(40, 'b'))["reason"], "commit_missing");
    EXPECT_EQ(collect("--output=/tmp/x")["reason"], "commit_missing");
    EXPECT_EQ(collect(shell("git -C workers/dev-1/workspace rev-parse other"))["reason"], "commit_missing");
    EXPECT_EQ(collect(base_)["reason"], "no_commit");
    EXPECT_FALSE(has_branch());
}

TEST_F(CollectTest, OtherBranchesThanTasksAreNotWritten) {
    finish("echo one > one && git add . && " + commit());
    for (const auto* branch : {"main", "task/../main", "task/a/b", "refs/heads/main", "task/", "task/-x.lock"})
        EXPECT_EQ(collect({}, branch)["success"], false) << branch;
    EXPECT_EQ(shell("git -C '" + repository_.string() + "' rev-parse refs/heads/main"), base_);
}

TEST_F(CollectTest, AHostileTreeDoesNothingOnTheHost) {
    const auto trap = (state() / "trapped").string();
    finish("printf '#!/bin/sh\\ntouch " + trap +
           "\\n' > evil && chmod +x evil && mkdir -p .git/hooks && for h in post-checkout pre-push post-receive update "
           "reference-transaction post-update; do cp evil .git/hooks/$h; done && "
           "git config core.fsmonitor \"$PWD/evil\" && git config core.hooksPath \"$PWD\" && git config filter.x.clean "
           "\"$PWD/evil\" && git config filter.x.smudge \"$PWD/evil\" && "
           "git config uploadpack.packObjectsHook \"$PWD/evil\" && git config core.sshCommand \"$PWD/evil\" && "
           "echo '* filter=x diff=x' > .gitattributes && ln -s /etc/passwd out && ln -s ../../../.. up && cp evil "
           "post-receive && "
           "GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=core.fsmonitor GIT_CONFIG_VALUE_0=false "
           "GIT_CONFIG_KEY_1=filter.x.clean GIT_CONFIG_VALUE_1=cat GIT_CONFIG_KEY_2=safe.directory "
           "GIT_CONFIG_VALUE_2='*' bash -c 'git -c core.hooksPath=/dev/null add . && " +
           commit() + "' && rm -f " + trap);
    fs::remove(trap);
    auto response = collect();
    EXPECT_EQ(response["success"], true) << boost::json::serialize(response);
    EXPECT_FALSE(fs::exists(trap)) << "a hook or filter of the worker's repository ran";
    // The next worker starts from that commit: its checkout runs nothing either.
    ask(remove_message("dev-1", "d-1"));
    auto message = create_message("dev-2", "c-2");
    message["workspace"] = {{"repo_url", repository_.string()}, {"base_ref", "task/t1"}, {"branch", "task/t2"}};
    EXPECT_EQ(ask(message)["success"], true);
    EXPECT_FALSE(fs::exists(trap));
    EXPECT_TRUE(fs::is_symlink(state() / "workers/dev-2/workspace/out"));
    struct stat st{};
    ASSERT_EQ(::stat("/etc/passwd", &st), 0);
    EXPECT_EQ(st.st_uid, 0u) << "giving the workspace away followed a symlink";
}

TEST_F(CollectTest, TooMuchIsRejectedWithFigureAndLimit) {
    finish("head -c 200M /dev/zero > zeros && git add . && " + commit());
    auto zeros = collect();
    EXPECT_EQ(zeros["reason"], "commit_rejected");
    EXPECT_THAT(error_of(zeros), HasSubstr("unpack to 20971"));
    EXPECT_THAT(error_of(zeros), HasSubstr("limit is 167772160"));
    shell("cd workers/dev-1/workspace && git reset -q --hard " + base_ +
          " && head -c 200M /dev/urandom > noise && git add . && " + commit());
    const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
    shell("git -C workers/dev-1/workspace bundle create -q '" + (worker_state() / "noise.bundle").string() + "' " +
          base_ + "..HEAD");
    write_result(head, "noise.bundle");
    auto noise = collect();
    EXPECT_EQ(noise["reason"], "commit_rejected");
    EXPECT_THAT(error_of(noise), HasSubstr("the bundle has 2097"));
    EXPECT_THAT(error_of(noise), HasSubstr("limit is 104857600"));
    write_result(head, std::nullopt, "the bundle would have 200 bytes, the limit is 100");
    auto own = collect();
    EXPECT_EQ(own["reason"], "commit_rejected");
    EXPECT_FALSE(has_branch());
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

// Each level names the one below ten times.
constexpr auto kTreeBomb = R"(o=$(echo hi | git hash-object -w --stdin); m=100644; t=blob
for l in $(seq 10); do
    o=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '%s %s %s\td%s\n' $m $t $o $i; done | git mktree); m=040000; t=tree
done
)";

TEST_F(CollectTest, ATreeThatExpandsBeyondTheLimitIsRejectedAtOnce) {
    finish(kTreeBomb + ("c=$(" + identity() + " git commit-tree $o -p HEAD -m bomb) && git update-ref HEAD $c"));
    const auto begin = std::chrono::steady_clock::now();
    auto bomb = collect();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    EXPECT_EQ(bomb["reason"], "commit_rejected");
    EXPECT_THAT(error_of(bomb), HasSubstr("the commit has 11111111110 paths, its base 1; the limit is 200000 more"));
    EXPECT_FALSE(has_branch());
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

TEST_F(CollectTest, ManyFilesAreCollectedUpToTheLimitAndNamedUpToTheirs) {
    const auto files = [](int count) {
        return "o=$(echo hi | git hash-object -w --stdin) && t=$(seq " + std::to_string(count) +
               " | sed \"s/.*/100644 blob $o\\tf&/\" | git mktree) && c=$(" + identity() + " git commit-tree $t -p " +
               "HEAD -m many) && git update-ref HEAD $c";
    };
    finish(files(260000));
    auto many = collect();
    EXPECT_EQ(many["reason"], "commit_rejected");
    EXPECT_THAT(error_of(many), HasSubstr("has 260000 paths, its base 1; the limit is 200000 more"));
    EXPECT_FALSE(has_branch());
    shell("cd workers/dev-1/workspace && git update-ref HEAD " + base_ + " && " + files(150000) +
          " && git bundle create -q '" + (worker_state() / "fewer.bundle").string() + "' " + base_ + "..HEAD");
    write_result(shell("git -C workers/dev-1/workspace rev-parse HEAD"), "fewer.bundle");
    auto fewer = collect();
    EXPECT_EQ(fewer["success"], true) << boost::json::serialize(fewer);
    EXPECT_EQ(fewer["files_changed"].as_array().size(), kMaxFilesNamed);
}

TEST_F(CollectTest, GitBeyondItsBoundsOnTheWorkersBytesIsARejection) {
    // One folder of 80 MB, which unpacks within the limit, but is more than is read of folders.
    finish(
        "o=$(echo hi | git hash-object -w --stdin) && t=$(seq -f '%0240.0f' 300000 | sed \"s/.*/100644 blob "
        "$o\\t&/\" | git mktree) && c=$(" +
        identity() + " git commit-tree $t -p HEAD -m wide) && git update-ref HEAD $c");
    auto wide = collect();
    EXPECT_EQ(wide["reason"], "commit_rejected");
    EXPECT_THAT(error_of(wide), HasSubstr("git cat-file: stopped because it wrote too much"));
    EXPECT_FALSE(has_branch());
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

TEST_F(CollectTest, OnlyOurOwnTroubleIsInfrastructure) {
    finish("echo one > one && git add . && " + commit());
    const auto elsewhere = state() / "repositories" / "elsewhere.git";
    fs::rename(repository_, elsewhere);
    auto missing = collect();
    EXPECT_EQ(missing["reason"], "infrastructure");
    EXPECT_THAT(error_of(missing), HasSubstr("demo.git: No such file or directory"));
    fs::rename(elsewhere, repository_);
    fs::remove_all(state() / "quarantine");
    std::ofstream(state() / "quarantine") << "not a folder";
    EXPECT_EQ(collect()["reason"], "infrastructure");
    fs::remove(state() / "quarantine");
    // A ref that cannot be written is the project's repository's trouble.
    fs::create_directories(repository_ / "refs/heads/task/t1");
    std::ofstream(repository_ / "refs/heads/task/t1/x") << base_ << "\n";
    EXPECT_EQ(collect()["reason"], "infrastructure");
    fs::remove_all(repository_ / "refs/heads/task/t1");
    EXPECT_EQ(collect()["success"], true);
}

TEST_F(CollectTest, AnUnrelatedHistoryIsRejected) {
    finish("git checkout -q --orphan elsewhere && echo x > x && git add . && " + commit() +
           " && git branch -q -f task/t1 && git checkout -q task/t1");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    EXPECT_FALSE(has_branch());
}

TEST_F(CollectTest, ABundleThatIsNoneIsRejected) {
    finish("echo one > one && git add . && " + commit());
    const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
    const auto good = posix::read_file(worker_state() / "work.bundle", 1 << 20).value();
    const auto with = [&](std::string content) {
        EXPECT_TRUE(posix::write_file_atomically(worker_state() / "bad.bundle", content, 0600));
        write_result(head, "bad.bundle");
        return collect()["reason"];
    };
    EXPECT_EQ(with("garbage"), "commit_rejected");
    EXPECT_EQ(with(""), "commit_rejected");
    EXPECT_EQ(with(good.substr(0, good.size() - 30)), "commit_rejected");
    auto flipped = good;
    flipped[flipped.size() - 40] = static_cast<char>(flipped[flipped.size() - 40] ^ 0x55);
    EXPECT_EQ(with(flipped), "commit_rejected");
    fs::remove(worker_state() / "bad.bundle");
    fs::create_symlink("/etc/passwd", worker_state() / "bad.bundle");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    write_result(head, "../../../codegen.db");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    write_result(std::string(40, 'c'), "work.bundle");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    EXPECT_FALSE(has_branch());
}

}  // namespace
}  // namespace codegen::worker_manager

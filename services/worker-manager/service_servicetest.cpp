#include <sys/stat.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <fstream>

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
    asio::local::stream_protocol::socket wrapper(io_);
    wrapper.connect(asio::local::stream_protocol::endpoint((sockets / "wrapper/control.sock").string()));
    asio::write(wrapper, asio::buffer(std::string("{\"idle\":true}\n")));
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

}  // namespace
}  // namespace codegen::worker_manager

// What becomes of requests whose worker is deleted, or dies while it is. With real bodies: tests/integration/people.
#include <fstream>
#include <sstream>

#include "services/worker-manager/tests/service_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;

class EndingsTest : public ServiceFixture {
  protected:
    void SetUp() override {
        ServiceFixture::SetUp();
        start();
    }
    void ask_for(const std::string& request, const std::string& stream = "worker:dev-1:input") {
        send({{"request_id", request}, {"task_id", "t-1"}, {"project_id", "p"}, {"prompt", "x"}}, stream);
    }
    std::filesystem::path worker_state() const { return state() / "workers/dev-1/state"; }
    // As the wrapper writes it before it sends it.
    void write_result(const std::string& request, bool published = false) {
        contracts::ResultFile file;
        file.output.request_id = request;
        file.output.task_id = "t-1";
        file.output.status = contracts::ResultStatus::success;
        ASSERT_TRUE(
            posix::write_file_atomically(worker_state() / ("result-" + request + ".json"), json::write(file), 0600));
        if (published) std::ofstream(worker_state() / ("result-" + request + ".published")).close();
    }
    void remove() { EXPECT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true); }
};

TEST_F(EndingsTest, ADeletedWorkerAnswersWhatItHadNoTimeFor) {
    must_create("dev-1");
    ask_for("r-1");
    ask_for("r-1");  // sent twice, answered once
    remove();
    const auto said = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(said);
    EXPECT_EQ(said->at("reason"), "cancelled");
    EXPECT_EQ(said->at("task_id"), "t-1");
    EXPECT_EQ(said->at("error"), "the worker was deleted before it had a result");
    EXPECT_TRUE(eventually([&] { return redis({"EXISTS", "worker:dev-1:input"}).integer == 0; }));
    EXPECT_EQ(messages("worker:developer:output").size(), 1u);
}

TEST_F(EndingsTest, AResultThatADeletedWorkerDidNotGetOutIsPublishedAndNoOther) {
    must_create("dev-1");
    for (const auto* request : {"r-1", "r-2"}) ask_for(request);
    write_result("r-1", true);
    write_result("r-2");
    remove();
    const auto said = answer("worker:developer:output", "r-2");
    ASSERT_TRUE(said);
    EXPECT_EQ(said->at("status"), "success");
    EXPECT_EQ(messages("worker:developer:output").size(), 1u);
}

TEST_F(EndingsTest, AResultWhoseRequestRedisLostIsPublishedBeforeItsFileGoes) {
    must_create("dev-1");
    write_result("r-1");
    remove();
    ASSERT_TRUE(answer("worker:developer:output", "r-1"));
}

TEST_F(EndingsTest, AWorkerThatDiesWhileItIsBeingDeletedAnswersToo) {
    must_create("dev-1");
    ask_for("r-1");
    runtime_->unreachable = true;
    send(remove_message("dev-1", "d-1"));
    // A command after it shows that it was read.
    EXPECT_EQ(error_of(ask(create_message("dev-1", "again"))), "worker dev-1 is being deleted");
    runtime_->kill("dev-1");
    ASSERT_TRUE(eventually([&] { return !runtime_->runs("dev-1"); }));
    runtime_->unreachable = false;
    EXPECT_EQ(answered(remove_message("dev-1", "d-1"))["success"], true);
    const auto said = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(said);
    EXPECT_EQ(said->at("reason"), "cancelled");
}

TEST_F(EndingsTest, AnEndedWorkerRepeatsNothingWhenItIsDeleted) {
    must_create("dev-1");
    ask_for("r-1");
    runtime_->kill("dev-1");
    ASSERT_TRUE(answer("worker:developer:output", "r-1"));
    remove();
    EXPECT_EQ(messages("worker:developer:output").size(), 1u);
}

TEST_F(EndingsTest, ARequestInPlainFieldsIsAnsweredToo) {
    must_create("dev-1");
    redis({"XADD", "worker:dev-1:input", "*", "request_id", "r-1", "task_id", "t-1", "project_id", "p", "prompt", "12",
           "timeout", "60"});
    runtime_->kill("dev-1");
    const auto said = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(said);
    EXPECT_EQ(said->at("task_id"), "t-1");
}

TEST_F(EndingsTest, ACreationWhoseWrapperSpokeFirstIsStillAnsweredByTheNextManager) {
    runtime_->hold_starts = true;
    send(create_message("dev-1", "c-1"));
    ASSERT_TRUE(eventually([&] { return runtime_->starts == 1; }));
    send({{"worker_id", "dev-1"}, {"event", "started"}}, "worker:lifecycle");
    ASSERT_TRUE(eventually([&] {
        const auto groups = redis({"XINFO", "GROUPS", "worker:lifecycle"}).elements.at(0).elements;
        return groups.at(5).integer == 0 && groups.at(7).text != "0-0";  // read and acknowledged
    }));
    stop();
    runtime_->hold_starts = false;
    start();
    EXPECT_EQ(answered(create_message("dev-1", "c-1"))["success"], true);
    EXPECT_TRUE(runtime_->runs("dev-1"));
}

class PoolTest : public EndingsTest, public ::testing::WithParamInterface<bool> {
  protected:
    static constexpr auto kPool = "worker:developer:input";
    static constexpr auto kGroup = "developer-workers";
    void SetUp() override {
        EndingsTest::SetUp();
        must_create("dev-1");
        redis({"XGROUP", "CREATE", kPool, kGroup, "0", "MKSTREAM"});
    }
    void end_it() {
        if (GetParam()) return remove();
        runtime_->kill("dev-1");
        ASSERT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    }
    const char* reason() const { return GetParam() ? "cancelled" : "killed"; }
    std::int64_t pending() { return redis({"XPENDING", kPool, kGroup}).elements.at(0).integer; }
    std::vector<redis::StreamEntry> read_as(const std::string& worker) {
        return redis::parse_xread(
            redis({"XREADGROUP", "GROUP", kGroup, worker, "COUNT", "100", "STREAMS", kPool, ">"}));
    }
    void begin(const std::string& request) { std::ofstream(worker_state() / ("attempts-" + request)) << "1"; }
};

TEST_P(PoolTest, WhatItHadBegunIsAnsweredAndTheRestGoesToAnother) {
    for (const auto* request : {"r-1", "r-2", "r-3", "r-4"}) ask_for(request, kPool);
    redis({"XADD", kPool, "*", "request_id", "r-5", "task_id", "t-1", "project_id", "p", "prompt", "12", "timeout",
           "60", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"});
    ASSERT_EQ(read_as("dev-1").size(), 5u);
    for (const auto* request : {"r-1", "r-2", "r-3"}) begin(request);
    write_result("r-2");
    write_result("r-3", true);  // only its acknowledgement is missing
    end_it();
    const auto first = answer("worker:developer:output", "r-1");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->at("reason"), reason());
    const auto second = answer("worker:developer:output", "r-2");
    ASSERT_TRUE(second);
    EXPECT_EQ(second->at("status"), "success");
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    const auto others = read_as("dev-2");
    ASSERT_EQ(others.size(), 2u);
    EXPECT_THAT(*others.at(0).field("data"), HasSubstr("r-4"));
    EXPECT_EQ(*others.at(1).field("request_id"), "r-5") << "as it was written";
    EXPECT_NE(others.at(1).field("traceparent"), nullptr);
    for (const auto& consumer : redis({"XINFO", "CONSUMERS", kPool, kGroup}).elements)
        EXPECT_EQ(consumer.elements.at(1).text, "dev-2");
    // A killed one sends its last result once more, as Redis may have lost it: r-3 was begun last.
    EXPECT_LE(messages("worker:developer:output").size(), GetParam() ? 2u : 3u);
}

Task<void> wait_for_work(redis::Client* client) {
    auto reply = co_await client->command({"XREADGROUP", "GROUP", "developer-workers", "dev-1", "COUNT", "1", "BLOCK",
                                           "20000", "STREAMS", "worker:developer:input", ">"},
                                          std::chrono::seconds(30));
    EXPECT_FALSE(reply) << "its connection should have ended";
}

TEST_P(PoolTest, AReadThatItLeftBehindTakesNothing) {
    // Of which Redis does not know yet that nobody waits for it any more.
    redis({"ACL", "SETUSER", "worker-dev-1", "on", ">secret", "~*", "+@all"});
    auto address = redis_server_.address();
    address.user = "worker-dev-1";
    address.password = "secret";
    redis::Client wrapper(io_.get_executor(), address, {.name = "left-behind"});
    async::Scope scope(io_.get_executor());
    scope.spawn("wrapper", wait_for_work(&wrapper));
    ASSERT_TRUE(eventually([&] {
        std::istringstream lines(redis({"CLIENT", "LIST"}).text);
        for (std::string line; std::getline(lines, line);)
            if (line.contains("name=left-behind ") && line.contains("flags=b")) return true;
        return false;
    }));
    end_it();
    ask_for("r-1", kPool);
    EXPECT_EQ(pending(), 0);
    EXPECT_EQ(read_as("dev-2").size(), 1u);
    wrapper.close();
    run(scope.stop());
}

INSTANTIATE_TEST_SUITE_P(Ends, PoolTest, ::testing::Bool(), [](const ::testing::TestParamInfo<bool>& p) {
    return std::string(p.param ? "Deleted" : "Killed");
});

// Its answers go with it, so whoever waits for them sees them come.
Task<void> read_answers(redis::Client* client, std::vector<std::string>* texts) {
    std::string after = "0";
    for (;;) {
        auto reply = co_await client->command({"XREAD", "BLOCK", "10000", "STREAMS", "worker:po:po-1:output", after},
                                              std::chrono::seconds(20));
        if (!reply) co_return;
        for (const auto& entry : redis::parse_xread(*reply)) {
            after = entry.id;
            texts->push_back(*entry.field("data"));
        }
    }
}

TEST_F(EndingsTest, APersonWhoseWorkerIsDeletedIsToldSo) {
    auto message = create_message("po-1", "c-1");
    message["config"].as_object()["worker_type"] = "po";
    send(message);
    ASSERT_TRUE(answer("worker:responses:po", "c-1"));
    redis({"XGROUP", "CREATE", "worker:po:po-1:input", "worker-wrapper", "0", "MKSTREAM"});
    send({{"request_id", "r-1"}, {"user_id", 1}, {"prompt", "hello"}}, "worker:po:po-1:input");
    redis::Client reader(io_.get_executor(), redis_server_.address());
    std::vector<std::string> texts;
    async::Scope scope(io_.get_executor());
    scope.spawn("reader", read_answers(&reader, &texts));
    send(remove_message("po-1", "d-1"));
    ASSERT_TRUE(answer("worker:responses:po", "d-1"));
    EXPECT_TRUE(eventually([&] { return texts.size() == 1; }));
    run(scope.stop());
    EXPECT_THAT(texts.at(0), HasSubstr("I could not answer: the worker was deleted"));
    EXPECT_TRUE(eventually([&] { return redis({"EXISTS", "worker:po:po-1:output"}).integer == 0; }));
}

}  // namespace
}  // namespace codegen::worker_manager

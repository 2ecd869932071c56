// What becomes of requests whose worker is deleted, or dies while it is. With real bodies: tests/integration/people.
#include <fstream>

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

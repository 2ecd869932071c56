#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <fstream>

#include "services/worker-manager/people/evidence.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

class EvidenceTest : public ::testing::Test {
  protected:
    void SetUp() override {
        fs::create_directories(state());
        open();
    }
    void open() {
        evidence_ = std::make_unique<Evidence>(
            directory_ / "evidence", limits_, std::make_shared<const Redactor>(std::vector<std::string>{"canary-key"}));
        auto opened = evidence_->open();
        ASSERT_TRUE(opened) << opened.error().message;
    }
    fs::path state() const { return directory_ / "state"; }
    void write(const std::string& name, const std::string& text) { std::ofstream(state() / name) << text; }
    void keep(const std::string& id, int created) {
        contracts::WorkerView view;
        view.worker_id = id;
        view.created_at = from_micros(created);
        view.error = "ended with canary-key in its error";
        auto kept = testing::run(io_, evidence_->keep(view, state()));
        ASSERT_TRUE(kept) << kept.error().message;
    }
    std::string newest_log(const std::string& id) {
        const auto view = evidence_->newest(id);
        const auto at = view ? evidence_->records_of(id, view->created_at) : std::nullopt;
        return at ? read_record(*at, Record::log, 1u << 20) : "none";
    }
    void prune(Timestamp now) { testing::run(io_, evidence_->prune(now)); }

    testing::TempDirectory directory_;
    asio::io_context io_{1};
    EvidenceLimits limits_;
    std::unique_ptr<Evidence> evidence_;
};

TEST_F(EvidenceTest, WhatIsKeptIsRedactedAndFoundAgainAfterARestart) {
    write("wrapper.log.1", "old line\n");
    write("wrapper.log", "key canary-key and sk-ant-0123456789012345678901234567890\n");
    write("transcript.ndjson", R"({"text":"canary-key"})");
    keep("dev-1", 1);
    for (int round = 0; round < 2; ++round, open()) {
        EXPECT_EQ(newest_log("dev-1"), "old line\nkey [redacted] and [redacted]\n");
        const auto view = evidence_->newest("dev-1");
        ASSERT_TRUE(view);
        EXPECT_EQ(view->error, "ended with [redacted] in its error");
        const auto at = *evidence_->records_of("dev-1", view->created_at);
        EXPECT_FALSE(evidence_->records_of("dev-1", view->created_at + std::chrono::microseconds(1)));
        EXPECT_EQ(read_record(at, Record::transcript, 1000), R"({"text":"[redacted]"})");
        EXPECT_EQ(fs::status(at).permissions(), fs::perms::owner_all);
        EXPECT_EQ(fs::status(at / "wrapper.log").permissions(), fs::perms::owner_read | fs::perms::owner_write);
    }
}

TEST_F(EvidenceTest, EachBodyOfANameIsKeptOnceAndTheNewestIsShown) {
    write("wrapper.log", "first\n");
    keep("dev-1", 1);
    write("wrapper.log", "again\n");
    keep("dev-1", 1);
    EXPECT_EQ(newest_log("dev-1"), "first\n");
    write("wrapper.log", "second\n");
    keep("dev-1", 2);
    EXPECT_EQ(newest_log("dev-1"), "second\n");
    EXPECT_EQ(evidence_->size(), 2u);
    EXPECT_FALSE(evidence_->newest("dev"));
    EXPECT_FALSE(evidence_->newest("dev-10"));
}

TEST_F(EvidenceTest, ABodyThatLeftNothingIsNotKept) {
    keep("dev-1", 1);
    fs::remove_all(state());
    keep("dev-2", 1);
    EXPECT_EQ(evidence_->size(), 0u);
    EXPECT_TRUE(fs::is_empty(directory_ / "evidence"));
}

TEST_F(EvidenceTest, OldOnesGoAndTheOldestBeyondTheTotal) {
    limits_.total_bytes = 25000;
    open();
    write("wrapper.log", std::string(10000, 'x') + "\n");
    for (int i = 1; i <= 4; ++i) keep("dev-" + std::to_string(i), i);
    prune(system_now());
    EXPECT_EQ(evidence_->size(), 2u);
    EXPECT_LE(evidence_->bytes(), 25000);
    EXPECT_TRUE(evidence_->newest("dev-4"));
    EXPECT_FALSE(evidence_->newest("dev-1"));
    EXPECT_FALSE(fs::exists(directory_ / "evidence" / "dev-1"));
    prune(system_now() + hours(24 * 6));
    EXPECT_EQ(evidence_->size(), 2u);
    prune(system_now() + hours(24 * 8));
    EXPECT_EQ(evidence_->size(), 0u);
    EXPECT_EQ(evidence_->bytes(), 0);
    EXPECT_TRUE(fs::is_empty(directory_ / "evidence"));
}

TEST_F(EvidenceTest, AnUnfinishedOneIsDroppedAtTheNextStart) {
    write("wrapper.log", "x\n");
    keep("dev-1", 1);
    const auto at = *evidence_->records_of("dev-1", evidence_->newest("dev-1")->created_at);
    fs::remove(at / "worker.json");
    open();
    EXPECT_EQ(evidence_->size(), 0u);
    EXPECT_FALSE(fs::exists(at));
}

TEST_F(EvidenceTest, AFullPlaceIsAnErrorWithItsPath) {
    write("wrapper.log", "x\n");
    std::ofstream(directory_ / "evidence" / "dev-1") << "in the way";
    contracts::WorkerView view;
    view.worker_id = "dev-1";
    const auto kept = testing::run(io_, evidence_->keep(view, state()));
    ASSERT_FALSE(kept);
    EXPECT_NE(kept.error().message.find("dev-1"), std::string::npos) << kept.error().message;
}

}  // namespace
}  // namespace codegen::worker_manager

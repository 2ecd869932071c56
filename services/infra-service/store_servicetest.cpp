#include <gmock/gmock.h>

#include "services/infra-service/store.hpp"
#include "shared/base/ids.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/test_store.hpp"

namespace codegen::infra {
namespace {

using codegen::testing::run;
using namespace std::chrono_literals;

// Two copies of the role on one database.
class StoreTest : public ::testing::Test {
  protected:
    void SetUp() override {
        for (auto* copy : {&one_, &two_}) {
            copy->database = store_.open();
            copy->outbox = std::make_unique<storage::Outbox>(
                *copy->database, "infra", [](storage::OutboxItem) -> Task<Result<void>> { co_return Result<void>(); });
            copy->store = std::make_unique<Store>(*copy->database, *copy->outbox);
        }
        const auto migrated = run(io_, one_.database->migrate("infra", Store::migrations()));
        ASSERT_TRUE(migrated) << migrated.error().message;
    }
    std::vector<std::string> outbox() {
        auto rows = run(io_, one_.database->query("SELECT target, body FROM infra_outbox ORDER BY id"));
        EXPECT_TRUE(rows) << rows.error().message;
        std::vector<std::string> out;
        if (rows)
            for (const auto& row : rows->rows) out.push_back(row.text("target"));
        return out;
    }
    struct Copy {
        std::unique_ptr<storage::Database> database;
        std::unique_ptr<storage::Outbox> outbox;
        std::unique_ptr<Store> store;
    };
    static contracts::ProvisionerMessage message(std::string server) {
        contracts::ProvisionerMessage out;
        out.server_handle = std::move(server);
        return out;
    }

    asio::io_context io_;
    codegen::testing::TestStore store_{io_};
    Copy one_;
    Copy two_;
    const Timestamp now_ = parse_timestamp("2026-01-10T12:00:00Z").value();
};

TEST_F(StoreTest, AServerIsOneCopysUntilItGivesItBackOrDies) {
    const Lease mine{"vps-1", new_uuid()};
    const Lease theirs{"vps-1", new_uuid()};
    EXPECT_TRUE(run(io_, one_.store->take(mine, now_, now_ + 60s)).value());
    EXPECT_FALSE(run(io_, two_.store->take(theirs, now_, now_ + 60s)).value());
    EXPECT_FALSE(run(io_, one_.store->take({"vps-1", new_uuid()}, now_, now_ + 60s)).value()) << "not even its own";
    EXPECT_TRUE(run(io_, two_.store->take({"vps-2", new_uuid()}, now_, now_ + 60s)).value()) << "another server";
    EXPECT_TRUE(run(io_, one_.store->renew(mine, now_ + 120s)).value());
    EXPECT_FALSE(run(io_, two_.store->take(theirs, now_ + 61s, now_ + 120s)).value()) << "it was renewed";
    // Its process died: nobody renews.
    EXPECT_TRUE(run(io_, two_.store->take(theirs, now_ + 120s, now_ + 180s)).value());
    EXPECT_FALSE(run(io_, one_.store->renew(mine, now_ + 300s)).value()) << "who wakes up finds it gone";
    ASSERT_TRUE(run(io_, one_.store->give_back(mine)));
    EXPECT_TRUE(run(io_, two_.store->renew(theirs, now_ + 200s)).value()) << "and takes nothing away";
    ASSERT_TRUE(run(io_, two_.store->give_back(theirs)));
    EXPECT_TRUE(run(io_, one_.store->take(mine, now_, now_ + 60s)).value());
}

TEST_F(StoreTest, TheFirstEndingCountsAndIsToldOnce) {
    auto asked = message("vps-1");
    asked.callback_stream = "cli:7";
    const auto stored = run(io_, one_.store->accept(asked, now_));
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_FALSE(stored->ending);
    EXPECT_FALSE(stored->told);
    Ending good;
    good.result.request_id = asked.request_id;
    good.result.server_handle = "vps-1";
    good.status = contracts::ServerStatus::ready;
    auto bad = good;
    bad.status = contracts::ServerStatus::error;
    bad.incident = contracts::IncidentType::provisioning_failed;
    EXPECT_EQ(run(io_, one_.store->end(asked.request_id, good, now_))->status, contracts::ServerStatus::ready);
    EXPECT_EQ(run(io_, two_.store->end(asked.request_id, bad, now_))->status, contracts::ServerStatus::ready);
    // It is kept over restarts.
    const auto again = run(io_, two_.store->accept(asked, now_));
    ASSERT_TRUE(again && again->ending);
    EXPECT_EQ(again->ending->result.server_handle, "vps-1");
    EXPECT_FALSE(again->ending->incident);
    for (auto* copy : {&one_, &two_})
        ASSERT_TRUE(run(io_, copy->store->told(asked.request_id, good.result, asked.callback_stream, now_)));
    EXPECT_THAT(outbox(), ::testing::ElementsAre("provisioner:results", "cli:7"));
    EXPECT_TRUE(run(io_, one_.store->find(asked.request_id)).value()->told);
    // Who asks again is answered again.
    ASSERT_TRUE(run(io_, one_.store->tell_again(good.result, {})));
    EXPECT_EQ(outbox().size(), 3u);
}

// What begins and neither ends nor is put down died with its process.
TEST_F(StoreTest, DeathsAreCounted) {
    const auto asked = message("vps-1");
    ASSERT_TRUE(run(io_, one_.store->accept(asked, now_)));
    EXPECT_EQ(run(io_, one_.store->begin(asked.request_id)).value(), 1);
    EXPECT_EQ(run(io_, two_.store->begin(asked.request_id)).value(), 2);
    ASSERT_TRUE(run(io_, two_.store->put_down(asked.request_id)));
    EXPECT_EQ(run(io_, one_.store->begin(asked.request_id)).value(), 2);
}

TEST_F(StoreTest, WhatNobodyWorksOnIsFoundAndWhatIsOverForgotten) {
    const auto lost = message("vps-1");
    const auto in_work = message("vps-2");
    const auto done = message("vps-3");
    for (const auto& each : {lost, in_work, done}) ASSERT_TRUE(run(io_, one_.store->accept(each, now_)));
    ASSERT_TRUE(run(io_, one_.store->take({"vps-2", new_uuid()}, now_, now_ + 300s)).value());
    contracts::ProvisionerResult result;
    result.server_handle = "vps-3";
    ASSERT_TRUE(run(io_, one_.store->told(done.request_id, result, {}, now_)));
    const auto found = run(io_, two_.store->forgotten(now_ + 60s, now_ + 90s));
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ(found->front().request_id, lost.request_id);
    EXPECT_TRUE(run(io_, two_.store->forgotten(now_ - 60s, now_))->empty()) << "too young";
    EXPECT_EQ(run(io_, one_.store->forget(now_ + 1s)).value(), 1);
    EXPECT_FALSE(run(io_, one_.store->find(done.request_id)).value());
    EXPECT_TRUE(run(io_, one_.store->find(lost.request_id)).value()) << "never what is not over";
}

}  // namespace
}  // namespace codegen::infra

// Backups of a store that is written, and back: on both stores.
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "shared/posix/file.hpp"
#include "shared/storage/backup.hpp"
#include "shared/storage/database_fixture.hpp"

namespace codegen::storage {
namespace {

using ::testing::HasSubstr;

class BackupTest : public DatabaseFixture, public ::testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override {
        use(postgres());
        ASSERT_TRUE(migrate("one", {{1, "start",
                                     "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); "
                                     "CREATE TABLE b (id BIGINT PRIMARY KEY, v TEXT)"}}));
    }
    static bool postgres() { return std::string_view(GetParam()) == "postgres"; }
    Result<void> back_up_to(const std::filesystem::path& file) {
        return testing::run(io_, back_up(store_->url(), file));
    }
    Result<void> restore_from(const std::string& url, const std::filesystem::path& file, bool force = false,
                              SchemaVersions known = {{"one", 1}, {"two", 1}}) {
        return testing::run(io_, restore(url, file, std::move(known), force));
    }
    std::int64_t count_in(Database& database, const std::string& table) {
        return testing::run(io_, database.query("SELECT count(*) AS n FROM " + table)).value().rows.at(0).integer("n");
    }
    testing::TempDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(Stores, BackupTest, ::testing::Values("sqlite", "postgres"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(BackupTest, WhatIsTakenUnderLoadIsOneMomentOfTheStore) {
    std::atomic<std::int64_t> written = 0;
    std::atomic<bool> stop = false;
    std::thread writer([&, url = store_->url()] {
        asio::io_context io;
        auto opened = postgres() ? open_postgres(io.get_executor(), url) : open_sqlite(url);
        for (std::int64_t i = 1; !stop; ++i) {
            auto done =
                testing::run(io, (*opened)->atomically({{"INSERT INTO a (id, v) VALUES (:i, 'x')", {{"i", i}}, 1},
                                                        {"INSERT INTO b (id, v) VALUES (:i, 'x')", {{"i", i}}, 1}}));
            if (!done) return;
            written = i;
        }
    });
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (written < 50 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    const auto before = written.load();
    const auto file = directory_ / "backup";
    const auto taken = back_up_to(file);
    const auto after = written.load();
    stop = true;
    writer.join();
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_GE(before, 50);
    EXPECT_EQ(std::filesystem::status(file).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    EXPECT_FALSE(std::filesystem::exists(file.string() + ".unfinished"));

    testing::TestStore other(io_, postgres());
    const auto restored = restore_from(other.url(), file);
    ASSERT_TRUE(restored) << restored.error().message;
    auto database = other.open();
    EXPECT_EQ(count_in(*database, "a"), count_in(*database, "b"));
    EXPECT_GE(count_in(*database, "a"), before);
    EXPECT_LE(count_in(*database, "a"), after + 1);
    EXPECT_EQ(testing::run(io_, schema_versions(database.get())).value(), (SchemaVersions{{"one", 1}}));
    // It goes on from there: numbers are not given twice.
    const auto next = testing::run(io_, database->query("INSERT INTO a (v) VALUES ('y') RETURNING id"));
    if (!postgres()) EXPECT_GT(next.value().rows.at(0).integer("id"), before);
    EXPECT_TRUE(testing::run(io_, database->migrate("two", {{1, "more", "CREATE TABLE c (id TEXT)"}})));
}

TEST_P(BackupTest, AStoreThatHoldsSomethingIsReplacedByForceAlone) {
    must("INSERT INTO b (id, v) VALUES (1, 'kept')");
    const auto file = directory_ / "backup";
    ASSERT_TRUE(back_up_to(file));
    const auto twice = back_up_to(file);
    ASSERT_FALSE(twice);
    EXPECT_THAT(twice.error().message, HasSubstr("exists already"));

    must("INSERT INTO b (id, v) VALUES (2, 'later')");
    must("CREATE TABLE of_later (id TEXT)");
    const auto used = restore_from(store_->url(), file, true);
    ASSERT_FALSE(used);
    EXPECT_THAT(used.error().message, HasSubstr("is in use"));
    database_.reset();
    const auto full = restore_from(store_->url(), file);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, "conflict");
    EXPECT_THAT(full.error().message, HasSubstr("not empty: --force"));
    database_ = open();
    EXPECT_EQ(count("b"), 2);
    database_.reset();
    const auto forced = restore_from(store_->url(), file, true);
    ASSERT_TRUE(forced) << forced.error().message;
    database_ = open();
    EXPECT_EQ(must("SELECT v FROM b").rows.at(0).text("v"), "kept");
    EXPECT_EQ(count("b"), 1);
    EXPECT_FALSE(query("SELECT id FROM of_later"));
    EXPECT_TRUE(query("INSERT INTO b (id, v) VALUES (3, 'on')"));
}

TEST_P(BackupTest, ANewerOrDamagedOrForeignFileChangesNothing) {
    must("INSERT INTO b (id, v) VALUES (1, 'kept')");
    const auto file = directory_ / "backup";
    ASSERT_TRUE(back_up_to(file));
    database_.reset();
    const auto newer = restore_from(store_->url(), file, true, {{"one", 0}});
    ASSERT_FALSE(newer);
    EXPECT_EQ(newer.error().category, ErrorCategory::fatal);
    EXPECT_THAT(newer.error().message, HasSubstr("one has version 1, this program knows 0"));
    EXPECT_FALSE(restore_from(store_->url(), file, true, {{"two", 1}}));

    EXPECT_FALSE(restore_from(store_->url(), directory_ / "missing", true));
    std::ofstream(directory_ / "text") << std::string(8000, 'x');
    EXPECT_FALSE(restore_from(store_->url(), directory_ / "text", true));
    std::filesystem::copy_file(file, directory_ / "cut");
    std::filesystem::resize_file(directory_ / "cut", std::filesystem::file_size(file) / 2);
    const auto cut = restore_from(store_->url(), directory_ / "cut", true);
    EXPECT_FALSE(cut);
    if (!postgres()) {
        const auto none = directory_ / "empty.db";
        sqlite3* raw = nullptr;
        ASSERT_EQ(sqlite3_open(none.c_str(), &raw), SQLITE_OK);
        ASSERT_EQ(sqlite3_exec(raw, "CREATE TABLE x (y)", nullptr, nullptr, nullptr), SQLITE_OK);
        sqlite3_close(raw);
        const auto foreign = restore_from(store_->url(), none, true);
        ASSERT_FALSE(foreign);
        EXPECT_THAT(foreign.error().message, HasSubstr("no backup of a control plane"));
    }
    database_ = open();
    EXPECT_EQ(must("SELECT v FROM b").rows.at(0).text("v"), "kept");
}

TEST_P(BackupTest, WhereNothingCanBeWrittenThatIsSaid) {
    const auto refused = back_up_to(directory_ / "missing" / "backup");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace codegen::storage

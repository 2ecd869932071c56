#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "shared/storage/database_fixture.hpp"

namespace codegen::storage {
namespace {

using ::testing::HasSubstr;

class SqliteTest : public DatabaseFixture {
  protected:
    void SetUp() override { use(false); }
    std::filesystem::path file() const { return store_->url(); }
    std::filesystem::path directory() const { return file().parent_path(); }
};

TEST_F(SqliteTest, ReturningLeavesNoLockAndTheWalStaysSmall) {
    must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    auto second = open();
    const std::string text(64 << 10, 'x');
    for (int i = 0; i < 600; ++i) {
        must("INSERT INTO t (v) VALUES (:v) RETURNING id", {{"v", text}});
        if (i % 100 == 0) {
            auto other = testing::run(io_, second->query("INSERT INTO t (v) VALUES ('other') RETURNING id"));
            ASSERT_TRUE(other) << other.error().message;
        }
    }
    EXPECT_LT(std::filesystem::file_size(directory() / "codegen.db-wal"), 16u << 20);
}

TEST_F(SqliteTest, SettingsAreTheDurableOnes) {
    EXPECT_EQ(must("PRAGMA journal_mode").rows.at(0).text("journal_mode"), "wal");
    EXPECT_EQ(must("PRAGMA synchronous").rows.at(0).integer("synchronous"), 2);
    EXPECT_EQ(must("PRAGMA foreign_keys").rows.at(0).integer("foreign_keys"), 1);
    EXPECT_EQ(must("PRAGMA busy_timeout").rows.at(0).integer("timeout"), 5000);
}

TEST_F(SqliteTest, NobodyElseReadsTheFiles) {
    must("CREATE TABLE t (id TEXT)");
    for (const char* suffix : {"", "-wal", "-shm"}) {
        struct stat status{};
        ASSERT_EQ(::stat((file().string() + suffix).c_str(), &status), 0) << suffix;
        EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
    }
    database_.reset();
    ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
    database_ = open();
    struct stat status{};
    ASSERT_EQ(::stat(file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(SqliteTest, AnotherWriterMeansBusy) {
    must("CREATE TABLE t (id TEXT)");
    must("PRAGMA busy_timeout = 20");
    auto second = open();
    ASSERT_TRUE(testing::run(io_, second->query("BEGIN IMMEDIATE")));
    const auto write = query("INSERT INTO t (id) VALUES ('a')");
    ASSERT_FALSE(write);
    EXPECT_EQ(write.error().category, ErrorCategory::transient);
    EXPECT_EQ(write.error().code, "busy");
    const auto transaction = atomically({{"INSERT INTO t (id) VALUES ('a')", {}, {}}});
    ASSERT_FALSE(transaction);
    EXPECT_EQ(transaction.error().code, "busy");
    EXPECT_EQ(count("t"), 0);  // readers go on
    ASSERT_TRUE(testing::run(io_, second->query("ROLLBACK")));
    EXPECT_TRUE(query("INSERT INTO t (id) VALUES ('a')"));
}

TEST_F(SqliteTest, NoSpaceIsFatalAndTheStoreStaysUsable) {
    must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    must("INSERT INTO t (v) VALUES ('kept')");
    const auto pages = must("PRAGMA page_count").rows.at(0).integer("page_count");
    must(fmt::format("PRAGMA max_page_count = {}", pages + 2));
    const auto full = atomically({{"INSERT INTO t (v) VALUES ('first')", {}, {}},
                                  {"INSERT INTO t (v) VALUES (:v)", {{"v", std::string(100'000, 'x')}}, {}}});
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().category, ErrorCategory::fatal);
    EXPECT_EQ(full.error().code, "database");
    EXPECT_THAT(full.error().message, HasSubstr("free some space"));
    EXPECT_EQ(count("t"), 1);
    must("PRAGMA max_page_count = 1000000");
    EXPECT_TRUE(query("INSERT INTO t (v) VALUES (:v)", {{"v", std::string(100'000, 'x')}}));
}

TEST_F(SqliteTest, AFailingWriteIsFatalAndLeavesTheOldState) {
    must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    struct rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = old;
    small.rlim_cur = std::filesystem::file_size(directory() / "codegen.db-wal") + 1000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto failed = query("INSERT INTO t (v) VALUES (:v)", {{"v", std::string(100'000, 'x')}});
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    ::signal(SIGXFSZ, old_handler);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().category, ErrorCategory::fatal);
    EXPECT_EQ(count("t"), 0);
    EXPECT_TRUE(query("INSERT INTO t (v) VALUES ('a')"));
}

TEST_F(SqliteTest, AReadOnlyStoreIsFatal) {
    must("CREATE TABLE t (id TEXT)");
    must("PRAGMA query_only = 1");
    const auto failed = query("INSERT INTO t (id) VALUES ('a')");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().category, ErrorCategory::fatal);
    EXPECT_THAT(failed.error().message, HasSubstr("readonly"));
}

TEST_F(SqliteTest, WhatCannotBeOpenedSaysWhichFileAndWhy) {
    const auto nowhere = open_sqlite(directory() / "missing" / "x.db");
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().category, ErrorCategory::fatal);
    EXPECT_THAT(nowhere.error().message, HasSubstr("missing/x.db"));
    EXPECT_THAT(nowhere.error().message, HasSubstr("No such file"));

    std::ofstream(directory() / "text.db") << std::string(5000, 'x');
    const auto text = open_sqlite(directory() / "text.db");
    ASSERT_FALSE(text);
    EXPECT_THAT(text.error().message, HasSubstr("not a database"));

    std::filesystem::create_symlink(file(), directory() / "link.db");
    const auto link = open_sqlite(directory() / "link.db");
    ASSERT_FALSE(link);
    EXPECT_THAT(link.error().message, HasSubstr("not a regular file"));
}

TEST_F(SqliteTest, MemoryNeedsNoFile) {
    auto memory = open_sqlite(":memory:");
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_TRUE(testing::run(io_, (*memory)->query("CREATE TABLE t (id TEXT)")));
    EXPECT_FALSE(std::filesystem::exists(":memory:"));
}

}  // namespace
}  // namespace codegen::storage

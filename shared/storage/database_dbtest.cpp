#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "shared/storage/database.hpp"
#include "shared/testing/run.hpp"

namespace codegen::storage {
namespace {

using ::testing::HasSubstr;

class DatabaseTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "codegen-storage-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        database_ = open();
    }
    void TearDown() override {
        database_.reset();
        std::filesystem::remove_all(directory_);
    }

    std::filesystem::path file() const { return directory_ / "test.db"; }
    std::unique_ptr<Database> open() const {
        auto database = open_sqlite(file());
        if (!database) throw std::runtime_error(database.error().message);
        return std::move(*database);
    }
    Result<Rows> query(std::string sql, Parameters parameters = {}) {
        return testing::run(io_, database_->query(std::move(sql), std::move(parameters)));
    }
    Rows must(std::string sql, Parameters parameters = {}) {
        auto rows = query(std::move(sql), std::move(parameters));
        if (!rows) throw std::runtime_error(rows.error().message);
        return std::move(*rows);
    }
    auto atomically(std::vector<Statement> statements) {
        return testing::run(io_, database_->atomically(std::move(statements)));
    }
    auto migrate(std::string component, std::vector<Migration> migrations) {
        return testing::run(io_, database_->migrate(std::move(component), std::move(migrations)));
    }
    std::int64_t count(const std::string& table) {
        return must("SELECT count(*) AS n FROM " + table).rows.at(0).integer("n");
    }

    asio::io_context io_;
    std::filesystem::path directory_;
    std::unique_ptr<Database> database_;
};

TEST_F(DatabaseTest, EveryKindOfValueComesBackAsItWentIn) {
    must("CREATE TABLE t (a BIGINT, b DOUBLE PRECISION, c TEXT, d TEXT)");
    const std::string odd("a\0b'\";--\xc3\xa4", 10);
    const std::optional<std::string> none;
    const auto inserted = must("INSERT INTO t (a, b, c, d) VALUES (:a, :b, :c, :d)",
                               {{"a", std::int64_t{1} << 60}, {"b", 0.1}, {"c", odd}, {"d", none}});
    EXPECT_EQ(inserted.affected, 1);
    const auto rows = must("SELECT a, b, c, d FROM t");
    EXPECT_EQ(rows.affected, 0);
    const Row& row = rows.rows.at(0);
    EXPECT_EQ(row.integer("a"), std::int64_t{1} << 60);
    EXPECT_EQ(row.optional_integer("a"), std::int64_t{1} << 60);
    EXPECT_EQ(row.real("b"), 0.1);
    EXPECT_EQ(row.text("c"), odd);
    EXPECT_EQ(row.optional_text("c"), odd);
    EXPECT_TRUE(row.is_null("d"));
    EXPECT_EQ(row.optional_text("d"), std::nullopt);
    EXPECT_EQ(row.optional_integer("d"), std::nullopt);
}

TEST_F(DatabaseTest, EmptyTextIsNotNull) {
    must("CREATE TABLE t (c TEXT)");
    must("INSERT INTO t (c) VALUES (:c)", {{"c", ""}});
    EXPECT_EQ(must("SELECT c FROM t").rows.at(0).text("c"), "");
}

TEST_F(DatabaseTest, AWrongColumnOrTypeIsABugOfTheCaller) {
    const auto rows = must("SELECT 'x' AS a, 1 AS b");
    EXPECT_THROW((void)rows.rows.at(0).text("missing"), std::logic_error);
    EXPECT_THROW((void)rows.rows.at(0).integer("a"), std::logic_error);
    EXPECT_THROW((void)rows.rows.at(0).real("a"), std::logic_error);
    EXPECT_THROW((void)rows.rows.at(0).text("b"), std::logic_error);
    EXPECT_EQ(rows.rows.at(0).real("b"), 1.0);
}

TEST_F(DatabaseTest, ParametersMustMatchTheText) {
    const auto missing = query("SELECT :a AS a");
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message, HasSubstr(":a is not bound"));
    const auto extra = query("SELECT :a AS a", {{"a", 1}, {"b", 2}});
    ASSERT_FALSE(extra);
    EXPECT_EQ(extra.error().category, ErrorCategory::fatal);
    EXPECT_FALSE(query("SELECT 1; SELECT 2"));
    EXPECT_FALSE(query(""));
    EXPECT_FALSE(query("SELECT nothing FROM nowhere"));
    EXPECT_FALSE(query("SELECT \"not_a_column\""));  // not a string
    EXPECT_EQ(must("SELECT :a AS a;\n", {{"a", 7}}).rows.at(0).integer("a"), 7);
}

TEST_F(DatabaseTest, AStatementKeptInTheCacheForgetsItsValuesAndItsError) {
    must("CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)");
    const std::string insert = "INSERT INTO t (id, v) VALUES (:id, :v)";
    must(insert, {{"id", "1"}, {"v", "x"}});
    EXPECT_FALSE(query(insert, {{"id", "1"}, {"v", "x"}}));
    must(insert, {{"id", "2"}, {"v", Value()}});
    EXPECT_TRUE(must("SELECT v FROM t WHERE id = '2'").rows.at(0).is_null("v"));
    for (int i = 0; i < 600; ++i) must(fmt::format("SELECT {} AS n", i));  // more than the cache holds
    must(insert, {{"id", "3"}, {"v", "z"}});
    EXPECT_EQ(count("t"), 3);
}

TEST_F(DatabaseTest, ReturningLeavesNoLockAndTheWalStaysSmall) {
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
    EXPECT_LT(std::filesystem::file_size(directory_ / "test.db-wal"), 16u << 20);
}

TEST_F(DatabaseTest, AffectedCountsOnlyThisStatement) {
    must("CREATE TABLE t (id TEXT PRIMARY KEY, v BIGINT)");
    must("INSERT INTO t (id, v) VALUES ('a', 1), ('b', 1)");
    EXPECT_EQ(must("UPDATE t SET v = 2").affected, 2);
    EXPECT_EQ(must("CREATE TABLE other (id TEXT)").affected, 0);
    EXPECT_EQ(must("SELECT id FROM t").affected, 0);
    EXPECT_EQ(must("INSERT INTO t (id, v) VALUES ('a', 9) ON CONFLICT (id) DO NOTHING").affected, 0);
    EXPECT_EQ(must("DELETE FROM t WHERE id = 'zzz'").affected, 0);
    EXPECT_EQ(must("INSERT INTO t (id, v) VALUES ('a', 9) ON CONFLICT (id) DO UPDATE SET v = excluded.v").affected, 1);
}

TEST_F(DatabaseTest, ErrorsAreTyped) {
    must("CREATE TABLE parent (id TEXT PRIMARY KEY)");
    must("CREATE TABLE t (id TEXT PRIMARY KEY, u TEXT UNIQUE, n TEXT NOT NULL, p TEXT REFERENCES parent (id))");
    const std::string insert = "INSERT INTO t (id, u, n, p) VALUES (:id, :u, :n, :p)";
    must(insert, {{"id", "1"}, {"u", "1"}, {"n", ""}, {"p", Value()}});
    const auto key = query(insert, {{"id", "1"}, {"u", "2"}, {"n", ""}, {"p", Value()}});
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, "duplicate");
    EXPECT_EQ(key.error().category, ErrorCategory::permanent);
    const auto unique = query(insert, {{"id", "2"}, {"u", "1"}, {"n", ""}, {"p", Value()}});
    ASSERT_FALSE(unique);
    EXPECT_EQ(unique.error().code, "duplicate");
    EXPECT_THAT(unique.error().message, HasSubstr("t.u"));
    const auto null = query(insert, {{"id", "2"}, {"u", "2"}, {"n", Value()}, {"p", Value()}});
    ASSERT_FALSE(null);
    EXPECT_EQ(null.error().code, "constraint");
    const auto foreign = query(insert, {{"id", "2"}, {"u", "2"}, {"n", ""}, {"p", "nobody"}});
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, "constraint");
}

TEST_F(DatabaseTest, ATransactionIsAllOrNothing) {
    must("CREATE TABLE t (id TEXT PRIMARY KEY)");
    const auto good = atomically({{"INSERT INTO t (id) VALUES (:id)", {{"id", "a"}}, 1},
                                  {"SELECT count(*) AS n FROM t", {}, {}},
                                  {"INSERT INTO t (id) VALUES ('b') RETURNING id", {}, {}}});
    ASSERT_TRUE(good) << good.error().message;
    ASSERT_EQ(good->size(), 3u);
    EXPECT_EQ(good->at(1).rows.at(0).integer("n"), 1);
    EXPECT_EQ(good->at(2).rows.at(0).text("id"), "b");

    const auto duplicate =
        atomically({{"INSERT INTO t (id) VALUES ('c')", {}, {}}, {"INSERT INTO t (id) VALUES ('a')", {}, {}}});
    ASSERT_FALSE(duplicate);
    EXPECT_EQ(duplicate.error().code, "duplicate");
    EXPECT_EQ(count("t"), 2);

    const auto conflict = atomically({{"INSERT INTO t (id) VALUES ('c')", {}, {}},
                                      {"DELETE FROM t WHERE id = 'missing'", {}, 1},
                                      {"INSERT INTO t (id) VALUES ('d')", {}, {}}});
    ASSERT_FALSE(conflict);
    EXPECT_EQ(conflict.error().code, "conflict");
    EXPECT_EQ(conflict.error().category, ErrorCategory::permanent);
    EXPECT_EQ(count("t"), 2);

    EXPECT_FALSE(atomically({{"INSERT INTO t (id) VALUES ('c')", {}, {}}, {"nonsense", {}, {}}}));
    EXPECT_EQ(count("t"), 2);
    EXPECT_TRUE(atomically({}));
}

TEST_F(DatabaseTest, ADeferredConstraintRollsBackAtTheCommit) {
    must("CREATE TABLE parent (id TEXT PRIMARY KEY)");
    must("CREATE TABLE child (p TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)");
    const auto failed = atomically({{"INSERT INTO child (p) VALUES ('nobody')", {}, {}}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, "constraint");
    EXPECT_EQ(count("child"), 0);
    EXPECT_TRUE(
        atomically({{"INSERT INTO parent (id) VALUES ('x')", {}, {}}, {"INSERT INTO child (p) VALUES ('x')", {}, {}}}));
}

TEST_F(DatabaseTest, SettingsAreTheDurableOnes) {
    EXPECT_EQ(must("PRAGMA journal_mode").rows.at(0).text("journal_mode"), "wal");
    EXPECT_EQ(must("PRAGMA synchronous").rows.at(0).integer("synchronous"), 2);
    EXPECT_EQ(must("PRAGMA foreign_keys").rows.at(0).integer("foreign_keys"), 1);
    EXPECT_EQ(must("PRAGMA busy_timeout").rows.at(0).integer("timeout"), 5000);
}

TEST_F(DatabaseTest, NobodyElseReadsTheFiles) {
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

TEST_F(DatabaseTest, WhatWasWrittenIsThereAfterOpeningAgain) {
    must("CREATE TABLE t (id TEXT)");
    must("INSERT INTO t (id) VALUES ('a')");
    database_.reset();
    database_ = open();
    EXPECT_EQ(count("t"), 1);
}

TEST_F(DatabaseTest, MigrationsApplyOnceInOrderPerComponent) {
    const std::vector<Migration> first{{1, "start", "CREATE TABLE a (id TEXT); CREATE TABLE b (id TEXT);"}};
    ASSERT_TRUE(migrate("one", first));
    ASSERT_TRUE(migrate("one", first));
    ASSERT_TRUE(migrate("two", {{1, "start", "CREATE TABLE c (id TEXT)"}}));
    auto longer = first;
    longer.push_back({2, "more", "ALTER TABLE a ADD COLUMN v TEXT"});
    const auto grown = migrate("one", longer);
    ASSERT_TRUE(grown) << grown.error().message;
    must("INSERT INTO a (id, v) VALUES ('1', '2')");
    EXPECT_EQ(count("schema_migrations"), 3);

    const auto older = migrate("one", first);
    ASSERT_FALSE(older);
    EXPECT_EQ(older.error().category, ErrorCategory::fatal);
    EXPECT_THAT(older.error().message, HasSubstr("has version 2, this program knows 1"));
}

TEST_F(DatabaseTest, AMigrationThatFailsLeavesNothing) {
    const auto failed = migrate("one", {{1, "good", "CREATE TABLE a (id TEXT)"},
                                        {2, "bad", "CREATE TABLE b (id TEXT); CREATE TABLE a (id TEXT)"}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().category, ErrorCategory::fatal);
    EXPECT_THAT(failed.error().message, HasSubstr("version 2 (bad)"));
    EXPECT_EQ(must("SELECT name FROM sqlite_master").rows.size(), 0u);
    EXPECT_FALSE(migrate("one", {{2, "gap", "CREATE TABLE a (id TEXT)"}}));
    EXPECT_TRUE(migrate("one", {{1, "good", "CREATE TABLE a (id TEXT)"}}));
}

TEST_F(DatabaseTest, AnotherWriterMeansBusy) {
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

TEST_F(DatabaseTest, NoSpaceIsFatalAndTheStoreStaysUsable) {
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

TEST_F(DatabaseTest, AFailingWriteIsFatalAndLeavesTheOldState) {
    must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    struct rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = old;
    small.rlim_cur = std::filesystem::file_size(directory_ / "test.db-wal") + 1000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto failed = query("INSERT INTO t (v) VALUES (:v)", {{"v", std::string(100'000, 'x')}});
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    ::signal(SIGXFSZ, old_handler);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().category, ErrorCategory::fatal);
    EXPECT_EQ(count("t"), 0);
    EXPECT_TRUE(query("INSERT INTO t (v) VALUES ('a')"));
}

TEST_F(DatabaseTest, AReadOnlyStoreIsFatal) {
    must("CREATE TABLE t (id TEXT)");
    must("PRAGMA query_only = 1");
    const auto failed = query("INSERT INTO t (id) VALUES ('a')");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().category, ErrorCategory::fatal);
    EXPECT_THAT(failed.error().message, HasSubstr("readonly"));
}

TEST_F(DatabaseTest, WhatCannotBeOpenedSaysWhichFileAndWhy) {
    const auto nowhere = open_sqlite(directory_ / "missing" / "x.db");
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().category, ErrorCategory::fatal);
    EXPECT_THAT(nowhere.error().message, HasSubstr("missing/x.db"));
    EXPECT_THAT(nowhere.error().message, HasSubstr("No such file"));

    std::ofstream(directory_ / "text.db") << std::string(5000, 'x');
    const auto text = open_sqlite(directory_ / "text.db");
    ASSERT_FALSE(text);
    EXPECT_THAT(text.error().message, HasSubstr("not a database"));

    std::filesystem::create_symlink(file(), directory_ / "link.db");
    const auto link = open_sqlite(directory_ / "link.db");
    ASSERT_FALSE(link);
    EXPECT_THAT(link.error().message, HasSubstr("not a regular file"));
}

TEST_F(DatabaseTest, MemoryNeedsNoFile) {
    auto memory = open_sqlite(":memory:");
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_TRUE(testing::run(io_, (*memory)->query("CREATE TABLE t (id TEXT)")));
    EXPECT_FALSE(std::filesystem::exists(":memory:"));
}

}  // namespace
}  // namespace codegen::storage

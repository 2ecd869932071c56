// What every store must do alike.
#include <sys/wait.h>
#include <unistd.h>

#include "shared/storage/database_fixture.hpp"

namespace codegen::storage {
namespace {

using ::testing::HasSubstr;

class DatabaseTest : public DatabaseFixture, public ::testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override { use(postgres()); }
    static bool postgres() { return std::string_view(GetParam()) == "postgres"; }
};
INSTANTIATE_TEST_SUITE_P(Stores, DatabaseTest, ::testing::Values("sqlite", "postgres"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(DatabaseTest, EveryKindOfValueComesBackAsItWentIn) {
    must("CREATE TABLE t (a BIGINT, b DOUBLE PRECISION, c TEXT, d TEXT)");
    std::string odd("a\0b'\";--\xc3\xa4", 10);
    if (postgres()) std::erase(odd, '\0');  // which it cannot hold
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

TEST_P(DatabaseTest, EmptyTextIsNotNull) {
    must("CREATE TABLE t (c TEXT)");
    must("INSERT INTO t (c) VALUES (:c)", {{"c", ""}});
    EXPECT_EQ(must("SELECT c FROM t").rows.at(0).text("c"), "");
}

TEST_P(DatabaseTest, AWrongColumnOrTypeIsABugOfTheCaller) {
    const auto rows = must("SELECT 'x' AS a, 1 AS b");
    EXPECT_THROW((void)rows.rows.at(0).text("missing"), std::logic_error);
    EXPECT_THROW((void)rows.rows.at(0).integer("a"), std::logic_error);
    EXPECT_THROW((void)rows.rows.at(0).real("a"), std::logic_error);
    EXPECT_THROW((void)rows.rows.at(0).text("b"), std::logic_error);
    EXPECT_EQ(rows.rows.at(0).real("b"), 1.0);
}

TEST_P(DatabaseTest, ParametersMustMatchTheText) {
    const auto missing = query("SELECT :a AS a");
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message, HasSubstr(":a is not bound"));
    const auto extra = query("SELECT :a AS a", {{"a", 1}, {"b", 2}});
    ASSERT_FALSE(extra);
    EXPECT_EQ(extra.error().category, ErrorCategory::fatal);
    EXPECT_FALSE(query("SELECT 1; SELECT 2"));
    if (!postgres()) EXPECT_FALSE(query(""));
    EXPECT_FALSE(query("SELECT nothing FROM nowhere"));
    EXPECT_FALSE(query("SELECT \"not_a_column\""));  // not a string
    EXPECT_EQ(must("SELECT :a AS a;\n", {{"a", 7}}).rows.at(0).integer("a"), 7);
}

TEST_P(DatabaseTest, AStatementKeptInTheCacheForgetsItsValuesAndItsError) {
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

TEST_P(DatabaseTest, AffectedCountsOnlyThisStatement) {
    must("CREATE TABLE t (id TEXT PRIMARY KEY, v BIGINT)");
    must("INSERT INTO t (id, v) VALUES ('a', 1), ('b', 1)");
    EXPECT_EQ(must("UPDATE t SET v = 2").affected, 2);
    EXPECT_EQ(must("CREATE TABLE other (id TEXT)").affected, 0);
    EXPECT_EQ(must("SELECT id FROM t").affected, 0);
    EXPECT_EQ(must("INSERT INTO t (id, v) VALUES ('a', 9) ON CONFLICT (id) DO NOTHING").affected, 0);
    EXPECT_EQ(must("DELETE FROM t WHERE id = 'zzz'").affected, 0);
    EXPECT_EQ(must("INSERT INTO t (id, v) VALUES ('a', 9) ON CONFLICT (id) DO UPDATE SET v = excluded.v").affected, 1);
}

TEST_P(DatabaseTest, ErrorsAreTyped) {
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
    EXPECT_THAT(unique.error().message, HasSubstr(postgres() ? "t_u_key" : "t.u"));
    const auto null = query(insert, {{"id", "2"}, {"u", "2"}, {"n", Value()}, {"p", Value()}});
    ASSERT_FALSE(null);
    EXPECT_EQ(null.error().code, "constraint");
    const auto foreign = query(insert, {{"id", "2"}, {"u", "2"}, {"n", ""}, {"p", "nobody"}});
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, "constraint");
}

TEST_P(DatabaseTest, ATransactionIsAllOrNothing) {
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

TEST_P(DatabaseTest, ARelaxedTransactionIsAllOrNothingToo) {
    must("CREATE TABLE t (a BIGINT PRIMARY KEY)");
    const Statement insert{"INSERT INTO t (a) VALUES (1)", {}, {}};
    auto done = atomically({insert, {"SELECT a FROM t", {}, {}}}, Durability::relaxed);
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_EQ(done->size(), 2u) << "one a statement";
    EXPECT_EQ(done->at(0).affected, 1);
    EXPECT_EQ(done->at(1).rows.size(), 1u);
    done = atomically({{"DELETE FROM t", {}, {}}, insert, insert}, Durability::relaxed);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, "duplicate");
    EXPECT_EQ(must("SELECT a FROM t").rows.size(), 1u);
    // The next one is as strict as ever.
    const auto setting = must(postgres() ? "SHOW synchronous_commit" : "PRAGMA synchronous").rows.at(0);
    if (postgres())
        EXPECT_EQ(setting.text("synchronous_commit"), "on");
    else
        EXPECT_EQ(setting.integer("synchronous"), 2);
}

TEST_P(DatabaseTest, ADeferredConstraintRollsBackAtTheCommit) {
    must("CREATE TABLE parent (id TEXT PRIMARY KEY)");
    must("CREATE TABLE child (p TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)");
    const auto failed = atomically({{"INSERT INTO child (p) VALUES ('nobody')", {}, {}}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, "constraint");
    EXPECT_EQ(count("child"), 0);
    EXPECT_TRUE(
        atomically({{"INSERT INTO parent (id) VALUES ('x')", {}, {}}, {"INSERT INTO child (p) VALUES ('x')", {}, {}}}));
}

TEST_P(DatabaseTest, WhatWasWrittenIsThereAfterOpeningAgain) {
    must("CREATE TABLE t (id TEXT)");
    must("INSERT INTO t (id) VALUES ('a')");
    database_.reset();
    database_ = open();
    EXPECT_EQ(count("t"), 1);
}

TEST_P(DatabaseTest, MigrationsApplyOnceInOrderPerComponent) {
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

TEST_P(DatabaseTest, ProcessesThatMigrateAtOnceDoItOnce) {
    const auto url = store_->url();
    database_.reset();  // neither store's connections survive a fork
    const std::vector<Migration> migrations{{1, "start", "CREATE TABLE a (id TEXT); INSERT INTO a (id) VALUES ('x')"},
                                            {2, "more", "ALTER TABLE a ADD COLUMN v TEXT; CREATE TABLE b (id TEXT)"}};
    int gate[2];
    ASSERT_EQ(::pipe(gate), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
        const auto child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ::close(gate[1]);
            char byte = 0;
            (void)!::read(gate[0], &byte, 1);  // until the parent lets all go
            asio::io_context io;
            auto opened = postgres() ? open_postgres(io.get_executor(), url) : open_sqlite(url);
            const bool done = opened && testing::run(io, (*opened)->migrate("one", migrations));
            ::_exit(done ? 0 : 1);
        }
        children.push_back(child);
    }
    ::close(gate[0]);
    ::close(gate[1]);
    for (const auto child : children) {
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    database_ = open();
    EXPECT_EQ(count("a"), 1);
    EXPECT_EQ(count("schema_migrations"), 2);
}

TEST_P(DatabaseTest, AMigrationThatFailsLeavesNothing) {
    const auto failed = migrate("one", {{1, "good", "CREATE TABLE a (id TEXT)"},
                                        {2, "bad", "CREATE TABLE b (id TEXT); CREATE TABLE a (id TEXT)"}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().category, ErrorCategory::fatal);
    EXPECT_THAT(failed.error().message, HasSubstr("version 2 (bad)"));
    EXPECT_FALSE(query("SELECT id FROM a"));
    EXPECT_FALSE(query("SELECT version FROM schema_migrations"));
    EXPECT_FALSE(migrate("one", {{2, "gap", "CREATE TABLE a (id TEXT)"}}));
    EXPECT_TRUE(migrate("one", {{1, "good", "CREATE TABLE a (id TEXT)"}}));
}

}  // namespace
}  // namespace codegen::storage

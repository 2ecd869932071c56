#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/async/deadline.hpp"
#include "shared/async/scope.hpp"
#include "shared/posix/fd.hpp"
#include "shared/storage/database_fixture.hpp"
#include "shared/storage/postgres_connection.hpp"

namespace codegen::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PostgresTest : public DatabaseFixture {
  protected:
    void SetUp() override { use(true); }

    // Starts all at once and returns how many succeeded.
    static Task<void> keep(Database* database, std::string sql, int* succeeded) {
        auto rows = co_await database->query(std::move(sql));
        if (rows) ++*succeeded;
    }
    static Task<void> all_at_once(PostgresTest* self, std::string sql, int calls, int* succeeded) {
        async::Scope scope(self->io_.get_executor());
        for (int i = 0; i < calls; ++i) scope.spawn("query", keep(self->database_.get(), sql, succeeded));
        co_await scope.drain();
    }
    static Task<void> update_twice(Database* database, std::string first, std::string second, bool* done) {
        std::vector<Statement> statements;
        for (const auto& id : {first, second})
            statements.push_back({"UPDATE t SET v = v + 1 WHERE id = :id", {{"id", id}}, 1});
        auto result = co_await database->atomically(std::move(statements));
        *done = result.has_value();
    }
    static Task<void> cross(Database* database, bool* one, bool* other) {
        co_await async::both(update_twice(database, "a", "b", one), update_twice(database, "b", "a", other));
    }
};

TEST_F(PostgresTest, MoreCallsThanConnectionsWaitTheirTurn) {
    int succeeded = 0;
    testing::run(io_, all_at_once(this, "SELECT pg_sleep(0.01)", 100, &succeeded));
    EXPECT_EQ(succeeded, 100);
    // In the background a server has processes of its own under this name.
    EXPECT_LE(must("SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend'")
                  .rows.at(0)
                  .integer("n"),
              8);
}

TEST_F(PostgresTest, ADeadlockIsTriedAgain) {
    must("CREATE TABLE t (id TEXT PRIMARY KEY, v BIGINT)");
    must("INSERT INTO t (id, v) VALUES ('a', 0), ('b', 0)");
    must("ALTER SYSTEM SET deadlock_timeout = '10ms'");
    must("SELECT pg_reload_conf()");
    for (int i = 1; i <= 20; ++i) {
        bool one = false;
        bool other = false;
        testing::run(io_, cross(database_.get(), &one, &other));
        EXPECT_TRUE(one && other);
        EXPECT_EQ(must("SELECT v FROM t WHERE id = 'a'").rows.at(0).integer("v"), 2 * i);
    }
}

TEST_F(PostgresTest, AServerThatDiedMeansUnavailableAndComesBackByItself) {
    must("CREATE TABLE t (id TEXT)");
    store_->postgres().kill();
    for (int i = 0; i < 3; ++i) {
        const auto down = query("INSERT INTO t (id) VALUES ('lost')");
        ASSERT_FALSE(down);
        EXPECT_EQ(down.error().category, ErrorCategory::transient);
        EXPECT_EQ(down.error().code, "unavailable") << down.error().message;
    }
    ASSERT_FALSE(atomically({{"INSERT INTO t (id) VALUES ('lost')", {}, {}}}));
    store_->postgres().restart();
    EXPECT_TRUE(query("INSERT INTO t (id) VALUES ('kept')"));
    EXPECT_EQ(count("t"), 1);
}

TEST_F(PostgresTest, AConnectionThatTheServerEndedIsReplaced) {
    must("CREATE TABLE t (id TEXT)");
    auto other = open();
    const auto ask = [&](const char* sql) {
        auto rows = testing::run(io_, other->query(sql));
        if (!rows) throw std::runtime_error(rows.error().message);
        return rows->rows.empty() ? 0 : rows->rows.front().integer("n");
    };
    for (int i = 0; i < 5; ++i) {
        ask("SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND pid <> pg_backend_pid()");
        while (ask("SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend'") > 1) {
        }
        const auto inserted = query("INSERT INTO t (id) VALUES ('x')");
        EXPECT_TRUE(inserted) << inserted.error().message;
    }
    EXPECT_EQ(count("t"), 5);
}

TEST_F(PostgresTest, AServerThatNeverAnswersIsNotWaitedFor) {
    const testing::TempDirectory directory;
    const posix::Fd silent(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = (directory / ".s.PGSQL.5432").string();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(silent.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(silent.get(), 8), 0);
    auto database = open_postgres(io_.get_executor(), "postgresql:///x?host=" + directory.path().string(),
                                  {.connect_limit = std::chrono::milliseconds(50)});
    ASSERT_TRUE(database);
    const auto asked = testing::run(io_, (*database)->query("SELECT 1"));
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().category, ErrorCategory::transient);
    EXPECT_EQ(asked.error().code, "timeout");
}

TEST_F(PostgresTest, ACallThatTakesTooLongIsGivenUpAndItsConnectionNotUsedAgain) {
    auto database = open_postgres(io_.get_executor(), store_->url(),
                                  {.connections = 1, .call_limit = std::chrono::milliseconds(200)});
    ASSERT_TRUE(database);
    const auto slow = testing::run(io_, (*database)->query("SELECT pg_sleep(60)"));
    ASSERT_FALSE(slow);
    EXPECT_EQ(slow.error().code, "timeout");
    const auto next = testing::run(io_, (*database)->query("SELECT 7 AS n"));
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_EQ(next->rows.at(0).integer("n"), 7);
}

TEST_F(PostgresTest, WhatItCannotHoldIsTheCallersFault) {
    must("CREATE TABLE t (v TEXT, n BIGINT)");
    const auto nul = query("INSERT INTO t (v) VALUES (:v)", {{"v", std::string("a\0b", 3)}});
    ASSERT_FALSE(nul);
    EXPECT_EQ(nul.error().category, ErrorCategory::permanent);
    EXPECT_THAT(nul.error().message, HasSubstr("v holds a NUL character"));
    const auto bytes = query("INSERT INTO t (v) VALUES (:v)", {{"v", "\xff\xfe"}});
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code, "invalid");
    EXPECT_TRUE(query("SELECT 1"));
}

TEST_F(PostgresTest, ARefusedLoginIsFatalAndNoPasswordIsShown) {
    auto database = open_postgres(io_.get_executor(), store_->url() + "&user=nobody&password=canary-7");
    ASSERT_TRUE(database);
    const auto refused = testing::run(io_, (*database)->query("SELECT 1"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, ErrorCategory::fatal);
    EXPECT_THAT(refused.error().message, HasSubstr("nobody"));
    EXPECT_THAT(refused.error().message, Not(HasSubstr("canary-7")));
    const auto unreadable = open_postgres(io_.get_executor(), "postgresql://u:canary-7@h:port:x/d?nonsense=1");
    ASSERT_FALSE(unreadable);
    EXPECT_THAT(unreadable.error().message, HasSubstr("DATABASE_URL"));
    EXPECT_THAT(unreadable.error().message, Not(HasSubstr("canary-7")));
}

TEST_F(PostgresTest, TwoThatMigrateAtOnceApplyItOnce) {
    auto other = open();
    const std::vector<Migration> migrations{
        {1, "start", "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)"}};
    std::optional<Result<void>> one;
    std::optional<Result<void>> two;
    testing::run(io_, async::both(async::detail::keep_result(database_->migrate("one", migrations), &one),
                                  async::detail::keep_result(other->migrate("one", migrations), &two)));
    ASSERT_TRUE(*one) << one->error().message;
    ASSERT_TRUE(*two) << two->error().message;
    EXPECT_EQ(count("schema_migrations"), 1);
    EXPECT_EQ(must("INSERT INTO a (v) VALUES ('x') RETURNING id").rows.at(0).integer("id"), 2);
}

TEST(PostgresErrors, HaveCategories) {
    const auto category = [](std::string_view state) { return postgres_error(state, "x").category; };
    EXPECT_EQ(category("40P01"), ErrorCategory::transient);
    EXPECT_EQ(category("40001"), ErrorCategory::transient);
    EXPECT_EQ(category("57P01"), ErrorCategory::transient);
    EXPECT_EQ(category("53300"), ErrorCategory::transient);
    EXPECT_EQ(category("23502"), ErrorCategory::permanent);
    EXPECT_EQ(category("42P01"), ErrorCategory::fatal);
    EXPECT_EQ(category(""), ErrorCategory::fatal);
    EXPECT_THAT(postgres_error("53100", "no space").message, HasSubstr("free some space"));
}

}  // namespace
}  // namespace codegen::storage

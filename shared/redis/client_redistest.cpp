#include <gmock/gmock.h>
#include <signal.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "shared/redis/client.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_redis.hpp"

namespace codegen::redis {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class ClientTest : public ::testing::Test {
  protected:
    Result<Reply> command(Client& client, Arguments arguments) {
        return testing::run(io_, client.command(std::move(arguments)));
    }
    Client make(ClientOptions options = {}) { return Client(io_.get_executor(), redis_.address(), options); }
    bool eventually(const std::function<bool()>& condition) {
        const auto until = std::chrono::steady_clock::now() + 10s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > until) return false;
            io_.restart();
            io_.run_for(2ms);
        }
        return true;
    }

    asio::io_context io_;
    testing::TempRedis redis_{io_};
};

TEST_F(ClientTest, SendsAndReceivesAnyBytes) {
    Client client(io_.get_executor(), redis_.address(), {.name = "test-client"});
    const std::string value("a\0\r\n\xff", 5);
    ASSERT_TRUE(command(client, {"SET", "k", value}));
    EXPECT_EQ(command(client, {"GET", "k"})->text, value);
    EXPECT_TRUE(command(client, {"GET", "absent"})->is_nil());
    EXPECT_EQ(command(client, {"CLIENT", "GETNAME"})->text, "test-client");
    EXPECT_TRUE(client.connected());
    const std::string large(20 << 20, 'x');
    ASSERT_TRUE(command(client, {"SET", "large", large}));
    EXPECT_EQ(command(client, {"GET", "large"})->text.size(), large.size());
}

TEST_F(ClientTest, ErrorRepliesAreErrors) {
    Client client(io_.get_executor(), redis_.address());
    command(client, {"SET", "k", "v"});
    auto wrong = command(client, {"XADD", "k", "*", "a", "b"});
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, "WRONGTYPE");
    EXPECT_EQ(wrong.error().category, ErrorCategory::permanent);
    EXPECT_THAT(wrong.error().message, HasSubstr("XADD"));
    EXPECT_EQ(error_of({Reply::Type::error, "LOADING x", 0, {}}).category, ErrorCategory::transient);
    EXPECT_EQ(error_of({Reply::Type::error, "NOAUTH x", 0, {}}).category, ErrorCategory::fatal);
}

TEST_F(ClientTest, PipelinesWhatIsSentTogether) {
    Client client(io_.get_executor(), redis_.address());
    int done = 0;
    for (int i = 0; i < 1000; ++i) {
        asio::co_spawn(io_, client.command({"ECHO", std::to_string(i)}),
                       [&done, i](std::exception_ptr, const Result<Reply>& reply) {
                           ASSERT_TRUE(reply);
                           EXPECT_EQ(reply->text, std::to_string(i));
                           ++done;
                       });
    }
    EXPECT_TRUE(eventually([&] { return done == 1000; }));
}

TEST_F(ClientTest, ATransactionIsOneReply) {
    Client client(io_.get_executor(), redis_.address());
    auto reply = testing::run(io_, client.transaction({{"SET", "a", "1"}, {"INCR", "a"}, {"GET", "a"}}));
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->elements.size(), 3u);
    EXPECT_EQ(reply->elements[1].integer, 2);
    EXPECT_FALSE(testing::run(io_, client.transaction({{"NOSUCH"}}))) << "EXECABORT";
    EXPECT_EQ(command(client, {"GET", "a"})->text, "2");
}

TEST_F(ClientTest, AWrongPasswordIsFatal) {
    Address address = redis_.address();
    address.password = "wrong-secret";
    Client client(io_.get_executor(), address);
    auto reply = command(client, {"PING"});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "WRONGPASS");
    EXPECT_EQ(reply.error().category, ErrorCategory::fatal);
    EXPECT_THAT(reply.error().message, Not(HasSubstr("wrong-secret")));
    Address anonymous = redis_.address();
    anonymous.user = anonymous.password = "";
    Client other(io_.get_executor(), anonymous);
    EXPECT_EQ(command(other, {"PING"}).error().category, ErrorCategory::fatal);
}

TEST_F(ClientTest, SelectsItsDatabase) {
    Address address = redis_.address();
    address.database = 3;
    Client client(io_.get_executor(), address);
    command(client, {"SET", "k", "three"});
    Client zero(io_.get_executor(), redis_.address());
    EXPECT_TRUE(command(zero, {"GET", "k"})->is_nil());
    address.database = 99;
    Client outside(io_.get_executor(), address);
    EXPECT_THAT(command(outside, {"GET", "k"}).error().message, HasSubstr("DB index is out of range"));
}

TEST_F(ClientTest, ASentCommandFailsAndAnUnsentOneWaits) {
    Client client(io_.get_executor(), redis_.address());
    ASSERT_TRUE(command(client, {"PING"}));
    std::optional<Result<Reply>> sent;
    asio::co_spawn(io_, client.command({"BLPOP", "never", "0"}, 20s),
                   [&](std::exception_ptr, Result<Reply> reply) { sent = std::move(reply); });
    ASSERT_TRUE(eventually([&] { return redis_.command({"CLIENT", "LIST"}).text.contains("cmd=blpop"); }));
    redis_.kill();
    ASSERT_TRUE(eventually([&] { return sent.has_value(); }));
    ASSERT_FALSE(*sent);
    EXPECT_EQ(sent->error().code, "connection");
    EXPECT_EQ(sent->error().category, ErrorCategory::transient);

    std::optional<Result<Reply>> unsent;
    asio::co_spawn(io_, client.command({"PING"}),
                   [&](std::exception_ptr, Result<Reply> reply) { unsent = std::move(reply); });
    redis_.restart();
    ASSERT_TRUE(eventually([&] { return unsent.has_value(); }));
    EXPECT_TRUE(*unsent);
}

TEST_F(ClientTest, WithoutAServerACommandTimesOutAndSaysWhy) {
    redis_.kill();
    Client client(io_.get_executor(), redis_.address(), {.command_timeout = 100ms});
    auto reply = command(client, {"PING"});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "timeout");
    EXPECT_EQ(reply.error().category, ErrorCategory::transient);
    EXPECT_THAT(reply.error().message, HasSubstr(redis_.address().path));
}

TEST_F(ClientTest, ASilentServerIsATimeoutAndLaterAgainAServer) {
    Client client(io_.get_executor(), redis_.address(), {.command_timeout = 200ms});
    ASSERT_TRUE(command(client, {"SET", "k", "v"}));
    redis_.pause();
    auto reply = command(client, {"GET", "k"});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "timeout");
    EXPECT_FALSE(command(client, {"GET", "k"})) << "the new connection is not answered either";
    redis_.resume();
    EXPECT_TRUE(eventually([&] {
        auto answer = command(client, {"GET", "k"});
        return answer && answer->text == "v";
    }));
}

TEST_F(ClientTest, ReconnectsAfterAReset) {
    int connections = 0;
    Client client(io_.get_executor(), redis_.address(), {.name = "victim", .on_connected = [&] { ++connections; }});
    for (int i = 1; i <= 3; ++i) {
        ASSERT_TRUE(eventually([&] { return command(client, {"PING"}).has_value(); }));
        EXPECT_EQ(connections, i);
        redis_.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
        ASSERT_TRUE(eventually([&] { return !client.connected(); }));
    }
}

TEST_F(ClientTest, CancelledCommandsEndAndLeaveTheOrderIntact) {
    Client client(io_.get_executor(), redis_.address());
    ASSERT_TRUE(command(client, {"PING"}));
    asio::cancellation_signal cancel;
    std::optional<Result<Reply>> first;
    std::optional<Result<Reply>> second;
    asio::co_spawn(io_, client.command({"BLPOP", "list", "0"}, 20s),
                   asio::bind_cancellation_slot(
                       cancel.slot(), [&](std::exception_ptr, Result<Reply> reply) { first = std::move(reply); }));
    ASSERT_TRUE(eventually([&] { return redis_.command({"CLIENT", "LIST"}).text.contains("cmd=blpop"); }));
    cancel.emit(asio::cancellation_type::terminal);
    ASSERT_TRUE(eventually([&] { return first.has_value(); }));
    EXPECT_EQ(first->error().code, "cancelled");
    asio::co_spawn(io_, client.command({"ECHO", "x"}),
                   [&](std::exception_ptr, Result<Reply> reply) { second = std::move(reply); });
    redis_.command({"LPUSH", "list", "v"});
    ASSERT_TRUE(eventually([&] { return second.has_value(); }));
    ASSERT_TRUE(*second);
    EXPECT_EQ((*second)->text, "x") << "the cancelled command's reply was not taken for this one's";
}

TEST_F(ClientTest, CloseFailsWhatIsPendingAndLater) {
    asio::io_context io;  // without the server's own work
    std::optional<Result<Reply>> pending;
    {
        Client client(io.get_executor(), redis_.address());
        ASSERT_TRUE(testing::run(io, client.command({"PING"})));
        asio::co_spawn(io, client.command({"BLPOP", "never", "0"}),
                       [&](std::exception_ptr, Result<Reply> reply) { pending = std::move(reply); });
        io.restart();
        io.run_for(5ms);
        client.close();
        auto later = testing::run(io, client.command({"PING"}));
        ASSERT_FALSE(later);
        EXPECT_EQ(later.error().code, "closed");
    }
    io.restart();
    const auto before = std::chrono::steady_clock::now();
    io.run_for(10s);
    EXPECT_LT(std::chrono::steady_clock::now() - before, 3s) << "nothing is left running";
    ASSERT_TRUE(pending.has_value());
    EXPECT_EQ(pending->error().code, "closed");
}

TEST_F(ClientTest, AnIoContextMayGoWithItsClientsAndCallers) {
    asio::io_context io;
    auto caller = [](Address address) -> Task<void> {
        Client client(co_await asio::this_coro::executor, std::move(address), {.name = "caller"});
        auto reply = co_await client.command({"BLPOP", "never", "0"});
        ADD_FAILURE() << "answered";
    };
    asio::co_spawn(io, caller(redis_.address()), [](std::exception_ptr) {});
    io.run_for(50ms);
    EXPECT_THAT(redis_.command({"CLIENT", "LIST"}).text, HasSubstr("name=caller"));
    // The leak checker looks whether everything goes with it.
}

TEST_F(ClientTest, PublishesOneEntry) {
    Client client(io_.get_executor(), redis_.address());
    auto id = testing::run(io_, publish(client, "s", "{\"a\":1}", 0, "00-trace"));
    ASSERT_TRUE(id);
    auto entries = parse_entries(redis_.command({"XRANGE", "s", "-", "+"}), "s");
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].id, *id);
    EXPECT_EQ(*entries[0].field("data"), "{\"a\":1}");
    EXPECT_EQ(*entries[0].field("traceparent"), "00-trace");
    for (int i = 0; i < 1000; ++i) testing::run(io_, publish(client, "capped", "{}", 100));
    EXPECT_LT(redis_.command({"XLEN", "capped"}).integer, 400);
}

class ServerProcessTest : public ClientTest {};

TEST_F(ServerProcessTest, HoldsItsSecretsTightAndKeepsThem) {
    const auto directory = redis_.directory() / "redis";
    for (const auto* name : {"password", "users.acl", "redis.conf", "redis.log"}) {
        EXPECT_EQ(std::filesystem::status(directory / name).permissions(), std::filesystem::perms(0600)) << name;
    }
    EXPECT_EQ(std::filesystem::status(directory).permissions(), std::filesystem::perms(0700));
    const auto before = redis_.url();
    redis_.command({"SET", "k", "kept"});
    testing::run(io_, redis_.server().stop());
    EXPECT_EQ(redis_.pid(), 0);
    RedisServer again(io_.get_executor(), {.directory = directory});
    ASSERT_TRUE(testing::run(io_, again.start()));
    EXPECT_EQ(again.url(), before);
    Client client(io_.get_executor(), again.address());
    EXPECT_EQ(command(client, {"GET", "k"})->text, "kept");
    EXPECT_FALSE(command(client, {"CONFIG", "GET", "port"})->elements.empty());
    EXPECT_EQ(command(client, {"CONFIG", "GET", "port"})->elements.at(1).text, "0");
    testing::run(io_, again.stop());
}

TEST_F(ServerProcessTest, IsStartedAgainWhenItDiesAlsoWithoutItsData) {
    testing::TempDirectory directory;
    int restarts = 0;
    RedisServer server(io_.get_executor(), {.directory = directory / "r", .on_restart = [&] { ++restarts; }});
    ASSERT_TRUE(testing::run(io_, server.start()));
    Client client(io_.get_executor(), server.address());
    ASSERT_TRUE(command(client, {"SET", "k", "v"}));
    const int first = server.pid();
    std::filesystem::remove_all(directory / "r");
    server.signal(SIGKILL);
    ASSERT_TRUE(eventually([&] { return restarts == 1; }));
    EXPECT_NE(server.pid(), first);
    ASSERT_TRUE(eventually([&] {
        auto reply = command(client, {"GET", "k"});
        return reply && reply->is_nil();
    })) << "empty, with the same password";
    testing::run(io_, server.stop());
    EXPECT_EQ(server.pid(), 0);
    EXPECT_EQ(restarts, 1);
}

TEST_F(ServerProcessTest, SaysWhyItDoesNotStart) {
    testing::TempDirectory directory;
    RedisServer absent(io_.get_executor(), {.directory = directory / "r", .program = "no-redis-here"});
    auto started = testing::run(io_, absent.start());
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message, HasSubstr("no-redis-here: not found in PATH"));
    RedisServer wrong(io_.get_executor(), {.directory = directory / "r", .program = "false"});
    EXPECT_THAT(testing::run(io_, wrong.start()).error().message, HasSubstr("ended while it started"));
}

}  // namespace
}  // namespace codegen::redis

// A real redis-server over TLS, and real sentinels that make another server the master.
#include <gmock/gmock.h>

#include <boost/asio/ip/tcp.hpp>
#include <fstream>

#include "shared/process/process.hpp"
#include "shared/redis/consumer.hpp"
#include "shared/redis/sentinel.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::redis {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class RealServers : public ::testing::Test {
  protected:
    ~RealServers() override {
        for (auto& child : children_) {
            child->kill_tree();
            static_cast<void>(testing::run(io_, child->wait()));
        }
    }
    // Free now; nobody else asks for it before the server does, or the test's client finds that out.
    std::uint16_t free_port() {
        asio::ip::tcp::acceptor probe(io_, {asio::ip::make_address("127.0.0.1"), 0});
        return probe.local_endpoint().port();
    }
    process::Child* start(std::vector<std::string> arguments) {
        process::Spec spec;
        spec.argv = std::move(arguments);
        spec.argv.insert(spec.argv.begin(), "redis-server");
        spec.environment = process::minimal_environment();
        spec.directory = directory_.path();
        auto child = process::start(io_.get_executor(), std::move(spec), directory_ / "redis.log");
        EXPECT_TRUE(child) << child.error().message;
        children_.push_back(std::move(*child));
        return children_.back().get();
    }
    void tool(std::vector<std::string> argv) {
        process::Spec spec;
        spec.argv = std::move(argv);
        spec.environment = process::minimal_environment();
        spec.directory = directory_.path();
        auto made = testing::run(io_, process::run(std::move(spec)));
        ASSERT_TRUE(made && made->ok()) << (made ? made->describe() : made.error().message);
    }
    // An authority, and a certificate of it for 127.0.0.1 and localhost that servers and clients show.
    void make_certificates() {
        tool({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
              "-keyout", "ca.key", "-out", "ca.pem", "-days", "1", "-subj", "/CN=authority"});
        tool({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
              "server.key", "-out", "server.csr", "-subj", "/CN=redis"});
        std::ofstream(directory_ / "names") << "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
        tool({"openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
              "-out", "server.pem", "-days", "1", "-extfile", "names"});
    }
    std::vector<std::string> tls(std::uint16_t port) {
        return {"--port",
                "0",
                "--tls-port",
                std::to_string(port),
                "--tls-cert-file",
                "server.pem",
                "--tls-key-file",
                "server.key",
                "--tls-ca-cert-file",
                "ca.pem",
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--daemonize",
                "no"};
    }
    std::string file(const char* name) { return (directory_ / name).string(); }
    Result<Reply> ask(Client& client, Arguments arguments) {
        return testing::run(io_, client.command(std::move(arguments)));
    }
    template <class Check>
    void eventually(std::chrono::seconds limit, Check check) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (!check()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
            testing::run(io_, async::sleep_for(20ms));
        }
    }

    asio::io_context io_{1};
    testing::TempDirectory directory_;
    std::vector<std::unique_ptr<process::Child>> children_;
};

TEST_F(RealServers, TlsWithAnAuthorityOfItsOwnAndOurCertificate) {
    make_certificates();
    const auto port = free_port();
    auto arguments = tls(port);
    arguments.insert(arguments.end(),
                     {"--user", "default", "off", "--user", "me", "on", ">secret", "~*", "&*", "+@all"});
    start(arguments);  // tls-auth-clients is on by default: it wants our certificate
    const auto url = [&](const std::string& host, const std::string& parameters) {
        return *parse_address("rediss://me:secret@" + host + ":" + std::to_string(port) + "/1?" + parameters);
    };
    const auto ca = "ca=" + file("ca.pem");
    const auto own = "&cert=" + file("server.pem") + "&key=" + file("server.key");
    Client client(io_.get_executor(), url("localhost", ca + own));
    const auto set = ask(client, {"SET", "k", "v"});
    ASSERT_TRUE(set) << set.error().message;
    Client by_address(io_.get_executor(), url("127.0.0.1", ca + own));
    EXPECT_EQ(ask(by_address, {"GET", "k"})->text, "v");

    const auto refusal = [&](const Address& address) {
        Client refused(io_.get_executor(), address, {.command_timeout = 400ms});
        const auto answer = ask(refused, {"PING"});
        return answer ? "it answered" : answer.error().message;
    };
    EXPECT_THAT(refusal(url("localhost", ca)), ::testing::Not("it answered")) << "without our certificate";
    EXPECT_THAT(refusal(url("localhost", own.substr(1))), HasSubstr("certificate"))
        << "the authority is not the system's";
    EXPECT_THAT(refusal(url("localhost", "ca=" + file("absent.pem"))), HasSubstr("absent.pem"));
}

class Sentinels : public RealServers {
  protected:
    std::string master_of(const Address& address) {
        auto found = testing::run(io_, find_server(address));
        return found ? std::to_string(found->port) : found.error().message;
    }
    void run_sentinel(std::uint16_t port, std::uint16_t master) {
        std::ofstream(directory_ / "sentinel.conf")
            << "port " << port << "\nbind 127.0.0.1\nsentinel monitor mine 127.0.0.1 " << master
            << " 1\nsentinel auth-pass mine secret\nsentinel down-after-milliseconds mine 300\nsentinel "
               "failover-timeout mine "
               "2000\nrequirepass watch\n";
        start({file("sentinel.conf"), "--sentinel"});
    }
};

TEST_F(Sentinels, TheClientFollowsTheMaster) {
    const auto first = free_port();
    const auto second = free_port();
    const auto sentinel = free_port();
    const std::vector<std::string> common{"--bind",
                                          "127.0.0.1",
                                          "--save",
                                          "",
                                          "--requirepass",
                                          "secret",
                                          "--masterauth",
                                          "secret",
                                          "--repl-diskless-sync-delay",
                                          "0"};
    auto arguments = common;
    arguments.insert(arguments.end(), {"--port", std::to_string(first)});
    auto* master = start(arguments);
    arguments = common;
    arguments.insert(arguments.end(),
                     {"--port", std::to_string(second), "--replicaof", "127.0.0.1 " + std::to_string(first)});
    start(arguments);
    Client direct(io_.get_executor(), *parse_address("redis://:secret@127.0.0.1:" + std::to_string(second)));
    eventually(10s, [&] {
        const auto role = ask(direct, {"INFO", "replication"});
        return role && role->text.contains("master_link_status:up");
    });
    run_sentinel(sentinel, first);
    const auto address = *parse_address("redis+sentinel://:secret@127.0.0.1:1,127.0.0.1:" + std::to_string(sentinel) +
                                        "/mine?sentinel_password=watch");
    eventually(10s, [&] { return master_of(address) == std::to_string(first); });
    Client control(io_.get_executor(), *parse_address("redis://:watch@127.0.0.1:" + std::to_string(sentinel)));
    eventually(10s, [&] {  // it must know the replica before it can make it the master
        const auto replicas = ask(control, {"SENTINEL", "REPLICAS", "mine"});
        return replicas && !replicas->elements.empty();
    });

    Client client(io_.get_executor(), address);
    ASSERT_TRUE(ask(client, {"SET", "before", "1"}));
    ASSERT_TRUE(ask(client, {"WAIT", "1", "2000"}));
    std::vector<std::string> handled;
    Consumer consumer(io_.get_executor(), address,
                      {.stream = "s", .group = "g", .consumer = "c", .service = "t", .block = 100ms},
                      [&](Delivery delivery) -> Task<Result<void>> {
                          handled.push_back(delivery.data);
                          return []() -> Task<Result<void>> { co_return Result<void>(); }();
                      });
    std::optional<Result<void>> ended;
    asio::co_spawn(io_, consumer.run(), [&](std::exception_ptr, Result<void> result) { ended = std::move(result); });
    ASSERT_TRUE(ask(client, {"XADD", "s", "*", "data", "one"}));
    eventually(5s, [&] { return handled.size() == 1; });

    master->kill_tree();
    eventually(20s, [&] { return ask(client, {"SET", "after", "1"}).has_value(); });
    EXPECT_EQ(master_of(address), std::to_string(second));
    EXPECT_EQ(ask(client, {"GET", "before"})->text, "1");
    eventually(5s, [&] { return ask(client, {"XADD", "s", "*", "data", "two"}).has_value(); });
    eventually(10s, [&] { return handled.size() == 2; });
    EXPECT_EQ(handled[1], "two");
    consumer.stop();
    eventually(5s, [&] { return ended.has_value(); });
}

TEST_F(Sentinels, OneThatKnowsNoSuchMasterIsNamed) {
    const auto sentinel = free_port();
    run_sentinel(sentinel, 1);
    const auto address =
        *parse_address("redis+sentinel://127.0.0.1:" + std::to_string(sentinel) + "/other?sentinel_password=watch");
    eventually(5s, [&] { return master_of(address).contains("it knows no master other"); });
}

// Connected to what a sentinel calls the master, but it is a replica: left at once instead of failing every write.
TEST_F(Sentinels, AReplicaIsNoMaster) {
    const auto port = free_port();
    start({"--bind", "127.0.0.1", "--save", "", "--port", std::to_string(port), "--replicaof", "127.0.0.1 1"});
    const auto sentinel = free_port();
    std::ofstream(directory_ / "sentinel.conf")
        << "port " << sentinel << "\nbind 127.0.0.1\nsentinel monitor mine 127.0.0.1 " << port << " 1\n";
    start({file("sentinel.conf"), "--sentinel"});
    const auto address = *parse_address("redis+sentinel://127.0.0.1:" + std::to_string(sentinel) + "/mine");
    eventually(5s, [&] { return master_of(address) == std::to_string(port); });
    Client client(io_.get_executor(), address, {.command_timeout = 500ms});
    const auto answer = ask(client, {"PING"});
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().message, HasSubstr("no master but slave"));
}

}  // namespace
}  // namespace codegen::redis

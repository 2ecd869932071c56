// The client over TCP and TLS, against a server that answers every command with +OK.
#include <gmock/gmock.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>

#include "shared/process/process.hpp"
#include "shared/redis/client.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::redis {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using ::testing::HasSubstr;

template <class Stream>
Task<void> answer(std::shared_ptr<Stream> stream, std::shared_ptr<std::string> seen) {
    ReplyReader reader;
    std::array<char, 4096> buffer;
    for (;;) {
        auto [error, size] = co_await stream->async_read_some(asio::buffer(buffer), async::use_tuple);
        if (error) co_return;
        seen->append(buffer.data(), size);
        reader.feed({buffer.data(), size});
        for (;;) {
            auto command = reader.next();
            if (!command || !*command) break;
            constexpr std::string_view kOk = "+OK\r\n";
            auto [failed, written] = co_await asio::async_write(*stream, asio::buffer(kOk), async::use_tuple);
            if (failed) co_return;
        }
    }
}

class TransportTest : public ::testing::Test {
  protected:
    ~TransportTest() override { stop_.emit(asio::cancellation_type::terminal); }

    Address serve_tcp() {
        spawn([](tcp::acceptor* acceptor, std::shared_ptr<std::string> seen) -> Task<void> {
            for (;;) {
                auto socket = std::make_shared<tcp::socket>(acceptor->get_executor());
                auto [error] = co_await acceptor->async_accept(*socket, async::use_tuple);
                if (error) co_return;
                co_await answer(socket, seen);
            }
        }(&acceptor_, seen_));
        return {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port(), .path = {}, .user = {}, .password = {}};
    }

    // A certificate of its own for localhost, as PEM in the directory.
    Address serve_tls() {
        process::Spec spec;
        spec.argv = {"openssl",
                     "req",
                     "-x509",
                     "-newkey",
                     "ec",
                     "-pkeyopt",
                     "ec_paramgen_curve:prime256v1",
                     "-nodes",
                     "-keyout",
                     "key.pem",
                     "-out",
                     "cert.pem",
                     "-days",
                     "1",
                     "-subj",
                     "/CN=localhost",
                     "-addext",
                     "subjectAltName=DNS:localhost"};
        spec.environment = process::minimal_environment();
        spec.directory = directory_.path();
        auto made = testing::run(io_, process::run(std::move(spec)));
        EXPECT_TRUE(made && made->ok()) << (made ? made->describe() : made.error().message);
        context_.use_certificate_chain_file(directory_ / "cert.pem");
        context_.use_private_key_file(directory_ / "key.pem", asio::ssl::context::pem);
        spawn(
            [](tcp::acceptor* acceptor, asio::ssl::context* context, std::shared_ptr<std::string> seen) -> Task<void> {
                for (;;) {
                    auto stream = std::make_shared<asio::ssl::stream<tcp::socket>>(acceptor->get_executor(), *context);
                    auto [error] = co_await acceptor->async_accept(stream->next_layer(), async::use_tuple);
                    if (error) co_return;
                    auto [refused] = co_await stream->async_handshake(asio::ssl::stream_base::server, async::use_tuple);
                    if (!refused) co_await answer(stream, seen);
                }
            }(&acceptor_, &context_, seen_));
        return {.transport = Address::Transport::tls,
                .host = "localhost",
                .port = acceptor_.local_endpoint().port(),
                .path = {},
                .user = {},
                .password = {}};
    }

    void spawn(Task<void> task) {
        asio::co_spawn(io_, std::move(task), asio::bind_cancellation_slot(stop_.slot(), [](std::exception_ptr) {}));
    }

    testing::TempDirectory directory_;
    std::shared_ptr<std::string> seen_ = std::make_shared<std::string>();
    asio::ssl::context context_{asio::ssl::context::tls_server};
    asio::cancellation_signal stop_;
    asio::io_context io_;
    tcp::acceptor acceptor_{io_, {asio::ip::make_address("127.0.0.1"), 0}};
};

TEST_F(TransportTest, Tcp) {
    Address address = serve_tcp();
    address.user = "u";
    address.password = "p";
    Client client(io_.get_executor(), address);
    auto reply = testing::run(io_, client.command({"SET", "k", "v"}));
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->text, "OK");
    EXPECT_THAT(*seen_, ::testing::StartsWith("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n"));
}

TEST_F(TransportTest, TlsWithATrustedCertificate) {
    const Address address = serve_tls();
    ::setenv("SSL_CERT_FILE", (directory_ / "cert.pem").c_str(), 1);
    Client client(io_.get_executor(), address);
    auto reply = testing::run(io_, client.command({"PING"}));
    ::unsetenv("SSL_CERT_FILE");
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->text, "OK");
}

TEST_F(TransportTest, TlsRefusesAnUnknownCertificateAndAnotherName) {
    Address address = serve_tls();
    {
        Client client(io_.get_executor(), address, {.command_timeout = 500ms});
        auto reply = testing::run(io_, client.command({"AUTH-secret"}));
        ASSERT_FALSE(reply);
        EXPECT_THAT(reply.error().message, HasSubstr("certificate"));
    }
    ::setenv("SSL_CERT_FILE", (directory_ / "cert.pem").c_str(), 1);
    address.host = "127.0.0.1";
    Client client(io_.get_executor(), address, {.command_timeout = 500ms});
    auto reply = testing::run(io_, client.command({"AUTH-secret"}));
    ::unsetenv("SSL_CERT_FILE");
    ASSERT_FALSE(reply);
    EXPECT_THAT(reply.error().message, HasSubstr("certificate"));
    EXPECT_EQ(*seen_, "");
}

TEST_F(TransportTest, RubbishFromTheServerIsALostConnection) {
    spawn([](tcp::acceptor* acceptor) -> Task<void> {
        for (;;) {
            tcp::socket socket(acceptor->get_executor());
            auto [error] = co_await acceptor->async_accept(socket, async::use_tuple);
            if (error) co_return;
            constexpr std::string_view kRubbish = "HTTP/1.1 400 Bad Request\r\n\r\n";
            co_await asio::async_write(socket, asio::buffer(kRubbish), async::use_tuple);
        }
    }(&acceptor_));
    Client client(
        io_.get_executor(),
        {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port(), .path = {}, .user = {}, .password = {}},
        {.command_timeout = 300ms});
    auto reply = testing::run(io_, client.command({"PING"}));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "timeout");
    EXPECT_THAT(reply.error().message, HasSubstr("not a Redis reply"));
}

}  // namespace
}  // namespace codegen::redis

// The client's TLS against a server with certificates made here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/testing/run.hpp"

namespace codegen::http {
namespace {
namespace fs = std::filesystem;
namespace ssl = asio::ssl;
using namespace std::chrono_literals;
using codegen::testing::run;
using ::testing::HasSubstr;

// Self-signed, for these subject alternative names ("DNS:localhost,IP:127.0.0.1").
void make_certificate(const fs::path& certificate_file, const fs::path& key_file, const char* names) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names);
    X509_add_ext(certificate, extension, -1);
    X509_sign(certificate, key, EVP_sha256());
    FILE* file = std::fopen(certificate_file.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_EXTENSION_free(extension);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

// Connections in turn, each with any number of requests; a target of "/cut" ends the connection within the body.
Task<void> tls_server(asio::ip::tcp::acceptor* acceptor, ssl::context* context, int* connections) {
    for (;;) {
        auto [error, socket] = co_await acceptor->async_accept(async::use_tuple);
        if (error) co_return;
        ++*connections;
        ssl::stream<asio::ip::tcp::socket> stream(std::move(socket), *context);
        auto [handshake] = co_await stream.async_handshake(ssl::stream_base::server, async::use_tuple);
        if (handshake) continue;
        for (std::string text;;) {
            char buffer[4096];
            auto [failed, n] = co_await stream.async_read_some(asio::buffer(buffer), async::use_tuple);
            if (failed) break;
            text.append(buffer, n);
            if (!text.ends_with("\r\n\r\n")) continue;
            const bool cut = text.starts_with("GET /cut ");
            const std::string answer =
                cut ? "HTTP/1.1 200 OK\r\n\r\npartial" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            text.clear();
            co_await asio::async_write(stream, asio::buffer(answer), async::use_tuple);
            if (cut) break;
        }
    }
}

// A proxy: tunnels for who signs in, plain requests answered by itself.
struct TestProxy {
    std::string login = {};                 // what Proxy-Authorization has to be; empty: nothing
    unsigned refusal = 0;                   // status instead of a tunnel
    std::vector<std::string> targets = {};  // of what it was asked for
    std::uint16_t forced_port = 0;          // where tunnels lead, whatever they are asked for
    std::unique_ptr<Server> server = {};
    std::uint16_t port = 0;
};

Task<void> tunnel(std::unique_ptr<Stream> near, std::uint16_t port) {
    auto far = co_await connect_tcp("127.0.0.1", port, 5s);
    if (far) co_await relay(*near, **far);
}

Task<Reply> answer_as_proxy(TestProxy* proxy, Request request) {
    proxy->targets.push_back(request.method + " " + request.target);
    Reply reply;
    if (request.headers.get("Proxy-Authorization").value_or("") != proxy->login)
        reply.head.status = 407;
    else if (proxy->refusal != 0)
        reply.head.status = proxy->refusal;
    else if (request.method == "CONNECT")
        reply.upgrade = [port = proxy->forced_port](std::unique_ptr<Stream> near) {
            return tunnel(std::move(near), port);
        };
    else
        reply.head.body = "by the proxy";
    co_return reply;
}

class TlsTest : public ::testing::Test {
  protected:
    asio::io_context io_;
    fs::path directory_ = fs::temp_directory_path() / ("tls-" + random_token(6));
    asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    ssl::context context_{ssl::context::tls_server};
    int connections_ = 0;
    std::unique_ptr<async::Scope> scope_ = std::make_unique<async::Scope>(io_.get_executor());

    void SetUp() override { fs::create_directory(directory_); }
    void TearDown() override {
        acceptor_.close();
        run(io_, scope_->stop());
        fs::remove_all(directory_);
    }
    void serve(const char* names) {
        make_certificate(directory_ / "cert", directory_ / "key", names);
        context_.use_certificate_file((directory_ / "cert").string(), ssl::context::pem);
        context_.use_private_key_file((directory_ / "key").string(), ssl::context::pem);
        scope_->spawn("tls server", tls_server(&acceptor_, &context_, &connections_));
    }
    void start_proxy(TestProxy& proxy) {
        proxy.forced_port = acceptor_.local_endpoint().port();
        proxy.server = std::make_unique<Server>(io_.get_executor(), [&proxy](Request request, Peer) {
            return answer_as_proxy(&proxy, std::move(request));
        });
        proxy.port = proxy.server->listen_tcp("127.0.0.1", 0).value();
    }
    Client client(std::string host, bool trusting = true, std::optional<Proxy> proxy = {}) {
        ClientOptions options;
        options.proxy = std::move(proxy);
        if (trusting) options.ca_file = directory_ / "cert";
        const auto url = parse_url("https://" + host + ":" + std::to_string(acceptor_.local_endpoint().port()));
        return Client(io_.get_executor(), url.value(), options);
    }
    Result<Response> get(Client& client, std::string target = "/") {
        Request request;
        request.target = std::move(target);
        return run(io_, client.send(std::move(request)));
    }
};

TEST_F(TlsTest, KeepsAConnectionToAVerifiedServer) {
    serve("DNS:localhost,IP:127.0.0.1");
    auto by_address = client("127.0.0.1");
    for (int i = 0; i < 3; ++i) {
        const auto response = get(by_address);
        ASSERT_TRUE(response) << response.error().message;
        EXPECT_EQ(response->body, "ok");
    }
    EXPECT_EQ(connections_, 1);
}

TEST_F(TlsTest, VerifiesTheNameNotOnlyTheChain) {
    serve("DNS:other.example");
    for (const auto* host : {"localhost", "127.0.0.1"}) {
        auto c = client(host);
        const auto response = get(c);
        ASSERT_FALSE(response);
        EXPECT_EQ(response.error().category, ErrorCategory::permanent);
        EXPECT_EQ(response.error().code, "protocol");
        EXPECT_THAT(response.error().message, HasSubstr("certificate"));
    }
}

TEST_F(TlsTest, RefusesAnUnknownIssuer) {
    serve("DNS:localhost");
    auto c = client("localhost", false);
    const auto response = get(c);
    ASSERT_FALSE(response);
    EXPECT_THAT(response.error().message, HasSubstr("self-signed certificate"));
}

TEST_F(TlsTest, AnEndWithoutCloseNotifyIsATruncation) {
    serve("DNS:localhost");
    auto c = client("localhost");
    EXPECT_EQ(get(c, "/cut").error().code, "connection");
}

TEST_F(TlsTest, GoesThroughAProxyThatSeesOnlyHostAndPort) {
    serve("DNS:shop.example");
    TestProxy proxy{.login = "Basic bWU6c2VjcmV0"};
    start_proxy(proxy);
    auto c = client("shop.example", true, Proxy{"127.0.0.1", proxy.port, "Basic bWU6c2VjcmV0"});
    for (int i = 0; i < 2; ++i) {
        const auto response = get(c, "/secret/path");
        ASSERT_TRUE(response) << response.error().message;
        EXPECT_EQ(response->body, "ok");
    }
    const auto port = std::to_string(acceptor_.local_endpoint().port());
    EXPECT_EQ(proxy.targets, std::vector{"CONNECT shop.example:" + port});
    run(io_, proxy.server->stop(0ms));
}

TEST_F(TlsTest, AProxyThatRefusesIsNamedWithoutItsPassword) {
    TestProxy proxy{.login = "Basic other"};
    start_proxy(proxy);
    serve("DNS:shop.example");
    auto c = client("shop.example", true, Proxy{"127.0.0.1", proxy.port, "Basic bWU6c2VjcmV0"});
    auto refused = get(c);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "proxy");
    EXPECT_EQ(refused.error().category, ErrorCategory::permanent);
    EXPECT_THAT(refused.error().message, HasSubstr("proxy 127.0.0.1:" + std::to_string(proxy.port)));
    EXPECT_THAT(refused.error().message, HasSubstr("407"));
    EXPECT_THAT(refused.error().message, ::testing::Not(HasSubstr("bWU6")));
    proxy.login = "Basic bWU6c2VjcmV0";
    proxy.refusal = 502;
    refused = get(c);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, ErrorCategory::transient);
    run(io_, proxy.server->stop(0ms));
    refused = get(c);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "connection");
    EXPECT_THAT(refused.error().message, HasSubstr("proxy 127.0.0.1"));
}

TEST_F(TlsTest, PlainRequestsGoThroughAProxyWhole) {
    TestProxy proxy;
    start_proxy(proxy);
    ClientOptions options;
    options.proxy = Proxy{"127.0.0.1", proxy.port, ""};
    Client c(io_.get_executor(), parse_url("http://shop.example/base").value(), options);
    const auto response = get(c, "/x");
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->body, "by the proxy");
    EXPECT_EQ(proxy.targets, std::vector<std::string>{"GET http://shop.example/base/x"});
    run(io_, proxy.server->stop(0ms));
}

TEST_F(TlsTest, AMissingCaFileIsNamed) {
    auto c = client("localhost");
    const auto response = get(c);
    ASSERT_FALSE(response);
    EXPECT_THAT(response.error().message, HasSubstr((directory_ / "cert").string()));
}

}  // namespace
}  // namespace codegen::http

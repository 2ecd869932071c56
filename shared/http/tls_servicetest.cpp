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
    Client client(std::string host, bool trusting = true) {
        ClientOptions options;
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

TEST_F(TlsTest, AMissingCaFileIsNamed) {
    auto c = client("localhost");
    const auto response = get(c);
    ASSERT_FALSE(response);
    EXPECT_THAT(response.error().message, HasSubstr((directory_ / "cert").string()));
}

}  // namespace
}  // namespace codegen::http

#include "shared/clients/github/app_key.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <boost/json.hpp>

#include "shared/base/base64.hpp"

namespace codegen::clients::github {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct PemKey {
    EVP_PKEY* key;
    explicit PemKey(EVP_PKEY* made) : key(made) {}
    PemKey(const PemKey&) = delete;
    ~PemKey() { ::EVP_PKEY_free(key); }
    std::string text(bool traditional) const {
        BIO* out = ::BIO_new(::BIO_s_mem());
        if (traditional)
            ::PEM_write_bio_PrivateKey_traditional(out, key, nullptr, nullptr, 0, nullptr, nullptr);
        else
            ::PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
        char* data = nullptr;
        const auto size = BIO_get_mem_data(out, &data);
        std::string pem(data, static_cast<std::size_t>(size));
        ::BIO_free_all(out);
        return pem;
    }
    bool verifies(std::string_view text, std::string_view signature) const {
        EVP_MD_CTX* context = ::EVP_MD_CTX_new();
        ::EVP_DigestVerifyInit(context, nullptr, ::EVP_sha256(), nullptr, key);
        const auto bytes = [](std::string_view view) { return reinterpret_cast<const unsigned char*>(view.data()); };
        const bool good =
            ::EVP_DigestVerify(context, bytes(signature), signature.size(), bytes(text), text.size()) == 1;
        ::EVP_MD_CTX_free(context);
        return good;
    }
};

const PemKey& rsa() {
    static const PemKey key(EVP_RSA_gen(2048));
    return key;
}

std::string escaped(std::string text) {
    std::string out;
    for (const char c : text) c == '\n' ? out += "\\n" : out += c;
    return out;
}

TEST(AppKeyTest, SignsWhatGitHubVerifies) {
    const auto now = from_micros(1'767'225'600'500'000);
    for (const auto& pem : {rsa().text(true), rsa().text(false), escaped(rsa().text(true))}) {
        const auto key = AppKey::from_pem(pem, "KEY");
        ASSERT_TRUE(key) << key.error().message;
        const auto token = app_token(*key, "Iv1.abc", now);
        const auto dot = token.rfind('.');
        EXPECT_TRUE(rsa().verifies(token.substr(0, dot), from_base64(token.substr(dot + 1)).value()));
        const auto first = token.find('.');
        EXPECT_EQ(from_base64(token.substr(0, first)), R"({"alg":"RS256","typ":"JWT"})");
        const auto claims = boost::json::parse(from_base64(token.substr(first + 1, dot - first - 1)).value());
        EXPECT_EQ(claims.at("iss"), "Iv1.abc");
        EXPECT_EQ(claims.at("iat"), 1'767'225'540);
        EXPECT_EQ(claims.at("exp"), 1'767'226'140);  // GitHub takes at most 10 minutes
        EXPECT_THAT(token, Not(HasSubstr("=")));
    }
}

TEST(AppKeyTest, SaysWhatIsWrongWithAKeyButNotTheKey) {
    const PemKey curve(EVP_EC_gen("P-256"));
    const PemKey small(EVP_RSA_gen(1024));
    auto damaged = rsa().text(true);
    damaged.erase(damaged.size() / 2, 40);
    const std::pair<std::string, std::string> cases[] = {{"", "no private key"},
                                                         {"ghp_secret", "no private key"},
                                                         {damaged, "no private key"},
                                                         {curve.text(false), "not RSA"},
                                                         {small.text(true), "less than 2048"}};
    for (const auto& [pem, why] : cases) {
        const auto key = AppKey::from_pem(pem, "GITHUB_APP_PRIVATE_KEY");
        ASSERT_FALSE(key) << why;
        EXPECT_EQ(key.error().category, ErrorCategory::fatal);
        EXPECT_THAT(key.error().message, HasSubstr("GITHUB_APP_PRIVATE_KEY"));
        EXPECT_THAT(key.error().message, HasSubstr(why));
        EXPECT_THAT(key.error().message, Not(HasSubstr("ghp_secret")));
    }
}

}  // namespace
}  // namespace codegen::clients::github

#include "shared/clients/github/app_key.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <boost/json/serialize.hpp>
#include <stdexcept>

#include "shared/base/base64.hpp"

namespace codegen::clients::github {
namespace {

constexpr std::chrono::seconds kBackdated{60};
constexpr std::chrono::seconds kLife{9 * 60};
constexpr int kSmallestKey = 2048;  // bits; RFC 7518, section 3.3

template <class T, void (*release)(T*)>
struct Release {
    void operator()(T* object) const { release(object); }
};

// An environment file has no line breaks in a value.
std::string with_line_breaks(std::string_view pem) {
    std::string out;
    for (std::size_t i = 0; i < pem.size(); ++i) {
        if (pem[i] == '\\' && i + 1 < pem.size() && pem[i + 1] == 'n') {
            out += '\n';
            ++i;
        } else {
            out += pem[i];
        }
    }
    return out;
}

int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

struct AppKey::Key {
    explicit Key(EVP_PKEY* key) : pkey(key) {}
    std::unique_ptr<EVP_PKEY, Release<EVP_PKEY, EVP_PKEY_free>> pkey;
};

Result<AppKey> AppKey::from_pem(std::string_view pem, std::string_view source) {
    const auto bad = [&](std::string_view why) {
        return fail(ErrorCategory::fatal, "configuration",
                    fmt::format("{} {}: expected the private key of the GitHub App as GitHub hands it out (a .pem "
                                "file, \"-----BEGIN RSA PRIVATE KEY-----\")",
                                source, why));
    };
    auto text = with_line_breaks(pem);
    const std::unique_ptr<BIO, Release<BIO, BIO_free_all>> input(
        ::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    auto key = std::make_shared<Key>(::PEM_read_bio_PrivateKey(input.get(), nullptr, no_passphrase, nullptr));
    OPENSSL_cleanse(text.data(), text.size());
    if (!key->pkey) return bad("holds no private key in PEM");
    if (::EVP_PKEY_get_base_id(key->pkey.get()) != EVP_PKEY_RSA) return bad("holds a key that is not RSA");
    if (::EVP_PKEY_get_bits(key->pkey.get()) < kSmallestKey) return bad("holds an RSA key of less than 2048 bits");
    AppKey out;
    out.key_ = std::move(key);
    return out;
}

std::string AppKey::sign(std::string_view text) const {
    const std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX, EVP_MD_CTX_free>> context(::EVP_MD_CTX_new());
    std::size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (::EVP_DigestSignInit(context.get(), nullptr, ::EVP_sha256(), nullptr, key_->pkey.get()) != 1 ||
        ::EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1)
        throw std::runtime_error("OpenSSL cannot sign with SHA-256");
    std::string signature(size, '\0');
    if (::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                         text.size()) != 1)
        throw std::runtime_error("OpenSSL cannot sign with SHA-256");
    signature.resize(size);
    return signature;
}

std::string app_token(const AppKey& key, std::string_view app_id, Timestamp now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    const boost::json::object claims{
        {"iat", (seconds - kBackdated).count()}, {"exp", (seconds + kLife).count()}, {"iss", app_id}};
    const auto text = base64url(R"({"alg":"RS256","typ":"JWT"})") + "." + base64url(boost::json::serialize(claims));
    return text + "." + base64url(key.sign(text));
}

}  // namespace codegen::clients::github

#include "shared/secrets/secret_box.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <stdexcept>
#include <vector>

namespace codegen::secrets {
namespace {

constexpr std::string_view kVersion = "v1.";
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr int kBase64 = sodium_base64_VARIANT_ORIGINAL;

void start_sodium() {
    if (::sodium_init() < 0) throw std::runtime_error("libsodium cannot start: no random source");
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string hex_of(const unsigned char* bytes, std::size_t size) {
    std::string hex(2 * size + 1, '\0');
    ::sodium_bin2hex(hex.data(), hex.size(), bytes, size);
    hex.pop_back();
    return hex;
}

std::string base64_of(const std::vector<unsigned char>& bytes) {
    std::string text(sodium_base64_ENCODED_LEN(bytes.size(), kBase64), '\0');
    ::sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), kBase64);
    text.pop_back();
    return text;
}

std::optional<std::vector<unsigned char>> from_base64(std::string_view text) {
    if (text.empty()) return std::nullopt;  // libsodium takes no null
    std::vector<unsigned char> bytes(text.size());
    std::size_t size = 0;
    const char* end = nullptr;
    if (::sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size, &end, kBase64) != 0 ||
        end != text.data() + text.size())
        return std::nullopt;
    bytes.resize(size);
    return bytes;
}

std::string keyed_hash(std::string_view text, const std::array<unsigned char, kKeyBytes>& key, std::size_t size) {
    std::array<unsigned char, 32> hash{};
    ::crypto_generichash(hash.data(), size, bytes_of(text), text.size(), key.data(), key.size());
    return hex_of(hash.data(), size);
}

std::unexpected<Error> refuse(std::string why) { return fail(ErrorCategory::fatal, "secret", std::move(why)); }

}  // namespace

Result<SecretBox> SecretBox::from_text(std::string_view key, std::string_view source) {
    start_sodium();
    while (!key.empty() && std::string_view(" \t\r\n").contains(key.back())) key.remove_suffix(1);
    while (!key.empty() && std::string_view(" \t\r\n").contains(key.front())) key.remove_prefix(1);
    std::vector<unsigned char> bytes(kKeyBytes);
    std::size_t size = 0;
    const char* end = nullptr;
    const bool hex = key.size() == 2 * kKeyBytes &&
                     ::sodium_hex2bin(bytes.data(), bytes.size(), key.data(), key.size(), nullptr, &size, &end) == 0 &&
                     end == key.data() + key.size();
    if (!hex) {
        auto decoded = from_base64(key);
        if (!decoded || decoded->size() != kKeyBytes)
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("{} holds no key: expected 64 hex digits, or 32 bytes in base64 (make one: openssl "
                                    "rand -hex 32)",
                                    source));
        bytes = std::move(*decoded);
    }
    SecretBox box;
    std::ranges::copy(bytes, box.key_.begin());
    ::sodium_memzero(bytes.data(), bytes.size());
    box.id_ = keyed_hash("codegen key id", box.key_, crypto_generichash_BYTES_MIN).substr(0, kIdDigits);
    return box;
}

std::string SecretBox::new_key() {
    start_sodium();
    std::array<unsigned char, kKeyBytes> bytes{};
    ::randombytes_buf(bytes.data(), bytes.size());
    auto text = hex_of(bytes.data(), bytes.size());
    ::sodium_memzero(bytes.data(), bytes.size());
    return text;
}

SecretBox::~SecretBox() { ::sodium_memzero(key_.data(), key_.size()); }

std::string SecretBox::seal(std::string_view text, std::string_view place) const {
    std::vector<unsigned char> out(kNonce + text.size() + kTag);
    ::randombytes_buf(out.data(), kNonce);
    unsigned long long size = 0;
    ::crypto_aead_xchacha20poly1305_ietf_encrypt(out.data() + kNonce, &size, bytes_of(text), text.size(),
                                                 bytes_of(place), place.size(), nullptr, out.data(), key_.data());
    return fmt::format("{}{}.{}", kVersion, id_, base64_of(out));
}

Result<std::string> SecretBox::open(std::string_view sealed, std::string_view place) const {
    const auto id = key_id_of(sealed);
    if (!id) return refuse(fmt::format("the secret at {} is not one that we sealed", place));
    if (*id != id_) return refuse(fmt::format("the secret at {} is sealed with key {}, ours is {}", place, *id, id_));
    const auto bytes = from_base64(sealed.substr(kVersion.size() + kIdDigits + 1));
    if (!bytes || bytes->size() < kNonce + kTag) return refuse(fmt::format("the secret at {} is damaged", place));
    std::string text(bytes->size() - kNonce - kTag, '\0');
    unsigned long long size = 0;
    if (::crypto_aead_xchacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(text.data()), &size, nullptr,
                                                     bytes->data() + kNonce, bytes->size() - kNonce, bytes_of(place),
                                                     place.size(), bytes->data(), key_.data()) != 0)
        return refuse(fmt::format("the secret at {} is damaged, or was moved there", place));
    return text;
}

std::string SecretBox::fingerprint(std::string_view text) const { return keyed_hash(text, key_, 32); }

std::optional<std::string> key_id_of(std::string_view sealed) {
    if (!sealed.starts_with(kVersion) || sealed.size() <= kVersion.size() + kIdDigits ||
        sealed[kVersion.size() + kIdDigits] != '.')
        return std::nullopt;
    return std::string(sealed.substr(kVersion.size(), kIdDigits));
}

}  // namespace codegen::secrets

// Secrets at rest: XChaCha20-Poly1305 of libsodium (https://doc.libsodium.org/secret-key_cryptography/aead). No I/O.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"

namespace codegen::secrets {

inline constexpr std::size_t kKeyBytes = 32;

// One key. A copy is another place that holds the key: pass references. The bytes are wiped when it goes.
class SecretBox {
  public:
    // 64 hex digits, or 32 bytes in base64; blanks around are ignored. The error (fatal) names `source`, not the key.
    static Result<SecretBox> from_text(std::string_view key, std::string_view source);
    static std::string new_key();  // 64 hex digits

    SecretBox(const SecretBox&) = default;
    SecretBox& operator=(const SecretBox&) = default;
    ~SecretBox();

    // Names the key without telling it: 16 hex digits.
    const std::string& key_id() const { return id_; }
    // "v1.<key id>.<base64>". `place` ("servers/vps-1") is bound into it: what is moved elsewhere does not open.
    std::string seal(std::string_view text, std::string_view place) const;
    // Errors (fatal "secret"): another key's, moved, changed, or none of ours; they never hold the text.
    Result<std::string> open(std::string_view sealed, std::string_view place) const;
    // A keyed hash: the same for the same text, and says nothing about it without the key.
    std::string fingerprint(std::string_view text) const;

  private:
    SecretBox() = default;
    std::array<unsigned char, kKeyBytes> key_{};
    std::string id_;
};

// The key that sealed it; nullopt: not sealed by us.
std::optional<std::string> key_id_of(std::string_view sealed);

}  // namespace codegen::secrets

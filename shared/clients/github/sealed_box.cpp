#include "shared/clients/github/sealed_box.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <stdexcept>

#include "shared/base/base64.hpp"
#include "shared/http/message.hpp"

namespace codegen::clients::github {

Result<std::string> seal_for(std::string_view public_key, std::string_view secret) {
    if (::sodium_init() < 0) throw std::runtime_error("libsodium cannot start: no random source");
    const auto key = from_base64(public_key);
    if (!key || key->size() != crypto_box_PUBLICKEYBYTES)
        return fail(ErrorCategory::permanent, "protocol", "GitHub's public key for secrets is not 32 bytes in base64");
    const auto bytes = [](std::string_view view) { return reinterpret_cast<const unsigned char*>(view.data()); };
    std::string sealed(secret.size() + crypto_box_SEALBYTES, '\0');
    if (::crypto_box_seal(reinterpret_cast<unsigned char*>(sealed.data()), bytes(secret), secret.size(), bytes(*key)) !=
        0)
        return fail(ErrorCategory::permanent, "protocol", "GitHub's public key for secrets cannot be used");
    return base64(sealed);
}

Result<void> check_secret_name(std::string_view name) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const bool shaped = !name.empty() && name.size() <= 255 && is_letter(name.front()) &&
                        std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
    constexpr std::string_view kReserved = "GITHUB_";
    if (!shaped || http::same_name(name.substr(0, kReserved.size()), kReserved))
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("\"{}\" is not the name of an Actions secret, expected letters, digits and \"_\", not "
                                "beginning with a digit or GITHUB_",
                                name));
    return {};
}

}  // namespace codegen::clients::github

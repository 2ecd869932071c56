#include "shared/base/base64.hpp"

#include <cstdint>

namespace codegen {
namespace {

constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encode(std::string_view bytes, std::string_view alphabet) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    std::uint32_t held = 0;
    int bits = 0;
    for (const char c : bytes) {
        held = held << 8 | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 6; bits -= 6) out += alphabet[held >> (bits - 6) & 63];
    }
    if (bits > 0) out += alphabet[held << (6 - bits) & 63];
    return out;
}

int value_of(char c) {
    if (c == '-') c = '+';
    if (c == '_') c = '/';
    const auto at = kPlain.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string base64(std::string_view bytes) {
    auto out = encode(bytes, kPlain);
    while (out.size() % 4 != 0) out += '=';
    return out;
}

std::string base64url(std::string_view bytes) { return encode(bytes, kUrlSafe); }

std::optional<std::string> from_base64(std::string_view text) {
    std::string out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t held = 0;
    int bits = 0;
    std::size_t digits = 0;
    std::size_t padding = 0;
    for (const char c : text) {
        if (c == '\n' || c == '\r') continue;
        if (c == '=') {
            ++padding;
            continue;
        }
        const int value = value_of(c);
        if (value < 0 || padding > 0) return std::nullopt;
        held = held << 6 | static_cast<std::uint32_t>(value);
        ++digits;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>(held >> bits & 255);
        }
    }
    const bool cut = digits % 4 == 1 || padding > 2 || (padding > 0 && (digits + padding) % 4 != 0);
    const bool loose = (held & ((1u << bits) - 1)) != 0;  // bits of no byte
    if (cut || loose) return std::nullopt;
    return out;
}

}  // namespace codegen

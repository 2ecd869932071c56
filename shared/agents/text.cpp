#include "shared/agents/text.hpp"

#include <algorithm>
#include <cstdint>

namespace codegen::agents {

namespace {

// Length of the well-formed character at `at`, 0 when there is none (RFC 3629: no overlong forms, no surrogates).
std::size_t character(std::string_view s, std::size_t at) {
    auto byte = [&](std::size_t i) -> unsigned {
        return at + i < s.size() ? static_cast<std::uint8_t>(s[at + i]) : 0u;
    };
    auto tail = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
    const unsigned b = byte(0);
    if (b < 0x80) return 1;
    if (b >= 0xC2 && b <= 0xDF) return tail(1) ? 2 : 0;
    if (b >= 0xE0 && b <= 0xEF) {
        if (b == 0xE0 && byte(1) < 0xA0) return 0;
        if (b == 0xED && byte(1) > 0x9F) return 0;
        return tail(1) && tail(2) ? 3 : 0;
    }
    if (b >= 0xF0 && b <= 0xF4) {
        if (b == 0xF0 && byte(1) < 0x90) return 0;
        if (b == 0xF4 && byte(1) > 0x8F) return 0;
        return tail(1) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

std::string valid_utf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    for (std::size_t at = 0; at < bytes.size();) {
        if (const std::size_t length = character(bytes, at); length != 0) {
            out.append(bytes, at, length);
            at += length;
        } else {
            out += "\xEF\xBF\xBD";
            ++at;
        }
    }
    return out;
}

std::string shortened(std::string_view utf8, std::size_t max_bytes) {
    if (utf8.size() <= max_bytes) return std::string(utf8);
    std::size_t end = max_bytes;
    while (end > 0 && (static_cast<std::uint8_t>(utf8[end]) & 0xC0u) == 0x80u) --end;
    return std::string(utf8.substr(0, end));
}

void LineSplitter::hand_over(std::string_view line, const OnLine& on_line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    on_line(line, false);
}

void LineSplitter::feed(std::string_view bytes, const OnLine& on_line) {
    while (!bytes.empty()) {
        const auto end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        if (!overflow_) {
            if (pending_.size() + part.size() > limit_) {
                pending_.append(part.substr(0, limit_ - std::min(limit_, pending_.size())));
                on_line(pending_, true);
                pending_ = {};
                overflow_ = true;
            } else if (end != std::string_view::npos && pending_.empty()) {
                hand_over(part, on_line);
            } else {
                pending_ += part;
                if (end != std::string_view::npos) {
                    hand_over(pending_, on_line);
                    pending_.clear();
                }
            }
        }
        if (end == std::string_view::npos) return;
        overflow_ = false;
        bytes.remove_prefix(end + 1);
    }
}

void LineSplitter::finish(const OnLine& on_line) {
    if (!pending_.empty()) hand_over(pending_, on_line);
    pending_ = {};
    overflow_ = false;
}

}  // namespace codegen::agents

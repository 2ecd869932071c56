#include "shared/agents/text.hpp"

#include <algorithm>
#include <cstdint>

namespace codegen::agents {

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

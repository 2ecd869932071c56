#include "shared/base/trace.hpp"

#include <algorithm>

#include "shared/base/ids.hpp"

namespace codegen {
namespace {

constexpr std::size_t kVersion = 2;
constexpr std::size_t kTraceAt = 3;
constexpr std::size_t kTrace = 32;
constexpr std::size_t kParentAt = 36;
constexpr std::size_t kParent = 16;
constexpr std::size_t kFlagsAt = 53;
constexpr std::size_t kLength = 55;

bool hex(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool some_id(std::string_view text) { return hex(text) && text.find_first_not_of('0') != text.npos; }

// Hex digits out of new uuids, without their fixed bits.
std::string random_hex(std::size_t digits) {
    std::string out;
    while (out.size() < digits) {
        const auto uuid = new_uuid();
        out += uuid.substr(0, 8) + uuid.substr(24, 12);
    }
    out.resize(digits);
    return out.find_first_not_of('0') == out.npos ? random_hex(digits) : out;
}

}  // namespace

bool is_correlation_id(std::string_view text) {
    return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.' || c == ':';
    });
}

bool is_traceparent(std::string_view text) {
    if (text.size() < kLength || text[2] != '-' || text[kParentAt - 1] != '-' || text[kFlagsAt - 1] != '-')
        return false;
    const auto version = text.substr(0, kVersion);
    if (!hex(version) || version == "ff" || !hex(text.substr(kFlagsAt, 2))) return false;
    // Later versions may be longer, behind a dash.
    if (text.size() > kLength && (version == "00" || text[kLength] != '-' || text.size() > 200)) return false;
    if (text.find_first_of(" \r\n\t") != text.npos) return false;
    return some_id(text.substr(kTraceAt, kTrace)) && some_id(text.substr(kParentAt, kParent));
}

std::string new_traceparent() { return "00-" + random_hex(kTrace) + "-" + random_hex(kParent) + "-01"; }

std::string next_traceparent(std::string_view traceparent) {
    if (!is_traceparent(traceparent)) return {};
    return "00-" + std::string(traceparent.substr(kTraceAt, kTrace)) + "-" + random_hex(kParent) + "-" +
           std::string(traceparent.substr(kFlagsAt, 2));
}

std::string_view trace_id_of(std::string_view traceparent) {
    return is_traceparent(traceparent) ? traceparent.substr(kTraceAt, kTrace) : std::string_view();
}

}  // namespace codegen

// The result parser: what an agent writes, in pieces of any size. The pieces must not matter, and a verdict that was
// found can be written and read again.
#include <cstdlib>

#include "shared/agents/verdict.hpp"
#include "shared/json/json.hpp"

namespace {

using codegen::agents::VerdictFinder;
using codegen::contracts::AgentVerdict;
namespace json = codegen::json;

std::string found_in(std::string_view text, std::size_t step) {
    VerdictFinder finder;
    for (std::size_t at = 0; at < text.size(); at += step) finder.feed(text.substr(at, step));
    return finder.verdict() ? json::write(*finder.verdict()) : "none";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto whole = found_in(text, size + 1);
    for (const std::size_t step : {1, 7, 64})
        if (found_in(text, step) != whole) std::abort();
    // Also what the file of a result, or the command `result`, hands over.
    for (const auto candidate : {std::string_view(whole), text}) {
        const auto verdict = json::parse<AgentVerdict>(candidate);
        if (!verdict) {
            if (candidate.data() == whole.data() && whole != "none") std::abort();
            continue;
        }
        const auto written = json::write(*verdict);
        const auto again = json::parse<AgentVerdict>(written);
        if (!again || json::write(*again) != written) std::abort();
        const auto commit = codegen::agents::claimed_commit(*verdict);
        if (commit && (commit->size() < 7 || commit->size() > 64)) std::abort();
    }
    return 0;
}

#include "shared/agents/verdict.hpp"

#include "shared/json/json.hpp"

namespace codegen::agents {

namespace {
constexpr std::string_view kOpen = "<result>";
constexpr std::string_view kClose = "</result>";
constexpr std::size_t kLongestBlock = 1u << 20;
}  // namespace

void VerdictFinder::feed(std::string_view text) {
    if (verdict_) return;
    pending_ += text;
    for (;;) {
        const auto open = pending_.find(kOpen);
        if (open == std::string::npos) {
            const std::size_t keep = std::min(pending_.size(), kOpen.size() - 1);
            pending_.erase(0, pending_.size() - keep);
            return;
        }
        pending_.erase(0, open);
        const auto close = pending_.find(kClose, kOpen.size());
        if (close == std::string::npos) {
            if (pending_.size() > kLongestBlock) {
                pending_.erase(0, kOpen.size());
                continue;
            }
            return;
        }
        // An opening mark without its end, quoted before the real block, must not swallow it.
        const auto last_open = pending_.rfind(kOpen, close);
        for (auto start = std::size_t{0}; start <= last_open; start = pending_.find(kOpen, start + 1)) {
            const auto body = start + kOpen.size();
            if (auto verdict =
                    json::parse<contracts::AgentVerdict>(std::string_view(pending_).substr(body, close - body))) {
                verdict_ = std::move(*verdict);
                pending_ = {};
                return;
            }
        }
        pending_.erase(0, close + kClose.size());
    }
}

std::optional<std::string> claimed_commit(const contracts::AgentVerdict& verdict) {
    for (std::string_view name : {"commit_sha", "commit", "sha"}) {
        const auto* value = verdict.data.if_contains(name);
        if (value == nullptr || !value->is_string()) continue;
        std::string sha(value->get_string());
        for (char& c : sha) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        if (sha.size() >= 7 && sha.size() <= 64 && sha.find_first_not_of("0123456789abcdef") == std::string::npos)
            return sha;
    }
    return std::nullopt;
}

}  // namespace codegen::agents

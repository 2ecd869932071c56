#include "services/worker-manager/repository/bundle.hpp"

#include "services/worker-manager/core/names.hpp"

namespace codegen::worker_manager {
namespace {

std::unexpected<Error> rejected(std::string_view why) {
    return fail(ErrorCategory::permanent, "commit_rejected", "the bundle cannot be read: " + std::string(why));
}

std::uint32_t big_endian(std::string_view four) {
    std::uint32_t value = 0;
    for (const unsigned char byte : four) value = value << 8 | byte;
    return value;
}

}  // namespace

Result<BundleHead> read_bundle_head(std::string_view text) {
    BundleHead head;
    std::size_t at = 0;
    const auto next_line = [&]() -> std::optional<std::string_view> {
        const auto end = text.find('\n', at);
        if (end == std::string_view::npos) return {};
        const auto line = text.substr(at, end - at);
        at = end + 1;
        return line;
    };
    const auto signature = next_line();
    if (signature != "# v2 git bundle" && signature != "# v3 git bundle") return rejected("it is not a git bundle");
    for (;;) {
        const auto line = next_line();
        if (!line) return rejected("its header is cut off or too long");
        if (line->empty()) break;
        if (line->starts_with('@')) {
            if (*line != "@object-format=sha1") return rejected("it has a capability that is not accepted");
            continue;
        }
        const bool prerequisite = line->starts_with('-');
        const auto rest = line->substr(prerequisite ? 1 : 0);
        const auto sha = rest.substr(0, rest.find(' '));
        if (!is_full_sha(sha)) return rejected("a line of its header names no commit");
        if (prerequisite)
            head.prerequisites.emplace_back(sha);
        else
            head.tips.emplace_back(sha, sha.size() < rest.size() ? rest.substr(sha.size() + 1) : std::string_view());
    }
    const auto pack = text.substr(at);
    if (pack.size() < 12 || !pack.starts_with("PACK") || big_endian(pack.substr(4, 4)) != 2)
        return rejected("it holds no pack");
    head.pack_offset = at;
    head.objects = big_endian(pack.substr(8, 4));
    return head;
}

}  // namespace codegen::worker_manager

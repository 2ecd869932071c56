#include "services/worker-manager/core/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "services/worker-manager/gateway/acl.hpp"
#include "shared/base/ids.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> bad(std::string path, std::string_view value, std::string_view why) {
    auto message = fmt::format("{}: \"{}\" {}", path, value, why);
    return fail(ErrorCategory::permanent, "invalid", std::move(message), std::move(path));
}

bool is_ref_character(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == '/' || c == '+' || c == '@';
}

}  // namespace

Result<void> check_worker_id(std::string_view id, std::string path) {
    if (!is_worker_name(id))
        return bad(std::move(path), id, "is not a worker's name, expected [a-z0-9][a-z0-9._-]{0,62}");
    if (is_reserved_worker_name(id)) return bad(std::move(path), id, "is reserved: its streams are other parts' keys");
    return {};
}

Result<void> check_branch(std::string_view branch, std::string path) {
    constexpr std::string_view kPrefix = "task/";
    const auto name = branch.substr(std::min(kPrefix.size(), branch.size()));
    if (!branch.starts_with(kPrefix) || name.contains('/') || name.contains('@') || !check_base_ref(branch, path))
        return bad(std::move(path), branch, "is not a branch that work may go to, expected task/<name>");
    return {};
}

Result<void> check_base_ref(std::string_view ref, std::string path) {
    const bool shaped = !ref.empty() && ref.size() <= 200 && std::ranges::all_of(ref, is_ref_character) &&
                        !ref.contains("..") && !ref.contains("//") && !ref.contains("/.") && !ref.contains("@{") &&
                        !ref.contains(".lock/") && !ref.starts_with('-') && !ref.starts_with('.') &&
                        !ref.starts_with('/') && !ref.ends_with('/') && !ref.ends_with('.') &&
                        !ref.ends_with(".lock") && ref != "@";
    if (!shaped) return bad(std::move(path), ref, "is not the name of a branch, tag or commit");
    return {};
}

Result<void> check_image_reference(std::string_view reference, std::string path) {
    // The grammar of https://github.com/distribution/reference, without its rarely used digests of other algorithms.
    static const std::regex name_pattern(
        "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?/)?"
        "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*"
        "(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?");
    static const std::regex id_pattern("sha256:[0-9a-f]{64}");
    constexpr std::size_t kLongest = 400;  // also what the pattern is safe with
    if (reference.size() <= kLongest && (std::regex_match(reference.begin(), reference.end(), id_pattern) ||
                                         std::regex_match(reference.begin(), reference.end(), name_pattern)))
        return {};
    return bad(std::move(path), reference.substr(0, kLongest),
               "is not the name of an image, expected e.g. debian:bookworm or registry.example.com/team/tools:1");
}

bool is_full_sha(std::string_view text) {
    return (text.size() == 40 || text.size() == 64) &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<fs::path> local_repository(const fs::path& repositories, std::string_view url) {
    constexpr std::string_view kFile = "file://";
    constexpr std::string_view kPlace = "workspace.repo_url";
    auto text = url;
    if (text.starts_with(kFile)) text.remove_prefix(kFile.size());
    const fs::path asked = fs::path(text).is_absolute() ? fs::path(text) : repositories / text;
    std::error_code ec;
    const auto root = fs::canonical(repositories, ec);
    if (ec)
        return bad(std::string(kPlace), url,
                   fmt::format("cannot be used: {}: {}", repositories.string(), ec.message()));
    const auto real = fs::canonical(asked, ec);
    if (text.empty() || text.contains('\0') || ec)
        return bad(std::string(kPlace), url, "is not a repository of this control plane");
    const auto inside = real.lexically_relative(root);
    if (inside.empty() || inside == "." || inside.native().starts_with(".."))
        return bad(std::string(kPlace), url, fmt::format("is not below {}", repositories.string()));
    return real;
}

}  // namespace codegen::worker_manager

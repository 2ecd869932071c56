#include "services/worker-manager/result_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include "shared/json/json.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "result-";
constexpr std::string_view kSuffix = ".json";

bool is_file_safe(std::string_view request_id) {
    return !request_id.empty() && request_id.size() <= 128 && !request_id.contains('/') && !request_id.contains('\0');
}

}  // namespace

Result<contracts::ResultFile> read_result(const fs::path& state, const std::string& request_id) {
    if (!is_file_safe(request_id)) return fail(ErrorCategory::permanent, "not_found", "no such request");
    const auto path = state / fmt::format("{}{}{}", kPrefix, request_id, kSuffix);
    auto text = posix::read_file(path, kResultFileLimit);
    if (!text) return std::unexpected(text.error());
    auto parsed = json::parse<contracts::ResultFile>(*text);
    if (!parsed) return std::unexpected(in_context(invalid(parsed.error()), path.filename().string()));
    return std::move(*parsed);
}

bool was_published(const fs::path& state, const std::string& request_id) {
    std::error_code ec;
    return is_file_safe(request_id) && fs::exists(state / fmt::format("{}{}.published", kPrefix, request_id), ec);
}

bool was_begun(const fs::path& state, const std::string& request_id) {
    std::error_code ec;
    return is_file_safe(request_id) && (fs::exists(state / ("attempts-" + request_id), ec) ||
                                        fs::exists(state / fmt::format("{}{}{}", kPrefix, request_id, kSuffix), ec));
}

bool has_result(const fs::path& state) { return last_result(state).has_value(); }

Result<contracts::ResultFile> last_result(const fs::path& state) {
    std::string newest;
    timespec when{};
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(state, ec)) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
        struct stat st{};
        if (::lstat(entry.path().c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
        if (newest.empty() || std::pair(st.st_mtim.tv_sec, st.st_mtim.tv_nsec) > std::pair(when.tv_sec, when.tv_nsec)) {
            newest = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
            when = st.st_mtim;
        }
    }
    if (newest.empty()) return fail(ErrorCategory::permanent, "not_found", "the worker has not finished any request");
    return read_result(state, newest);
}

bool any_request_begun(const std::filesystem::path& state) {
    std::error_code ec;
    for (auto it = std::filesystem::directory_iterator(state, ec); !ec && it != end(it); it.increment(ec)) {
        const auto name = it->path().filename().string();
        if (name.starts_with("attempts-") || name.starts_with("result-")) return true;
    }
    return false;
}

}  // namespace codegen::worker_manager

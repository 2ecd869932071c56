#include "packages/worker-wrapper/result_store.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>

#include "packages/worker-wrapper/log.hpp"
#include "shared/json/json.hpp"
#include "shared/posix/file.hpp"

namespace codegen::wrapper {

namespace {
constexpr std::size_t kLargestResult = 16u << 20;
constexpr std::string_view kPrefix = "result-";
constexpr std::string_view kSuffix = ".json";
}  // namespace

bool is_request_id(std::string_view text) {
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return !text.empty() && text.size() <= 128 && text.front() != '.' &&
           text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::filesystem::path ResultStore::file(std::string_view prefix, const std::string& request_id,
                                        std::string_view suffix) const {
    std::string name(prefix);
    name += request_id;
    name += suffix;
    return directory_ / name;
}

std::vector<ResultStore::Known> ResultStore::known() const {
    struct Found {
        std::filesystem::file_time_type time;
        Known known;
    };
    std::vector<Found> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
        const std::string id = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
        if (!is_request_id(id)) continue;
        found.push_back(
            {entry.last_write_time(error), {id, std::filesystem::exists(file(kPrefix, id, ".published"), error)}});
    }
    std::ranges::sort(found, {}, &Found::time);
    std::vector<Known> out;
    for (auto& f : found) out.push_back(std::move(f.known));
    return out;
}

Result<void> ResultStore::save(const contracts::ResultFile& result) const {
    return posix::write_file_atomically(file(kPrefix, result.output.request_id, kSuffix), json::write(result), 0600);
}

Result<contracts::ResultFile> ResultStore::load(const std::string& request_id) const {
    const auto path = file(kPrefix, request_id, kSuffix);
    auto text = posix::read_file(path, kLargestResult);
    if (!text) return std::unexpected(text.error());
    auto result = json::parse<contracts::ResultFile>(*text);
    if (!result) return std::unexpected(in_context(invalid(result.error()), path.string()));
    return std::move(*result);
}

void ResultStore::mark_published(const std::string& request_id) const {
    const posix::Fd fd(::open(file(kPrefix, request_id, ".published").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) log_error("cannot mark a result as published", {{"request_id", request_id}});
}

int ResultStore::count_attempt(const std::string& request_id) const {
    const auto path = file("attempts-", request_id, "");
    int count = 0;
    if (auto text = posix::read_file(path, 64)) count = std::atoi(text->c_str());
    ++count;
    const posix::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string text = std::to_string(count);
    // Not synced: it guards against a request that kills this process, not against a power cut.
    if (!fd || ::write(fd.get(), text.data(), text.size()) < 0)
        log_error("cannot count an attempt", {{"request_id", request_id}});
    return count;
}

}  // namespace codegen::wrapper

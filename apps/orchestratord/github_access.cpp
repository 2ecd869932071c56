#include "apps/orchestratord/github_access.hpp"

#include <fmt/format.h>

#include "shared/posix/file.hpp"

namespace codegen::orchestratord {
namespace {

constexpr std::size_t kLargestKey = 64u << 10;

Result<std::string> private_key(const Configuration& configuration) {
    const auto file = configuration.optional_text("GITHUB_APP_PRIVATE_KEY_FILE");
    if (const auto key = configuration.optional_text("GITHUB_APP_PRIVATE_KEY")) {
        if (file)
            return fail(ErrorCategory::fatal, "configuration",
                        "GITHUB_APP_PRIVATE_KEY and GITHUB_APP_PRIVATE_KEY_FILE are both set: expected one of them");
        return *key;
    }
    if (!file) return std::string();
    auto key = posix::read_file(*file, kLargestKey);
    if (!key)
        return fail(ErrorCategory::fatal, "configuration",
                    fmt::format("GITHUB_APP_PRIVATE_KEY_FILE: {}", key.error().message));
    return key;
}

}  // namespace

Result<std::optional<clients::GitHubClient>> open_github(boost::asio::any_io_executor executor,
                                                         const Configuration& configuration) {
    bool wanted = false;
    for (const auto* name : {"GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY", "GITHUB_APP_PRIVATE_KEY_FILE", "GITHUB_ORG"})
        wanted = wanted || configuration.is_set(name);
    if (!wanted) return std::nullopt;
    auto key = private_key(configuration);
    if (!key) return std::unexpected(std::move(key.error()));
    clients::GitHubOptions options;
    options.api_url = configuration.text("GITHUB_API_URL");
    options.organization = configuration.text("GITHUB_ORG");
    options.app_id = configuration.text("GITHUB_APP_ID");
    options.private_key = std::move(*key);
    auto client = clients::GitHubClient::make(std::move(executor), std::move(options));
    if (!client) return std::unexpected(std::move(client.error()));
    return std::optional(std::move(*client));
}

}  // namespace codegen::orchestratord

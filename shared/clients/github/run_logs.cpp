// https://docs.github.com/en/rest/actions/workflow-runs, "Download workflow run logs": a redirect to a place that is
// signed for a minute, elsewhere, where our token has no business.
#include <fmt/format.h>

#include "shared/clients/github/log_archive.hpp"
#include "shared/clients/github/session.hpp"

namespace codegen::clients {
namespace {

using github::LogFile;
using github::LogLimits;
using SessionPtr = std::shared_ptr<github::Session>;

struct Place {
    http::Url origin;
    std::string target;  // a secret: it is signed
};

std::optional<Place> place_of(std::string_view location) {
    const auto scheme = location.find("://");
    if (scheme == location.npos) return std::nullopt;
    const auto path = std::min(location.find_first_of("/?", scheme + 3), location.size());
    auto origin = http::parse_url(location.substr(0, path));
    if (!origin || origin->scheme == http::Url::Scheme::unix_socket) return std::nullopt;
    std::string target(location.substr(path, location.find('#', path) - path));
    if (!target.starts_with('/')) target.insert(0, "/");
    return Place{std::move(*origin), std::move(target)};
}

Task<Result<std::string>> download(SessionPtr session, std::string location, std::size_t limit) {
    auto place = place_of(location);
    if (!place ||
        (place->origin.scheme != http::Url::Scheme::https && session->api().scheme == http::Url::Scheme::https))
        co_return fail(ErrorCategory::permanent, "protocol", "GitHub names a place for the logs that is not https://");
    auto proxy = http::proxy_for(place->origin, session->options().environment);
    if (!proxy) co_return std::unexpected(std::move(proxy.error()));
    http::Client client(session->executor(), place->origin, {.body_limit = limit, .proxy = std::move(*proxy)});
    http::Request request;
    request.target = std::move(place->target);
    request.headers.set("User-Agent", "codegen-orchestrator/" CODEGEN_VERSION);
    auto response = co_await client.send(std::move(request), session->options().timeout * 4);
    if (!response) co_return std::unexpected(std::move(response.error()));
    if (response->status != 200)
        co_return fail(response->status >= 500 ? ErrorCategory::transient : ErrorCategory::permanent,
                       response->status >= 500 ? "unavailable" : "not_found",
                       fmt::format("the logs' place answers {}", response->status));
    co_return std::move(response->body);
}

Task<Result<std::vector<LogFile>>> get_logs(SessionPtr session, std::string repository, std::int64_t id,
                                            LogLimits limits) {
    const auto what = fmt::format("{}: logs of run {}", repository, id);
    auto path = session->repository_path(repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    github::Call call{.operation = "get run logs", .target = fmt::format("{}/actions/runs/{}/logs", *path, id)};
    call.keep_redirect = true;
    auto answer = co_await session->call(std::move(call));
    if (!answer) co_return std::unexpected(in_context(std::move(answer.error()), what));
    std::string archive = std::move(answer->body);
    if (answer->status >= 300) {
        std::string location(answer->headers.get("Location").value_or(""));
        auto fetched = co_await download(session, std::move(location), limits.archive_bytes);
        if (!fetched) co_return std::unexpected(in_context(std::move(fetched.error()), what));
        archive = std::move(*fetched);
    }
    auto files = github::unpack_logs(archive, limits);
    if (!files) co_return std::unexpected(in_context(std::move(files.error()), what));
    co_return files;
}

}  // namespace

Task<Result<std::vector<LogFile>>> GitHubClient::run_logs(std::string repository, std::int64_t id, LogLimits limits) {
    return get_logs(session_, std::move(repository), id, limits);
}

}  // namespace codegen::clients

#include "shared/clients/github/github_client.hpp"

#include <fmt/format.h>

#include "shared/base/base64.hpp"
#include "shared/clients/github/places.hpp"
#include "shared/clients/github/session.hpp"

namespace codegen::clients {
namespace {

using github::Session;
using SessionPtr = std::shared_ptr<Session>;

std::map<std::string, std::string> permissions_of(github::GitRights rights) {
    switch (rights) {
        case github::GitRights::read:
            return {{"contents", "read"}};
        case github::GitRights::write:
            return {{"contents", "write"}};
        case github::GitRights::write_workflows:
            return {{"contents", "write"}, {"workflows", "write"}};
    }
    std::unreachable();
}

// What curl inside git needs to get there, as the client itself does.
std::map<std::string, std::string> git_environment(const http::Environment& environment) {
    std::map<std::string, std::string> out;
    for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy", "NO_PROXY"})
        if (auto value = environment(name)) out[name] = std::move(*value);
    if (auto authorities = environment("SSL_CERT_FILE")) out["GIT_SSL_CAINFO"] = std::move(*authorities);
    return out;
}

Task<Result<github::GitRemote>> make_remote(SessionPtr session, std::string url, std::string repository,
                                            github::GitRights rights) {
    if (auto path = session->repository_path(repository); !path) co_return std::unexpected(path.error());
    auto token = co_await session->token({std::move(repository), permissions_of(rights)});
    if (!token) co_return std::unexpected(in_context(std::move(token.error()), "token for git"));
    github::GitRemote remote;
    remote.url = std::move(url);
    const auto web = http::parse_url(session->web());
    if (!web) co_return std::unexpected(web.error());
    remote.configuration = {
        // For this server alone, also where it redirects.
        {fmt::format("http.{}/.extraHeader", github::origin_of(*web)),
         "Authorization: Basic " + base64("x-access-token:" + token->token)},
        {"http.followRedirects", "false"},
        {web->scheme == http::Url::Scheme::https ? "protocol.https.allow" : "protocol.http.allow", "always"},
        {"credential.helper", ""},
    };
    remote.environment = git_environment(session->options().environment);
    remote.token = std::move(token->token);
    co_return remote;
}

Task<Result<void>> check_session(SessionPtr session) {
    auto token = co_await session->token({});
    if (!token) co_return std::unexpected(std::move(token.error()));
    co_return Result<void>{};
}

}  // namespace

GitHubClient::GitHubClient(SessionPtr session) : session_(std::move(session)) {}

Result<GitHubClient> GitHubClient::make(asio::any_io_executor executor, GitHubOptions options) {
    auto session = Session::make(std::move(executor), std::move(options));
    if (!session) return std::unexpected(session.error());
    return GitHubClient(std::move(*session));
}

const std::string& GitHubClient::organization() const { return session_->options().organization; }

std::string GitHubClient::clone_url(std::string_view repository) const {
    return fmt::format("{}/{}/{}.git", session_->web(), organization(), repository);
}

std::optional<std::string> GitHubClient::repository_at(std::string_view url) const {
    return github::repository_at(url, session_->web(), organization());
}

Task<Result<void>> GitHubClient::check() { return check_session(session_); }

Task<Result<github::GitRemote>> GitHubClient::git_remote(std::string repository, github::GitRights rights) {
    auto url = clone_url(repository);
    return make_remote(session_, std::move(url), std::move(repository), rights);
}

void GitHubClient::forget_token(std::string_view token) { session_->forget_token(token); }

}  // namespace codegen::clients

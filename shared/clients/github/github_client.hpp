// The one client of GitHub, as a GitHub App in one organisation (https://docs.github.com/en/rest, API of 2022-11-28),
// and of GitHub Enterprise Server.
//
// Errors, always with the operation and GitHub's own words: "unauthorized" (401, also with a fresh token): fatal;
// "forbidden" (403), "not_found" (404), "conflict" (409), "invalid" (422; a name that is none): permanent;
// "unavailable" (5xx, no connection) and "timeout": transient; "rate_limit_exceeded": upstream, at once instead of a
// silent wait, with retry_after. What changes something says what an error leaves open; creations look whether they had
// an effect before they report one. Nothing is tried again by itself but a request whose token had expired.
//
// Use on one thread. Copies share connections, tokens and budget. Cancelling a call closes its connection; GitHub may
// still do what was asked. No message, log line or figure holds a token or a key.
#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/clients/github/answers.hpp"
#include "shared/clients/github/requests.hpp"
#include "shared/http/client.hpp"

namespace codegen::clients {

namespace github {
class Session;

struct CreatedRepository {
    Repository repository;
    bool created = true;  // false: it was there before
};
}  // namespace github

struct GitHubOptions {
    std::string api_url = "https://api.github.com";  // GitHub Enterprise Server: https://HOST/api/v3
    std::string organization;
    std::string app_id;
    std::string private_key;            // PEM; see github::AppKey
    std::int64_t hourly_budget = 4500;  // of GitHub's 5,000 and more
    std::chrono::milliseconds timeout{15000};
    Clock now = system_now;
    http::Environment environment = {};  // of proxies and authorities; empty: the process's
};

class GitHubClient {
  public:
    // Errors: fatal "configuration", naming the setting (GITHUB_ORG, GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY,
    // GITHUB_API_URL) and what it should hold. Asks nobody.
    static Result<GitHubClient> make(asio::any_io_executor executor, GitHubOptions options);

    const std::string& organization() const;
    // "https://github.com/acme/NAME.git"
    std::string clone_url(std::string_view repository) const;
    // The name of the repository of this organisation that `url` is, with or without .git; nullopt: it is none.
    std::optional<std::string> repository_at(std::string_view url) const;

    // Tells whether the App may work here: asks for its installation and a token.
    Task<Result<void>> check();

    // In the organisation, empty. There already: not an error, `created` is false.
    Task<Result<github::CreatedRepository>> create_repository(github::NewRepository repository);
    Task<Result<github::Repository>> repository(std::string name);
    Task<Result<std::vector<github::Repository>>> repositories();
    Task<Result<void>> delete_repository(std::string name);  // not there: success

    // A token of at least five minutes for this repository alone; kept and used again.
    Task<Result<github::GitRemote>> git_remote(std::string repository, github::GitRights rights);
    // After git said that it was refused: the next git_remote() has a new one.
    void forget_token(std::string_view token);

  private:
    explicit GitHubClient(std::shared_ptr<github::Session> session);
    std::shared_ptr<github::Session> session_;
};

}  // namespace codegen::clients

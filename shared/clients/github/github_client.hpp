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

#include "shared/clients/github/actions.hpp"
#include "shared/clients/github/answers.hpp"
#include "shared/clients/github/contents.hpp"
#include "shared/clients/github/pull_request.hpp"
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
    std::chrono::milliseconds poll_interval{2000};  // of what GitHub does not tell by itself
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

    // `ref`: branch, tag or commit; empty: the default branch. A path that is no file is "invalid".
    Task<Result<github::File>> file(std::string repository, std::string path, std::string ref = {});
    Task<Result<std::vector<github::FileEntry>>> files(std::string repository, std::string folder = {},
                                                       std::string ref = {});
    // Commits the file unless it has this content already; the commit's sha, nullopt: there was nothing to do.
    // "conflict": it is not the version that may be replaced, or somebody else commits at the same time.
    Task<Result<std::optional<std::string>>> put_file(github::FileChange change);

    // For Actions. Encrypted here, for the repository's key.
    Task<Result<void>> put_secret(std::string repository, std::string name, std::string value);
    Task<Result<std::vector<std::string>>> secrets(std::string repository);  // names
    Task<Result<void>> delete_secret(std::string repository, std::string name);

    // Starts a workflow and finds the run that this started: GitHub names it, or its title has the dispatch's marker,
    // or it is the only new one. Where the answer was lost it looks for the run before it reports an error, and does
    // not dispatch again. What passes while it looks (a rate limit, 5xx) is waited for within `patience`. "dispatched":
    // GitHub took it, but the run was not found: permanent, since another dispatch would start a second one;
    // "conflict": it could be several.
    Task<Result<github::WorkflowRun>> dispatch(github::Dispatch dispatch,
                                               std::chrono::milliseconds patience = std::chrono::seconds(60));
    Task<Result<github::WorkflowRun>> workflow_run(std::string repository, std::int64_t id);
    Task<Result<std::vector<github::WorkflowRun>>> workflow_runs(std::string repository, std::string branch = {});
    // Until it is completed, however; beyond `limit` "timeout", and the run goes on: cancel_run().
    Task<Result<github::WorkflowRun>> wait_for_run(std::string repository, std::int64_t id,
                                                   std::chrono::milliseconds limit);
    Task<Result<void>> cancel_run(std::string repository, std::int64_t id);  // has ended: success
    // "too_large" beyond the limits, "not_found" when GitHub has thrown them away.
    Task<Result<std::vector<github::LogFile>>> run_logs(std::string repository, std::int64_t id,
                                                        github::LogLimits limits = {});

    // The open one of this head and base, if there is one: there is never a second.
    Task<Result<github::PullRequest>> create_pull_request(github::NewPullRequest wanted);
    Task<Result<github::PullRequest>> pull_request(std::string repository, std::int64_t number);
    Task<Result<github::PullRequestStatus>> pull_request_status(std::string repository, std::int64_t number);
    // The merge's commit; also when it was merged before. "conflict": the head is another one, or it cannot be merged.
    Task<Result<std::string>> merge_pull_request(github::Merge wanted);

    Task<Result<void>> protect_branch(std::string repository, std::string branch, github::BranchProtection wanted);
    // nullopt: it is not protected.
    Task<Result<std::optional<github::BranchProtection>>> branch_protection(std::string repository, std::string branch);
    Task<Result<void>> unprotect_branch(std::string repository, std::string branch);  // is not: success

  private:
    explicit GitHubClient(std::shared_ptr<github::Session> session);
    std::shared_ptr<github::Session> session_;
};

}  // namespace codegen::clients

// Repositories of an organisation on GitHub, through a GitHub App.
#pragma once
#include "services/scaffolder/repository_host.hpp"
#include "shared/clients/github/github_client.hpp"
#include "shared/git/git.hpp"

namespace codegen::scaffolder {

// A project's repository is the one that its repository_url names; else config.repository_name, else its name as a
// slug.
class GitHubHost : public RepositoryHost {
  public:
    explicit GitHubHost(clients::GitHubClient github) : github_(std::move(github)) {}
    bool holds(std::string_view url, std::string_view project_id) const override;
    Task<Result<Repository>> ensure(contracts::Project project) override;
    // `scratch` gets the commits of main without their files.
    Task<Result<Contents>> contents(Repository repository, std::string project_id,
                                    std::filesystem::path scratch) override;
    Task<Result<void>> push(Repository repository, std::filesystem::path from) override;

  private:
    // One git call with a token of this repository, and its URL in place of kRemoteArgument; refused, the token is
    // forgotten and the error transient, once.
    Task<Result<std::string>> call(git::Call call, std::string url, clients::github::GitRights rights);
    static constexpr std::string_view kRemoteArgument = "<remote>";
    clients::GitHubClient github_;
};

}  // namespace codegen::scaffolder

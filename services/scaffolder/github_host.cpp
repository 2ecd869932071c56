#include "services/scaffolder/github_host.hpp"

#include <fmt/format.h>

#include "services/scaffolder/project_file.hpp"

namespace codegen::scaffolder {
namespace fs = std::filesystem;
using clients::github::GitRights;

namespace {

bool is_refusal(const Error& error) {
    return error.message.contains("Authentication failed") || error.message.contains("could not read Username") ||
           error.message.contains("error: 401") || error.message.contains("error: 403");
}

std::string wanted_name(const contracts::Project& project) {
    const auto* name = project.config.if_contains("repository_name");
    return name && name->is_string() ? std::string(name->get_string()) : slug_of(project.name);
}

}  // namespace

bool GitHubHost::holds(std::string_view url, std::string_view) const { return github_.repository_at(url).has_value(); }

Task<Result<Repository>> GitHubHost::ensure(contracts::Project project) {
    if (project.repository_url) {
        const auto name = github_.repository_at(*project.repository_url);
        if (!name)
            co_return fail(ErrorCategory::permanent, "invalid",
                           fmt::format("{} is no repository of {}", *project.repository_url, github_.organization()));
        auto there = co_await github_.repository(*name);
        if (!there) co_return std::unexpected(there.error());
        co_return Repository{*project.repository_url, there->id};
    }
    clients::github::NewRepository wanted;
    wanted.name = wanted_name(project);
    wanted.description = project.description.value_or("");
    auto made = co_await github_.create_repository(std::move(wanted));
    if (!made) co_return std::unexpected(made.error());
    co_return Repository{made->repository.html_url, made->repository.id};
}

Task<Result<std::string>> GitHubHost::call(git::Call call, std::string url, GitRights rights) {
    const auto name = github_.repository_at(url);
    if (!name)
        co_return fail(ErrorCategory::permanent, "invalid",
                       fmt::format("{} is no repository of {}", url, github_.organization()));
    auto remote = co_await github_.git_remote(*name, rights);
    if (!remote) co_return std::unexpected(remote.error());
    for (auto& argument : call.arguments)
        if (argument == kRemoteArgument) argument = remote->url;
    call.network = true;
    call.configuration = remote->configuration;
    call.environment.insert(remote->environment.begin(), remote->environment.end());
    auto done = co_await git::output(std::move(call));
    if (done || !is_refusal(done.error())) co_return done;
    // It may have been taken back before its time: the next try has a new one.
    github_.forget_token(remote->token);
    auto error = done.error();
    error.category = ErrorCategory::transient;
    co_return std::unexpected(std::move(error));
}

Task<Result<Contents>> GitHubHost::contents(Repository repository, std::string project_id, fs::path scratch) {
    const std::string remote(kRemoteArgument);
    auto heads =
        co_await call({.repository = scratch, .arguments = {"ls-remote", remote}}, repository.url, GitRights::read);
    if (!heads) co_return std::unexpected(heads.error());
    if (heads->empty()) co_return Contents{};
    if (!heads->contains("\trefs/heads/main\n")) co_return Contents{.kind = Contents::Kind::foreign};
    auto made =
        co_await git::output({.repository = scratch, .arguments = {"init", "--quiet", "--bare", "--template="}});
    if (!made) co_return std::unexpected(made.error());
    auto fetched = co_await call(
        {.repository = scratch,
         .arguments = {"fetch", "--quiet", "--no-tags", "--filter=tree:0", remote, "refs/heads/main:refs/heads/main"}},
        repository.url, GitRights::read);
    if (!fetched) co_return std::unexpected(fetched.error());
    auto roots = co_await git::output({.repository = scratch, .arguments = list_roots("refs/heads/main")});
    if (!roots) co_return std::unexpected(roots.error());
    co_return contents_of_roots(*roots, project_id);
}

Task<Result<void>> GitHubHost::push(Repository repository, fs::path from) {
    auto pushed =
        co_await call({.repository = std::move(from),
                       .arguments = {"push", "--quiet", std::string(kRemoteArgument), "HEAD:refs/heads/main"}},
                      repository.url, GitRights::write_workflows);
    if (pushed) co_return Result<void>();
    auto error = in_context(pushed.error(), "push to " + repository.url);
    if (error.category == ErrorCategory::permanent && error.code == "git") error.code = "rejected";
    co_return std::unexpected(std::move(error));
}

}  // namespace codegen::scaffolder

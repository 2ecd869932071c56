#include "services/worker-manager/repository/remotes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "services/worker-manager/repository/tree.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/retry.hpp"
#include "shared/clients/github/github_client.hpp"
#include "shared/git/git.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;
using clients::github::GitRights;

constexpr std::chrono::minutes kTransfer{10};  // a first fetch brings the whole history
constexpr std::size_t kQuoted = 1000;

bool is_web(std::string_view url) { return url.starts_with("https://") || url.starts_with("http://"); }

// Without user and password, which do not belong in it.
std::string shown(std::string_view url) {
    const auto host = url.find("://") + 3;
    const auto at = url.substr(0, url.find('/', host)).rfind('@');
    return at == url.npos ? std::string(url) : fmt::format("{}...{}", url.substr(0, host), url.substr(at));
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool says_any(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(words, [&](std::string_view word) { return text.contains(word); });
}

// "remote: error: GH006: ...; ! [remote rejected] ...": what the server said, on one line.
std::string reasons_of(std::string_view errors) {
    std::string out;
    while (!errors.empty()) {
        const auto end = std::min(errors.find('\n'), errors.size());
        auto line = errors.substr(0, end);
        errors.remove_prefix(std::min(end + 1, errors.size()));
        while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
        if (!line.starts_with("remote: ") && !line.contains("rejected]")) continue;
        if (!out.empty()) out += "; ";
        out += line.substr(line.starts_with("remote: ") ? 8 : line.find('!'));
    }
    return out.substr(0, kQuoted);
}

}  // namespace

Remotes::Remotes(std::shared_ptr<clients::GitHubClient> github, fs::path directory)
    : github_(std::move(github)), directory_(std::move(directory)) {}

Result<bool> Remotes::serves(std::string_view url) const {
    if (!is_web(url)) return false;
    const std::string place = "workspace.repo_url";
    if (!github_)
        return fail(
            ErrorCategory::permanent, "invalid",
            fmt::format("{}: \"{}\" is on another server, and no GitHub App is configured here; set GITHUB_ORG, "
                        "GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE",
                        place, shown(url)),
            place);
    if (!github_->repository_at(url))
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("{}: \"{}\" is not a repository of {}, expected e.g. {}", place, shown(url),
                                github_->organization(), github_->clone_url("NAME")),
                    place);
    return true;
}

std::string Remotes::name_of(std::string_view url) const { return github_->repository_at(url).value(); }

fs::path Remotes::copy_of(std::string_view url) const {
    // GitHub's names are one in any case.
    return directory_ / "github" / lower(github_->organization()) / (lower(name_of(url)) + ".git");
}

Task<Remotes::Held> Remotes::take(std::string url) {
    const auto executor = co_await asio::this_coro::executor;
    auto& known = locks_[copy_of(url)];
    if (!known)
        known =
            std::make_shared<Lock>(Lock{false, asio::steady_timer(executor, asio::steady_timer::time_point::max())});
    const auto lock = known;
    while (lock->held) co_await lock->freed.async_wait(async::use_tuple);
    co_return Held(lock);
}

Task<Result<void>> Remotes::make_copy(fs::path path) {
    std::error_code ec;
    if (fs::exists(path / "HEAD", ec)) co_return Result<void>{};
    for (const auto& parent : {directory_, directory_ / "github", path.parent_path()})
        if (auto made = posix::make_directory(parent, 0700); !made) co_return made;
    const auto temporary = path.parent_path() / fmt::format(".{}.{}", path.filename().string(), random_token(6));
    auto made = co_await git::output(
        {.repository = temporary, .arguments = {"init", "-q", "--bare", "--template=", "--initial-branch=main"}});
    if (made) fs::rename(temporary, path, ec);
    if (!made || ec) co_await remove_tree(temporary);
    if (!made) co_return std::unexpected(std::move(made.error()));
    if (ec)
        co_return fail(ErrorCategory::transient, "io", fmt::format("rename to {}: {}", path.string(), ec.message()));
    co_return Result<void>{};
}

// One git call, and what its failure means.
Task<Result<std::string>> Remotes::attempt(std::string url, Call call) {
    auto remote = co_await github_->git_remote(name_of(url), call.writes ? GitRights::write : GitRights::read);
    if (!remote) {
        auto error = std::move(remote.error());
        if (error.code == "unavailable") error.code = "git";  // not the engine
        co_return std::unexpected(std::move(error));
    }
    const auto step = fmt::format("git {} {}", call.before.front(), remote->url);
    git::Call git_call{.repository = copy_of(url), .arguments = std::move(call.before), .timeout = kTransfer};
    git_call.arguments.push_back(remote->url);
    git_call.arguments.insert(git_call.arguments.end(), call.after.begin(), call.after.end());
    git_call.configuration = std::move(remote->configuration);
    git_call.environment = std::move(remote->environment);
    auto outcome = co_await git::run(std::move(git_call));
    if (!outcome) co_return std::unexpected(in_context(std::move(outcome.error()), step));
    if (outcome->ok()) co_return std::move(outcome->output);
    const auto& errors = outcome->errors;
    const auto message = fmt::format("{}: {}", step, outcome->describe());
    if (says_any(errors, {"Authentication failed", "could not read Username", "error: 401"})) {
        github_->forget_token(remote->token);
        co_return fail(ErrorCategory::transient, "unauthorized", message);
    }
    if (call.writes && says_any(errors, {"[remote rejected]", "[rejected]"}))
        co_return fail(ErrorCategory::permanent, "commit_rejected",
                       fmt::format("{} refuses it: {}", remote->url, reasons_of(errors)));
    if (says_any(errors, {"error: 403", "Write access to repository not granted"}))
        co_return fail(ErrorCategory::permanent, "git", message + " (the GitHub App may lack the permission contents)");
    if (says_any(errors, {"not found", "error: 404"})) co_return fail(ErrorCategory::permanent, "not_found", message);
    co_return fail(ErrorCategory::transient, "git", message);
}

Task<Result<std::string>> Remotes::run(std::string url, Call call) {
    const RetryPolicy policy;
    bool renewed = false;
    for (int retries = 0;;) {
        auto done = co_await attempt(url, call);
        if (done) co_return done;
        // Its token had ended; a fresh one that is refused is no use to try again.
        if (done.error().code == "unauthorized" && !renewed) {
            renewed = true;
            continue;
        }
        const bool again = done.error().category == ErrorCategory::transient && done.error().code != "unauthorized";
        const auto wait = again ? policy.next(ErrorCategory::transient, retries++) : std::nullopt;
        if (!wait) co_return done;
        co_await async::sleep_for(*wait);
    }
}

Task<Result<void>> Remotes::fetch(std::string url) {
    const auto copy = copy_of(url);
    auto made = co_await make_copy(copy);
    if (!made) co_return made;
    auto fetched = co_await run(url, {{"fetch", "-q", "--prune", "--force", "--no-tags", "--no-write-fetch-head",
                                       "--no-auto-maintenance", "--no-recurse-submodules", "--update-head-ok"},
                                      {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}});
    if (!fetched) co_return std::unexpected(std::move(fetched.error()));
    // "ref: refs/heads/main\tHEAD"
    auto head = co_await run(url, {{"ls-remote", "--symref"}, {"HEAD"}});
    if (!head) co_return std::unexpected(std::move(head.error()));
    constexpr std::string_view kRef = "ref: ";
    if (!head->starts_with(kRef)) co_return Result<void>{};  // an empty repository
    const auto target = head->substr(kRef.size(), head->find('\t') - kRef.size());
    auto pointed = co_await git::output({.repository = copy, .arguments = {"symbolic-ref", "HEAD", target}});
    if (!pointed) co_return std::unexpected(std::move(pointed.error()));
    co_return Result<void>{};
}

Task<Result<void>> Remotes::push(std::string url, std::string commit, std::string branch) {
    auto pushed = co_await run(url, {{"push", "-q", "--no-follow-tags", "--no-verify", "--recurse-submodules=no"},
                                     {fmt::format("+{}:refs/heads/{}", commit, branch)},
                                     true});
    if (!pushed) co_return std::unexpected(std::move(pushed.error()));
    co_return Result<void>{};
}

}  // namespace codegen::worker_manager

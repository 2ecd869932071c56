#include <fmt/format.h>

#include <boost/json.hpp>

#include "shared/clients/github/session.hpp"
#include "shared/http/url.hpp"

namespace codegen::clients {
namespace {

using github::Merge;
using github::NewPullRequest;
using github::PullRequest;
using github::PullRequestStatus;
using SessionPtr = std::shared_ptr<github::Session>;

std::string place_of(std::string_view repository, std::int64_t number) {
    return fmt::format("{}: pull request {}", repository, number);
}

Task<Result<PullRequest>> get_pull_request(SessionPtr session, std::string repository, std::int64_t number) {
    auto path = session->repository_path(repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto found = co_await session->get<PullRequest>(
        {.operation = "get pull request", .target = fmt::format("{}/pulls/{}", *path, number)});
    if (!found) co_return std::unexpected(in_context(std::move(found.error()), place_of(repository, number)));
    co_return found;
}

// The open one of this head and base.
Task<Result<std::optional<PullRequest>>> find_open(SessionPtr session, std::string path, std::string head,
                                                   std::string base) {
    auto found = co_await session->list<PullRequest>(
        {.operation = "list pull requests",
         .target = fmt::format("{}/pulls?state=open&head={}&base={}&per_page=100", path,
                               http::percent_encode(session->options().organization + ":" + head),
                               http::percent_encode(base))});
    if (!found) co_return std::unexpected(std::move(found.error()));
    if (found->empty()) co_return std::nullopt;
    co_return std::optional(std::move(found->front()));
}

Task<Result<PullRequest>> open_pull_request(SessionPtr session, NewPullRequest wanted) {
    const auto what = fmt::format("{}: pull request of {} into {}", wanted.repository, wanted.head, wanted.base);
    auto path = session->repository_path(wanted.repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    const boost::json::object body{
        {"title", wanted.title}, {"head", wanted.head}, {"base", wanted.base}, {"body", wanted.body}};
    auto made = co_await session->get<PullRequest>({.operation = "create pull request",
                                                    .method = "POST",
                                                    .target = *path + "/pulls",
                                                    .body = boost::json::serialize(body)});
    if (made) co_return made;
    // 422: one is there already, or what is wrong is something else.
    if (github::is_unsure(made.error()) || made.error().code == "invalid") {
        auto there = co_await find_open(session, *path, wanted.head, wanted.base);
        if (there && *there) co_return std::move(**there);
    }
    co_return std::unexpected(in_context(std::move(made.error()), what));
}

Task<Result<std::string>> merge(SessionPtr session, Merge wanted) {
    auto path = session->repository_path(wanted.repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    const boost::json::object body{{"sha", wanted.head_sha}, {"merge_method", wanted.method}};
    auto merged =
        co_await session->get<github::MergeAnswer>({.operation = "merge pull request",
                                                    .method = "PUT",
                                                    .target = fmt::format("{}/pulls/{}/merge", *path, wanted.number),
                                                    .body = boost::json::serialize(body)});
    if (merged) co_return std::move(merged->sha);
    // Done nevertheless, or done before (405).
    if (github::is_unsure(merged.error()) || merged.error().code == "conflict") {
        auto now = co_await get_pull_request(session, wanted.repository, wanted.number);
        if (now && now->merged && now->head.sha == wanted.head_sha) co_return now->merge_commit_sha.value_or("");
    }
    co_return std::unexpected(in_context(std::move(merged.error()), place_of(wanted.repository, wanted.number)));
}

Task<Result<PullRequestStatus>> get_status(SessionPtr session, std::string repository, std::int64_t number) {
    auto found = co_await get_pull_request(session, repository, number);
    if (!found) co_return std::unexpected(std::move(found.error()));
    auto runs = co_await session->list<github::CheckRun>(
        {.operation = "list check runs",
         .target = fmt::format("{}/commits/{}/check-runs?per_page=100", session->repository_path(repository).value(),
                               http::percent_encode(found->head.sha))},
        "check_runs");
    if (!runs) co_return std::unexpected(in_context(std::move(runs.error()), place_of(repository, number)));
    PullRequestStatus status;
    status.pull_request = std::move(*found);
    status.checks = github::verdict_of(*runs, &status.failing);
    co_return status;
}

}  // namespace

Task<Result<PullRequest>> GitHubClient::create_pull_request(NewPullRequest wanted) {
    return open_pull_request(session_, std::move(wanted));
}

Task<Result<PullRequest>> GitHubClient::pull_request(std::string repository, std::int64_t number) {
    return get_pull_request(session_, std::move(repository), number);
}

Task<Result<PullRequestStatus>> GitHubClient::pull_request_status(std::string repository, std::int64_t number) {
    return get_status(session_, std::move(repository), number);
}

Task<Result<std::string>> GitHubClient::merge_pull_request(Merge wanted) { return merge(session_, std::move(wanted)); }

}  // namespace codegen::clients

#include "services/workflow/delivery.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "services/workflow/store.hpp"
#include "shared/logging/log.hpp"
#include "shared/redis/progress.hpp"

namespace codegen::workflow {
Task<Result<void>> Delivery::deliver(storage::OutboxItem item) {
    if (item.kind == kStreamKind) return publish(std::move(item.body));
    if (item.kind == kPullRequestKind) return open_pull_request(std::move(item.body));
    return call(std::move(item.body));
}

Task<Result<void>> Delivery::publish(std::string body) {
    const auto message = decode_publish(body);
    if (message.stream.starts_with("task_progress:")) {
        auto told = co_await redis::publish_progress(&redis_, message.stream, message.message);
        if (!told) co_return std::unexpected(in_context(told.error(), "stream " + message.stream));
        co_return Result<void>();
    }
    auto added = co_await redis::publish(redis_, message.stream, message.message);
    if (!added) co_return std::unexpected(in_context(added.error(), "stream " + message.stream));
    co_return Result<void>();
}

Task<Result<void>> Delivery::call(std::string body) {
    const auto request = decode_call(body);
    auto answered = co_await api_.call(request.method, request.target, request.body);
    if (!answered) co_return std::unexpected(in_context(answered.error(), request.method + " " + request.target));
    co_return Result<void>();
}

Task<Result<clients::github::PullRequest>> Delivery::make_pull_request(OpenPullRequest wanted) {
    const auto name = github_ ? github_->repository_at(wanted.repository_url) : std::nullopt;
    if (!name)
        co_return fail(
            ErrorCategory::permanent, "invalid",
            fmt::format("{} is no repository that the workflow's GitHub App works in", wanted.repository_url));
    auto repository = co_await github_->repository(*name);
    if (!repository) co_return std::unexpected(std::move(repository.error()));
    auto made = co_await github_->create_pull_request({.repository = *name,
                                                       .head = std::move(wanted.branch),
                                                       .base = std::move(repository->default_branch),
                                                       .title = std::move(wanted.title),
                                                       .body = std::move(wanted.body)});
    co_return made;
}

// The task is completed either way: why there is no pull request stands in its result as well.
Task<Result<void>> Delivery::open_pull_request(std::string body) {
    auto wanted = decode_pull_request(body);
    const auto target = "/api/tasks/" + wanted.task_id;
    auto made = co_await make_pull_request(wanted);
    boost::json::object outcome;
    if (made) {
        outcome = {{"number", made->number}, {"url", made->html_url}};
        log::info("pull request opened", {{"task_id", wanted.task_id}, {"url", made->html_url}});
    } else if (made.error().category == ErrorCategory::transient || made.error().category == ErrorCategory::upstream) {
        co_return std::unexpected(in_context(std::move(made.error()), "pull request"));
    } else {
        outcome = {{"error", made.error().message}};
        log::warning("no pull request", {{"task_id", wanted.task_id}, {"error", made.error().message}});
    }
    auto written = co_await api_.change<contracts::TaskRecord>(
        target, [outcome = std::move(outcome)](const contracts::TaskRecord& task) {
            auto result = task.result.value_or(boost::json::object());
            result["pull_request"] = outcome;
            return boost::json::object{{"result", std::move(result)}};
        });
    co_return written;
}

}  // namespace codegen::workflow

#include <fmt/format.h>

#include <filesystem>

#include "services/worker-manager/core/names.hpp"
#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/result_files.hpp"
#include "shared/json/enum.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {

Task<Result<void>> Manager::on_collect(contracts::CollectWorkerCommand command) {
    contracts::CollectWorkerResponse response;
    response.request_id = command.request_id;
    const auto worker = find(command.worker_id);
    auto collected = worker && !worker->deleted() && !worker->deleting()
                         ? co_await collect_from(worker, command)
                         : Result<Collected>(fail(ErrorCategory::permanent, "not_found",
                                                  fmt::format("there is no worker \"{}\"", command.worker_id)));
    if (collected) {
        response.success = true;
        response.commit_sha = collected->commit_sha;
        response.commits = collected->commits;
        response.files_changed = std::move(collected->files_changed);
    } else {
        const auto& error = collected.error();
        // The reasons that judge the work keep their names; everything else is our own trouble.
        using contracts::FailureReason;
        const auto reason = json::enum_from<FailureReason>(error.code);
        response.reason = reason.value_or(FailureReason::infrastructure);
        response.error = fmt::format("collect from {}: {}", command.worker_id, error.message);
        log::warning("work not collected", {{"worker_id", command.worker_id},
                                            {"reason", std::string(json::name_of(*response.reason))},
                                            {"error", error.message}});
    }
    if (worker) response.gateway = gateway_counts(*worker);
    const auto type = worker ? worker->command.config.worker_type : contracts::WorkerType::developer;
    co_return co_await save_and_say({}, answers(type, command.callback_stream, json::write(response)));
}

Task<Result<Collected>> Manager::collect_from(WorkerPtr worker, contracts::CollectWorkerCommand command) {
    auto held = co_await worker->turn.take();
    const auto& row = worker->row;
    if (auto branch = check_branch(command.branch, "branch"); !branch) co_return std::unexpected(branch.error());
    if (row.repository.empty())
        co_return fail(ErrorCategory::permanent, "invalid",
                       "it was created without a workspace, so there is nothing to collect");
    const auto state = directories(row.worker_id).state();
    auto result = last_result(state);
    if (!result) co_return std::unexpected(result.error());
    if (result->bundle_error) co_return fail(ErrorCategory::permanent, "commit_rejected", *result->bundle_error);
    CollectRequest request;
    request.repository = row.repository;
    request.quarantine = options_.state_directory / "quarantine";
    if (result->bundle) {
        const std::filesystem::path name(*result->bundle);
        if (!name.has_filename() || name != name.filename() || name == "." || name == "..")
            co_return fail(ErrorCategory::permanent, "commit_rejected",
                           fmt::format("\"{}\" is not the name of a bundle", *result->bundle));
        request.bundle = state / name;
    }
    request.base_sha = row.base_sha;
    request.head_sha = result->head_sha;
    request.claimed_sha = command.claimed_sha;
    request.branch = command.branch;
    request.limits = options_.collect;
    if (const auto& workspace = worker->command.workspace) {
        const auto remote = remotes_.serves(workspace->repo_url);
        if (!remote) co_return std::unexpected(remote.error());
        if (*remote) co_return co_await collect_and_push(workspace->repo_url, std::move(request));
    }
    co_return co_await collect(std::move(request));
}

// Collected is what GitHub has: a push that fails leaves a branch here that the next collect finds again.
Task<Result<Collected>> Manager::collect_and_push(std::string url, CollectRequest request) {
    const auto branch = request.branch;
    auto held = co_await remotes_.take(url);
    auto collected = co_await collect(std::move(request));
    if (!collected || !collected->commit_sha) co_return collected;
    auto pushed = co_await remotes_.push(url, *collected->commit_sha, branch);
    if (!pushed) co_return std::unexpected(in_context(std::move(pushed.error()), "push " + branch));
    log::info("work pushed", {{"repository", url}, {"branch", branch}, {"commit", *collected->commit_sha}});
    co_return collected;
}

}  // namespace codegen::worker_manager

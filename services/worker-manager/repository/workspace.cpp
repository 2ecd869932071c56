#include "services/worker-manager/repository/workspace.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "services/worker-manager/core/names.hpp"
#include "shared/git/git.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {

Task<Result<std::string>> clone_workspace(CloneRequest request) {
    auto resolved = co_await git::run(
        {.repository = request.repository,
         .arguments = {"rev-parse", "--verify", "--quiet", "--end-of-options", request.base_ref + "^{commit}"}});
    if (!resolved) co_return std::unexpected(resolved.error());
    const auto sha = resolved->output.substr(0, resolved->output.find('\n'));
    if (!resolved->ok() || !is_full_sha(sha))
        co_return fail(ErrorCategory::permanent, "not_found",
                       fmt::format("{} has no commit \"{}\"", request.repository.string(), request.base_ref));
    if (auto made = posix::make_directory(request.directory, 0755); !made) co_return std::unexpected(made.error());

    const auto git_dir = request.directory / ".git";
    const auto in_clone = [&](std::vector<std::string> arguments) {
        return git::output({.repository = git_dir, .arguments = std::move(arguments), .work_tree = request.directory});
    };
    // Not `git clone`: a local one shares inodes, and any writes a remote into the configuration.
    auto made = co_await in_clone({"init", "-q", "--template=", "--initial-branch=" + request.branch});
    if (!made) co_return std::unexpected(made.error());
    auto fetched = co_await in_clone({"fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
                                      "--no-recurse-submodules", "--update-head-ok", request.repository.string(),
                                      fmt::format("{}:refs/heads/{}", sha, request.branch)});
    if (!fetched) co_return std::unexpected(fetched.error());
    auto checked_out = co_await in_clone({"read-tree", "-u", "--reset", "HEAD"});
    if (!checked_out) co_return std::unexpected(checked_out.error());
    std::error_code ec;
    std::filesystem::create_directory(git_dir / "info", ec);  // where the wrapper lists what it must not add
    co_return sha;
}

}  // namespace codegen::worker_manager

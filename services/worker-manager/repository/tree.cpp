#include "services/worker-manager/repository/tree.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "shared/process/process.hpp"

namespace codegen::worker_manager {
namespace {

Task<Result<void>> run_tool(std::vector<std::string> argv) {
    const auto tool = argv.front();
    const auto place = argv.back();
    process::Spec spec;
    spec.argv = std::move(argv);
    spec.environment = process::minimal_environment();
    auto outcome =
        co_await process::run(std::move(spec), {.timeout = std::chrono::minutes(5), .output_bytes = 1u << 20});
    if (!outcome) co_return std::unexpected(outcome.error());
    if (!outcome->ok())
        co_return fail(ErrorCategory::permanent, "io", fmt::format("{} {}: {}", tool, place, outcome->describe()));
    co_return Result<void>{};
}

}  // namespace

Task<Result<void>> remove_tree(std::filesystem::path path) {
    std::error_code ec;
    if (std::filesystem::symlink_status(path, ec).type() == std::filesystem::file_type::not_found)
        co_return Result<void>{};
    if (::geteuid() != 0) {
        // The agent's uid is ours; it may have taken its own rights away. Fails where there is nothing to change.
        co_await run_tool({"chmod", "-R", "u+rwX", "--", path.string()});
    }
    co_return co_await run_tool({"rm", "-rf", "--one-file-system", "--", path.string()});
}

Task<Result<void>> give_tree(std::filesystem::path path, AgentIdentity owner) {
    if (::geteuid() != 0) co_return Result<void>{};
    co_return co_await run_tool({"chown", "-hR", fmt::format("{}:{}", owner.uid, owner.gid), "--", path.string()});
}

}  // namespace codegen::worker_manager

#include "services/workflow/repository.hpp"

#include <fmt/format.h>

#include <system_error>

#include "shared/base/ids.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/git/git.hpp"
#include "shared/posix/file.hpp"

namespace codegen::workflow {
namespace {

constexpr std::string_view kCommitter = "Codegen Orchestrator <orchestrator@codegen.invalid>";

Task<Result<void>> git_step(std::filesystem::path repository, std::vector<std::string> arguments, std::string input) {
    auto done = co_await git::output(
        {.repository = repository, .arguments = std::move(arguments), .input = std::move(input), .durable = true});
    if (done) co_return Result<void>();
    auto error = in_context(done.error(), repository.string());
    error.category = ErrorCategory::transient;  // nobody's input is in it: the disk's fault
    co_return std::unexpected(std::move(error));
}

// One commit with one file, as `git fast-import` reads it.
std::string initial_commit(std::string_view project_name) {
    const std::string readme = fmt::format("# {}\n", project_name);
    const std::string message = "Initial commit\n";
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(system_now().time_since_epoch()).count();
    return fmt::format(
        "commit refs/heads/main\nauthor {0} {1} +0000\ncommitter {0} {1} +0000\ndata {2}\n{3}\n"
        "M 100644 inline README.md\ndata {4}\n{5}\ndone\n",
        kCommitter, now, message.size(), message, readme.size(), readme);
}

}  // namespace

Task<Result<std::filesystem::path>> make_repository(std::filesystem::path directory, std::string project_id,
                                                    std::string project_name) {
    std::error_code ignored;
    const auto path = std::filesystem::absolute(directory / (project_id + ".git"));
    if (std::filesystem::exists(path / "HEAD", ignored)) co_return path;
    if (auto made = posix::make_directory(directory, 0700); !made) co_return std::unexpected(made.error());

    const auto temporary = std::filesystem::absolute(directory / fmt::format(".{}.{}", project_id, random_token(6)));
    auto made = co_await git_step(temporary, {"init", "--quiet", "--bare", "--template=", "--initial-branch=main"}, "");
    if (made) made = co_await git_step(temporary, {"fast-import", "--quiet", "--done"}, initial_commit(project_name));
    if (made) {
        std::error_code error;
        std::filesystem::rename(temporary, path, error);
        if (error && !std::filesystem::exists(path / "HEAD", ignored))
            made =
                fail(ErrorCategory::permanent, "io", fmt::format("rename to {}: {}", path.string(), error.message()));
    }
    std::filesystem::remove_all(temporary, ignored);  // what the rename did not take away
    if (!made) co_return std::unexpected(made.error());
    co_return path;
}

std::size_t remove_half_made(const std::filesystem::path& directory, std::chrono::minutes older_than) {
    std::size_t removed = 0;
    std::error_code ignored;
    const auto now = std::filesystem::file_time_type::clock::now();
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        // ".<project's id>.<random>", as make_repository() names them; nothing else of that kind is ours.
        const auto name = entry.path().filename().string();
        const auto dot = name.rfind('.');
        if (name.empty() || name.front() != '.' || dot == 0 || !is_uuid(name.substr(1, dot - 1))) continue;
        const auto changed = entry.last_write_time(ignored);
        if (now - changed < older_than) continue;
        std::filesystem::remove_all(entry.path(), ignored);
        ++removed;
    }
    return removed;
}

}  // namespace codegen::workflow

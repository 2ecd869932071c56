#include "services/scaffolder/local_host.hpp"

#include <fmt/format.h>

#include <system_error>

#include "shared/base/ids.hpp"
#include "shared/git/git.hpp"
#include "shared/posix/file.hpp"

namespace codegen::scaffolder {
namespace fs = std::filesystem;

namespace {

// The directory under a name that means "half made", gone unless it was renamed.
struct HalfMade {
    ~HalfMade() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    fs::path path;
};

bool is_there(const fs::path& repository) {
    std::error_code ignored;
    return fs::exists(repository / "HEAD", ignored);
}

Task<Result<void>> push_to(fs::path repository, fs::path from) {
    auto pushed = co_await git::output({.repository = std::move(from),
                                        .arguments = {"push", "--quiet", repository.string(), "HEAD:refs/heads/main"},
                                        .durable = true});
    if (pushed) co_return Result<void>();
    auto error = in_context(pushed.error(), "push to " + repository.string());
    if (error.category == ErrorCategory::permanent) error.code = "rejected";
    co_return std::unexpected(std::move(error));
}

}  // namespace

std::string LocalHost::path_of(std::string_view project_id) const {
    return fs::absolute(directory_ / fmt::format("{}.git", project_id)).string();
}

bool LocalHost::holds(std::string_view url, std::string_view project_id) const { return url == path_of(project_id); }

Task<Result<Repository>> LocalHost::ensure(contracts::Project project) {
    if (!is_uuid(project.id))
        co_return fail(ErrorCategory::permanent, "invalid", fmt::format("project \"{}\": not a UUID", project.id));
    co_return Repository{path_of(project.id)};
}

Task<Result<Contents>> LocalHost::contents(Repository repository, std::string project_id, fs::path) {
    if (!is_there(repository.url)) co_return Contents{};
    auto any = co_await git::output({.repository = repository.url, .arguments = {"for-each-ref", "--count=1"}});
    if (!any) co_return std::unexpected(any.error());
    if (any->empty()) co_return Contents{};
    auto main = co_await git::output({.repository = repository.url, .arguments = {"for-each-ref", "refs/heads/main"}});
    if (!main) co_return std::unexpected(main.error());
    if (main->empty()) co_return Contents{.kind = Contents::Kind::foreign};
    auto roots = co_await git::output({.repository = repository.url, .arguments = list_roots("refs/heads/main")});
    if (!roots) co_return std::unexpected(roots.error());
    co_return contents_of_roots(*roots, project_id);
}

Task<Result<void>> LocalHost::push(Repository repository, fs::path from) {
    const fs::path path = repository.url;
    if (is_there(path)) co_return co_await push_to(path, std::move(from));
    if (auto made = posix::make_directory(directory_, 0700); !made) co_return std::unexpected(made.error());
    // The name that the workflow's upkeep removes when a killed process left it.
    const HalfMade temporary{path.parent_path() / fmt::format(".{}.{}", path.stem().string(), random_token(6))};
    auto made =
        co_await git::output({.repository = temporary.path,
                              .arguments = {"init", "--quiet", "--bare", "--template=", "--initial-branch=main"},
                              .durable = true});
    if (!made) co_return std::unexpected(made.error());
    auto pushed = co_await push_to(temporary.path, std::move(from));
    if (!pushed) co_return std::unexpected(pushed.error());
    std::error_code error;
    fs::rename(temporary.path, path, error);
    if (!error) co_return Result<void>();
    co_return fail(ErrorCategory::permanent, is_there(path) ? "rejected" : "io",
                   fmt::format("rename to {}: {}", path.string(), error.message()));
}

}  // namespace codegen::scaffolder

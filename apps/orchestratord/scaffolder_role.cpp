#include "apps/orchestratord/scaffolder_role.hpp"

#include <fmt/format.h>

#include "services/scaffolder/github_host.hpp"
#include "services/scaffolder/local_host.hpp"

namespace codegen::orchestratord {
namespace {
namespace fs = std::filesystem;

// The one that the project's scripts installed is started as a module: such a folder may be moved.
std::vector<std::string> copier_program(const Configuration& configuration, const fs::path& installed) {
    if (const auto given = configuration.optional_text("COPIER")) return {*given};
    const auto python = installed / "bin/python";
    std::error_code ignored;
    if (fs::exists(python, ignored)) return {python.string(), "-m", "copier"};
    return {"copier"};
}

}  // namespace

Result<std::unique_ptr<scaffolder::Service>> make_scaffolder(asio::any_io_executor executor,
                                                             const Configuration& configuration,
                                                             ScaffolderPlaces places, redis::Address redis,
                                                             clients::ApiClient api, std::string instance,
                                                             const std::optional<clients::GitHubClient>& github) {
    scaffolder::ServiceOptions o;
    o.redis = std::move(redis);
    o.instance = std::move(instance);
    o.scaffolder.work = places.state / "scaffolding";
    o.scaffolder.templates = places.templates;
    o.scaffolder.copier = copier_program(configuration, places.copier);
    o.scaffolder.timeout = std::chrono::seconds(configuration.integer("SCAFFOLD_TIMEOUT"));
    o.scaffolder.rules.trusted = configuration.list("TEMPLATE_TRUSTED");
    for (const auto& directory : configuration.list("TEMPLATE_DIRECTORIES")) {
        if (!directory.starts_with('/'))
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("TEMPLATE_DIRECTORIES: \"{}\" is no absolute path", directory));
        o.scaffolder.rules.local_templates.emplace_back(directory);
    }
    std::unique_ptr<scaffolder::RepositoryHost> host;
    if (configuration.text("REPOSITORY_HOST") == "github") {
        if (!github)
            return fail(
                ErrorCategory::fatal, "configuration",
                "REPOSITORY_HOST is \"github\": GITHUB_ORG, GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY(_FILE) must "
                "be set too");
        host = std::make_unique<scaffolder::GitHubHost>(*github);
    } else {
        host = std::make_unique<scaffolder::LocalHost>(places.state / "repositories");
    }
    return std::make_unique<scaffolder::Service>(std::move(executor), std::move(api), std::move(host), std::move(o));
}

}  // namespace codegen::orchestratord

// The role scaffolder, made from the settings.
#pragma once
#include <filesystem>
#include <optional>

#include "apps/orchestratord/configuration.hpp"
#include "services/scaffolder/service.hpp"
#include "shared/clients/github/github_client.hpp"

namespace codegen::orchestratord {

struct ScaffolderPlaces {
    std::filesystem::path state;      // the state directory
    std::filesystem::path templates;  // our own
    std::filesystem::path copier;     // the virtual environment that tools/copier.sh makes, if it is there
};

// Error: fatal "configuration", naming the setting. `github`: absent when nobody named an App.
Result<std::unique_ptr<scaffolder::Service>> make_scaffolder(asio::any_io_executor executor,
                                                             const Configuration& configuration,
                                                             ScaffolderPlaces places, redis::Address redis,
                                                             clients::ApiClient api, std::string instance,
                                                             const std::optional<clients::GitHubClient>& github);

}  // namespace codegen::orchestratord

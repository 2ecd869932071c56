// GITHUB_*: whether and as whom the roles use GitHub.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <optional>

#include "apps/orchestratord/configuration.hpp"
#include "shared/clients/github/github_client.hpp"

namespace codegen::orchestratord {

// nullopt: nobody named an App. Error, fatal "configuration": one of GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY(_FILE),
// GITHUB_ORG and GITHUB_API_URL is missing beside the others, or wrong; it names the setting and what it should hold.
// Asks nobody.
Result<std::optional<clients::GitHubClient>> open_github(boost::asio::any_io_executor executor,
                                                         const Configuration& configuration);

}  // namespace codegen::orchestratord

// The settings of infra-service.
#pragma once
#include "apps/orchestratord/configuration.hpp"
#include "apps/orchestratord/state_directory.hpp"
#include "services/infra-service/service.hpp"

namespace codegen::orchestratord {

// Without instance, playbooks and Redis, which are the process's. Fatal: PROVISION_PORTS is not a list of ports.
Result<infra::ServiceOptions> infra_options(const Configuration& configuration, const StateDirectory& state);
// INFRA_TOKEN, else <state>/infra.token, which the api role makes.
Result<std::string> infra_token(const Configuration& configuration, const StateDirectory& state);

}  // namespace codegen::orchestratord

// How a provisioning ended: what is stored first and told afterwards.
#pragma once
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "shared/contracts/contracts.hpp"
#include "shared/json/json.hpp"

namespace codegen::infra {

struct Ending {
    contracts::ProvisionerResult result;
    contracts::ServerStatus status{};                 // of the server from now on
    std::optional<contracts::IncidentType> incident;  // to be open from now on; without one all of ours are resolved
    bool recovery = false;                            // it was one: what recovery repairs is resolved, too
};
BOOST_DESCRIBE_STRUCT(Ending, (), (result, status, incident, recovery))

}  // namespace codegen::infra

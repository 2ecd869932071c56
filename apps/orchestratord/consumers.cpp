#include "apps/orchestratord/consumers.hpp"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "services/infra-service/service.hpp"
#include "services/scaffolder/service.hpp"
#include "services/worker-manager/service.hpp"
#include "services/workflow/service.hpp"

namespace codegen::orchestratord {

std::vector<redis::ConsumedStream> consumed_streams() {
    std::vector<redis::ConsumedStream> out = workflow::Service::consumed_streams();
    std::ranges::copy(scaffolder::Service::consumed_streams(), std::back_inserter(out));
    std::ranges::copy(worker_manager::Service::consumed_streams(), std::back_inserter(out));
    std::ranges::copy(infra::Service::consumed_streams(), std::back_inserter(out));
    // packages/worker-wrapper reads these; it is another program, so its list stands here.
    out.push_back(
        {"worker:{worker_id}:input", "worker-wrapper", "worker-wrapper", "DeveloperWorkerInput or POWorkerInput"});
    out.push_back({"worker:developer:input", "developer-workers", "worker-wrapper", "DeveloperWorkerInput"});
    out.push_back({"worker:po:{worker_id}:input", "worker-wrapper", "worker-wrapper", "POWorkerInput"});
    return out;
}

std::string consumers_json() {
    boost::json::array out;
    for (const auto& c : consumed_streams())
        out.push_back({{"stream", c.stream}, {"group", c.group}, {"role", c.role}, {"message", c.message}});
    return boost::json::serialize(out);
}

}  // namespace codegen::orchestratord

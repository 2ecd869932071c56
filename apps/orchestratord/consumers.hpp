// The registry of consumed streams.
#pragma once
#include <string>
#include <vector>

#include "shared/redis/consumer.hpp"

namespace codegen::orchestratord {

std::vector<redis::ConsumedStream> consumed_streams();
std::string consumers_json();  // [{stream, group, role, message}]; a worker's own streams hold {worker_id}

}  // namespace codegen::orchestratord

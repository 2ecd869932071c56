// How people reach a manager, and what they can still read (docs/configuration.md).
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "services/worker-manager/people/evidence.hpp"

namespace codegen::worker_manager {

struct PeopleOptions {
    std::string address;     // MANAGER_ADDRESS: an IP address; empty: the unix socket alone
    std::uint16_t port = 0;  // of it; 0: any
    std::string url;         // MANAGER_URL; empty: made from the address, else the socket's
    EvidenceLimits evidence;
    std::vector<std::string> secrets;  // of the control plane: never shown
    std::chrono::milliseconds announce_interval{10000};
};

}  // namespace codegen::worker_manager

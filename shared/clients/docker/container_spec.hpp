// What a container may be: every field typed, the rest fixed. There is no way to pass a raw host configuration, so no
// caller can ask for privilege, a device, a host namespace or the engine's socket by mistake.
//
// Fixed: all capabilities dropped but `capabilities`, no-new-privileges, the engine's default seccomp profile, swap =
// memory (none), no restart policy, no init process, core dumps off, logs of 2 files of 4 MB.
#pragma once
#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace codegen::clients {

struct ContainerMount {
    std::string source;  // an existing absolute host path; the engine refuses a missing one
    std::string target;
    bool read_only = false;
};

struct ContainerTmpfs {
    std::string target;
    std::int64_t bytes = 0;
    unsigned mode = 0755;
    bool executable = false;
};

struct ContainerSpec {
    std::string image;
    std::vector<std::string> entrypoint;  // argv of PID 1; the image's own entrypoint and command are not used
    std::string user = "0:0";
    std::string working_directory = "/";
    std::string hostname;
    std::map<std::string, std::string> environment;
    std::map<std::string, std::string> labels;
    std::vector<ContainerMount> mounts;
    std::vector<ContainerTmpfs> tmpfs;
    std::vector<std::string> capabilities;  // "SETUID"
    std::vector<int> groups;                // supplementary, of PID 1 and of what is executed in it
    // An OCI runtime that the engine knows, which walls a container off by itself (sysbox-runc, kata). Only with one
    // PID 1 has all capabilities. Empty: the engine's own runtime.
    std::string isolating_runtime;
    std::string network = "none";  // name of an existing engine network; "none": loopback only
    bool read_only_root = true;
    std::int64_t memory_bytes = 0;
    double cpus = 0;
    std::int64_t processes = 0;
};

// Body of POST /containers/create, Engine API 1.41.
boost::json::object create_body(const ContainerSpec& spec);

}  // namespace codegen::clients

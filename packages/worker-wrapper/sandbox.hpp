// The bubblewrap command line of one run: what it sees, and nothing else (docs/protocols.md and ARCHITECTURE.md,
// "Sandbox"). Pure.
#pragma once
#include <string>
#include <vector>

#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// Where things are inside every worker, whatever the runtime.
inline constexpr std::string_view kWorkspace = "/workspace";
inline constexpr std::string_view kHome = "/home/agent";
inline constexpr std::string_view kGateway = "/run/codegen";
inline constexpr std::string_view kInitProgram = "/opt/codegen/init/worker-wrapper";

// Descriptors that bubblewrap reads; -1: absent.
struct SandboxDescriptors {
    int passwd = -1;
    int group = -1;
    int hosts = -1;
    int resolv_conf = -1;
    int seccomp = -1;
    int control = -1;
    int report = -1;
};

std::vector<std::string> sandbox_command(const contracts::WrapperConfig& config, const SandboxDescriptors& descriptors);
std::string sandbox_passwd(const contracts::WrapperConfig& config);
std::string sandbox_group(const contracts::WrapperConfig& config);

}  // namespace codegen::wrapper

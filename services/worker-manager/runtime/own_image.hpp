// What a user's own image must have before a worker is made of it. Our programs are static and mounted, so it needs no
// libc and no shell for them; the agent and git bring needs of their own.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/worker-manager/runtime/agent_store.hpp"
#include "shared/clients/docker/docker_client.hpp"

namespace codegen::worker_manager {

struct OwnImageNeeds {
    bool git = false;       // the worker hands over commits
    std::string machine{};  // as images say it: "amd64"; empty: not compared
    // The loader that the agent's program asks for, e.g. /lib64/ld-linux-x86-64.so.2; empty: none.
    std::string loader{};
    std::string agent{};  // whose program that is, for the error
};

// What is looked for in an image, by its paths there.
struct OwnImageFacts {
    std::string os{};
    std::string machine{};
    bool git = false;
    bool loader = false;
};

// Error "invalid" that names what is missing and the way out.
Result<void> check_own_image(const std::string& reference, const OwnImageFacts& facts, const OwnImageNeeds& needs);

// The loader (PT_INTERP) of a 64-bit ELF program; empty: static, or not such a program.
std::string loader_of(const std::filesystem::path& program);
std::string own_machine();  // of this host: "amd64", "arm64", else as uname says

// PATH of an image's environment as absolute folders, without `first`, which stands before them; without a PATH
// `fallback`.
std::vector<std::string> image_path(const std::vector<std::string>& environment, const std::string& first,
                                    std::vector<std::string> fallback);
// The rest of it, by name.
std::map<std::string, std::string> image_environment(const std::vector<std::string>& environment);

// Looks into the image with a container that is made and never started. `mark`: label codegen.look of it.
Task<Result<OwnImageFacts>> look_into(clients::DockerClient client, clients::Image image, std::string loader,
                                      std::string mark);

}  // namespace codegen::worker_manager

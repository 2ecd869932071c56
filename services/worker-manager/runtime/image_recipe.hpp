// From (base, agent, capabilities) to the text of a Dockerfile and the name of its image. Pure and deterministic: the
// same recipe is the same image on every machine and for every worker.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/worker-manager/runtime/agent_store.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::worker_manager {

struct ImageRecipe {
    std::string base;     // reference, as FROM takes it
    std::string base_id;  // its image id or digest
    std::optional<AgentBinary> agent;
    std::vector<contracts::Capability> capabilities;  // any order, repetitions are fine
    std::vector<std::string> authorities;             // PEM certificates beyond the distribution's own
    // Lines "deb URI suite component..." of the host, used while building when the base is of the same release. Not
    // part of the hash: they say where packages come from, not which.
    std::vector<std::string> apt_sources;
    std::string apt_codename;  // release of apt_sources: "bookworm"
    // Labels of the first step, so that what a failed build leaves carries them too. Not part of the hash.
    std::map<std::string, std::string> labels{};
};

std::string dockerfile(const ImageRecipe& recipe);
// 16 hex digits over base id, agent and version, sorted capabilities, authorities and the template's version.
std::string recipe_hash(const ImageRecipe& recipe);
// The certificates of a PEM text, each on its own.
std::vector<std::string> split_certificates(const std::string& pem);
// From `apt-get indextargets` (its default format): the Debian archives of this release, without credentials in them.
std::vector<std::string> debian_sources(const std::string& index_targets, const std::string& codename);

}  // namespace codegen::worker_manager

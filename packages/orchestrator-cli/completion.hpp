// Completion scripts for shells, made from the command tree. Pure.
#pragma once
#include <string>
#include <vector>

#include "packages/orchestrator-cli/command_tree.hpp"

namespace codegen::cli {

// Commands, options, and the values of options that have a fixed set of them. Nothing is asked of the control plane.
std::string bash_completion(const std::vector<CommandInfo>& tree);
std::string zsh_completion(const std::vector<CommandInfo>& tree);
std::string fish_completion(const std::vector<CommandInfo>& tree);

}  // namespace codegen::cli

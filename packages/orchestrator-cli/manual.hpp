// The manual page, made from the command tree. Pure.
#pragma once
#include <string>
#include <vector>

#include "packages/orchestrator-cli/command_tree.hpp"

namespace codegen::cli {

std::string manual_page(const std::vector<CommandInfo>& tree);  // roff, for man(1)

}  // namespace codegen::cli

// Lists of commands that somebody may use: "project.get", "project.*" for a group, "*" for all. An empty list permits
// nothing. "engineering.trigger" is read as its newer name, engineering.start.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace codegen::contracts {

bool allows(const std::vector<std::string>& patterns, std::string_view command);

// The patterns that permit what both lists permit, and nothing else.
std::vector<std::string> allowed_by_both(const std::vector<std::string>& a, const std::vector<std::string>& b);

}  // namespace codegen::contracts

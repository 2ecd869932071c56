// git as the scaffolder runs it: without anybody's configuration, hooks, helpers or prompts.
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shared/async/async.hpp"

namespace codegen::scaffolder {

struct GitCall {
    std::filesystem::path repository;  // GIT_DIR
    std::vector<std::string> arguments;
    std::filesystem::path work_tree{};
    std::string input{};
    std::map<std::string, std::string> environment{};  // e.g. who commits
    // Beside ours; may hold a credential, which reaches git through its environment, never by an argument or a file.
    std::vector<std::pair<std::string, std::string>> configuration{};
    std::chrono::milliseconds timeout{120000};
};

// Its output. Anything but exit 0 is a permanent error, code "git", naming the step and git's last line; what looks
// like a network that is away, and a timeout, is transient.
Task<Result<std::string>> git(GitCall call);

}  // namespace codegen::scaffolder

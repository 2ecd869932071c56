// git as the control plane runs it: without anybody's configuration, hooks, helpers or prompts, and only in trees that
// no agent can write.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/process/process.hpp"

namespace codegen::worker_manager {

// Bounds for work on bytes that somebody else made.
struct GitBounds {
    std::int64_t memory_bytes = 2ll << 30;  // address space
    int cpu_seconds = 60;
    std::int64_t file_bytes = 2ll << 30;
};

struct GitCall {
    std::filesystem::path repository;  // GIT_DIR
    std::vector<std::string> arguments;
    std::string input = {};
    std::filesystem::path input_file = {};  // instead of `input`
    std::filesystem::path work_tree = {};
    std::optional<GitBounds> bounds = {};
    std::chrono::milliseconds timeout{120000};
    std::size_t output_bytes = 16u << 20;  // beyond it git is stopped
    // For another server: secrets among them, so they go the way of the environment and no other.
    std::vector<std::pair<std::string, std::string>> configuration = {};
    std::map<std::string, std::string> environment = {};
};

// How it ended, whatever that is. Error: only when it could not be started or was cancelled.
Task<Result<process::Outcome>> run_git(GitCall call);
// Its output; anything but exit 0 is a permanent error, code "git", naming the step and git's last line.
Task<Result<std::string>> git(GitCall call);

}  // namespace codegen::worker_manager

// git as the control plane runs it: without anybody's configuration, hooks, helpers or prompts, and only in trees that
// no agent can write.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/process/process.hpp"

namespace codegen::git {

// Bounds for work on bytes that somebody else made.
struct Bounds {
    std::int64_t memory_bytes = 2ll << 30;  // address space
    int cpu_seconds = 60;
    std::int64_t file_bytes = 2ll << 30;
};

struct Call {
    std::filesystem::path repository;  // GIT_DIR
    std::vector<std::string> arguments;
    std::filesystem::path work_tree = {};
    std::string input = {};
    std::filesystem::path input_file = {};  // instead of `input`
    std::optional<Bounds> bounds = {};
    std::chrono::milliseconds timeout{120000};
    std::size_t output_bytes = 16u << 20;  // beyond it git is stopped
    bool network = false;                  // may reach other machines: http, https, ssh to known hosts, proxies of ours
    bool durable = false;                  // everything it writes has reached the disk when it ends
    // Beside ours; may hold a credential, which reaches git through its environment, never by an argument or a file.
    std::vector<std::pair<std::string, std::string>> configuration = {};
    std::map<std::string, std::string> environment = {};  // e.g. who commits
};

// How it ended, whatever that is. Error: only when it could not be started or was cancelled.
Task<Result<process::Outcome>> run(Call call);
// Its output. Anything but exit 0 is a permanent error, code "git", naming the step and git's last line. With `network`
// a timeout, and what looks like a network that is away, is transient.
Task<Result<std::string>> output(Call call);

}  // namespace codegen::git

// What is asked of GitHub, as values.
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace codegen::clients::github {

struct NewRepository {
    std::string name;
    std::string description = {};
    bool is_private = true;
};

// What a token for git may do in its one repository. `write` may not touch .github/workflows: GitHub refuses such a
// push, so that an agent's commit cannot read the repository's secrets by a workflow of its own.
enum class GitRights { read, write, write_workflows };

// How git reaches a repository. The secret in `configuration` goes into the environment of one git call
// (GIT_CONFIG_KEY_n, GIT_CONFIG_VALUE_n), never into an argument, a URL or a file.
struct GitRemote {
    std::string url;                                                 // "https://github.com/acme/shop.git"
    std::vector<std::pair<std::string, std::string>> configuration;  // its header, its protocol allowed, no redirects
    std::map<std::string, std::string> environment;                  // proxies and authorities
    std::string token;                                               // for forget_token()
};

struct FileChange {
    std::string repository;
    std::string path;
    std::string content;
    std::string message;
    std::string branch = {};              // empty: the default branch
    std::optional<std::string> sha = {};  // of the version that may be replaced; absent: any
};

struct Dispatch {
    std::string repository;
    std::string workflow;  // its file: "deploy.yml"
    std::string ref;       // branch or tag
    std::map<std::string, std::string> inputs = {};
    // An input of the workflow that its `run-name` shows: it gets an id of this dispatch, by which the run is known
    // where GitHub does not name it (GitHub Enterprise Server; an answer that was lost).
    std::string marker_input = {};
};

struct LogLimits {
    std::size_t archive_bytes = 32u << 20;  // as it is sent
    std::size_t file_bytes = 16u << 20;     // unpacked, of each file
    std::size_t total_bytes = 64u << 20;
    std::size_t files = 2000;
};
struct LogFile {
    std::string name;  // "build/1_Set up job.txt": a path below where it is put, whatever the archive says
    std::string text;
};

struct NewPullRequest {
    std::string repository;
    std::string head;  // branch
    std::string base;  // branch
    std::string title;
    std::string body = {};
};
struct Merge {
    std::string repository;
    std::int64_t number = 0;
    std::string head_sha;           // what was looked at; another head is a "conflict"
    std::string method = "squash";  // merge, squash, rebase
};

struct BranchProtection {
    std::vector<std::string> required_checks = {};
    bool up_to_date = false;     // a branch must be up to date before it is merged
    int required_approvals = 0;  // 0: no review is asked for
    bool binds_admins = true;
};

}  // namespace codegen::clients::github

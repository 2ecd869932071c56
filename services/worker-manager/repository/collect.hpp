// Takes a worker's commits out of its bundle and into the project's repository, believing nothing: quarantine first,
// no hooks, objects checked, every size bounded.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/async.hpp"

namespace codegen::worker_manager {

struct CollectLimits {
    std::int64_t bundle_bytes = 100ll << 20;
    std::int64_t unpacked_bytes = 160ll << 20;  // of all new objects together
    std::uint32_t objects = 100000;
    std::uint64_t paths = 200000;  // files and folders that the commit has more than its base
};

struct CollectRequest {
    std::filesystem::path repository;     // the project's, bare
    std::filesystem::path quarantine;     // a folder of ours, on the repository's file system if possible
    std::filesystem::path bundle;         // empty: the worker made none
    std::string base_sha;                 // what the worker was given
    std::optional<std::string> head_sha;  // what the wrapper says HEAD was
    std::optional<std::string> claimed_sha;
    std::string branch;  // check_branch()ed; belongs to the manager, is forced
    CollectLimits limits;
};

struct Collected {
    std::optional<std::string> commit_sha;  // absent: no new commit
    std::int64_t commits = 0;
    std::vector<std::string> files_changed;  // at most kMaxFilesNamed
};
inline constexpr std::size_t kMaxFilesNamed = 500;

// Doing it again gives the same answer. Error codes commit_rejected, commit_missing, no_commit are judgements on the
// worker's work; others are our own trouble. Cancelling leaves the branch as it was or finished.
Task<Result<Collected>> collect(CollectRequest request);

}  // namespace codegen::worker_manager

#include "services/worker-manager/runtime/cgroups.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;

namespace {

std::string read_all(const fs::path& file) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// Kernel files want one write() and say by errno what they think of it.
bool write_value(const fs::path& file, const std::string& value) {
    posix::Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

bool make(const fs::path& directory) {
    std::error_code error;
    fs::create_directories(directory, error);
    return !error;
}

std::vector<int> processes(const fs::path& group) {
    std::istringstream text(read_all(group / "cgroup.procs"));
    std::vector<int> pids;
    for (int pid; text >> pid;) pids.push_back(pid);
    return pids;
}

bool apply(const CgroupBase& base, const fs::path& group, const WorkerLimits& limits) {
    std::string memory = std::to_string(limits.memory_bytes);
    std::string quota = std::to_string(std::llround(limits.cpus * 100000));
    std::string pids = std::to_string(limits.processes);
    switch (base.kind) {
        case CgroupBase::Kind::memory:
            // Ordered: memory+swap may not be lower than memory; without swap accounting the second file is missing.
            if (!write_value(group / "memory.limit_in_bytes", memory)) return false;
            write_value(group / "memory.memsw.limit_in_bytes", memory);
            return true;
        case CgroupBase::Kind::cpu:
            return write_value(group / "cpu.cfs_period_us", "100000") && write_value(group / "cpu.cfs_quota_us", quota);
        case CgroupBase::Kind::pids:
            return write_value(group / "pids.max", pids);
        case CgroupBase::Kind::unified:
            write_value(group / "memory.swap.max", "0");
            return write_value(group / "memory.max", memory) && write_value(group / "cpu.max", quota + " 100000") &&
                   write_value(group / "pids.max", pids);
    }
    return false;
}

// The number behind `key` in lines of "key number".
std::int64_t count_of(const std::string& text, std::string_view key) {
    std::istringstream lines(text);
    std::int64_t number = 0;
    for (std::string word; lines >> word >> number;)
        if (word == key) return number;
    return 0;
}

struct Mount {
    std::string point;
    std::string root;
    std::string type;
    std::string options;
};

std::vector<Mount> cgroup_mounts(std::string_view mountinfo) {
    std::vector<Mount> mounts;
    std::istringstream lines{std::string(mountinfo)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string id, parent, device, word;
        Mount mount;
        words >> id >> parent >> device >> mount.root >> mount.point;
        while (words >> word && word != "-") {
        }
        std::string source;
        words >> mount.type >> source >> mount.options;
        if (mount.type == "cgroup" || mount.type == "cgroup2") mounts.push_back(std::move(mount));
    }
    return mounts;
}

bool has_word(const std::string& list, std::string_view wanted) {
    std::istringstream words(list);
    for (std::string word; std::getline(words, word, ',');)
        if (word == wanted) return true;
    return false;
}

fs::path below(const Mount& mount, const std::string& group) {
    std::string relative = group;
    if (mount.root != "/" && relative.starts_with(mount.root)) relative.erase(0, mount.root.size());
    return fs::path(mount.point) / fs::path(relative).relative_path();
}

}  // namespace

std::vector<CgroupBase> cgroup_bases(std::string_view self_cgroup, std::string_view mountinfo, bool root) {
    using Kind = CgroupBase::Kind;
    std::map<std::string, std::string> own;  // controller -> our group; "" for version 2
    std::istringstream lines{std::string(self_cgroup)};
    for (std::string line; std::getline(lines, line);) {
        auto first = line.find(':');
        auto second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        std::istringstream names(line.substr(first + 1, second - first - 1));
        bool any = false;
        for (std::string name; std::getline(names, name, ','); any = true) own[name] = line.substr(second + 1);
        if (!any) own[""] = line.substr(second + 1);
    }
    std::vector<CgroupBase> bases;
    std::optional<CgroupBase> unified;
    for (const Mount& mount : cgroup_mounts(mountinfo)) {
        if (mount.type == "cgroup2") {
            if (own.contains(""))
                unified = CgroupBase{Kind::unified, root ? fs::path(mount.point) : below(mount, own[""])};
            continue;
        }
        for (auto [name, kind] : {std::pair("memory", Kind::memory), {"cpu", Kind::cpu}, {"pids", Kind::pids}})
            if (has_word(mount.options, name) && own.contains(name)) bases.push_back({kind, below(mount, own[name])});
    }
    // A hybrid machine has the controllers in version 1 and an empty version 2 beside it.
    if (bases.empty() && unified) bases.push_back(*unified);
    return bases;
}

Cgroups::Cgroups(std::string installation)
    : Cgroups(cgroup_bases(read_all("/proc/self/cgroup"), read_all("/proc/self/mountinfo"), ::geteuid() == 0),
              std::move(installation)) {}

Cgroups::Cgroups(std::vector<CgroupBase> bases, std::string installation)
    : bases_(std::move(bases)), installation_(std::move(installation)) {}

fs::path Cgroups::group(const CgroupBase& base, const std::string& worker_id) const {
    return base.directory / "codegen" / installation_ / worker_id;
}

std::vector<std::string> Cgroups::create(const std::string& worker_id, const WorkerLimits& limits) const {
    std::vector<std::string> old;
    for (const CgroupBase& base : bases_) old.push_back(group(base, worker_id).string());
    kill_all(old);
    remove(old);
    std::vector<std::string> made;
    for (const CgroupBase& base : bases_) {
        fs::path directory = group(base, worker_id);
        if (base.kind == CgroupBase::Kind::unified) {
            // Controllers are handed down one level at a time, before the level below has processes.
            make(directory.parent_path());
            for (const fs::path& level : {base.directory, base.directory / "codegen", directory.parent_path()})
                write_value(level / "cgroup.subtree_control", "+memory +cpu +pids");
        }
        if (!make(directory)) continue;
        if (apply(base, directory, limits)) {
            made.push_back(directory.string());
        } else {
            ::rmdir(directory.c_str());
            log::warning("cgroup limits could not be set", {{"cgroup", directory.string()}, {"worker_id", worker_id}});
        }
    }
    return made;
}

std::string Cgroups::missing() const {
    // No worker's name: a worker that runs would be killed with its group.
    const std::string trial = "-probe-" + random_token(6);
    const auto made = create(trial, {});
    std::string out;
    for (auto [kind, name] : {std::pair(CgroupBase::Kind::memory, "memory"),
                              {CgroupBase::Kind::cpu, "CPU"},
                              {CgroupBase::Kind::pids, "processes"}}) {
        const bool can = std::ranges::any_of(bases_, [&](const CgroupBase& base) {
            return (base.kind == kind || base.kind == CgroupBase::Kind::unified) &&
                   std::ranges::find(made, group(base, trial).string()) != made.end();
        });
        if (!can) out += (out.empty() ? "" : ", ") + std::string(name);
    }
    remove(made);
    return out;
}

bool Cgroups::out_of_memory(const std::vector<std::string>& groups) {
    return std::ranges::any_of(groups, [](const fs::path& group) {
        return count_of(read_all(group / "memory.oom_control"), "oom_kill") > 0 ||
               count_of(read_all(group / "memory.events"), "oom_kill") > 0;
    });
}

bool Cgroups::kill_all(const std::vector<std::string>& groups) {
    bool left = false;
    for (const fs::path group : groups) {
        // A pid read from cgroup.procs could in theory be reused before the signal; the group is ours alone, and its
        // members are read again each time.
        for (int round = 0; round < 100; ++round) {
            std::vector<int> pids = processes(group);
            if (pids.empty()) break;
            for (int pid : pids) ::kill(pid, SIGKILL);
        }
        left = left || !processes(group).empty();
    }
    return !left;
}

void Cgroups::remove(const std::vector<std::string>& groups) {
    for (const fs::path group : groups) {
        ::rmdir(group.c_str());
        ::rmdir(group.parent_path().c_str());  // when this was the installation's last worker
        ::rmdir(group.parent_path().parent_path().c_str());
    }
}

}  // namespace codegen::worker_manager

#include "services/worker-manager/runtime/agent_identities.hpp"

#include <sys/stat.h>

#include <set>

namespace codegen::worker_manager {
namespace fs = std::filesystem;

namespace {

// FNV-1a: a start that is the same for the same name, so that an id rarely moves from one worker to another.
unsigned hash(const std::string& text) {
    unsigned value = 2166136261u;
    for (char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16777619u;
    return value;
}

}  // namespace

AgentIdentities::AgentIdentities(fs::path workers, int uid_base, int count)
    : workers_(std::move(workers)), base_(uid_base), count_(count) {}

int AgentIdentities::recorded(const std::string& worker_id) const {
    struct stat status{};
    if (::lstat((WorkerDirectories{workers_ / worker_id}.home()).c_str(), &status) != 0) return -1;
    int uid = static_cast<int>(status.st_uid);
    return uid >= base_ && uid < base_ + count_ ? uid : -1;
}

AgentIdentity AgentIdentities::of(const std::string& worker_id) {
    if (int uid = recorded(worker_id); uid >= 0) given_[worker_id] = uid;
    if (auto known = given_.find(worker_id); known != given_.end()) return {known->second, known->second};

    std::set<int> taken;
    for (const auto& [name, uid] : given_) taken.insert(uid);
    std::error_code error;
    for (auto it = fs::directory_iterator(workers_, error); !error && it != end(it); it.increment(error))
        if (int uid = recorded(it->path().filename().string()); uid >= 0) taken.insert(uid);
    int slot = static_cast<int>(hash(worker_id) % static_cast<unsigned>(count_));
    while (taken.contains(base_ + slot) && static_cast<int>(taken.size()) < count_) slot = (slot + 1) % count_;
    given_[worker_id] = base_ + slot;
    return {base_ + slot, base_ + slot};
}

void AgentIdentities::release(const std::string& worker_id) { given_.erase(worker_id); }

}  // namespace codegen::worker_manager

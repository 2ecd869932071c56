// For tests of the runtimes: a state directory of its own with worker directories as the manager makes them, and a
// "wrapper" that is a shell script.
#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "services/worker-manager/runtime/uid_processes.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/base/ids.hpp"

namespace codegen::worker_manager::testing {

class TempState {
  public:
    TempState() {
        std::string path = "/tmp/codegen-runtime-XXXXXX";
        if (!::mkdtemp(path.data())) throw std::runtime_error("mkdtemp");
        root_ = path;
        installation_ = "test-" + random_token(4);
        for (const auto& folder : {root_, workers(), programs(), agents()}) {
            std::filesystem::create_directories(folder);
            ::chmod(folder.c_str(), 0711);
        }
        ::chmod(programs().c_str(), 0755);
    }
    ~TempState() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    TempState(const TempState&) = delete;

    std::filesystem::path workers() const { return root_ / "workers"; }
    std::filesystem::path programs() const { return root_ / "bin"; }
    std::filesystem::path agents() const { return root_ / "agents"; }
    std::filesystem::path images() const { return root_ / "images"; }
    const std::string& installation() const { return installation_; }

    void wrapper_script(const std::string& body) {
        // Replaced by rename: a script that runs keeps its file.
        std::filesystem::path file = programs() / "worker-wrapper.new";
        std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
        ::chmod(file.c_str(), 0755);
        std::filesystem::rename(file, programs() / "worker-wrapper");
    }

    BodySpec body(const std::string& worker_id, AgentIdentity identity) {
        BodySpec spec;
        spec.worker_id = worker_id;
        spec.installation = installation_;
        spec.host = "here";
        spec.agent_type = contracts::AgentType::custom;
        spec.directories = {workers() / worker_id};
        spec.programs = programs();
        spec.limits = {.memory_bytes = 64 << 20, .cpus = 1.0, .processes = 64};
        spec.config.worker_type = contracts::WorkerType::developer;
        const WorkerDirectories& host = spec.directories;
        directory(host.root, 0711, 0, 0);
        directory(host.gateway(), 0750, 0, identity.gid);
        directory(host.gateway() / "wrapper", 0700, 0, 0);
        directory(host.gateway() / "agent", 0755, 0, 0);
        directory(host.state(), 0700, 0, 0);
        directory(host.workspace(), 0755, identity.uid, identity.gid);
        directory(host.home(), 0755, identity.uid, identity.gid);
        return spec;
    }

  private:
    static void directory(const std::filesystem::path& path, mode_t mode, int uid, int gid) {
        std::filesystem::create_directories(path);
        ::chmod(path.c_str(), mode);
        if (::geteuid() == 0 && ::chown(path.c_str(), static_cast<uid_t>(uid), static_cast<gid_t>(gid)) != 0)
            throw std::runtime_error("chown");
    }

    std::filesystem::path root_;
    std::string installation_;
};

// For a TinyImage that is the base of image builds: package tools that only say what they were asked.
inline std::map<std::string, std::string> package_tools() {
    std::map<std::string, std::string> scripts{{"etc/os-release", "VERSION_CODENAME=none\n"}};
    for (const char* name : {"apt-get", "update-ca-certificates", "groupadd", "useradd", "install", "rm"})
        scripts[std::string("bin/") + name] = std::string("#!/bin/sh\necho ") + name + " \"$@\"\n";
    return scripts;
}

// A command of a test's own that can be told from all others: `sleep <mark>`, and who runs it now.
inline std::string sleep_mark() { return fmt::format("1000.{}", std::stoul(random_token(3), nullptr, 16)); }
inline std::vector<int> sleepers(const std::string& mark) {
    auto pids = process_ids();
    std::erase_if(pids,
                  [&](int pid) { return proc_text(pid, "cmdline") != "sleep" + std::string(1, '\0') + mark + '\0'; });
    return pids;
}

template <class T>
Task<void> keep(Task<Result<T>> running, std::optional<Result<T>>* out) {
    auto result = co_await std::move(running);
    out->emplace(std::move(result));
}

inline std::string content(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace codegen::worker_manager::testing

#include "packages/worker-wrapper/host_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/sandbox.hpp"

namespace codegen::wrapper {
namespace {

struct Place {
    std::string inside;
    std::string here;
};

// claude names a project's folder after its path: everything but letters and digits as '-'.
std::string dashed(std::string_view path) {
    std::string out(path);
    for (char& c : out)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
    return out;
}

void replace_place(std::string& text, const Place& place) {
    for (std::size_t at = 0; (at = text.find(place.inside, at)) != std::string::npos;) {
        const std::size_t end = at + place.inside.size();
        const bool whole = end == text.size() || text[end] == '/' || text[end] == ':';
        const bool from_its_start = at == 0 || text[at - 1] == '/' || text[at - 1] == ':' || text[at - 1] == '=';
        if (whole && from_its_start) text.replace(at, place.inside.size(), place.here);
        at += whole && from_its_start ? place.here.size() : place.inside.size();
    }
}

std::vector<pid_t> children_of(const std::filesystem::path& process) {
    std::vector<pid_t> out;
    std::error_code error;
    for (auto it = std::filesystem::directory_iterator(process / "task", error);
         !error && it != std::filesystem::end(it); it.increment(error)) {
        std::ifstream file(it->path() / "children");
        for (pid_t child = 0; file >> child;) out.push_back(child);
    }
    return out;
}

std::vector<pid_t> descendants() {
    std::vector<pid_t> all = children_of("/proc/self");
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto more = children_of("/proc/" + std::to_string(all[i]));
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

// A process that became the agent, with no identity of ours left, and kills everything it may but itself.
void kill_by_uid(uid_t uid, gid_t gid) {
    const pid_t pid = fork();
    if (pid == 0) {
        if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) _exit(1);
        ::kill(-1, SIGKILL);
        _exit(0);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    // SIGKILL: another member of the uid killed it, which is no failure of its own.
    if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) != 0))
        log_error("cannot take the agent's identity to end its processes");
}

}  // namespace

LaunchPlan at_host_paths(LaunchPlan plan, const contracts::WrapperConfig& config) {
    const std::array places{Place{std::string(kWorkspace), config.workspace}, Place{std::string(kHome), config.home},
                            Place{std::string(kGateway), config.gateway_directory}};
    const auto translate = [&](std::string& text) {
        for (const auto& place : places) {
            const std::string before = text;
            replace_place(text, place);
            if (text != before) return;  // never the result of another one
        }
    };
    for (auto& argument : plan.argv)
        if (argument.starts_with('/')) translate(argument);
    for (auto& [name, value] : plan.environment) translate(value);
    translate(plan.directory);
    for (auto& file : plan.files) translate(file.path);
    if (plan.session) {
        translate(plan.session->folder);
        replace_place(plan.session->folder, {dashed(kWorkspace), dashed(config.workspace)});
    }
    plan.environment["TMPDIR"] = config.process->temporary;
    return plan;
}

void limit_host_process(SpawnSpec& spec, const contracts::ProcessConfig& limits) {
    spec.cgroups = limits.cgroups;
    spec.die_with_parent = true;
    if (limits.memory_bytes > 0) spec.max_data = static_cast<rlim_t>(limits.memory_bytes);
    if (limits.processes > 0) spec.max_processes = static_cast<rlim_t>(limits.processes);
}

void kill_host_processes(const contracts::WrapperConfig& config) {
    if (geteuid() == 0 && config.agent_uid > 0)
        return kill_by_uid(static_cast<uid_t>(config.agent_uid), static_cast<gid_t>(config.agent_gid));
    // A fork bomb makes new ones meanwhile: again at once, and the caller comes again.
    for (int round = 0; round < 3; ++round)
        for (pid_t pid : descendants()) ::kill(pid, SIGKILL);
}

}  // namespace codegen::wrapper

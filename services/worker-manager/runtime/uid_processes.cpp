#include "services/worker-manager/runtime/uid_processes.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace codegen::worker_manager {
namespace fs = std::filesystem;

std::vector<int> process_ids() {
    std::vector<int> out;
    std::error_code error;
    for (auto it = fs::directory_iterator("/proc", error); !error && it != fs::end(it); it.increment(error)) {
        const auto name = it->path().filename().string();
        if (name.find_first_not_of("0123456789") == std::string::npos) out.push_back(std::stoi(name));
    }
    return out;
}

std::string proc_text(int pid, std::string_view file) {
    std::ifstream in(fmt::format("/proc/{}/{}", pid, file));
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

bool lives_as(int pid, int uid) {
    const auto status = proc_text(pid, "status");
    return status.contains(fmt::format("\nUid:\t{}\t", uid)) && !status.contains("\nState:\tZ");
}

}  // namespace codegen::worker_manager

#include "services/infra-service/run_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>

#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"

namespace codegen::infra {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kLock = "lock";
constexpr std::string_view kProcess = "process";

posix::Fd lock(const fs::path& file) {
    posix::Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
    return fd;
}

}  // namespace

Result<RunDirectory> RunDirectory::make(const fs::path& runs) {
    for (const auto& folder : {runs.parent_path(), runs})
        if (auto made = posix::make_directory(folder, 0700); !made) return std::unexpected(made.error());
    auto path = runs / random_token(6);
    if (auto made = posix::make_directory(path, 0700); !made) return std::unexpected(made.error());
    auto held = lock(path / kLock);
    if (!held) {
        auto failed = posix::errno_error("lock " + (path / kLock).string(), errno);
        std::error_code ignored;
        fs::remove_all(path, ignored);
        return failed;
    }
    return RunDirectory(std::move(path), std::move(held));
}

RunDirectory::~RunDirectory() {
    if (!lock_) return;  // moved from
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

Result<fs::path> RunDirectory::write(std::string_view name, std::string_view content, unsigned mode) const {
    auto file = path_ / name;
    if (auto written = posix::replace_file(file, content, mode); !written) return std::unexpected(written.error());
    return file;
}

void RunDirectory::note_process(int pid) const {
    const auto started = process::start_time(pid);
    if (!started) return;
    if (auto noted = write(kProcess, fmt::format("{} {}", pid, *started)); !noted)
        log::warning("a process is not noted: it would outlive this one", {{"error", noted.error().message}});
}

int remove_left_runs(const fs::path& runs) {
    int removed = 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(runs, error)) {
        const auto held = lock(entry.path() / kLock);
        if (!held) continue;  // it lives
        if (const auto text = posix::read_file(entry.path() / kProcess, 100)) {
            int pid = 0;
            unsigned long long started = 0;
            if (std::sscanf(text->c_str(), "%d %llu", &pid, &started) == 2 && pid > 1)
                process::kill_process_tree(pid, started);
        }
        fs::remove_all(entry.path(), error);
        ++removed;
    }
    return removed;
}

}  // namespace codegen::infra

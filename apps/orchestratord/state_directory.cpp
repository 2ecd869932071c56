#include "apps/orchestratord/state_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"

namespace codegen::orchestratord {
namespace fs = std::filesystem;

fs::path StateDirectory::default_path(const std::function<std::optional<std::string>(std::string_view)>& environment,
                                      bool root) {
    if (auto chosen = environment("CODEGEN_STATE_DIR"); chosen && !chosen->empty()) return *chosen;
    if (root) return "/var/lib/codegen";
    if (auto xdg = environment("XDG_STATE_HOME"); xdg && !xdg->empty()) return fs::path(*xdg) / "codegen";
    return fs::path(environment("HOME").value_or("/tmp")) / ".local/state/codegen";
}

Result<StateDirectory> StateDirectory::open(const fs::path& path, bool alone) {
    StateDirectory out;
    std::error_code error;
    out.path_ = fs::absolute(path, error);
    fs::create_directories(out.path_.parent_path(), error);  // a failure shows in the next line, with its reason
    for (auto [name, mode] : {std::pair<std::string_view, mode_t>{"", 0711},
                              {"workers", 0711},
                              {"redis", 0700},
                              {"repositories", 0700},
                              {"images", 0700},
                              {"agents", 0755},
                              {"bin", 0755}}) {
        auto made = posix::make_directory(name.empty() ? out.path_ : out.path_ / name, mode);
        if (!made)
            return std::unexpected(
                in_context(Error{ErrorCategory::fatal, "configuration", made.error().message, {}}, "state directory"));
    }
    const auto lock = out.path_ / "orchestratord.lock";
    out.lock_ = posix::Fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!out.lock_) return posix::errno_error(fmt::format("open {}", lock.string()), errno);
    if (::flock(out.lock_.get(), (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        const auto holder = posix::read_file(lock, 64);
        return fail(
            ErrorCategory::fatal, "configuration",
            fmt::format(
                "state directory {} is in use by another orchestratord (pid {}); stop it, or choose another with "
                "CODEGEN_STATE_DIR",
                out.path_.string(), holder && !holder->empty() ? *holder : "unknown"));
    }
    const auto pid = std::to_string(::getpid());
    if (::ftruncate(out.lock_.get(), 0) != 0 || ::pwrite(out.lock_.get(), pid.data(), pid.size(), 0) < 0)
        return posix::errno_error(fmt::format("write {}", lock.string()), errno);

    const auto id_file = out.path_ / "instance.id";
    auto id = posix::read_file(id_file, 64);
    if (id && is_uuid(*id)) {
        out.instance_id_ = *id;
    } else {
        out.instance_id_ = new_uuid();
        if (auto written = posix::write_file_atomically(id_file, out.instance_id_, 0644); !written)
            return std::unexpected(written.error());
    }
    return out;
}

}  // namespace codegen::orchestratord

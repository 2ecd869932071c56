#include "apps/orchestratord/state_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"

namespace codegen::orchestratord {
namespace fs = std::filesystem;

namespace {

Result<posix::Fd> take_lock(const fs::path& path, int kind, const std::string& taken) {
    posix::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return posix::errno_error(fmt::format("open {}", path.string()), errno);
    if (::flock(fd.get(), kind | LOCK_NB) != 0) {
        const auto holder = posix::read_file(path, 64);
        return fail(ErrorCategory::fatal, "configuration",
                    fmt::format("{} (pid {}); stop it, or choose another with CODEGEN_STATE_DIR", taken,
                                holder && !holder->empty() ? *holder : "unknown"));
    }
    const auto pid = std::to_string(::getpid());
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0)
        return posix::errno_error(fmt::format("write {}", path.string()), errno);
    return fd;
}

}  // namespace

fs::path StateDirectory::default_path(const std::function<std::optional<std::string>(std::string_view)>& environment,
                                      bool root) {
    if (auto chosen = environment("CODEGEN_STATE_DIR"); chosen && !chosen->empty()) return *chosen;
    if (root) return "/var/lib/codegen";
    if (auto xdg = environment("XDG_STATE_HOME"); xdg && !xdg->empty()) return fs::path(*xdg) / "codegen";
    const auto home = environment("HOME").value_or("");
    return home.empty() ? fs::path() : fs::path(home) / ".local/state/codegen";
}

Result<StateDirectory> StateDirectory::open(const fs::path& path, bool alone) {
    StateDirectory out;
    std::error_code error;
    // A directory that everybody can make things in would be no place for tokens.
    if (path.empty())
        return fail(ErrorCategory::fatal, "configuration",
                    "no state directory: HOME is not set; name one with CODEGEN_STATE_DIR or --state-dir");
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
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("state directory: {}; name another with CODEGEN_STATE_DIR or --state-dir",
                                    made.error().message));
    }
    auto lock = take_lock(out.path_ / "orchestratord.lock", alone ? LOCK_EX : LOCK_SH,
                          fmt::format("state directory {} is in use by another orchestratord", out.path_.string()));
    if (!lock) return std::unexpected(lock.error());
    out.lock_ = std::move(*lock);

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

Result<posix::Fd> StateDirectory::lock_role(std::string_view role) const {
    return take_lock(path_ / fmt::format("{}.lock", role), LOCK_EX,
                     fmt::format("the role {} of state directory {} runs already", role, path_.string()));
}

}  // namespace codegen::orchestratord

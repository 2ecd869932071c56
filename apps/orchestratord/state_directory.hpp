// The one directory that holds everything that lasts: layout, modes, the lock, the instance id.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::orchestratord {

class StateDirectory {
  public:
    // Makes what is missing. Modes: the directory and workers/ 0711 (bubblewrap, started as another uid, must pass),
    // redis/ and repositories/ 0700. Takes the lock: a second control plane on one directory is a fatal error that
    // names the first one's pid.
    // Not `alone` (the processes of `serve`): shared with others that are not.
    static Result<StateDirectory> open(const std::filesystem::path& path, bool alone = true);
    static std::filesystem::path default_path(
        const std::function<std::optional<std::string>(std::string_view)>& environment, bool root);

    // Held as long as what is returned lives. Some roles run once a directory: what they own is in it.
    Result<posix::Fd> lock_role(std::string_view role) const;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
    // Random, made once: whose leases, consumers and containers these are.
    const std::string& instance_id() const { return instance_id_; }

  private:
    std::filesystem::path path_;
    std::string instance_id_;
    posix::Fd lock_;
};

}  // namespace codegen::orchestratord

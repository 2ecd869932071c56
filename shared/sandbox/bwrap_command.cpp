#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::sandbox {
namespace {

class Arguments {
  public:
    explicit Arguments(std::string program) { words_.push_back(std::move(program)); }
    template <class... Words>
    void add(Words&&... words) {
        (words_.emplace_back(std::forward<Words>(words)), ...);
    }
    std::vector<std::string> take() { return std::move(words_); }

  private:
    std::vector<std::string> words_;
};

// What programs of /usr need of /etc; nothing there is a secret or names the host. passwd, group and hosts are the
// caller's (config.sandbox->mounts).
constexpr std::array<std::string_view, 9> kEtc{"alternatives",  "ssl/certs",    "ld.so.cache",
                                               "ld.so.conf",    "ld.so.conf.d", "localtime",
                                               "nsswitch.conf", "services",     "mime.types"};

}  // namespace

std::vector<std::string> bwrap_command(const contracts::WrapperConfig& config, std::vector<std::string> inner,
                                       const BwrapOptions& options) {
    const contracts::SandboxConfig& sandbox = config.sandbox.value();
    const std::string gateway(kGatewayInside);
    const std::string workspace(kWorkspaceInside);
    const std::string home(kHomeInside);
    Arguments a(sandbox.bwrap);

    a.add("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try");
    a.add("--uid", std::to_string(config.agent_uid), "--gid", std::to_string(config.agent_gid), "--hostname",
          config.worker_id);
    a.add("--die-with-parent", "--new-session", "--cap-drop", "ALL");
    if (sandbox.seccomp_filter) a.add("--seccomp", std::to_string(options.seccomp_fd));

    a.add("--ro-bind", "/usr", "/usr");
    // On a merged-/usr host these are links; elsewhere (--ro-bind follows links) directories. Either way the bind
    // works.
    for (std::string_view name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"})
        a.add("--ro-bind-try", std::string(name), std::string(name));
    for (std::string_view name : kEtc)
        a.add("--ro-bind-try", fmt::format("/etc/{}", name), fmt::format("/etc/{}", name));
    a.add("--proc", "/proc", "--dev", "/dev");
    a.add("--perms", "1777", "--size", std::to_string(options.tmp_bytes), "--tmpfs", "/tmp");
    a.add("--dir", "/var", "--symlink", "/tmp", "/var/tmp");

    for (const contracts::ReadOnlyMount& mount : sandbox.mounts) a.add("--ro-bind", mount.source, mount.target);
    a.add("--ro-bind", config.gateway_directory, gateway);
    a.add("--tmpfs", gateway + "/wrapper", "--remount-ro", gateway + "/wrapper");
    a.add("--bind", config.home, home, "--bind", config.workspace, workspace, "--chdir", workspace);
    if (sandbox.login) a.add("--bind", *sandbox.login, home + "/" + config.login.value());
    a.add("--remount-ro", "/", "--");

    std::vector<std::string> argv = a.take();
    std::move(inner.begin(), inner.end(), std::back_inserter(argv));
    return argv;
}

}  // namespace codegen::sandbox

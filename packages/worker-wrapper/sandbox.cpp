#include "packages/worker-wrapper/sandbox.hpp"

namespace codegen::wrapper {
namespace {
// Of /tmp and of /var/tmp, as in Docker: they are memory, and without a cgroup nothing else bounds them.
constexpr std::string_view kTemporaryBytes = "1073741824";
}  // namespace

std::string sandbox_passwd(const contracts::WrapperConfig& config) {
    std::string out = "agent:x:" + std::to_string(config.agent_uid) + ":" + std::to_string(config.agent_gid) +
                      "::" + std::string(kHome) + ":/bin/bash\n";
    if (config.agent_uid != 0) out = "root:x:0:0::/root:/usr/sbin/nologin\n" + out;
    return out + "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";
}

std::string sandbox_group(const contracts::WrapperConfig& config) {
    return "agent:x:" + std::to_string(config.agent_gid) + ":\nnogroup:x:65534:\n";
}

std::vector<std::string> sandbox_command(const contracts::WrapperConfig& config,
                                         const SandboxDescriptors& descriptors) {
    const contracts::SandboxConfig& sandbox = *config.sandbox;
    std::vector<std::string> argv{sandbox.bwrap};
    auto add = [&](std::initializer_list<std::string_view> arguments) {
        for (const auto& argument : arguments) argv.emplace_back(argument);
    };
    add({"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup", "--unshare-net",
         "--hostname", "worker", "--new-session", "--die-with-parent", "--as-pid-1"});

    add({"--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin", "--symlink",
         "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"});
    for (std::string_view path : {"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates.conf",
                                  "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"})
        add({"--ro-bind-try", path, path});
    add({"--symlink", "../usr/lib/os-release", "/etc/os-release"});
    auto made_up = [&](int fd, std::string_view path) {
        if (fd >= 0) add({"--perms", "0444", "--ro-bind-data", std::to_string(fd), path});
    };
    made_up(descriptors.passwd, "/etc/passwd");
    made_up(descriptors.group, "/etc/group");
    made_up(descriptors.hosts, "/etc/hosts");
    made_up(descriptors.resolv_conf, "/etc/resolv.conf");

    add({"--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", kTemporaryBytes, "--tmpfs", "/tmp", "--perms",
         "1777", "--size", kTemporaryBytes, "--tmpfs", "/var/tmp"});
    add({"--bind", config.home, kHome, "--bind", config.workspace, kWorkspace});
    if (sandbox.login) add({"--bind", *sandbox.login, std::string(kHome) + "/" + config.login.value()});
    add({"--ro-bind", config.gateway_directory, kGateway, "--tmpfs", std::string(kGateway) + "/wrapper", "--remount-ro",
         std::string(kGateway) + "/wrapper"});
    for (const auto& mount : sandbox.mounts) add({"--ro-bind", mount.source, mount.target});
    add({"--ro-bind", sandbox.wrapper_program, kInitProgram});
    add({"--remount-ro", "/", "--chdir", kWorkspace});
    if (descriptors.seccomp >= 0) add({"--seccomp", std::to_string(descriptors.seccomp)});
    add({"--", kInitProgram, "init", std::to_string(descriptors.control), std::to_string(descriptors.report)});
    return argv;
}

}  // namespace codegen::wrapper

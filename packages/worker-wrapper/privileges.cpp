#include "packages/worker-wrapper/privileges.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "shared/posix/file.hpp"

namespace codegen::wrapper {
namespace {

constexpr std::uint32_t bit(int capability) { return 1u << capability; }

Result<void> keep_only(std::uint32_t capabilities) {
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
        const bool kept = capability < 32 && (capabilities & bit(capability)) != 0;
        if (!kept && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM)
            return posix::errno_error("drop capability " + std::to_string(capability), errno);
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> have{};
    if (syscall(SYS_capget, &header, have.data()) != 0) return posix::errno_error("capget", errno);
    const std::uint32_t wanted = capabilities & have[0].permitted;
    std::array<__user_cap_data_struct, 2> data{};
    data[0].effective = data[0].permitted = wanted;
    if (syscall(SYS_capset, &header, data.data()) != 0) return posix::errno_error("capset", errno);
    return {};
}

}  // namespace

Result<void> restrict_process(const contracts::WrapperConfig& config) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return posix::errno_error("no_new_privs", errno);
    if (!config.sandbox && !config.process) {
        if (getpid() == 1 && geteuid() == 0) return {};
        return fail(ErrorCategory::fatal, "invalid",
                    "without \"sandbox\" or \"process\" in its configuration worker-wrapper must be PID 1 of a "
                    "container and uid 0, "
                    "it is PID " +
                        std::to_string(getpid()) + " and uid " + std::to_string(geteuid()));
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return posix::errno_error("child subreaper", errno);
    if (geteuid() != 0) return {};
    return keep_only(bit(CAP_SETUID) | bit(CAP_SETGID) | bit(CAP_KILL));
}

EffectiveGroup::EffectiveGroup(int gid) : before_(static_cast<int>(getegid())) {
    if (geteuid() == 0) [[maybe_unused]]
        auto done = setresgid(static_cast<gid_t>(-1), static_cast<gid_t>(gid), static_cast<gid_t>(-1));
}

EffectiveGroup::~EffectiveGroup() {
    if (geteuid() == 0) [[maybe_unused]]
        auto done = setresgid(static_cast<gid_t>(-1), static_cast<gid_t>(before_), static_cast<gid_t>(-1));
}

}  // namespace codegen::wrapper

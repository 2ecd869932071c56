#include "services/worker-manager/runtime/seccomp_filter.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <sstream>
#include <string_view>
#include <vector>

#include "shared/posix/fd.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

// Separated by blanks. Names that this architecture does not have are skipped.
constexpr std::string_view kAllowed =
    // files
    "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 "
    "fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flistxattr flock "
    "fremovexattr "
    "fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr lchown lgetxattr link "
    "linkat "
    "listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat "
    "open "
    "openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat "
    "readv "
    "removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync "
    "sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev "
    // waiting
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd "
    "eventfd2 "
    "fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents "
    "io_pgetevents io_setup io_submit pause poll ppoll pselect6 select signalfd signalfd4 timerfd_create "
    "timerfd_gettime "
    "timerfd_settime "
    // memory
    "brk madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock "
    "munlockall munmap remap_file_pages shmat shmctl shmdt shmget "
    // processes, threads, signals
    "alarm capget capset execve execveat exit exit_group fork futex futex_waitv "
    "get_robust_list get_thread_area getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid "
    "getpriority "
    "getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease "
    "ptrace restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list "
    "set_thread_area "
    "set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid "
    "setreuid "
    "setrlimit setsid setuid sigaltstack tgkill tkill vfork wait4 waitid arch_prctl modify_ldt "
    // time and the machine
    "adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep getcpu getrandom gettimeofday nanosleep sysinfo "
    "time "
    "timer_create timer_delete timer_getoverrun timer_gettime timer_settime times uname "
    // talking to each other
    "accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open "
    "mq_timedreceive "
    "mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl semget semop semtimedop "
    "sendmmsg "
    "sendmsg sendto setsockopt shutdown socketpair";

// Answered with EPERM, as in a container; the rest of what is not allowed answers ENOSYS.
constexpr std::string_view kForbidden =
    "pkey_alloc pkey_free pkey_mprotect process_vm_readv process_vm_writev "
    "mount umount umount2 mount_setattr move_mount open_tree fsconfig fsmount fsopen fspick pivot_root chroot unshare "
    "setns "
    "sethostname setdomainname bpf perf_event_open userfaultfd open_by_handle_at name_to_handle_at fanotify_init "
    "lookup_dcookie quotactl "
    "quotactl_fd syslog reboot kexec_load kexec_file_load init_module finit_module delete_module create_module acct "
    "swapon "
    "swapoff iopl ioperm kcmp pidfd_getfd process_madvise keyctl add_key request_key settimeofday clock_settime stime "
    "vhangup get_mempolicy mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages io_uring_setup "
    "io_uring_enter io_uring_register nfsservctl uselib ustat sysfs _sysctl";

// CLONE_NEWxxx (NEWTIME is for clone3 only): NS, CGROUP, UTS, IPC, USER, PID, NET
constexpr std::array<std::uint32_t, 7> kNamespaceFlags{0x00020000, 0x02000000, 0x04000000, 0x08000000,
                                                       0x10000000, 0x20000000, 0x40000000};

scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

class Filter {
  public:
    Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) {
        if (!context_) {
            failed_ = ENOMEM;
            return;
        }
        note(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)));
        note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));  // binary search
    }

    void all(std::uint32_t action, std::string_view names) {
        std::istringstream words{std::string(names)};
        for (std::string name; words >> name;) rule(action, name);
    }
    void rule(std::uint32_t action, const std::string& name, std::vector<scmp_arg_cmp> conditions = {}) {
        int number = seccomp_syscall_resolve_name(name.c_str());
        if (number < 0 || !context_) return;  // not on this architecture
        note(seccomp_rule_add_array(context_.get(), action, number, static_cast<unsigned>(conditions.size()),
                                    conditions.data()));
    }
    // Allows the call unless the low 32 bits of the argument - all that the kernel looks at - are `base` + one of
    // `last`. A plain "not equal" compares 64 bits and is passed by setting a high one (CVE-2019-10063).
    void allow_unless(const std::string& name, unsigned argument, std::uint32_t base, std::vector<std::uint32_t> last) {
        for (unsigned bit = 4; bit < 32; ++bit) {
            std::uint64_t mask = 1ull << bit;
            rule(SCMP_ACT_ALLOW, name, {masked(argument, mask, ~std::uint64_t(base) & mask)});
        }
        for (std::uint32_t nibble = 0; nibble < 16; ++nibble)
            rule(std::ranges::find(last, nibble) != last.end() ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW, name,
                 {masked(argument, 0xffffffffull, std::uint64_t(base + nibble))});
    }

    Result<std::string> compile() const {
        if (failed_ != 0)
            return fail(ErrorCategory::permanent, "seccomp", "libseccomp: " + std::string(::strerror(failed_)));
        posix::Fd file(::memfd_create("seccomp", MFD_CLOEXEC));
        if (!file) return posix::errno_error("memfd_create", errno);
        if (int error = seccomp_export_bpf(context_.get(), file.get()); error != 0)
            return fail(ErrorCategory::permanent, "seccomp", "libseccomp: " + std::string(::strerror(-error)));
        std::string program(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
        if (::pread(file.get(), program.data(), program.size(), 0) != static_cast<ssize_t>(program.size()))
            return posix::errno_error("read the compiled filter", errno);
        return program;
    }

  private:
    struct Release {
        void operator()(void* context) const { seccomp_release(context); }
    };
    void note(int result) {
        if (result < 0 && failed_ == 0) failed_ = -result;
    }

    std::unique_ptr<void, Release> context_;
    int failed_ = 0;
};

}  // namespace

Result<std::string> compile_seccomp_filter() {
    Filter filter;
    filter.all(SCMP_ACT_ALLOW, kAllowed);
    filter.all(SCMP_ACT_ERRNO(EPERM), kForbidden);
    std::uint64_t namespaces = 0;
    for (std::uint32_t flag : kNamespaceFlags) {
        namespaces |= flag;
        filter.rule(SCMP_ACT_ERRNO(EPERM), "clone", {masked(0, flag, flag)});
    }
    filter.rule(SCMP_ACT_ALLOW, "clone", {masked(0, namespaces, 0)});
    for (std::uint64_t persona : {0x0ull, 0x8ull, 0x20000ull, 0x20008ull, 0xffffffffull})
        filter.rule(SCMP_ACT_ALLOW, "personality", {scmp_arg_cmp{0, SCMP_CMP_EQ, persona, 0}});
    filter.allow_unless("socket", 0, 0x20, {AF_ALG - 0x20, AF_VSOCK - 0x20});
    filter.allow_unless("ioctl", 1, 0x5410, {TIOCSTI - 0x5410, TIOCLINUX - 0x5410});
    return filter.compile();
}

}  // namespace codegen::worker_manager

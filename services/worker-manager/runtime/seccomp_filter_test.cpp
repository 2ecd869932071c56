// The compiled filter is loaded into a child, which then tries.
#include "services/worker-manager/runtime/seccomp_filter.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace codegen::worker_manager {
namespace {

// errno of `call` under the filter, 0 when it succeeded.
int under_filter(const std::function<long()>& call) {
    auto program = compile_seccomp_filter();
    if (!program) throw std::runtime_error(program.error().message);
    int pid = ::fork();
    if (pid == 0) {
        sock_fprog loaded{static_cast<unsigned short>(program->size() / sizeof(sock_filter)),
                          reinterpret_cast<sock_filter*>(program->data())};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded) != 0)
            ::_exit(255);
        errno = 0;
        ::_exit(call() >= 0 ? 0 : errno);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    return WEXITSTATUS(status);
}

TEST(SeccompFilter, ForbidsWhatReachesTheKernelOrOtherNamespaces) {
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_umount2, "/nowhere", 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_pivot_root, "/", "/"); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_setns, -1, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_perf_event_open, nullptr, 0, 0, -1, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_userfaultfd, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_add_key, "user", "x", "y", 1, -1); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_request_key, "user", "x", nullptr, -1); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_init_module, nullptr, 0, ""); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_reboot, 0, 0, 0, nullptr); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
#ifdef SYS_iopl
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_iopl, 3); }), EPERM);
#endif
}

TEST(SeccompFilter, ForbidsCloneOfNamespacesInEveryForm) {
    for (unsigned long flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
                               CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNS})
        EXPECT_EQ(under_filter([flag] { return ::syscall(SYS_clone, flag | SIGCHLD, nullptr, nullptr, nullptr, 0); }),
                  EPERM)
            << flag;
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
}

TEST(SeccompFilter, ForbidsTypingIntoATerminalAlsoWithHighBitsSet) {
    char c = 'x';
    int pts = ::open("/dev/ptmx", O_RDWR | O_NOCTTY);
    ASSERT_GE(pts, 0) << "needs /dev/ptmx";
    for (unsigned long command : {0x5412ul, 0x541cul, 0x1'0000'5412ul})
        EXPECT_EQ(under_filter([&] { return ::syscall(SYS_ioctl, pts, command, &c); }), EPERM) << command;
    EXPECT_EQ(under_filter([&] { return ::syscall(SYS_ioctl, pts, TIOCGWINSZ, std::array<short, 4>().data()); }), 0);
    EXPECT_EQ(under_filter([&] { return ::syscall(SYS_ioctl, pts, FIONBIO, std::array<int, 1>().data()); }), 0);
    ::close(pts);
}

TEST(SeccompFilter, ForbidsSocketFamiliesThatLeaveTheNamespace) {
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_socket, 0x1'0000'0000ul | AF_VSOCK, SOCK_STREAM, 0); }), EPERM);
    EXPECT_EQ(under_filter([] { return ::syscall(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0); }), EPERM);
    for (int family : {AF_UNIX, AF_INET, AF_NETLINK})
        EXPECT_EQ(under_filter([family] { return ::syscall(SYS_socket, family, SOCK_DGRAM, 0); }), 0) << family;
}

TEST(SeccompFilter, LetsOrdinaryProgramsRun) {
    EXPECT_EQ(under_filter([] {
                  return static_cast<long>(
                      ::system("ls / | sort | head -3 >/dev/null && git --version >/dev/null && "
                               "bash -c '(sleep 0 & wait); true'"));
              }),
              0);
    EXPECT_EQ(under_filter([] { return ::syscall(9999); }), ENOSYS);
}

}  // namespace
}  // namespace codegen::worker_manager

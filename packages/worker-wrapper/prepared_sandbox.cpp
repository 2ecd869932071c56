#include "packages/worker-wrapper/prepared_sandbox.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/sandbox.hpp"
#include "shared/json/json.hpp"
#include "shared/posix/file.hpp"

namespace codegen::wrapper {
namespace {

constexpr std::size_t kPassed = 4;  // plan, stdin, stdout, stderr

union Ancillary {
    std::array<char, CMSG_SPACE(kPassed * sizeof(int))> bytes;
    cmsghdr align;
};

// Read end (ours, not blocking) and write end.
Result<std::array<posix::Fd, 2>> pipe_to_us() {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return posix::errno_error("pipe", errno);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return std::array{posix::Fd(ends[0]), posix::Fd(ends[1])};
}

}  // namespace

Result<PreparedSandbox> prepare_sandbox(const contracts::WrapperConfig& config) {
    std::vector<posix::Fd> files;
    auto memory = [&](std::string_view name, std::string_view content) {
        auto fd = memory_file(name, content);
        if (!fd) return -1;
        files.push_back(std::move(*fd));
        return files.back().get();
    };
    SandboxDescriptors descriptors;
    descriptors.passwd = memory("passwd", sandbox_passwd(config));
    descriptors.group = memory("group", sandbox_group(config));
    descriptors.hosts = memory("hosts", "127.0.0.1 localhost worker\n");
    descriptors.resolv_conf = memory("resolv.conf", "");
    if (config.sandbox->seccomp_filter) {
        auto filter = posix::open_regular(*config.sandbox->seccomp_filter);
        if (!filter) return std::unexpected(in_context(filter.error(), "seccomp filter"));
        files.push_back(std::move(*filter));
        descriptors.seccomp = files.back().get();
    }
    std::array<int, 2> control{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()) != 0)
        return posix::errno_error("socketpair", errno);
    PreparedSandbox made;
    made.control = posix::Fd(control[0]);
    files.emplace_back(control[1]);
    descriptors.control = control[1];
    auto report = pipe_to_us();
    if (!report) return std::unexpected(report.error());
    auto diagnostics = pipe_to_us();
    if (!diagnostics) return std::unexpected(diagnostics.error());
    descriptors.report = (*report)[1].get();
    fcntl(descriptors.report, F_SETFL, O_NONBLOCK);  // init never waits for us

    SpawnSpec spec;
    spec.argv = sandbox_command(config, descriptors);
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}};
    spec.directory = "/";
    spec.errors = (*diagnostics)[1].get();
    for (const auto& file : files) spec.keep.push_back(file.get());
    spec.keep.push_back(descriptors.report);
    if (geteuid() == 0)
        spec.identity = Identity{static_cast<uid_t>(config.agent_uid), static_cast<gid_t>(config.agent_gid)};
    spec.cgroups = config.sandbox->cgroups;
    spec.die_with_parent = true;
    auto spawning = spawn_in_background(spec);
    if (!spawning) return std::unexpected(spawning.error());
    made.pid = spawning->pid;
    made.failure = std::move(spawning->failure);
    made.report = std::move((*report)[0]);
    made.diagnostics = std::move((*diagnostics)[0]);
    return made;
}

Result<void> send_start(int control, const LaunchPlan& plan, const BodyStreams& streams) {
    auto plan_fd = plan_descriptor(plan);
    if (!plan_fd) return std::unexpected(plan_fd.error());
    const posix::Fd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    auto or_null = [&](int fd) { return fd >= 0 ? fd : null_fd.get(); };
    const std::array<int, kPassed> passed{plan_fd->get(), or_null(streams.input), or_null(streams.output),
                                          or_null(streams.errors)};
    char byte = 0;
    iovec data{&byte, 1};
    Ancillary ancillary{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = ancillary.bytes.data();
    message.msg_controllen = ancillary.bytes.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(header), passed.data(), sizeof passed);
    while (sendmsg(control, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return fail(ErrorCategory::transient, "unavailable",
                        std::string("the prepared sandbox takes no request: ") + std::strerror(errno));
    return {};
}

Result<std::optional<StartMessage>> receive_start(int control) {
    char byte = 0;
    iovec data{&byte, 1};
    Ancillary ancillary{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = ancillary.bytes.data();
    message.msg_controllen = ancillary.bytes.size();
    ssize_t got = 0;
    while ((got = recvmsg(control, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (got < 0) return posix::errno_error("receive the start message", errno);
    if (got == 0) return std::nullopt;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    std::array<int, kPassed> passed{};
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof passed))
        return fail(ErrorCategory::permanent, "invalid", "the start message does not carry four descriptors");
    std::memcpy(passed.data(), CMSG_DATA(header), sizeof passed);
    return StartMessage{posix::Fd(passed[0]), posix::Fd(passed[1]), posix::Fd(passed[2]), posix::Fd(passed[3])};
}

std::string complaint(const PreparedSandbox& ended) {
    if (auto step = failed_step(ended.failure, "bubblewrap"); !step.empty()) return step;
    const posix::Fd& diagnostics = ended.diagnostics;
    std::string text;
    std::array<char, 4096> buffer;
    while (diagnostics && text.size() < 65536) {
        const auto count = ::read(diagnostics.get(), buffer.data(), buffer.size());
        if (count <= 0 && !(count < 0 && errno == EINTR)) break;
        if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    while (!text.empty() && text.back() == '\n') text.pop_back();
    if (const auto end = text.rfind('\n'); end != std::string::npos) text.erase(0, end + 1);
    return shortened(valid_utf8(text), 500);
}

}  // namespace codegen::wrapper

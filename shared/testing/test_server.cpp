#include "shared/testing/test_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::testing {
namespace {
using namespace std::chrono_literals;

constexpr auto kMake = 280s;
// PID 1 is a shell that reaps what is left to it. The init script of Docker raises a limit that root of a test machine
// may not raise, and where fstab says nothing of control groups it mounts every controller that it misses: this machine
// would have them from then on, without a mount of its own, and its engine would no longer see when memory runs out.
// Those that are mounted are writable, as on a server.
constexpr const char* kInit = R"sh(
echo 'none /sys/fs/cgroup none noauto 0 0' >>/etc/fstab
sed -i 's/^\(\s*ulimit .*\)$/\1 || true/' /etc/init.d/docker
for each in /sys/fs/cgroup /sys/fs/cgroup/*; do mountpoint -q "$each" && mount -o remount,bind,rw "$each"; done
rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -A
mkdir -p -m 700 /root/.ssh; printf '%s\n' "$AUTHORIZED_KEY" >/root/.ssh/authorized_keys
service ssh start
while :; do sleep 60 & wait $!; done
)sh";

std::string checked(const process::Outcome& outcome, const std::string& what) {
    if (!outcome.ok()) throw std::runtime_error(what + ": " + outcome.describe() + "\n" + outcome.output);
    return outcome.output;
}

// Its last line names the image.
std::string image() {
    const auto script = std::filesystem::path(CODEGEN_IMAGES_DIR) / "test-server" / "build.sh";
    auto said = checked(run_program({script.string()}, {}, kMake), "test server");
    while (said.ends_with('\n')) said.pop_back();
    return said.substr(said.rfind('\n') + 1);
}

template <class Condition>
void eventually(const std::string& what, Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error("test server: not within 30 s: " + what);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

}  // namespace

process::Outcome run_program(std::vector<std::string> argv, std::string input, std::chrono::seconds limit) {
    process::Spec spec;
    const auto name = argv.at(0);
    spec.argv = std::move(argv);
    spec.environment = process::minimal_environment();
    spec.input = std::move(input);
    asio::io_context io;
    std::optional<Result<process::Outcome>> result;
    asio::co_spawn(io, process::run(std::move(spec), {.timeout = limit, .output_bytes = 16u << 20}),
                   [&](std::exception_ptr, Result<process::Outcome> ended) { result = std::move(ended); });
    io.run();
    if (!result || !*result) throw std::runtime_error(name + ": " + (result ? result->error().message : "no result"));
    if ((*result)->end == process::Outcome::End::timeout) throw std::runtime_error(name + ": " + (*result)->describe());
    return std::move(**result);
}

SshKeys make_ssh_keys() {
    const TempDirectory directory;
    const auto file = directory / "key";
    checked(run_program({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file.string()}),
            "ssh-keygen");
    SshKeys out{posix::read_file(file, 65536).value(), posix::read_file(directory / "key.pub", 65536).value()};
    while (out.public_key.ends_with('\n')) out.public_key.pop_back();
    return out;
}

TestServer::TestServer(const std::string& authorized_key) : name_("codegen-test-server-" + random_token(5)) {
    const auto from = image();
    // All that root of a server may, but for what root of a test machine may lack.
    checked(run_program({"docker",
                         "run",
                         "--detach",
                         "--name",
                         name_,
                         "--hostname",
                         "server",
                         "--cap-add",
                         "ALL",
                         "--cap-drop",
                         "SYS_RESOURCE",
                         "--security-opt",
                         "seccomp=unconfined",
                         "--security-opt",
                         "apparmor=unconfined",
                         "--security-opt",
                         "systempaths=unconfined",
                         "--volume",
                         "/var/lib/docker",
                         "--tmpfs",
                         "/run",
                         "--env",
                         "AUTHORIZED_KEY=" + authorized_key,
                         from,
                         "/bin/bash",
                         "-c",
                         kInit}),
            "test server");
    try {
        address_ = checked(
            run_program({"docker", "inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", name_}),
            "test server");
        while (address_.ends_with('\n')) address_.pop_back();
        eventually("sshd listens", [&] { return try_exec("test -s /run/sshd.pid").ok(); });
    } catch (...) {
        run_program({"docker", "rm", "--force", "--volumes", name_});
        throw;
    }
}

TestServer::~TestServer() {
    try {
        run_program({"docker", "rm", "--force", "--volumes", name_});
    } catch (const std::exception&) {
        // The engine is gone, and the container with it.
    }
}

process::Outcome TestServer::try_exec(const std::string& script, std::chrono::seconds limit) const {
    return run_program({"docker", "exec", name_, "/bin/bash", "-c", script}, {}, limit);
}

std::string TestServer::exec(const std::string& script, std::chrono::seconds limit) const {
    return checked(try_exec(script, limit), script);
}

void TestServer::die() const { checked(run_program({"docker", "kill", name_}), "docker kill"); }

void TestServer::new_host_keys() const {
    exec("rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -A");
    stop_sshd();
    start_sshd();
}

void TestServer::start_sshd() const {
    exec("service ssh start");
    eventually("sshd listens", [&] { return try_exec("test -s /run/sshd.pid").ok(); });
}

void TestServer::stop_sshd() const {
    exec("service ssh stop");
    eventually("sshd ends", [&] { return !try_exec("test -s /run/sshd.pid").ok(); });
}

}  // namespace codegen::testing

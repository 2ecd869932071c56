#include "tests/harness/docker_engine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/direct_worker.hpp"

namespace codegen::testing {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

int shell(const std::string& script) {
    const int status = std::system(script.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

std::string log_of(const fs::path& directory) {
    std::ifstream in(directory / "log");
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

// The path of containerd's shim sockets is bounded: short.
DockerEngine::DockerEngine(std::vector<std::string> arguments, std::vector<std::string> capabilities)
    : directory_(fs::path("/tmp") / ("cge-" + random_token(3))), arguments_(std::move(arguments)) {
    fs::create_directory(directory_);
    start();
    copy_images(capabilities);
}

DockerEngine::~DockerEngine() {
    const auto docker = "docker -H " + url() + " ";
    shell(docker + "ps -aq 2>/dev/null | xargs -r " + docker + "rm -f >/dev/null 2>&1");
    if (pid_ > 0) {
        ::kill(pid_, SIGTERM);
        eventually("the test's engine ends", [&] { return ::waitpid(pid_, nullptr, WNOHANG) == pid_; }, 60s);
    }
    for (int pid : processes_with(directory_.string())) ::kill(pid, SIGKILL);
    eventually(
        "nothing of the test's engine is alive", [&] { return processes_with(directory_.string()).empty(); }, 30s);
    std::ifstream mounts("/proc/self/mounts");
    std::vector<std::string> below;
    for (std::string device, place, rest; mounts >> device >> place && std::getline(mounts, rest);)
        if (place.starts_with(directory_.string() + "/")) below.push_back(place);
    for (auto it = below.rbegin(); it != below.rend(); ++it) ::umount2(it->c_str(), MNT_DETACH);
    std::error_code error;
    fs::remove_all(directory_, error);
    EXPECT_FALSE(error) << directory_ << ": " << error.message();
}

bool DockerEngine::start_once() {
    // What a killed one leaves would be taken for a running one.
    for (const auto* left : {"pid", "exec/containerd/containerd.pid", "sock"}) fs::remove(directory_ / left);
    const auto at = [&](const char* name) { return (directory_ / name).string(); };
    // Its own network namespace: with --bridge=none in the host's it would delete the first engine's bridge.
    std::vector<std::string> arguments{
        "unshare",     "-n",       "dockerd",   "-H",      url(),           "--data-root",      at("data"),
        "--exec-root", at("exec"), "--pidfile", at("pid"), "--bridge=none", "--iptables=false", "--live-restore"};
    arguments.insert(arguments.end(), arguments_.begin(), arguments_.end());
    std::vector<char*> argv;
    for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    const auto log = at("log");
    pid_ = ::fork();
    if (pid_ == 0) {
        ::setsid();
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    const auto ping =
        "curl --silent --fail --max-time 5 --unix-socket " + socket().string() + " http://docker/_ping >/dev/null 2>&1";
    const auto deadline = std::chrono::steady_clock::now() + 90s;
    while (std::chrono::steady_clock::now() < deadline) {
        if (shell(ping) == 0) return true;
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            return false;
        }
        ::poll(nullptr, 0, 50);
    }
    kill_hard();
    return false;
}

// The first start after a kill may time out waiting for its containerd.
void DockerEngine::start() {
    for (int attempt = 0; attempt < 4; ++attempt)
        if (start_once()) return;
    throw std::runtime_error("dockerd does not start: " + log_of(directory_));
}

void DockerEngine::kill_hard() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    // Its containerd dies with it, a little later.
    const auto config = (directory_ / "exec/containerd/containerd.toml").string();
    eventually("containerd is gone", [&] { return processes_with(config).empty(); }, 30s);
}

// A worker's image cannot be built in here: there is no network. One plane on the host's engine makes it.
void DockerEngine::copy_images(const std::vector<std::string>& capabilities) {
    ControlPlane plane({.runtime = "docker", .environment = {{"DOCKER_CAPABILITY", "socket"}}});
    std::string image;
    for (const auto& capability : {std::vector<std::string>{"git"}, capabilities}) {
        if (capability.empty()) continue;
        const auto worker = direct_name();
        boost::json::array wanted(capability.begin(), capability.end());
        create_directly(plane, direct_config(worker, {"true"}, std::move(wanted)));
        image += plane.redis({"HGET", "worker:status:" + worker, "image"}).text + " ";
    }
    if (!image.contains("worker:")) throw std::runtime_error("the host's engine made no worker image: " + plane.log());
    const auto copied =
        shell(fmt::format("docker image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | "
                          "grep -E '^(codegen/worker-base:|debian:bookworm-slim$)' | "
                          "xargs docker save {} | docker -H {} load >/dev/null",
                          image, url()));
    if (copied != 0) throw std::runtime_error("images could not be copied to the test's engine");
}

}  // namespace codegen::testing

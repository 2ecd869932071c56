#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "packages/worker-wrapper/harness.hpp"
#include "packages/worker-wrapper/spawn.hpp"
#include "packages/worker-wrapper/unix_socket.hpp"
#include "shared/base/ids.hpp"

namespace codegen::wrapper {

namespace {

constexpr const char* kImage = "codegen-wrapper-test:bookworm-git";
const std::string kProgram = std::string(CODEGEN_BIN_DIR) + "/worker-wrapper";

// A Debian root with git, as the worker images have it; made once (2 minutes), kept for the next run.
void need_image() {
    static const bool there = [] {
        shell(std::string("docker info >/dev/null"));
        shell(std::string("docker image inspect ") + kImage +
              " >/dev/null 2>&1 || { d=$(mktemp -d) && mmdebstrap --quiet --variant=minbase "
              "--include=ca-certificates,git bookworm "
              "$d/root.tar && docker import $d/root.tar " +
              kImage + " && rm -r $d; }");
        return true;
    }();
    ASSERT_TRUE(there);
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

std::string shell(const std::string& command) {
    FILE* pipe = ::popen(command.c_str(), "re");
    if (pipe == nullptr) throw std::runtime_error("popen");
    std::string out;
    std::array<char, 4096> buffer;
    for (std::size_t got = 0; (got = ::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
        out.append(buffer.data(), got);
    if (::pclose(pipe) != 0) {
        ADD_FAILURE() << "failed: " << command << "\n" << out;
        throw std::runtime_error("a command that the test needs failed: " + command);
    }
    while (out.ends_with('\n')) out.pop_back();
    return out;
}

PrivateRedis::PrivateRedis(std::string socket, std::string directory)
    : socket_(std::move(socket)), directory_(std::move(directory)) {}

void PrivateRedis::start() {
    SpawnSpec spec;
    spec.argv = {"redis-server", "--port", "0", "--unixsocket", socket_,   "--unixsocketperm",
                 "700",          "--save", "",  "--dir",        directory_};
    spec.environment = {{"PATH", "/usr/sbin:/usr/bin:/bin"}};
    spec.die_with_parent = true;
    auto pid = spawn(spec);
    if (!pid) throw std::runtime_error("redis-server is needed: " + pid.error().message);
    pid_ = *pid;
    if (!wait_until([&] { return connect_unix(socket_).has_value(); }))
        throw std::runtime_error("redis-server does not listen");
}

void PrivateRedis::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

redis::Reply PrivateRedis::command(const redis::Arguments& arguments) {
    auto fd = connect_unix(socket_);
    if (!fd) return {};
    ::fcntl(fd->get(), F_SETFL, 0);
    std::string out;
    redis::encode_command(out, arguments);
    std::string_view rest = out;
    while (!rest.empty()) {
        const auto count = ::send(fd->get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (count <= 0) return {};
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    redis::ReplyReader reader;
    std::array<char, 65536> buffer;
    for (;;) {
        auto reply = reader.next();
        if (!reply) return {};
        if (*reply) return std::move(**reply);
        const auto count = ::recv(fd->get(), buffer.data(), buffer.size(), 0);
        if (count <= 0) return {};
        reader.feed({buffer.data(), static_cast<std::size_t>(count)});
    }
}

std::vector<redis::StreamEntry> PrivateRedis::entries(const std::string& stream) {
    return redis::parse_entries(command({"XRANGE", stream, "-", "+"}), stream);
}

TestWorker::TestWorker(Form form_, const std::string& script)
    : form(form_), redis(directory_ / "gateway/wrapper/redis.sock", directory_.path().string()) {
    // One uid a test: its processes are told from those of the tests beside it.
    const int uid = form == Form::docker ? 10001 : 30000 + ::getpid() % 20000;
    ::chmod(directory_.path().c_str(), 0711);
    for (auto [name, mode] : std::initializer_list<std::pair<const char*, mode_t>>{{"gateway", 0750},
                                                                                   {"gateway/wrapper", 0700},
                                                                                   {"gateway/agent", 0750},
                                                                                   {"state", 0700},
                                                                                   {"workspace", 0755},
                                                                                   {"home", 0755},
                                                                                   {"bin", 0755}}) {
        std::filesystem::create_directory(directory_ / name);
        ::chmod(path(name).c_str(), mode);
    }
    const std::string owner = std::to_string(uid);
    shell("cd " + path("workspace") +
          " && git init -q -b main && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m base" +
          " && chown -R " + owner + ":" + owner + " . ../home && chgrp " + owner + " ../gateway ../gateway/agent");
    redis.start();
    config.worker_id = "w1";
    config.worker_type = contracts::WorkerType::developer;
    config.agent_type = contracts::AgentType::custom;
    config.command = {"bash", "-c", script};
    config.allowed_commands = {"result"};
    config.agent_uid = config.agent_gid = uid;
    config.base_sha = shell("git -c safe.directory='*' -C " + path("workspace") + " rev-parse HEAD");
    config.heartbeat_ms = 100;
    config.kill_grace_ms = 200;
    config.gateway_wait_ms = 5000;
    if (form == Form::sandbox) {
        config.redis_socket = path("gateway/wrapper/redis.sock");
        config.gateway_directory = path("gateway");
        config.state_directory = path("state");
        config.workspace = path("workspace");
        config.home = path("home");
        config.sandbox = contracts::SandboxConfig{};
        config.sandbox->wrapper_program = path("bin/worker-wrapper");
    } else {
        config.redis_socket = "/run/codegen/wrapper/redis.sock";
        config.gateway_directory = "/run/codegen";
        config.state_directory = "/var/lib/codegen-worker";
        config.workspace = "/workspace";
        config.home = "/home/agent";
    }
    std::filesystem::copy_file(kProgram, directory_ / "bin/worker-wrapper");
}

TestWorker::~TestWorker() {
    if (::testing::Test::HasFailure()) std::fprintf(stderr, "%s\n", log().c_str());
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    if (!container_.empty()) shell("docker rm -f " + container_ + " >/dev/null 2>&1; true");
    // A killed wrapper's sandbox ends by itself; the directory can go only then.
    wait_until([&] { return processes_with(path("workspace")) == 0; });
}

void TestWorker::as_ordinary_user() {
    ordinary_user_ = true;
    const std::string owner = std::to_string(config.agent_uid);
    shell("cd " + directory_.path().string() + " && chown -R " + owner + ":" + owner + " gateway state");
}

void TestWorker::start() {
    std::ofstream(path("state/config.json")) << json::write(config);
    ::chmod(path("state/config.json").c_str(), 0600);
    if (form == Form::sandbox) {
        posix::Fd log_fd(::open(path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        SpawnSpec spec;
        spec.argv = {path("bin/worker-wrapper")};
        spec.environment = {{"WRAPPER_CONFIG", path("state/config.json")}};
        spec.errors = log_fd.get();
        spec.die_with_parent = true;
        if (ordinary_user_) {
            const auto uid = static_cast<uid_t>(config.agent_uid);
            spec.identity = Identity{uid, uid};
            shell("chown " + std::to_string(uid) + " " + path("state/config.json"));
        }
        auto pid = spawn(spec);
        ASSERT_TRUE(pid) << pid.error().message;
        pid_ = *pid;
        return;
    }
    need_image();
    container_ = "codegen-wrapper-test-" + random_token(6);
    shell("docker run -d --name " + container_ +
          " --network none --cap-drop ALL --cap-add SETUID --cap-add SETGID --security-opt no-new-privileges --memory "
          "64m "
          "--memory-swap 64m --pids-limit 64 --read-only --tmpfs /tmp --tmpfs /run/codegen/agent:size=64k -v " +
          path("gateway") + ":/run/codegen:ro -v " + path("state") + ":/var/lib/codegen-worker -v " +
          path("workspace") + ":/workspace -v " + path("home") + ":/home/agent -v " + path("bin") +
          ":/opt/codegen/bin:ro -e WRAPPER_CONFIG=/var/lib/codegen-worker/config.json " + kImage +
          " /opt/codegen/bin/worker-wrapper 2>&1");
}

void TestWorker::signal(int number) {
    if (form == Form::sandbox) {
        ::kill(pid_, number);
    } else {
        shell("docker kill --signal " + std::to_string(number) + " " + container_ + " >/dev/null");
    }
}

int TestWorker::wait() {
    if (form == Form::docker) return std::stoi(shell("timeout 30 docker wait " + container_));
    int status = 0;
    if (!wait_until([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
    pid_ = -1;
    return exit_code(status);
}

void TestWorker::die() {
    signal(SIGKILL);
    wait();
    if (form == Form::docker) shell("docker rm -f " + container_ + " >/dev/null");
    container_.clear();
}

void TestWorker::send(const std::string& request_id, const std::string& prompt, int timeout) {
    contracts::DeveloperWorkerInput input;
    input.request_id = request_id;
    input.task_id = "t1";
    input.project_id = "p1";
    input.prompt = prompt;
    input.timeout = timeout;
    send_raw(json::write(input));
}

void TestWorker::send_raw(const std::string& data) { redis.command({"XADD", "worker:w1:input", "*", "data", data}); }

std::optional<contracts::DeveloperWorkerOutput> TestWorker::result(const std::string& request_id) {
    for (auto& output : redis.messages<contracts::DeveloperWorkerOutput>("worker:developer:output"))
        if (output.request_id == request_id) return output;
    return std::nullopt;
}

contracts::DeveloperWorkerOutput TestWorker::expect_result(const std::string& request_id) {
    std::optional<contracts::DeveloperWorkerOutput> output;
    EXPECT_TRUE(wait_until([&] { return (output = result(request_id)).has_value(); }))
        << "no result of " << request_id << "\n"
        << log();
    return output.value_or(contracts::DeveloperWorkerOutput{});
}

std::size_t TestWorker::results(const std::string& request_id) {
    std::size_t count = 0;
    for (const auto& output : redis.messages<contracts::DeveloperWorkerOutput>("worker:developer:output"))
        count += output.request_id == request_id;
    return count;
}

bool TestWorker::has_event(const std::string& text) {
    return std::ranges::any_of(events(), [&](const auto& event) { return event.text == text; });
}

std::vector<pid_t> TestWorker::children() const {
    const std::string id = std::to_string(pid_);
    std::ifstream file("/proc/" + id + "/task/" + id + "/children");
    std::vector<pid_t> out;
    for (pid_t child = 0; file >> child;) out.push_back(child);
    return out;
}

int TestWorker::processes_with(const std::string& text) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos || name == std::to_string(::getpid())) continue;
        std::ifstream file(entry.path() / "cmdline");
        std::stringstream line;
        line << file.rdbuf();
        count += line.str().find(text) != std::string::npos;
    }
    return count;
}

std::string TestWorker::log() const {
    if (form == Form::docker) return container_.empty() ? "" : shell("docker logs " + container_ + " 2>&1; true");
    std::ifstream file(path("log"));
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace codegen::wrapper

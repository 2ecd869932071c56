#include "tests/harness/control_plane.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "shared/base/ids.hpp"
#include "shared/http/client.hpp"
#include "shared/json/json.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/run.hpp"

namespace codegen::testing {
namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;

namespace {

// Of nobody on this machine: the ordinary user.
constexpr uid_t kOrdinary = 64321;

std::string program(const std::string& name) { return std::string(CODEGEN_BIN_DIR) + "/" + name; }

std::string file_text(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

}  // namespace

json::value CommandResult::json() const {
    boost::system::error_code error;
    auto value = boost::json::parse(output, error);
    if (error) ADD_FAILURE() << "not JSON: " << output << errors;
    return value;
}

bool eventually(const std::string& what, const std::function<bool()>& condition, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
        if (condition()) return true;
        if (std::chrono::steady_clock::now() > deadline) {
            ADD_FAILURE() << "not within " << limit.count() << " ms: " << what;
            return false;
        }
        ::poll(nullptr, 0, 5);
    }
}

std::vector<int> processes_with(const std::string& needle) {
    std::vector<int> out;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const auto name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        auto command = file_text(entry.path() / "cmdline");
        std::ranges::replace(command, '\0', ' ');
        if (command.contains(needle) && std::stoi(name) != ::getpid()) out.push_back(std::stoi(name));
    }
    return out;
}

ControlPlane::ControlPlane(Options options)
    : options_(std::move(options)), state_(fs::temp_directory_path() / ("cg-" + random_token(4))) {
    fs::create_directory(state_);
    if (options_.runtime == "ordinary" && ::chown(state_.c_str(), kOrdinary, kOrdinary) != 0)
        throw std::runtime_error("these tests run as root: chown " + state_.string());
    start();
}

ControlPlane::~ControlPlane() {
    redis_.reset();
    if (child_) {
        child_->signal(SIGKILL);
        int status = 0;
        ::waitpid(child_->pid(), &status, 0);
    }
    // What a killed control plane leaves running on purpose (workers are adopted, not ended) ends here.
    if (options_.runtime == "docker") {
        const auto id = file_text(state_ / "instance.id");
        const auto listed = run({"docker", "ps", "-aq", "--filter", "label=codegen.installation=" + id});
        std::istringstream lines(listed.output);
        for (std::string container; std::getline(lines, container);) run({"docker", "rm", "-f", container});
    }
    // Again and again: one may have been about to start another.
    eventually("workers of " + state_.string() + " are gone", [&] {
        const auto left = processes_with(state_.string());
        for (int pid : left) ::kill(pid, SIGKILL);
        return left.empty();
    });
    if (::testing::Test::HasFailure()) std::fprintf(stderr, "--- orchestratord log ---\n%s\n", log().c_str());
    std::error_code error;
    fs::remove_all(state_, error);
}

void ControlPlane::start() {
    const auto ready = state_ / "ready";
    fs::remove(ready);
    process::Spec spec;
    const bool ordinary = options_.runtime == "ordinary";
    spec.argv = {program("orchestratord"), "dev",         "--runtime", ordinary ? "sandbox" : options_.runtime,
                 "--ready-file",           ready.string()};
    spec.environment = process::minimal_environment();
    if (ordinary) {
        spec.user = {kOrdinary, kOrdinary};
        spec.directory = "/";
        spec.environment["HOME"] = state_.string();
    }
    spec.environment["CODEGEN_STATE_DIR"] = state_.string();
    spec.environment["SCAFFOLDER"] = "off";  // a second of Copier for every project; on where it matters
    for (const auto& [name, value] : options_.environment) spec.environment[name] = value;
    for (const char* name : {"SSL_CERT_FILE", "DOCKER_HOST"})
        if (const char* value = std::getenv(name)) spec.environment.emplace(name, value);
    auto child = process::start(io_.get_executor(), std::move(spec), state_ / "orchestratord.log");
    if (!child) throw std::runtime_error(child.error().message);
    child_ = std::move(*child);
    const bool up = eventually(
        "the control plane is ready",
        [&] {
            int status = 0;
            if (::waitpid(child_->pid(), &status, WNOHANG) == child_->pid())
                throw std::runtime_error("orchestratord ended: " + log());
            return fs::exists(ready);
        },
        60s);
    if (!up) throw std::runtime_error("not ready: " + log());
    const auto given = options_.environment.find("REDIS_URL");
    auto url = given == options_.environment.end() ? posix::read_file(state_ / "redis.url", 4096)
                                                   : Result<std::string>(given->second);
    if (!url) throw std::runtime_error(url.error().message);
    auto address = redis::parse_address(*url);
    if (!address) throw std::runtime_error(address.error().message);
    redis_ = std::make_unique<redis::Client>(io_.get_executor(), *address);
}

void ControlPlane::stop() {
    redis_.reset();
    child_->signal(SIGTERM);
    int status = -1;
    eventually(
        "orchestratord ends on SIGTERM", [&] { return ::waitpid(child_->pid(), &status, WNOHANG) == child_->pid(); },
        30s);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "wait status " << status << "\n" << log();
    child_.reset();
}

void ControlPlane::kill_hard() {
    redis_.reset();
    child_->signal(SIGKILL);
    int status = 0;
    ::waitpid(child_->pid(), &status, 0);
    child_.reset();
}

int ControlPlane::pid() const { return child_->pid(); }

std::string ControlPlane::installation() const {
    auto id = file_text(state_ / "instance.id");
    while (!id.empty() && id.back() == '\n') id.pop_back();
    return id;
}

std::string ControlPlane::log() const { return file_text(state_ / "orchestratord.log"); }

CommandResult ControlPlane::run(std::vector<std::string> argv, std::chrono::seconds limit) {
    process::Spec spec;
    spec.argv = std::move(argv);
    spec.environment = process::minimal_environment();
    // Root's git looks into an ordinary user's repositories.
    spec.environment["GIT_CONFIG_COUNT"] = "1";
    spec.environment["GIT_CONFIG_KEY_0"] = "safe.directory";
    spec.environment["GIT_CONFIG_VALUE_0"] = "*";
    if (const auto own = options_.environment.find("DOCKER_HOST"); own != options_.environment.end())
        spec.environment["DOCKER_HOST"] = own->second;
    else if (const char* host = std::getenv("DOCKER_HOST"))
        spec.environment["DOCKER_HOST"] = host;
    auto outcome = testing::run(io_, process::run(std::move(spec), {.timeout = limit}), limit + 10s);
    if (!outcome) return {127, {}, outcome.error().message};
    return {outcome->ok() ? 0 : (outcome->end == process::Outcome::End::exited ? outcome->code : 255), outcome->output,
            outcome->errors};
}

CommandResult ControlPlane::orchestrator(std::vector<std::string> arguments, std::string input,
                                         std::map<std::string, std::string> environment) {
    process::Spec spec;
    spec.argv = {program("orchestrator")};
    for (auto& a : arguments) spec.argv.push_back(std::move(a));
    spec.environment = process::minimal_environment();
    spec.environment["CODEGEN_STATE_DIR"] = state_.string();
    for (auto& [name, value] : environment) spec.environment[name] = value;
    spec.input = std::move(input);
    auto outcome = testing::run(io_, process::run(std::move(spec), {.timeout = 120s}), 130s);
    if (!outcome) return {127, {}, outcome.error().message};
    return {outcome->end == process::Outcome::End::exited ? outcome->code : 255, outcome->output, outcome->errors};
}

std::string ControlPlane::create_project(const std::string& name) {
    const auto made = orchestrator({"project", "create", "--name", name});
    if (made.exit_code != 0) throw std::runtime_error("project create: " + made.output + made.errors + log());
    return made.json().at("data").at("id").as_string().c_str();
}

std::string ControlPlane::start_task(const std::string& project, const std::string& command, const std::string& spec,
                                     std::vector<std::string> more) {
    std::vector<std::string> arguments{"engineering", "start",           "--project", project,  "--agent",
                                       "custom",      "--agent-command", command,     "--spec", "-"};
    for (auto& a : more) arguments.push_back(std::move(a));
    const auto made = orchestrator(std::move(arguments), spec);
    if (made.exit_code != 0) throw std::runtime_error("engineering start: " + made.output + made.errors + log());
    return made.json().at("data").at("id").as_string().c_str();
}

json::value ControlPlane::api(const std::string& target, const std::string& method, const std::string& body) {
    auto token = posix::read_file(state_ / "admin.token", 4096);
    if (!token) throw std::runtime_error(token.error().message);
    http::Client client(io_.get_executor(),
                        {http::Url::Scheme::unix_socket, "localhost", 0, (state_ / "api.sock").string()});
    http::Request request{method, target, {}, body};
    while (!token->empty() && token->back() == '\n') token->pop_back();
    request.headers.set("Authorization", "Bearer " + *token);
    if (!body.empty()) request.headers.set("Content-Type", "application/json");
    auto response = testing::run(io_, client.send(std::move(request)), 20s);
    if (!response) throw std::runtime_error(method + " " + target + ": " + response.error().message);
    if (response->status >= 300)
        throw std::runtime_error(fmt::format("{} {}: {} {}", method, target, response->status, response->body));
    return response->body.empty() ? json::value() : codegen::json::parse_own(response->body);
}

json::object ControlPlane::task(const std::string& id) { return api("/api/tasks/" + id).as_object(); }

json::object ControlPlane::wait_for_end(const std::string& id, std::chrono::seconds limit) {
    json::object last;
    eventually(
        "task " + id + " ends",
        [&] {
            last = task(id);
            const std::string status = last.at("status").as_string().c_str();
            return status == "completed" || status == "failed" || status == "cancelled";
        },
        limit);
    return last;
}

std::string ControlPlane::reason(const json::object& task) {
    const auto* result = task.if_contains("result");
    if (!result || !result->is_object()) return {};
    const auto* reason = result->as_object().if_contains("reason");
    return reason && reason->is_string() ? std::string(reason->as_string()) : std::string();
}

redis::Reply ControlPlane::redis(std::vector<std::string> command) {
    auto reply = testing::run(io_, redis_->command(std::move(command)), 20s);
    if (!reply) throw std::runtime_error("redis: " + reply.error().message);
    return *reply;
}

std::vector<redis::StreamEntry> ControlPlane::stream(const std::string& name) {
    return redis::parse_entries(redis({"XRANGE", name, "-", "+"}), name);
}

std::string ControlPlane::wait_for_worker(const std::string& task) {
    const auto worker = "dev-" + task + "-1";
    eventually(
        "worker " + worker + " runs",
        [&] {
            const auto status = redis({"HGET", "worker:status:" + worker, "status"});
            return status.text == "RUNNING";
        },
        60s);
    return worker;
}

std::string ControlPlane::body_id(const std::string& worker) {
    if (options_.runtime == "docker") {
        auto id = run({"docker", "inspect", "-f", "{{.Id}}", "worker-" + worker}).output;
        while (!id.empty() && id.back() == '\n') id.pop_back();
        return id;
    }
    const auto text = file_text(worker_directory(worker) / "state" / "wrapper.pid");
    return std::to_string(json::parse(text).at("pid").to_number<int>());
}

void ControlPlane::kill_body(const std::string& worker) {
    if (options_.runtime == "docker")
        EXPECT_EQ(run({"docker", "kill", "worker-" + worker}).exit_code, 0);
    else
        EXPECT_EQ(::kill(std::stoi(body_id(worker)), SIGKILL), 0);
}

}  // namespace codegen::testing

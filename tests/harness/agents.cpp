#include "tests/harness/agents.hpp"

#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "shared/process/process.hpp"
#include "shared/testing/run.hpp"

namespace codegen::testing {
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

// The version that the installation script knows: the first "VERSION) integrity=..." line.
std::string pinned_version(const fs::path& script) {
    std::ifstream in(script);
    for (std::string line; std::getline(in, line);)
        if (const auto end = line.find(") integrity="); end != std::string::npos && line[0] != '*')
            return line.substr(0, end);
    throw std::runtime_error(script.string() + " names no version");
}

}  // namespace

RealAgent::RealAgent(std::string name) : name_(std::move(name)) {
    if (name_ != "claude" && name_ != "factory" && name_ != "codex") throw std::runtime_error("no agent " + name_);
}

std::map<std::string, std::string> RealAgent::environment(const FakeModelProvider& provider,
                                                          const std::string& key) const {
    if (name_ == "codex") return {{"OPENAI_BASE_URL", provider.base_url()}, {"OPENAI_API_KEY", key}};
    return {{"ANTHROPIC_BASE_URL", provider.base_url()}, {"ANTHROPIC_API_KEY", key}};
}

ModelTurn RealAgent::run(const std::string& command) const {
    if (name_ == "codex")  // the tool of its default model, in its second program
        return ModelTurn::call_freeform("exec", "const r = await tools.exec_command(" +
                                                    json::serialize(json::object{{"cmd", command}}) +
                                                    "); text(r.output);");
    if (name_ == "factory")
        return ModelTurn::call(
            "Execute",
            {{"command", command}, {"summary", "run it"}, {"riskLevel", {{"value", "low"}, {"reason", "a test"}}}});
    return ModelTurn::call("Bash", {{"command", command}, {"description", "run it"}});
}

ModelTurn RealAgent::write_file(const std::string& name, const std::string& content) const {
    const std::string text = "I write the file.";
    const std::string path = "/workspace/" + name;
    if (name_ == "claude") return ModelTurn::call("Write", {{"file_path", path}, {"content", content}}, text);
    if (name_ == "factory") return ModelTurn::call("Create", {{"file_path", path}, {"content", content}}, text);
    auto turn = run("printf %s " + content + " > " + name);
    turn.blocks.insert(turn.blocks.begin(), ModelTurn::say(text).blocks.front());
    return turn;
}

void RealAgent::give_program(const fs::path& state) const {
    const fs::path script = fs::path(CODEGEN_SOURCE_DIR) / "shared" / "agents" / name_ / "install.sh";
    const auto version = pinned_version(script);
    const auto folder = name_ + "-" + version;
    const fs::path shared = fs::path(CODEGEN_BIN_DIR).parent_path() / "test-agents";
    process::Spec spec;
    spec.argv = {"/bin/sh", script.string(), version, (shared / folder).string()};
    spec.environment = process::minimal_environment();
    asio::io_context io;
    const auto installed = testing::run(io, process::run(std::move(spec), {.timeout = std::chrono::minutes(10)}),
                                        std::chrono::seconds(610));
    if (!installed) throw std::runtime_error(installed.error().message);
    if (!installed->ok()) throw std::runtime_error(script.string() + ": " + installed->describe() + installed->output);
    fs::create_directories(state / "agents");
    fs::create_directory_symlink(shared / folder, state / "agents" / folder);
}

}  // namespace codegen::testing

// Acceptance A and I: the command that a stranger types.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "shared/base/ids.hpp"
#include "shared/process/process.hpp"
#include "shared/testing/run.hpp"
#include "tests/harness/agents.hpp"
#include "tests/harness/control_plane.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

class MakeRun : public ::testing::Test {
  protected:
    void SetUp() override {
        fs::create_directory(state_);
        fs::permissions(state_, fs::perms::all);
    }
    void TearDown() override {
        EXPECT_TRUE(processes_with(state_.string()).empty()) << "make run stops what it started";
        fs::remove_all(state_);
    }
    using Environment = std::map<std::string, std::string>;
    process::Outcome make(std::vector<std::string> arguments, std::optional<std::pair<int, int>> user = {},
                          const Environment& environment = {}) {
        std::vector<std::string> argv{"make", "-C", CODEGEN_SOURCE_DIR, "run"};
        for (auto& a : arguments) argv.push_back(std::move(a));
        return command(std::move(argv), user, environment);
    }
    process::Outcome command(std::vector<std::string> argv, std::optional<std::pair<int, int>> user = {},
                             const Environment& environment = {}) {
        process::Spec spec;
        spec.argv = std::move(argv);
        spec.environment = process::minimal_environment();
        spec.environment["CODEGEN_STATE_DIR"] = (state_ / "state").string();  // made by whoever runs it
        spec.environment["HOME"] = state_.string();
        spec.environment["API_ADDRESS"] = "127.0.0.1:0";  // of make up: a free port
        spec.die_with_parent = false;                     // make up leaves it running
        if (const char* ca = std::getenv("SSL_CERT_FILE")) spec.environment["SSL_CERT_FILE"] = ca;
        for (const auto& [name, value] : environment) spec.environment[name] = value;
        spec.user = user;
        auto outcome = run(io_, process::run(std::move(spec), {.timeout = 500s}), 510s);
        if (!outcome) throw std::runtime_error(outcome.error().message);
        return *outcome;
    }
    // The three lines for programs.
    struct Report {
        std::string task, status, commit, repository;
    };
    static Report parse(const std::string& output) {
        Report out;
        std::istringstream lines(output);
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with("task: ")) {
                out.task = line.substr(6, line.find(' ', 6) - 6);
                out.status = line.substr(line.rfind(' ') + 1);
            }
            if (line.starts_with("commit: ")) out.commit = line.substr(8);
            if (line.starts_with("repository: ")) out.repository = line.substr(12);
        }
        return out;
    }
    std::string git(const Report& report, std::vector<std::string> arguments) {
        process::Spec spec;
        spec.argv = {"git", "-c", "safe.directory=*", "-C", report.repository};
        for (auto& a : arguments) spec.argv.push_back(std::move(a));
        spec.environment = process::minimal_environment();
        auto outcome = run(io_, process::run(std::move(spec), {}), 70s);
        return outcome && outcome->ok() ? outcome->output : "git failed";
    }
    // One task: its prompt is hard to pass on, and lands in a file of its commit.
    process::Outcome run_with_prompt(const std::string& prompt, std::vector<std::string> arguments,
                                     std::optional<std::pair<int, int>> user = {},
                                     const Environment& environment = {}) {
        arguments.push_back("PROMPT=" + prompt);
        arguments.push_back(
            "AGENT_COMMAND=cat > \"from $0.txt\"; echo \"pid $$\"; git add -A; git commit -qm \"it's\"; "
            "orchestrator result --status success --summary 'a b'");
        return make(std::move(arguments), user, environment);
    }
    static std::string hard_prompt() {
        return "  \"" + random_token(8) + "\" costs $5 & $(HOME) 'q' # \\\n second line ";
    }
    // A new commit on the task's branch, made from main, with the prompt byte for byte; and people were told.
    void expect_verified_commit(const process::Outcome& outcome, const std::string& prompt) {
        ASSERT_TRUE(outcome.ok()) << outcome.describe() << "\n" << outcome.output;
        const auto report = parse(outcome.output);
        EXPECT_EQ(report.status, "completed") << outcome.output;
        EXPECT_EQ(git(report, {"show", report.commit + ":from bash.txt"}), prompt);
        EXPECT_EQ(git(report, {"rev-parse", "task/" + report.task}), report.commit + "\n");
        EXPECT_NE(git(report, {"rev-parse", "main"}), report.commit + "\n");
        EXPECT_EQ(git(report, {"merge-base", "main", report.commit}), git(report, {"rev-parse", "main"}));
        // What it began with is the scaffolder's: one commit with the standard template.
        EXPECT_EQ(git(report, {"log", "--format=%an: %s", "main"}),
                  "Codegen Orchestrator: Begin with template standard\n");
        EXPECT_TRUE(git(report, {"ls-tree", "-r", "--name-only", report.commit}).contains("backend/app/server.py\n"));
        EXPECT_TRUE(outcome.output.contains("pid ")) << "the agent's text is shown live: " << outcome.output;
        EXPECT_TRUE(outcome.output.contains("1 file changed")) << "git show --stat: " << outcome.output;
    }
    static std::vector<std::string> lines_with(const std::string& text, const std::string& needle) {
        std::vector<std::string> out;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            if (line.contains(needle)) out.push_back(line);
        return out;
    }
    static void expect_sandbox_because(const std::string& why, const process::Outcome& outcome) {
        const auto said = lines_with(outcome.output, "==> workers run");
        ASSERT_EQ(said.size(), 1u) << outcome.output;
        EXPECT_TRUE(said[0].starts_with("==> workers run in the sandbox (")) << said[0];
        EXPECT_TRUE(said[0].contains(why)) << said[0];
    }
    asio::io_context io_;
    fs::path state_ = fs::temp_directory_path() / ("run-" + random_token(4));
};

TEST_F(MakeRun, TwiceWithPromptAndCommandByteForByte) {
    for (int round = 0; round < 2; ++round) {
        const auto prompt = hard_prompt();
        const auto outcome = run_with_prompt(prompt, {"RUNTIME=sandbox"});
        expect_verified_commit(outcome, prompt);
        if (round == 0) continue;
        for (const char* work : {"building", "configuring", "installing", "Debian packages", "apt-get", "ninja"})
            EXPECT_TRUE(lines_with(outcome.output + outcome.errors, work).empty())
                << work << " in the second run: " << outcome.output << outcome.errors;
    }
}

TEST_F(MakeRun, ScriptedDemoSaysSoAndChoosesTheRuntimeInOneLine) {
    const auto outcome = make({});
    ASSERT_TRUE(outcome.ok()) << outcome.describe() << "\n" << outcome.output;
    EXPECT_TRUE(outcome.output.contains("scripted demo")) << outcome.output;
    EXPECT_EQ(parse(outcome.output).status, "completed");
    std::istringstream lines(outcome.output);
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);) all.push_back(line);
    ASSERT_GE(all.size(), 3u);
    // make itself may say that it leaves the directory.
    while (all.back().starts_with("make")) all.pop_back();
    EXPECT_TRUE(all[all.size() - 3].starts_with("task: "));
    EXPECT_TRUE(all[all.size() - 2].starts_with("commit: "));
    EXPECT_TRUE(all[all.size() - 1].starts_with("repository: "));
}

TEST_F(MakeRun, OnDocker) {
    const auto prompt = hard_prompt();
    const auto outcome = run_with_prompt(prompt, {"RUNTIME=docker"});
    expect_verified_commit(outcome, prompt);
    EXPECT_EQ(lines_with(outcome.output, "==> workers run in Docker").size(), 1u) << outcome.output;
}

// Who cannot use an engine is given the sandbox without asking for it, and told why.
TEST_F(MakeRun, AnOrdinaryUserNeedsNoRoot) {
    const auto prompt = hard_prompt();
    const auto outcome = run_with_prompt(prompt, {}, std::pair{65534, 65534});
    expect_verified_commit(outcome, prompt);
    expect_sandbox_because("as root", outcome);
}

TEST_F(MakeRun, WhereNoEngineAnswersTheSandboxIsChosen) {
    const auto socket = (state_ / "no-engine.sock").string();
    const auto prompt = hard_prompt();
    const auto outcome = run_with_prompt(prompt, {}, {}, {{"DOCKER_HOST", "unix://" + socket}});
    expect_verified_commit(outcome, prompt);
    expect_sandbox_because(socket, outcome);
}

TEST_F(MakeRun, UpKeepsItRunningUntilDown) {
    const auto up = command({"make", "-C", CODEGEN_SOURCE_DIR, "up", "RUNTIME=sandbox"});
    ASSERT_TRUE(up.ok()) << up.describe() << up.output;
    const auto orchestrator = std::string(CODEGEN_BIN_DIR) + "/orchestrator";
    const auto listed = command({orchestrator, "project", "list"});
    EXPECT_TRUE(listed.ok()) << listed.describe() << listed.output;
    // make run uses what runs, and leaves it running.
    const auto run = make({});
    EXPECT_TRUE(run.output.contains("using the control plane that already runs")) << run.output;
    EXPECT_EQ(parse(run.output).status, "completed");
    EXPECT_TRUE(command({orchestrator, "diagnose", "api"}).ok());
    const auto down = command({"make", "-C", CODEGEN_SOURCE_DIR, "down"});
    EXPECT_TRUE(down.ok()) << down.describe();
    const auto gone = command({orchestrator, "project", "list"});
    EXPECT_EQ(gone.code, 5) << gone.output;
    EXPECT_TRUE((gone.output + gone.errors).contains("make up")) << gone.output << gone.errors;
}

// The key stands in the environment, as a person has it; the model behind it is the fake provider.
class MakeRunWithAKey : public MakeRun, public ::testing::WithParamInterface<const char*> {};

TEST_P(MakeRunWithAKey, ARealAgentMakesTheCommit) {
    const RealAgent agent(GetParam());
    FakeModelProvider provider;
    agent.give_program(state_ / "state");
    const auto content = random_token(8);
    provider.push(agent.write_file("hello.txt", content));
    provider.push(agent.run("git add -A && git commit -qm 'Add hello'"));
    provider.push(ModelTurn::say(R"(All done. <result>{"status":"success","summary":"made it"}</result>)"));
    std::vector<std::string> arguments{"RUNTIME=sandbox", "PROMPT=Write " + content};
    // Claude is what a key of Anthropic alone chooses.
    if (agent.name() != "claude") arguments.push_back("AGENT=" + agent.name());
    const auto outcome = make(std::move(arguments), {}, agent.environment(provider, provider.key()));
    ASSERT_TRUE(outcome.ok()) << outcome.describe() << "\n" << outcome.output;
    EXPECT_TRUE(outcome.output.contains("==> the agent is: " + agent.name())) << outcome.output;
    const auto report = parse(outcome.output);
    EXPECT_EQ(report.status, "completed") << outcome.output;
    const auto written = git(report, {"show", report.commit + ":hello.txt"});
    EXPECT_EQ(written.substr(0, written.find('\n')), content);  // droid ends a file with a new line
    EXPECT_FALSE((outcome.output + outcome.errors).contains(provider.key()));
}

INSTANTIATE_TEST_SUITE_P(Each, MakeRunWithAKey, ::testing::Values("claude", "factory", "codex"),
                         [](const auto& of) { return std::string(of.param); });

TEST_F(MakeRun, WrongChoicesAreRefused) {
    EXPECT_FALSE(make({"RUNTIME=vm"}).ok());
    EXPECT_FALSE(make({"AGENT=gpt"}).ok());
    for (const auto& [agent, key] : {std::pair{"claude", "ANTHROPIC_API_KEY"}, std::pair{"codex", "OPENAI_API_KEY"},
                                     std::pair{"factory", "FACTORY_API_KEY"}}) {
        const auto outcome = make({std::string("AGENT=") + agent});
        EXPECT_FALSE(outcome.ok());
        EXPECT_TRUE(outcome.errors.contains(key)) << outcome.errors;
    }
}

}  // namespace
}  // namespace codegen::testing

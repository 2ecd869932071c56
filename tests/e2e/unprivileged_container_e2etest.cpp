// The command that a stranger types, inside a container without privileges: no engine answers there, and no namespace
// can be made.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "shared/base/ids.hpp"
#include "shared/process/process.hpp"
#include "shared/testing/run.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Its root is made of links and accounts; the programs are this machine's, read-only.
class UnprivilegedContainer : public ::testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        fs::create_directories(folder_ / "root" / "tmp");
        fs::permissions(folder_ / "root" / "tmp", fs::perms::all);
        for (const char* name : {"bin", "lib", "lib64", "sbin"})
            fs::create_symlink(std::string("usr/") + name, folder_ / "root" / name);
        fs::create_directories(folder_ / "root" / "etc");
        for (const char* name : {"passwd", "group", "alternatives"})
            fs::copy(fs::path("/etc") / name, folder_ / "root" / "etc" / name,
                     fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        ASSERT_EQ(command({"/bin/sh", "-c",
                           fmt::format("tar -C {}/root -c . | docker import - {}", folder_.string(), image_)})
                      .exit_code,
                  0);
        // As a checkout whose build folder nobody may write: the programs that are there are used.
        const fs::path source(CODEGEN_SOURCE_DIR);
        fs::create_directories(folder_ / "source" / "build");
        std::ofstream(folder_ / "source" / "build" / "build.ninja").close();
        for (const char* name : {"tools", "images", "templates", "Makefile"})
            fs::copy(source / name, folder_ / "source" / name, fs::copy_options::recursive);
        fs::create_directories(folder_ / "source" / "shared");
        fs::copy(source / "shared/agents", folder_ / "source" / "shared/agents", fs::copy_options::recursive);
        fs::copy(source / "build" / "copier", folder_ / "source" / "build" / "copier",
                 fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        fs::copy(CODEGEN_BIN_DIR, folder_ / "source" / "build" / "bin", fs::copy_options::recursive);
    }
    void TearDown() override {
        command({"docker", "rm", "-f", image_});
        command({"docker", "image", "rm", "-f", image_});
        fs::remove_all(folder_);
    }
    struct Said {
        int exit_code = -1;
        std::string output;
    };
    Said command(std::vector<std::string> argv) {
        process::Spec spec;
        spec.argv = std::move(argv);
        spec.environment = process::minimal_environment();
        if (const char* host = std::getenv("DOCKER_HOST")) spec.environment["DOCKER_HOST"] = host;
        auto outcome = run(io_, process::run(std::move(spec), {.timeout = 180s}), 190s);
        if (!outcome) return {127, outcome.error().message};
        return {outcome->ok() ? 0 : 1, outcome->output + outcome->errors};
    }
    Said inside(const std::string& script) {
        return command({"docker",
                        "run",
                        "--rm",
                        "--name",
                        image_,
                        "--network",
                        "none",
                        "--user",
                        GetParam(),
                        "-v",
                        "/usr:/usr:ro",
                        "-v",
                        "/var/lib/dpkg:/var/lib/dpkg:ro",
                        "-v",
                        (folder_ / "source").string() + ":/source:ro",
                        "-e",
                        "HOME=/tmp",
                        "-e",
                        "CODEGEN_STATE_DIR=/tmp/state",
                        "-w",
                        "/source",
                        image_,
                        "/bin/bash",
                        "-c",
                        script});
    }
    asio::io_context io_;
    const std::string image_ = "codegen-unprivileged-" + random_token(4);
    const fs::path folder_ = fs::temp_directory_path() / ("unprivileged-" + random_token(4));
};

TEST_P(UnprivilegedContainer, TheScriptedDemoRunsAsPlainProcesses) {
    const auto said = inside("make run && ps -e -o args | grep -c '[w]orker-wrapper'; true");
    EXPECT_TRUE(said.output.contains("plain processes")) << said.output;
    EXPECT_TRUE(said.output.contains("no wall around agents")) << said.output;
    EXPECT_TRUE(said.output.contains(" completed\ncommit: ")) << said.output;
    EXPECT_TRUE(said.output.ends_with("\n0\n")) << "no wrapper is left: " << said.output;
}

TEST_P(UnprivilegedContainer, ARealAgentRunsOnlyWhenThatIsSaid) {
    const auto silent = inside("ANTHROPIC_API_KEY=x make run AGENT=claude");
    EXPECT_NE(silent.exit_code, 0);
    EXPECT_TRUE(silent.output.contains("no runtime for workers")) << silent.output;
    const auto said = inside(
        "make run RUNTIME=process AGENT_COMMAND='cat >f; git add f; git commit -qm f; orchestrator result --status "
        "success --summary done'");
    EXPECT_EQ(said.exit_code, 0) << said.output;
    EXPECT_TRUE(said.output.contains("no wall around agents")) << said.output;
    EXPECT_TRUE(said.output.contains(" completed\ncommit: ")) << said.output;
    const auto demo = inside(
        "build/bin/orchestratord dev --runtime demo --ready-file /tmp/ready >/tmp/log 2>&1 & "
        "until [ -s /tmp/ready ]; do sleep 0.1; done; export PATH=/source/build/bin:$PATH; "
        "project=$(orchestrator --json project create --name p | jq -er .data.id); "
        "task=$(orchestrator --json engineering start --project $project --agent claude --spec x | jq -er .data.id); "
        "orchestrator --text engineering wait $task --timeout 100; orchestrator --json engineering status $task; kill "
        "%1");
    EXPECT_TRUE(demo.output.contains("RUNTIME=process allows them for real agents")) << demo.output;
}

// No cgroup may be made here: what is left are the limits of each process.
TEST_P(UnprivilegedContainer, MemoryAndProcessesAreLimitedWithoutCgroups) {
    const auto said = inside(R"sh(
out=$(WORKER_MEMORY_LIMIT=256m WORKER_PIDS_LIMIT=100 make run RUNTIME=process AGENT_COMMAND='cat >task
    { ulimit -d; ulimit -u; perl -e "my \$x = q(a) x (400 << 20)" 2>/dev/null && echo got it || echo refused; } >limits
    git add . && git commit -qm limits && orchestrator result --status success --summary done') || exit 1
echo "$out"
last() { sed -n "s/^$1: //p" <<<"$out" | tail -n 1; }
git -C "$(last repository)" show "$(last commit)":limits)sh");
    EXPECT_EQ(said.exit_code, 0) << said.output;
    // Processes are counted by uid, and an ordinary user's is not the agent's alone.
    const bool root = std::string(GetParam()) == "0";
    EXPECT_TRUE(said.output.contains(root ? "\n262144\n100\nrefused\n" : "\n262144\n")) << said.output;
    EXPECT_TRUE(said.output.ends_with("\nrefused\n")) << said.output;
}

INSTANTIATE_TEST_SUITE_P(User, UnprivilegedContainer, ::testing::Values("0", "1000"),
                         [](const ::testing::TestParamInfo<const char*>& p) {
                             return std::string(p.param) == "0" ? "root" : "ordinary";
                         });

}  // namespace
}  // namespace codegen::testing

// Capability docker under an isolating OCI runtime: an engine of the worker's own. What such a runtime is worth as a
// wall is its maker's; ours is that the worker gets this engine and never the host's.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "shared/testing/temp_directory.hpp"
#include "tests/harness/direct_worker.hpp"
#include "tests/harness/docker_engine.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
namespace json = boost::json;

// In place of one, runc: root in the body keeps what an engine needs, as under a real one, but nothing walls it off.
constexpr const char* kStandIn = R"sh(#!/bin/bash
bundle=$PWD
for ((i = 1; i <= $#; i++)); do
    case ${!i} in --bundle) j=$((i + 1)); bundle=${!j} ;; esac
done
if [[ " $* " == *" create "* ]]; then
    # CAP_SYS_RESOURCE: an engine does not need it, and root of a test machine may lack it.
    jq '.process.capabilities |= map_values(map(select(. != "CAP_SYS_RESOURCE")))
        | del(.linux.seccomp) | .linux.maskedPaths = [] | .linux.readonlyPaths = []
        | .linux.resources.devices = [{allow: true, access: "rwm"}]
        | .mounts |= map(if .type == "cgroup" or .type == "sysfs" then .options -= ["ro"] else . end)' \
        "$bundle/config.json" >"$bundle/config.new" && mv "$bundle/config.new" "$bundle/config.json" || exit 1
fi
exec runc "$@"
)sh";

TEST(InnerEngine, AWorkerHasOneOfItsOwnAndNeverTheHosts) {
    const TempDirectory directory;
    const auto stand_in = (directory / "stand-in").string();
    std::ofstream(stand_in) << kStandIn;
    fs::permissions(stand_in, fs::perms::owner_all);
    DockerEngine engine({"--add-runtime=stand-in=" + stand_in}, {"docker"});
    ControlPlane plane({.runtime = "docker",
                        .environment = {{"DOCKER_HOST", engine.url()}, {"DOCKER_CAPABILITY", "runtime:stand-in"}}});
    const auto worker = direct_name();
    // Our own static program is an image of one file.
    const auto made = create_directly(
        plane, direct_config(worker,
                             {"bash", "-c",
                              "{ tar -C /opt/codegen/bin -c orchestrator | docker import - one && docker run --rm "
                              "--network none --entrypoint /orchestrator one --version; docker ps -q | wc -l; "
                              "ls /var/run/docker.sock; } >report 2>&1; orchestrator result --status success "
                              "--summary done --data '{\"no_changes\":true}'"},
                             {"docker"}));
    ASSERT_EQ(made.at("success"), true) << json::serialize(made);
    const auto inspected = [&](const std::string& format) {
        return plane.run({"docker", "inspect", "-f", format, "worker-" + worker}).output;
    };
    EXPECT_EQ(inspected("{{.HostConfig.Runtime}}"), "stand-in\n");
    EXPECT_FALSE(inspected("{{json .Mounts}}").contains(".sock")) << inspected("{{json .Mounts}}");
    const auto output = work_directly(plane, worker, plane.create_project("p"));
    EXPECT_EQ(output.at("status"), "success") << json::serialize(output);
    const auto report = workspace_file(plane, worker, "report");
    EXPECT_TRUE(report.contains("\norchestrator ")) << report;
    EXPECT_TRUE(report.contains("\n0\n"))
        << "the host's containers, this one among them, are not to be seen: " << report;
    EXPECT_TRUE(report.contains("/var/run/docker.sock: No such file") ||
                report.contains("'/var/run/docker.sock': No such file"))
        << report;

    // One without the capability is as ever.
    const auto plain = direct_name();
    ASSERT_EQ(create_directly(plane, direct_config(plain, {"true"}, {"git"})).at("success"), true);
    EXPECT_EQ(
        plane.run({"docker", "inspect", "-f", "{{.HostConfig.Runtime}} {{.HostConfig.CapAdd}}", "worker-" + plain})
            .output,
        "runc [SETUID SETGID]\n");
    plane.redis({"XADD", "worker:commands", "*", "data",
                 json::serialize(json::object{{"command", "delete"}, {"request_id", "d-1"}, {"worker_id", worker}})});
    EXPECT_EQ(direct_answer(plane, "worker:responses:developer", "d-1").at("success"), true);
    EXPECT_FALSE(fs::exists(plane.worker_directory(worker)));
}

TEST(InnerEngine, ARuntimeThatTheEngineDoesNotKnowIsNamed) {
    ControlPlane plane({.runtime = "docker", .environment = {{"DOCKER_CAPABILITY", "runtime:elsewhere"}}});
    const auto error = direct_error(create_directly(plane, direct_config(direct_name(), {"true"}, {"docker"})));
    EXPECT_TRUE(error.contains("elsewhere")) << error;
}

}  // namespace
}  // namespace codegen::testing

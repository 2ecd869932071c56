// A user's own image as a worker's body, through the whole control plane: what is injected, what is asked of the image,
// and the capability docker.
#include <gtest/gtest.h>

#include "shared/posix/file.hpp"
#include "tests/harness/direct_worker.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

namespace json = boost::json;

class OwnImage : public ::testing::Test {};

TEST_F(OwnImage, AStaticBusyboxIsEnoughForOurPrograms) {
    ControlPlane plane({.runtime = "docker"});
    const OwnRoot image(
        plane, kBusyboxRoot,
        "--change 'ENV PATH=/opt/tools:/bin TOOL=hammer HTTPS_PROXY=http://elsewhere' --change 'USER 77' "
        "--change 'ENTRYPOINT [\"/nothing\"]'");
    const auto worker = direct_name();
    auto with =
        direct_config(worker, {"sh", "-c",
                               "{ id -u; echo $TOOL; echo $PATH; echo $HTTPS_PROXY; cat /proc/1/comm; } > report; "
                               "orchestrator result --status success --summary done --data '{\"no_changes\":true}'"});
    with["image"] = image.name();
    const auto made = create_directly(plane, with);
    ASSERT_EQ(made.at("success"), true) << json::serialize(made);
    const auto output = work_directly(plane, worker, plane.create_project("p"));
    EXPECT_EQ(output.at("status"), "success") << json::serialize(output);
    EXPECT_EQ(output.at("verdict").at("summary"), "done");
    const auto report = workspace_file(plane, worker, "report");
    EXPECT_TRUE(report.starts_with("10001\nhammer\n/opt/codegen/bin:/opt/tools:/bin\nhttp://127.0.0.1:")) << report;
    EXPECT_TRUE(report.ends_with("\nworker-wrapper\n")) << report;

    // With a repository it would have to commit.
    const auto project = plane.create_project("q");
    const auto task = plane.start_task(project, kCommitAndReport);
    plane.wait_for_end(task);  // made the repository
    with["name"] = direct_name();
    const auto refused =
        create_directly(plane, with, {{"repo_url", project + ".git"}, {"base_ref", "main"}, {"branch", "task/x"}});
    EXPECT_EQ(refused.at("success"), false);
    EXPECT_TRUE(direct_error(refused).contains("has no git")) << direct_error(refused);
    const auto installation = posix::read_file(plane.state() / "instance.id", 200).value_or("?");
    EXPECT_EQ(plane.run({"docker", "ps", "-aq", "--filter", "label=codegen.look=" + installation}).output, "")
        << "what was looked with is gone";
}

TEST_F(OwnImage, ADebianRootCommitsAndHandsOver) {
    ControlPlane plane({.runtime = "docker"});
    const OwnRoot image(plane, debian_root(plane));
    const auto project = plane.create_project("p");
    plane.wait_for_end(plane.start_task(project, kCommitAndReport));
    const auto worker = direct_name();
    auto with = direct_config(worker, {"bash", "-c", "echo own > own.txt && " + kCommitAndReport});
    with["image"] = image.name();
    const auto made =
        create_directly(plane, with, {{"repo_url", project + ".git"}, {"base_ref", "main"}, {"branch", "task/own"}});
    ASSERT_EQ(made.at("success"), true) << json::serialize(made);
    const auto output = work_directly(plane, worker, project);
    ASSERT_EQ(output.at("status"), "success") << json::serialize(output);
    plane.redis(
        {"XADD", "worker:commands", "*", "data",
         json::serialize(json::object{
             {"command", "collect"}, {"request_id", "collect-1"}, {"worker_id", worker}, {"branch", "task/own"}})});
    const auto collected = direct_answer(plane, "worker:responses:developer", "collect-1");
    EXPECT_EQ(collected.at("success"), true) << json::serialize(collected);
    EXPECT_EQ(plane
                  .run({"git", "-C", (plane.state() / "repositories" / (project + ".git")).string(), "show",
                        "task/own:own.txt"})
                  .output,
              "own\n");
}

TEST_F(OwnImage, WhatIsNoImageOrNotThereIsSaid) {
    ControlPlane plane({.runtime = "docker"});
    auto with = direct_config(direct_name(), {"true"});
    with["image"] = "../../containers/json";
    EXPECT_TRUE(direct_error(create_directly(plane, with))
                    .contains("config.image: \"../../containers/json\" is not the name of an image"));
    with["image"] = "localhost:1/none:1";
    const auto missing = direct_error(create_directly(plane, with));
    EXPECT_TRUE(missing.contains("config.image localhost:1/none:1 is not on this engine and could not be pulled"))
        << missing;
}

TEST_F(OwnImage, TheSandboxHasNoImages) {
    ControlPlane plane({.runtime = "sandbox"});
    auto with = direct_config(direct_name(), {"true"});
    with["image"] = "debian:bookworm";
    const auto refused = direct_error(create_directly(plane, with));
    EXPECT_TRUE(refused.contains("the sandbox runtime has no images")) << refused;
}

class DockerCapability : public OwnImage {
  protected:
    // Asks the engine from inside, as the agent.
    static constexpr const char* kPing =
        "perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => \"/var/run/docker.sock\") or die \"refused: "
        "$!\\n\"; "
        "print $s \"GET /_ping HTTP/1.0\\r\\n\\r\\n\"; print <$s>' > report 2>&1; "
        "orchestrator result --status success --summary done --data '{\"no_changes\":true}'";
};

TEST_F(DockerCapability, IsRefusedWithTheWayOutUnlessTheOperatorChoseIt) {
    for (const auto* runtime : {"docker", "sandbox"}) {
        ControlPlane plane({.runtime = runtime});
        const auto refused = direct_error(create_directly(plane, direct_config(direct_name(), {"true"}, {"docker"})));
        EXPECT_TRUE(refused.contains("root on the host")) << refused;
        EXPECT_TRUE(refused.contains("DOCKER_CAPABILITY=socket")) << refused;
    }
    ControlPlane plane({.runtime = "sandbox", .environment = {{"DOCKER_CAPABILITY", "socket"}}});
    const auto refused = direct_error(create_directly(plane, direct_config(direct_name(), {"true"}, {"docker"})));
    EXPECT_TRUE(refused.contains("refused in the sandbox")) << refused;
}

TEST_F(DockerCapability, GivesTheEngineToThoseWhoAskForItAndToNobodyElse) {
    ControlPlane plane({.runtime = "docker", .environment = {{"DOCKER_CAPABILITY", "socket"}}});
    const OwnRoot image(plane, debian_root(plane));
    const auto project = plane.create_project("p");
    const auto report = [&](json::array capabilities) {
        const auto worker = direct_name();
        auto with = direct_config(worker, {"bash", "-c", kPing}, std::move(capabilities));
        with["image"] = image.name();
        const auto made = create_directly(plane, with);
        EXPECT_EQ(made.at("success"), true) << json::serialize(made);
        const auto output = work_directly(plane, worker, project);
        EXPECT_EQ(output.at("status"), "success") << json::serialize(output);
        return workspace_file(plane, worker, "report");
    };
    const auto with = report({"docker"});
    EXPECT_TRUE(with.starts_with("HTTP/1.0 200 OK") && with.ends_with("OK")) << with;
    const auto without = report({"git"});
    EXPECT_TRUE(without.starts_with("refused: No such file")) << without;
}

}  // namespace
}  // namespace codegen::testing

// The pure half of both runtimes: what a body is given, and where cgroups are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "services/worker-manager/runtime/cgroups.hpp"
#include "services/worker-manager/runtime/docker_runtime.hpp"
#include "services/worker-manager/runtime/sandbox_body.hpp"
#include "shared/posix/fd.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;

BodySpec body() {
    BodySpec spec;
    spec.worker_id = "dev-1";
    spec.installation = "inst";
    spec.host = "box";
    spec.attempt = 3;
    spec.image = "worker:ab";
    spec.agent_type = contracts::AgentType::claude;
    spec.directories = {"/s/workers/dev-1"};
    spec.programs = "/s/bin/h";
    spec.environment = {{"WORKER_ID", "dev-1"}};
    spec.limits = {.memory_bytes = 1 << 30, .cpus = 1.5, .processes = 100};
    return spec;
}

TEST(ContainerOfABody, HasNoMoreThanItNeeds) {
    auto json = clients::create_body(container_spec(body(), {}));
    auto& host = json.at("HostConfig").as_object();
    EXPECT_EQ(host.at("NetworkMode"), "none");
    EXPECT_EQ(host.at("CapDrop"), (boost::json::array{"ALL"}));
    EXPECT_EQ(host.at("CapAdd"), (boost::json::array{"SETUID", "SETGID"}));
    EXPECT_EQ(host.at("SecurityOpt"), (boost::json::array{"no-new-privileges"}));
    EXPECT_EQ(host.at("Privileged"), false);
    EXPECT_EQ(host.at("ReadonlyRootfs"), true);
    EXPECT_EQ(host.at("Memory"), 1 << 30);
    EXPECT_EQ(host.at("MemorySwap"), 1 << 30);
    EXPECT_EQ(host.at("NanoCpus"), 1500000000);
    EXPECT_EQ(host.at("PidsLimit"), 100);
    EXPECT_EQ(host.at("RestartPolicy").at("Name"), "no");
    EXPECT_EQ(host.at("Init"), false);
    EXPECT_EQ(host.at("Tmpfs").at("/run/codegen/agent"), "rw,nosuid,nodev,noexec,size=65536,mode=0755");
    EXPECT_THAT(std::string(host.at("Tmpfs").at("/tmp").as_string()),
                ::testing::StartsWith("rw,nosuid,nodev,exec,size=536870912"));
    EXPECT_FALSE(host.contains("Devices"));
    EXPECT_FALSE(host.contains("PidMode"));
    EXPECT_FALSE(boost::json::serialize(json).contains("docker.sock"));
    EXPECT_EQ(json.at("Entrypoint"), (boost::json::array{"/opt/codegen/bin/worker-wrapper"}));
    EXPECT_EQ(json.at("Labels").at("codegen.attempt"), "3");
    std::map<std::string, bool> read_only;
    for (const auto& mount : host.at("Mounts").as_array())
        read_only[std::string(mount.at("Target").as_string())] = mount.at("ReadOnly").as_bool();
    EXPECT_EQ(read_only, (std::map<std::string, bool>{{"/run/codegen", true},
                                                      {"/opt/codegen/bin", true},
                                                      {"/var/lib/codegen-worker", false},
                                                      {"/workspace", false},
                                                      {"/home/agent", false}}));
}

TEST(ContainerOfABody, ShowsTheAgentToImagesThatDoNotHoldIt) {
    auto spec = container_spec(body(), "/s/agents/claude-1");
    EXPECT_EQ(spec.mounts.back().source, "/s/agents/claude-1");
    EXPECT_EQ(spec.mounts.back().target, "/opt/codegen/agents/claude");
    EXPECT_TRUE(spec.mounts.back().read_only);
}

TEST(ContainerOfABody, GetsTheEnginesSocketOnlyWhenItIsGiven) {
    auto spec = container_spec(body(), {}, EngineSocket{"/run/engine.sock", 998});
    EXPECT_EQ(spec.mounts.back().source, "/run/engine.sock");
    EXPECT_EQ(spec.mounts.back().target, "/var/run/docker.sock");
    EXPECT_EQ(clients::create_body(spec).at("HostConfig").at("GroupAdd"), (boost::json::array{"998"}));
    EXPECT_EQ(clients::create_body(container_spec(body(), {})).at("HostConfig").at("GroupAdd"), boost::json::array{});
}

TEST(EngineSocket, IsOneThatItsGroupMayUse) {
    codegen::testing::TempDirectory directory;
    const auto path = (directory / "e.sock").string();
    EXPECT_THAT(engine_socket("unix://" + path).error().message, ::testing::HasSubstr("cannot be seen"));
    posix::Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    ASSERT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::chmod(path.c_str(), 0660);
    auto found = engine_socket("unix://" + path);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->path, path);
    EXPECT_EQ(found->group, static_cast<int>(::getegid()));
    ::chmod(path.c_str(), 0600);
    EXPECT_THAT(engine_socket("unix://" + path).error().message, ::testing::HasSubstr("has mode 0600"));
    EXPECT_THAT(engine_socket("unix:///etc/passwd").error().message, ::testing::HasSubstr("is not a socket"));
}

TEST(ContainerOfABody, PreparedForNobodyItWaitsAndKnowsNoWorker) {
    auto prepared = body();
    prepared.prepared = true;
    const auto spec = container_spec(prepared, {});
    EXPECT_THAT(spec.entrypoint, ElementsAre("/opt/codegen/bin/worker-wrapper", "wait"));
    EXPECT_THAT(spec.environment, ElementsAre(::testing::Key("WRAPPER_CONFIG")));
    EXPECT_EQ(spec.labels.at("codegen.prepared"), "1");
    EXPECT_EQ(spec.memory_bytes, 1 << 30);
    EXPECT_FALSE(container_spec(body(), {}).labels.contains("codegen.prepared"));
}

TEST(ConfigOfABody, HasThePathsOfItsRuntime) {
    auto docker = docker_config(body());
    EXPECT_EQ(docker.redis_socket, "/run/codegen/wrapper/redis.sock");
    EXPECT_EQ(docker.agent_program, "/opt/codegen/agents/claude/claude");
    EXPECT_EQ(docker.path.front(), "/opt/codegen/bin");
    EXPECT_FALSE(docker.sandbox);
    auto box = sandbox_config(body(), {.agents = "/s/agents", .cgroups = {"/c"}, .identity = {7, 8}});
    EXPECT_EQ(box.redis_socket, "/s/workers/dev-1/gateway/wrapper/redis.sock");
    EXPECT_EQ(box.agent_uid, 7);
    EXPECT_EQ(box.agent_gid, 8);
    EXPECT_EQ(box.agent_program, "/opt/codegen/agents/claude/claude");
    ASSERT_TRUE(box.sandbox);
    EXPECT_EQ(box.sandbox->wrapper_program, "/s/bin/h/worker-wrapper");
    EXPECT_EQ(box.sandbox->mounts[0].source, "/s/bin/h");
    EXPECT_EQ(box.sandbox->mounts[1].source, "/s/agents/claude-2.1.197");
    EXPECT_THAT(box.sandbox->cgroups, ElementsAre("/c"));
}

constexpr const char* kMounts1 =
    "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "31 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 20 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "33 20 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

TEST(CgroupBases, OfVersion1AreBelowOurOwnGroups) {
    auto bases = cgroup_bases("4:memory:/mine\n3:cpu,cpuacct:/\n2:pids:/p\n0::/\n", kMounts1, true);
    ASSERT_EQ(bases.size(), 3u);
    EXPECT_EQ(bases[0].directory, "/sys/fs/cgroup/memory/mine");
    EXPECT_EQ(bases[1].directory, "/sys/fs/cgroup/cpu,cpuacct/");
    EXPECT_EQ(bases[2].directory, "/sys/fs/cgroup/pids/p");
}

TEST(Cgroups, NameTheLimitsThatTheHostDoesNotPermit) {
    EXPECT_EQ(Cgroups({}, "inst").missing(), "memory, CPU, processes");
    const std::filesystem::path no_cgroup = std::filesystem::temp_directory_path() / "codegen-no-cgroup";
    std::filesystem::create_directories(no_cgroup);
    EXPECT_EQ(Cgroups({{CgroupBase::Kind::unified, no_cgroup}}, "inst").missing(), "memory, CPU, processes");
    std::filesystem::remove_all(no_cgroup);
}

TEST(CgroupBases, OfVersion2AreOne) {
    const char* mounts = "33 20 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
    auto root = cgroup_bases("0::/system.slice/x.service\n", mounts, true);
    ASSERT_EQ(root.size(), 1u);
    EXPECT_EQ(root[0].directory, "/sys/fs/cgroup");
    EXPECT_EQ(root[0].kind, CgroupBase::Kind::unified);
    EXPECT_EQ(cgroup_bases("0::/user.slice/x\n", mounts, false)[0].directory, "/sys/fs/cgroup/user.slice/x");
    EXPECT_TRUE(cgroup_bases("", "", true).empty());
}

}  // namespace
}  // namespace codegen::worker_manager

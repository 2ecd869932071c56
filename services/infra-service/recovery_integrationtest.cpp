// Servers that were ready and are not any more: the real recovery playbook, and a provider that installs anew.
#include "services/infra-service/infra_fixture.hpp"
#include "shared/testing/fake_time4vps.hpp"

namespace codegen::infra::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RecoveryTest : public InfraTest {
  protected:
    const codegen::testing::SshKeys keys_ = codegen::testing::make_ssh_keys();
};

// An image of one program, and a container of it named shop.
constexpr const char* kShop =
    "cd /tmp && mkdir -p root/bin root/lib64 root/lib/x86_64-linux-gnu && cp /bin/sleep root/bin && "
    "cp /lib/x86_64-linux-gnu/libc.so.6 root/lib/x86_64-linux-gnu && cp /lib64/ld-linux-x86-64.so.2 root/lib64 && "
    "tar -C root -c . | docker import - tiny && docker run -d --name shop --network none tiny /bin/sleep 100000";
constexpr const char* kStartDocker =
    "service docker start && for i in $(seq 300); do docker version >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1";

TEST_F(RecoveryTest, DockerThatHangsServicesThatAreDownAndContainersThatStopped) {
    const TestServer host(keys_.public_key);
    options_.work.playbooks = CODEGEN_SOURCE_DIR "/services/infra-service/playbooks";
    options_.work.docker_patience = 2;
    options_.work.disk_limit_percent = 1;  // every disk is too full
    add("web-1", host.address(), keys_.private_key, {{"status", "in_use"}});
    const auto project = text(call("POST", "/api/projects", {{"name", "shop"}}), "id");
    const auto deployed = [&](const std::string& service, int port, boost::json::object info,
                              const std::string& state = "running") {
        return call("POST", "/api/service-deployments",
                    {{"project_id", project},
                     {"service_name", service},
                     {"server_handle", "web-1"},
                     {"port", port},
                     {"status", state},
                     {"deployment_info", std::move(info)}})
            .at("id")
            .as_int64();
    };
    const auto deployment = [&](std::int64_t id) {
        return text(call("GET", "/api/service-deployments/" + std::to_string(id)), "status");
    };
    const auto shop = deployed("shop", 8080, {{"container", "shop"}});
    const auto stopped = deployed("old", 8081, {{"container", "old"}}, "stopped");
    call("POST", "/api/incidents", {{"server_handle", "web-1"}, {"incident_type", "service_down"}});
    call("POST", "/api/incidents", {{"server_handle", "web-1"}, {"incident_type", "resource_exhausted"}});
    host.exec(kStartDocker);
    host.exec(kShop);
    host.exec("docker stop -t 0 shop; touch /var/log/old.log.1.gz; pkill -STOP -x dockerd");
    start();

    auto request = ask("web-1", {{"is_recovery", true}});
    auto ended = result(request, 150s);
    EXPECT_EQ(text(ended, "status"), "success") << text(ended, "error");
    EXPECT_EQ(ended.at("services_redeployed").as_int64(), 1);
    EXPECT_EQ(host.exec("docker inspect -f '{{.State.Running}}' shop"), "true\n");
    EXPECT_FALSE(host.try_exec("test -e /var/log/old.log.1.gz").ok());
    EXPECT_EQ(status("web-1"), "in_use");
    EXPECT_EQ(deployment(shop), "running");
    EXPECT_EQ(deployment(stopped), "stopped") << "what a person stopped stays so";
    EXPECT_TRUE(incidents("web-1").empty());
    for (const auto& incident : incidents("web-1", "")) {
        EXPECT_EQ(text(incident, "status"), "resolved");
        EXPECT_EQ(incident.at("recovery_attempts").as_int64(), 1);
        EXPECT_TRUE(incident.as_object().contains("resolved_at"));
    }
    EXPECT_THAT(progress(request),
                AllOf(HasSubstr("Docker: Kill a Docker that does not answer"),
                      HasSubstr("Disk space: Delete downloaded packages"), HasSubstr("starting shop")));

    // What cannot be started again is said, service by service.
    const auto broken = deployed("broken", 8082, {{"container", "nothing"}});
    const auto unknown = deployed("unknown", 8083, {});
    request = ask("web-1", {{"is_recovery", true}});
    ended = result(request, 150s);
    EXPECT_EQ(text(ended, "status"), "failed");
    EXPECT_EQ(ended.at("services_redeployed").as_int64(), 1);
    EXPECT_EQ(ended.at("errors").as_array().size(), 2u);
    EXPECT_THAT(boost::json::serialize(ended),
                AllOf(HasSubstr("broken: container nothing: "), HasSubstr("No such container"),
                      HasSubstr("unknown: its deployment_info names no container: deploy it again")));
    EXPECT_EQ(deployment(broken), "failed");
    EXPECT_EQ(deployment(unknown), "failed");
    EXPECT_EQ(status("web-1"), "in_use") << "the server itself is well";
    ASSERT_EQ(incidents("web-1").size(), 1u);
    EXPECT_EQ(text(incidents("web-1")[0], "incident_type"), "service_down");
}

// The container is "installed anew" when the fake provider's task is done.
TEST_F(RecoveryTest, AServerIsInstalledAnewByItsProvider) {
    const TestServer host(keys_.public_key);
    codegen::testing::FakeTime4vps provider;
    provider.add({"7", host.address(), "web-1.example", {"kvm-debian-12-x86_64"}});
    options_.work.time4vps.url = provider.url();
    options_.work.time4vps.user = "me@example.test";
    options_.work.time4vps.password = "account-secret";
    options_.work.time4vps.poll = 50ms;
    add("web-1", host.address(), keys_.private_key, {{"labels", {{"provider", "time4vps"}}}});
    start();
    EXPECT_EQ(text(result(ask("web-1")), "status"), "success");
    const auto before = text(server("web-1").at("labels"), "ssh_host_key");

    // Nobody said which system.
    auto request = ask("web-1", {{"force_reinstall", true}});
    EXPECT_THAT(text(result(request), "error"), HasSubstr("has no os_template: Time4VPS offers kvm-debian-12-x86_64"));
    EXPECT_EQ(status("web-1"), "error");
    call("PATCH", "/api/servers/web-1", {{"os_template", "kvm-debian-12-x86_64"}});

    // With our key: nothing else is needed.
    const auto renew = [&](const std::string& key) {
        host.exec("echo '" + key + "' >/root/.ssh/authorized_keys; touch /root/installed-anew");
        host.new_host_keys();
        return std::string("done");
    };
    provider.on_reinstall([&](const auto&, const std::string& key) { return renew(key); });
    // What was deployed is gone with the disk, and the records say so.
    const auto project = text(call("POST", "/api/projects", {{"name", "shop"}}), "id");
    const auto deployed = [&](const std::string& service, int port, const std::string& state) {
        return call("POST", "/api/service-deployments",
                    {{"project_id", project},
                     {"service_name", service},
                     {"server_handle", "web-1"},
                     {"port", port},
                     {"status", state}})
            .at("id")
            .as_int64();
    };
    const auto deployment = [&](std::int64_t id) {
        return text(call("GET", "/api/service-deployments/" + std::to_string(id)), "status");
    };
    const auto shop = deployed("shop", 8080, "running");
    const auto old = deployed("old", 8081, "stopped");
    const auto coming = deployed("coming", 8082, "pending");
    request = ask("web-1", {{"force_reinstall", true}});
    const auto ended = result(request);
    EXPECT_EQ(text(ended, "status"), "success") << text(ended, "error");
    EXPECT_THAT(boost::json::serialize(ended.at("errors")), HasSubstr("shop: it was on the disk of server web-1"));
    EXPECT_EQ(ended.at("errors").as_array().size(), 1u);
    EXPECT_EQ(deployment(shop), "failed");
    EXPECT_EQ(deployment(old), "stopped");
    EXPECT_EQ(deployment(coming), "pending");
    EXPECT_EQ(status("web-1"), "ready") << "nothing uses it now";
    ASSERT_EQ(incidents("web-1").size(), 1u);
    EXPECT_EQ(text(incidents("web-1")[0], "incident_type"), "service_down");
    EXPECT_THAT(text(incidents("web-1")[0], "title"), HasSubstr("deploy it again"));
    for (const auto id : {shop, old, coming}) call("DELETE", "/api/service-deployments/" + std::to_string(id));
    const auto after = text(server("web-1").at("labels"), "ssh_host_key");
    EXPECT_NE(after, before);
    EXPECT_FALSE(after.empty());
    const auto authorized = host.exec("cat /root/.ssh/authorized_keys");
    EXPECT_THAT(authorized, AllOf(HasSubstr("codegen-orchestrator"), Not(HasSubstr(keys_.public_key))));

    // A provider that takes no keys: a new password brings ours there.
    provider.on_reinstall([&](const auto&, const std::string&) { return renew(""); });
    provider.on_reset_password([&](const auto&, const std::string&) {
        host.exec(
            "echo 'root:pass-word 1' | chpasswd; "
            "printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/password.conf");
        host.stop_sshd();
        host.start_sshd();
        return std::string("Password: <a onclick='this.innerHTML = \"pass-word 1\"'>Click</a>");
    });
    request = ask("web-1", {{"force_reinstall", true}});
    EXPECT_EQ(text(result(request), "status"), "success") << text(result(request), "error");
    EXPECT_THAT(host.exec("cat /root/.ssh/authorized_keys"), HasSubstr("codegen-orchestrator"));
    EXPECT_THAT(progress(request), HasSubstr("the provider sets a new password"));

    // What the provider refuses is told in its words, without the login.
    provider.answer_with(401, R"({"error":["ipnotallowed","unauthorized"]})");
    request = ask("web-1", {{"force_reinstall", true}});
    EXPECT_THAT(text(result(request), "error"), AllOf(HasSubstr("ipnotallowed"), Not(HasSubstr("account-secret"))));
    EXPECT_EQ(status("web-1"), "error");
}

}  // namespace
}  // namespace codegen::infra::testing

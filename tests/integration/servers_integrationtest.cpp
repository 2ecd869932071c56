// A person's servers: the real commands, the real playbooks, real Ansible over real sshd.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <fstream>

#include "shared/testing/test_server.hpp"
#include "tests/harness/control_plane.hpp"

namespace codegen::testing {
namespace {
namespace json = boost::json;

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string text(const json::value& object, std::string_view name) {
    const auto* value = object.is_object() ? object.get_object().if_contains(name) : nullptr;
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string progress(ControlPlane& plane, const std::string& request) {
    std::string out;
    for (const auto& entry : plane.stream("task_progress:" + request))
        if (const auto* data = entry.field("data")) out += text(json::parse(*data), "message") + "\n";
    return out;
}

json::object result(ControlPlane& plane, const std::string& request) {
    json::object found;
    eventually(
        "a result of " + request,
        [&] {
            for (const auto& entry : plane.stream("provisioner:results"))
                if (const auto* data = entry.field("data"))
                    if (const auto each = json::parse(*data); text(each, "request_id") == request)
                        found = each.as_object();
            return !found.empty();
        },
        std::chrono::seconds(150));
    return found;
}

TEST(Servers, AreMadeReadyTwiceWithoutChangeAndOneThatDiesIsTold) {
    const auto keys = make_ssh_keys();
    const TestServer one(keys.public_key);
    const TestServer two(keys.public_key);
    ControlPlane plane({.runtime = "sandbox"});
    const auto file = (plane.state() / "my-key").string();
    std::ofstream(file) << keys.private_key;
    std::map<std::string, std::string> requests;
    for (const auto& [handle, host] : {std::pair{"web-1", &one}, std::pair{"web-2", &two}}) {
        const auto added =
            plane.orchestrator({"infra", "server", "add", handle, "--host", host->address(), "--ssh-key", file});
        ASSERT_EQ(added.exit_code, 0) << added.output << added.errors;
        const auto asked = plane.orchestrator({"infra", "server", "provision", handle});
        ASSERT_EQ(asked.exit_code, 0) << asked.output << asked.errors;
        requests[handle] = text(asked.json().at("data"), "request_id");
    }
    std::filesystem::remove(file);

    // Both at once; the second one's power is cut in the middle.
    eventually(
        "work on both", [&] { return progress(plane, requests["web-2"]).contains("Docker: "); },
        std::chrono::seconds(120));
    two.die();
    const auto dead = result(plane, requests["web-2"]);
    EXPECT_EQ(text(dead, "status"), "failed");
    EXPECT_THAT(text(dead, "error"), AllOf(HasSubstr("play \""), HasSubstr("task \""), HasSubstr("host web-2: "),
                                           HasSubstr("the connection is lost")));
    EXPECT_EQ(text(plane.api("/api/servers/web-2"), "status"), "unreachable");
    const auto open = plane.orchestrator({"infra", "incidents", "--active"}).json().at("data").as_array();
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(text(open[0], "server_handle"), "web-2");
    EXPECT_EQ(text(open[0], "incident_type"), "server_unreachable");

    const auto alive = result(plane, requests["web-1"]);
    EXPECT_EQ(text(alive, "status"), "success") << text(alive, "error");
    const auto ready = plane.orchestrator({"infra", "server", "show", "web-1"}).json().at("data");
    EXPECT_EQ(text(ready, "status"), "ready");
    EXPECT_GT(ready.at("capacity_cpu").as_int64(), 0);
    // A container has no systemd: the only task that is not for it.
    EXPECT_THAT(progress(plane, requests["web-1"]), HasSubstr("skipped=1 (Enable nftables)"));

    // What was done, as the host has it.
    EXPECT_THAT(one.exec("cat /root/.ssh/authorized_keys"), HasSubstr("codegen-orchestrator"));
    EXPECT_THAT(one.exec("cat /home/codegen/.ssh/authorized_keys; stat -c '%U %a' /home/codegen/.ssh/authorized_keys"),
                AllOf(HasSubstr("codegen-orchestrator"), HasSubstr("codegen 600")));
    EXPECT_THAT(one.exec("id codegen"), HasSubstr("(docker)"));
    EXPECT_THAT(one.exec("sshd -T"),
                AllOf(HasSubstr("passwordauthentication no"), HasSubstr("permitrootlogin without-password"),
                      HasSubstr("kbdinteractiveauthentication no"), HasSubstr("x11forwarding no")));
    EXPECT_THAT(one.exec("nft list table inet codegen"),
                AllOf(HasSubstr("policy drop"), HasSubstr("tcp dport { 22, 80, 443 } accept")));
    EXPECT_THAT(one.exec("cat /etc/nftables.conf"), HasSubstr("include \"/etc/nftables.d/*.nft\""));
    EXPECT_THAT(one.exec("docker version"), HasSubstr("Server:"));
    EXPECT_THAT(one.exec("dpkg -s rsync"), HasSubstr("install ok installed")) << "not in the image";
    EXPECT_THAT(one.exec("apt-config dump"), HasSubstr("APT::Periodic::Unattended-Upgrade \"1\""));
    // The firewall works: a port that nothing was said of does not answer from here, SSH does.
    one.exec(
        "setsid python3 -m http.server 8099 >/dev/null 2>&1 & for i in $(seq 100); do curl -s localhost:8099 "
        ">/dev/null && exit 0; sleep 0.1; done; exit 1");
    EXPECT_NE(plane.run({"curl", "-s", "--max-time", "2", "http://" + one.address() + ":8099/"}).exit_code, 0);

    // Again: nothing changes.
    const auto again = plane.orchestrator({"infra", "server", "provision", "web-1", "--follow", "--text"});
    EXPECT_EQ(again.exit_code, 0) << again.output << again.errors;
    EXPECT_THAT(again.output, AllOf(HasSubstr(" changed=0 "), HasSubstr("server web-1 is ready")));

    // The key that it was added with is nowhere but in the database, encrypted.
    const auto secret = keys.private_key.substr(100, 60);
    EXPECT_NE(plane.run({"grep", "-r", "-l", "-F", secret, plane.state().string()}).exit_code, 0);
    EXPECT_TRUE(std::filesystem::is_empty(plane.state() / "infra" / "runs"));
    EXPECT_EQ(plane.orchestrator({"infra", "server", "remove", "web-2"}).exit_code, 0);
    EXPECT_EQ(text(plane.api("/api/servers/web-2"), "status"), "decommissioned");
}

}  // namespace
}  // namespace codegen::testing

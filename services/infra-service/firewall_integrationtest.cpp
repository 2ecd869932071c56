// The firewall must not lock out who loads it: the real tasks, real nftables, real sshd.
#include <fstream>

#include "services/infra-service/infra_fixture.hpp"

namespace codegen::infra::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class FirewallTest : public InfraTest {
  protected:
    void SetUp() override {
        InfraTest::SetUp();
        const auto copy = directory_ / "playbooks";
        std::filesystem::remove_all(copy);
        std::filesystem::copy(CODEGEN_SOURCE_DIR "/services/infra-service/playbooks", copy,
                              std::filesystem::copy_options::recursive);
        playbook("provision.yml",
                 "- hosts: all\n  gather_facts: false\n  tasks:\n"
                 "    - name: Look\n      ansible.builtin.setup:\n        gather_subset: [min, service_mgr]\n"
                 "    - import_tasks: tasks/firewall.yml\n");
        options_.work.firewall_patience = 30;  // a login that fails takes 20
    }
    static bool is_loaded(const TestServer& host) { return host.try_exec("nft list table inet codegen").ok(); }
    static bool is_kept(const TestServer& host) { return host.try_exec("test -e /etc/nftables.d/codegen.nft").ok(); }

    const codegen::testing::SshKeys keys_ = codegen::testing::make_ssh_keys();
};

// 2222 outside, 22 at sshd, as a router does it.
TEST_F(FirewallTest, APortThatIsForwardedStaysOpenAtBothEnds) {
    const TestServer host(keys_.public_key);
    host.exec("apt-get update && apt-get install -y --no-install-recommends nftables", 120s);
    host.exec(
        "nft 'add table ip router; add chain ip router pre { type nat hook prerouting priority -100; }; "
        "add rule ip router pre tcp dport 2222 redirect to :22'");
    add("web-1", host.address(), keys_.private_key, {{"labels", {{"ssh_port", 2222}}}});
    start();
    const auto ended = result(ask("web-1"), 150s);
    EXPECT_EQ(text(ended, "status"), "success") << text(ended, "error");
    EXPECT_THAT(host.exec("nft list table inet codegen"),
                AllOf(HasSubstr("policy drop"), HasSubstr("tcp dport { 22, 80, 443, 2222 } accept")));
    EXPECT_TRUE(is_kept(host));
    // It outlives the trial, and a second run finds nothing to do.
    const auto request = ask("web-1");
    EXPECT_EQ(text(result(request, 150s), "status"), "success");
    EXPECT_THAT(progress(request), HasSubstr(" changed=0 "));
    EXPECT_TRUE(eventually([&] { return !host.try_exec("pgrep -f 'sleep 30'").ok(); }, 60s)) << "the trial is over";
    EXPECT_TRUE(is_loaded(host));
}

// Rules under which nobody can log in.
TEST_F(FirewallTest, RulesThatLockOutAreTakenBack) {
    const auto rules = directory_ / "playbooks/templates/firewall.nft.j2";
    const auto good = posix::read_file(rules, 65536).value();
    const auto lock_out = [&] {
        auto bad = good;
        const auto at = bad.find("tcp dport {");
        ASSERT_NE(at, bad.npos);
        bad.insert(at, "tcp dport 22 drop\n        ");
        std::ofstream(rules) << bad;
    };
    const TestServer host(keys_.public_key);
    add("web-1", host.address(), keys_.private_key);
    lock_out();
    start();
    auto ended = result(ask("web-1"), 150s);
    EXPECT_EQ(text(ended, "status"), "failed");
    EXPECT_THAT(text(ended, "error"), HasSubstr("Log in under the rules (where that fails, they are taken back"));
    EXPECT_TRUE(eventually([&] { return !is_loaded(host); }, 60s)) << "nobody can log in";
    EXPECT_FALSE(is_kept(host)) << "the next start of the system would load them";

    // What was there before comes back.
    std::ofstream(rules) << good;
    ended = result(ask("web-1"), 150s);
    EXPECT_EQ(text(ended, "status"), "success") << text(ended, "error");
    const auto before = host.exec("nft list table inet codegen; cat /etc/nftables.d/codegen.nft");
    lock_out();
    EXPECT_EQ(text(result(ask("web-1"), 150s), "status"), "failed");
    EXPECT_TRUE(eventually(
        [&] { return host.exec("nft list table inet codegen; cat /etc/nftables.d/codegen.nft") == before; }, 60s));
}

}  // namespace
}  // namespace codegen::infra::testing

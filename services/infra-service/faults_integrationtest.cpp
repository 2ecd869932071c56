// What goes wrong between us and a server: real ssh, real ansible-playbook, real sshd.
#include <fstream>

#include "services/infra-service/infra_fixture.hpp"
#include "shared/base/ids.hpp"

namespace codegen::infra::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FaultsTest : public InfraTest {
  protected:
    // Fails; the server's status, the incident and the error that is told.
    std::string failed(const std::string& request, const std::string& handle, const std::string& status_after,
                       const std::string& incident, const std::string& result_status = "failed") {
        const auto ended = result(request);
        const auto error = text(ended, "error");
        EXPECT_EQ(text(ended, "status"), result_status) << error;
        EXPECT_EQ(status(handle), status_after) << error;
        int found = 0;
        for (const auto& open : incidents(handle)) {
            if (text(open, "incident_type") != incident) continue;
            ++found;
            EXPECT_EQ(text(open, "title"), error.substr(0, 500));
        }
        EXPECT_EQ(found, 1);
        return error;
    }
    // Those of provisionings, as the process table shows them. Killed ones need a moment to be gone.
    std::string processes() {
        std::string out;
        static_cast<void>(eventually(
            [&] {
                out =
                    codegen::testing::run_program({"pgrep", "-af", directory_.path().string() + "/infra/runs"}).output;
                return out.empty();
            },
            5s));
        return out;
    }
    const codegen::testing::SshKeys keys_ = codegen::testing::make_ssh_keys();
};

TEST_F(FaultsTest, SshAndPlaybookFailuresNameWhatToDo) {
    const TestServer host(keys_.public_key);
    add("web-1", host.address(), keys_.private_key);
    start();

    // It works; the first host key is kept, our own key is installed, the one it was added with is not needed any more.
    auto request = ask("web-1", {{"callback_stream", "cli:7"}});
    EXPECT_EQ(text(result(request), "status"), "success") << text(result(request), "error");
    EXPECT_EQ(status("web-1"), "ready");
    EXPECT_TRUE(incidents("web-1").empty());
    EXPECT_EQ(stream("cli:7").size(), 1u);
    const auto host_key = text(server("web-1").at("labels"), "ssh_host_key");
    EXPECT_THAT(host.exec("cat /etc/ssh/ssh_host_*.pub"), HasSubstr(host_key));
    const auto authorized = host.exec("cat /root/.ssh/authorized_keys");
    EXPECT_THAT(authorized, AllOf(HasSubstr(keys_.public_key), HasSubstr("codegen-orchestrator")));
    call("PATCH", "/api/servers/web-1", {{"ssh_key_enc", nullptr}});
    // The same request again is answered again, and nothing is done again.
    const auto attempts = server("web-1").at("provisioning_attempts").as_int64();
    ask("web-1", {{"request_id", request}});
    EXPECT_TRUE(eventually([&] { return results(request).size() == 2u; }));
    EXPECT_EQ(server("web-1").at("provisioning_attempts").as_int64(), attempts);
    request = ask("web-1");
    EXPECT_EQ(text(result(request), "status"), "success") << text(result(request), "error");
    EXPECT_EQ(host.exec("cat /root/.ssh/authorized_keys"), authorized) << "not added twice";

    // A task fails: the error names play, task, host and message.
    playbook("provision.yml",
             "- name: First\n  hosts: all\n  gather_facts: false\n  tasks:\n"
             "    - name: Fine\n      ansible.builtin.ping:\n"
             "- name: Second\n  hosts: all\n  gather_facts: false\n  tasks:\n"
             "    - name: Break it\n      ansible.builtin.command: sh -c 'echo no space left >&2; exit 3'\n"
             "    - name: Never\n      ansible.builtin.ping:\n");
    request = ask("web-1");
    EXPECT_EQ(failed(request, "web-1", "error", "provisioning_failed"),
              "play \"Second\", task \"Break it\", host web-1: non-zero return code: no space left: exit 3");
    EXPECT_THAT(progress(request), AllOf(HasSubstr("Second: Break it"), Not(HasSubstr("Never"))));
    playbook("provision.yml", "- hosts: all\n  tasks: [not a task\n");
    EXPECT_THAT(failed(ask("web-1"), "web-1", "error", "provisioning_failed"), HasSubstr("exit 4"));

    // It hangs: stopped in time, and the whole tree with it.
    stop();
    options_.work.time_limit = 4s;
    const auto mark = "codegen-hang-" + random_token(4);
    playbook("provision.yml",
             "- name: Slow\n  hosts: all\n  gather_facts: false\n  tasks:\n"
             "    - name: Hang " +
                 mark +
                 "\n      ansible.builtin.command: sleep 600\n"
                 "    - name: Here\n      delegate_to: localhost\n      ansible.builtin.ping:\n");
    start();
    EXPECT_THAT(failed(ask("web-1"), "web-1", "error", "provisioning_failed", "timeout"),
                AllOf(HasSubstr("stopped after"), HasSubstr("task \"Hang " + mark + "\", host web-1")));
    EXPECT_EQ(processes(), "") << "live on";
    stop();
    options_.work.time_limit = 900s;
    playbook("provision.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n");
    start();

    // Somebody else answers.
    host.new_host_keys();
    EXPECT_THAT(failed(ask("web-1"), "web-1", "error", "provisioning_failed"),
                AllOf(HasSubstr("its host key is not the one that was seen before"),
                      HasSubstr("orchestrator infra server provision web-1 --new-host-key")));
    EXPECT_EQ(text(server("web-1").at("labels"), "ssh_host_key"), host_key) << "nobody's word but a person's";
    call("PATCH", "/api/servers/web-1", {{"labels", boost::json::object()}});
    EXPECT_EQ(text(result(ask("web-1")), "status"), "success");
    EXPECT_TRUE(incidents("web-1").empty()) << "resolved";

    // None of our keys.
    host.exec("sed -i /codegen-orchestrator/d /root/.ssh/authorized_keys");
    const auto rejected = failed(ask("web-1"), "web-1", "error", "provisioning_failed");
    EXPECT_THAT(rejected, AllOf(HasSubstr("lets user root in with none of the keys"), HasSubstr("Permission denied"),
                                HasSubstr("Add this line to authorized_keys of root there: ssh-ed25519 AAAA")));

    // Nobody listens, three times.
    host.stop_sshd();
    EXPECT_THAT(failed(ask("web-1"), "web-1", "unreachable", "server_unreachable").substr(0),
                AllOf(HasSubstr("Connection refused"), HasSubstr("(3 attempts)")));
    EXPECT_EQ(incidents("web-1").size(), 2u) << "one of each kind, written on";
}

TEST_F(FaultsTest, KeysAndRecordsThatAreNoneAreRefusedBeforeAnybodyIsAsked) {
    add("odd", "127.0.0.1", "-----BEGIN OPENSSH PRIVATE KEY-----\nnot one\n-----END OPENSSH PRIVATE KEY-----\n");
    const codegen::testing::TempDirectory directory;
    const auto file = (directory / "key").string();
    codegen::testing::run_program({"ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", file});
    add("locked", "127.0.0.1", posix::read_file(file, 65536).value());
    add("user", "127.0.0.1", keys_.private_key, {{"ssh_user", "root -oProxyCommand=touch"}});
    add("port", "127.0.0.1", keys_.private_key, {{"labels", {{"ssh_port", "many"}}}});
    add("gone", "127.0.0.1", keys_.private_key, {{"status", "decommissioned"}});
    add("cloud", "127.0.0.1", keys_.private_key, {{"labels", {{"provider", "clouds-r-us"}}}});
    add("manual", "127.0.0.1", keys_.private_key);
    start();
    EXPECT_THAT(failed(ask("odd"), "odd", "error", "provisioning_failed"),
                HasSubstr("no private key that OpenSSH reads"));
    EXPECT_THAT(failed(ask("locked"), "locked", "error", "provisioning_failed"), HasSubstr("has a passphrase"));
    EXPECT_THAT(failed(ask("user"), "user", "error", "provisioning_failed"), HasSubstr("ssh_user is \"root -o"));
    EXPECT_THAT(failed(ask("port"), "port", "error", "provisioning_failed"), HasSubstr("labels.ssh_port"));
    EXPECT_THAT(failed(ask("cloud", {{"force_reinstall", true}}), "cloud", "error", "provisioning_failed"),
                HasSubstr("expected manual or time4vps"));
    EXPECT_THAT(failed(ask("manual", {{"force_reinstall", true}}), "manual", "error", "provisioning_failed"),
                HasSubstr("has no provider that could install it anew"));
    EXPECT_THAT(text(result(ask("gone")), "error"), HasSubstr("is decommissioned"));
    EXPECT_EQ(status("gone"), "decommissioned");
    // Nobody knows it: the result says so, and so does a dead letter.
    EXPECT_THAT(text(result(ask("nowhere")), "error"), HasSubstr("server_handle: "));
    EXPECT_TRUE(eventually([&] { return redis_.command({"XLEN", "provisioner:queue:dlq"}).integer == 1; }));
}

// Not root, but one who may use sudo; and sshd on a port of its own.
TEST_F(FaultsTest, AUserWithSudoWorksAsRoot) {
    const TestServer host(keys_.public_key);
    host.exec(
        "useradd -m -s /bin/bash admin && echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin && "
        "cp -r /root/.ssh /home/admin && chown -R admin /home/admin && rm /root/.ssh/authorized_keys && "
        "echo 'Port 2222' >>/etc/ssh/sshd_config");
    host.stop_sshd();
    host.start_sshd();
    playbook("provision.yml",
             "- hosts: all\n  gather_facts: false\n  tasks:\n"
             "    - ansible.builtin.shell: echo \"$(id -un) {{ open_ports | join(' ') }}\" >/root/who\n");
    add("web-1", host.address(), keys_.private_key, {{"ssh_user", "admin"}, {"labels", {{"ssh_port", 2222}}}});
    call("POST", "/api/servers/web-1/ports", {{"port", 8080}, {"service_name", "shop"}});
    start();
    const auto ended = result(ask("web-1"));
    EXPECT_EQ(text(ended, "status"), "success") << text(ended, "error");
    EXPECT_EQ(host.exec("cat /root/who"), "root 2222 80 443 8080\n");
    EXPECT_THAT(host.exec("cat /home/admin/.ssh/authorized_keys"), HasSubstr("codegen-orchestrator"));
    host.exec("echo 'admin ALL=(ALL) ALL' >/etc/sudoers.d/admin");
    EXPECT_THAT(failed(ask("web-1"), "web-1", "error", "provisioning_failed"), HasSubstr("password"));
}

// What the command was told is taken, and then Redis lost.
TEST_F(FaultsTest, ARequestThatRedisLostIsTakenUpOnce) {
    const TestServer host(keys_.public_key);
    playbook("provision.yml",
             "- hosts: all\n  gather_facts: false\n  tasks:\n"
             "    - ansible.builtin.shell: echo x >>/root/times\n");
    add("web-1", host.address(), keys_.private_key);
    const boost::json::object message{{"request_id", new_uuid()}, {"server_handle", "web-1"}};
    call("POST", "/api/servers/web-1/provision");
    call("POST", "/api/provisioner-messages", message);
    ask("web-1", message);
    redis_.command({"FLUSHALL"});
    start();
    EXPECT_EQ(text(result(text(message, "request_id")), "status"), "success");
    EXPECT_EQ(status("web-1"), "ready");
    EXPECT_TRUE(call("GET", "/api/provisioner-messages").as_array().empty()) << "infra-service has it";
    // What came both ways is one request.
    const boost::json::object again{{"request_id", new_uuid()}, {"server_handle", "web-1"}};
    call("POST", "/api/provisioner-messages", again);
    ask("web-1", again);
    EXPECT_EQ(text(result(text(again, "request_id")), "status"), "success");
    EXPECT_TRUE(eventually([&] { return call("GET", "/api/provisioner-messages").as_array().empty(); }));
    EXPECT_EQ(host.exec("wc -l </root/times"), "2\n");
}

// As after three deaths of the process: the queue has made a dead letter of it, only the table knows it.
TEST_F(FaultsTest, ARequestThatKillsIsGivenUp) {
    const TestServer host(keys_.public_key);
    add("web-1", host.address(), keys_.private_key);
    start();
    EXPECT_EQ(text(result(ask("web-1")), "status"), "success") << "makes the tables";
    stop();
    const auto request = new_uuid();
    contracts::ProvisionerMessage message;
    message.request_id = request;
    message.server_handle = "web-1";
    const auto kept =
        run(io_, database_->query(
                     "INSERT INTO infra_requests (request_id, server_handle, message, told, created_at, updated_at, "
                     "begun) VALUES (:id, 'web-1', :message, 0, 0, 0, 3)",
                     {{"id", request}, {"message", json::write(message)}}));
    ASSERT_TRUE(kept) << kept.error().message;
    start();
    EXPECT_THAT(failed(request, "web-1", "error", "provisioning_failed"),
                HasSubstr("3 processes of infra-service died"));
}

TEST_F(FaultsTest, AMissingAnsibleIsSaidAndTheRoleRuns) {
    const TestServer host(keys_.public_key);
    options_.work.ansible = "ansible-playbook-of-nobody";
    EXPECT_THAT(missing_programs(options_.work), ::testing::ElementsAre(HasSubstr("apt-get install ansible-core")));
    add("web-1", host.address(), keys_.private_key);
    start();
    EXPECT_THAT(failed(ask("web-1"), "web-1", "error", "provisioning_failed"),
                AllOf(HasSubstr("ansible-playbook-of-nobody"), HasSubstr("apt-get install ansible-core")));
}

// Two copies of the role, two servers: both at once, but each by one at a time; a copy that dies blocks its server no
// longer than its lease.
TEST_F(FaultsTest, OneProvisioningOfAServerAtATime) {
    const TestServer one(keys_.public_key);
    const TestServer two(keys_.public_key);
    add("one", one.address(), keys_.private_key);
    add("two", two.address(), keys_.private_key);
    // Whoever finds somebody else there leaves a mark; the second server waits for the first, so both must run at once.
    playbook("provision.yml",
             "- hosts: all\n  gather_facts: false\n  tasks:\n"
             "    - name: Work\n      ansible.builtin.shell: |\n"
             "        mkdir /root/working || touch /root/two-at-once\n"
             "        sleep 1\n        rmdir /root/working; echo x >>/root/times\n");
    start("first");
    start("second");
    std::vector<std::string> requests;
    for (int i = 0; i < 2; ++i)
        for (const auto* handle : {"one", "two"}) requests.push_back(ask(handle));
    for (const auto& request : requests)
        EXPECT_EQ(text(result(request), "status"), "success") << text(result(request), "error");
    for (const auto* host : {&one, &two}) {
        EXPECT_EQ(host->exec("wc -l </root/times"), "2\n");
        EXPECT_FALSE(host->try_exec("test -e /root/two-at-once").ok());
    }
    // Stopped in the middle of it, and started again: it is done again, by who comes next.
    playbook("provision.yml",
             "- hosts: all\n  gather_facts: false\n  tasks:\n"
             "    - name: Work\n      ansible.builtin.shell: echo x >>/root/begun; test -e /root/go || sleep 600\n");
    const auto request = ask("one");
    EXPECT_TRUE(eventually([&] { return one.try_exec("test -e /root/begun").ok(); }));
    stop();
    EXPECT_EQ(processes(), "") << "live on";
    EXPECT_TRUE(results(request).empty());
    const auto deaths =
        run(io_, database_->query("SELECT begun FROM infra_requests WHERE request_id = :id", {{"id", request}}));
    EXPECT_EQ(deaths->rows.at(0).integer("begun"), 0) << "nobody died";
    one.exec("touch /root/go");
    start("third");
    EXPECT_EQ(text(result(request), "status"), "success") << text(result(request), "error");
}

}  // namespace
}  // namespace codegen::infra::testing

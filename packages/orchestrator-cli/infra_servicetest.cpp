#include <gmock/gmock.h>

#include "packages/orchestrator-cli/cli_fixture.hpp"

namespace codegen::cli::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class InfraTest : public CliTest {
  protected:
    // As the scheduler would write it.
    void post(const std::string& target, const boost::json::object& body) {
        auto token = posix::read_file(directory_ / "service.token", 1000);
        http::Client client(io_.get_executor(), *http::parse_url("http+unix://" + (directory_ / "api.sock").string()));
        http::Request request;
        request.method = "POST";
        request.target = target;
        request.headers.set("Authorization", "Bearer " + *token);
        request.body = boost::json::serialize(body);
        auto response = run(io_, client.send(std::move(request)));
        ASSERT_TRUE(response) << response.error().message;
        ASSERT_EQ(response->status, 201u) << response->body;
    }
    static Task<void> keep(Task<Ran> running, std::optional<Ran>* out) {
        auto ran = co_await std::move(running);
        out->emplace(std::move(ran));
    }
};

TEST_F(InfraTest, servers_and_incidents_of_the_api) {
    EXPECT_EQ(orchestrator({"infra", "servers"}).data(), boost::json::array());
    EXPECT_THAT(orchestrator({"infra", "incidents", "--text"}).output, HasSubstr("no incidents"));
    post("/api/servers", {{"handle", "web-1"},
                          {"host", "web-1.example"},
                          {"public_ip", "192.0.2.7"},
                          {"is_managed", true},
                          {"status", "ready"},
                          {"capacity_ram_mb", 4096}});
    post("/api/servers",
         {{"handle", "old"}, {"host", "old.example"}, {"public_ip", "192.0.2.8"}, {"status", "missing"}});
    EXPECT_EQ(orchestrator({"infra", "servers"}).data().as_array().size(), 2u);
    const auto managed = orchestrator({"infra", "servers", "--managed", "--text"});
    EXPECT_THAT(managed.output, HasSubstr("web-1"));
    EXPECT_THAT(managed.output, HasSubstr("192.0.2.7"));
    EXPECT_THAT(managed.output, Not(HasSubstr("old")));
    EXPECT_EQ(orchestrator({"infra", "servers", "--status", "missing"}).data().as_array().size(), 1u);
    EXPECT_EQ(orchestrator({"infra", "servers", "--status", "fine"}).exit, 2);

    post("/api/incidents", {{"server_handle", "web-1"},
                            {"incident_type", "service_down"},
                            {"severity", "high"},
                            {"status", "detected"},
                            {"title", "shop does not\x1b answer"}});
    const auto shown = orchestrator({"infra", "incidents", "--active", "--text"});
    EXPECT_THAT(shown.output, HasSubstr("service_down"));
    EXPECT_THAT(shown.output, Not(HasSubstr("\x1b")));
    EXPECT_EQ(orchestrator({"infra", "incidents", "--server", "web-1"}).data().as_array().size(), 1u);
    EXPECT_EQ(orchestrator({"infra", "incidents", "--server", "old"}).data().as_array().size(), 0u);
    EXPECT_EQ(orchestrator({"infra", "incidents", "--status", "resolved"}).data().as_array().size(), 0u);
    EXPECT_EQ(orchestrator({"infra", "incidents", "--active", "--status", "resolved"}).exit, 2);
    environment_["ALLOWED_COMMANDS"] = "DEVELOPER";
    EXPECT_EQ(orchestrator({"infra", "servers"}).exit, 3);
    environment_["ALLOWED_COMMANDS"] = "DEVOPS";
    EXPECT_EQ(orchestrator({"infra", "servers"}).exit, 0);
}

TEST_F(InfraTest, a_server_is_added_with_its_key_and_removed_without) {
    const auto key = (directory_ / "id").string();
    std::ofstream(key) << "-----BEGIN OPENSSH PRIVATE KEY-----\nvery-private\n-----END OPENSSH PRIVATE KEY-----\n";
    std::ofstream(key + ".pub") << "ssh-ed25519 AAAA x\n";
    const auto added = orchestrator({"infra",         "server",
                                     "add",           "web-1",
                                     "--host",        "web-1.example",
                                     "--ip",          "192.0.2.7",
                                     "--user",        "debian",
                                     "--port",        "2222",
                                     "--ssh-key",     key,
                                     "--provider",    "time4vps",
                                     "--provider-id", "7",
                                     "--os",          "kvm-debian-12",
                                     "--host-key",    "ssh-ed25519 AAAAx"});
    ASSERT_EQ(added.exit, 0) << added.output;
    EXPECT_THAT(added.output, Not(HasSubstr("very-private")));
    EXPECT_THAT(text(added.json(), "message"), HasSubstr("orchestrator infra server provision web-1"));
    const auto labels = added.data().at("labels").as_object();
    EXPECT_EQ(labels.at("ssh_port"), 2222);
    EXPECT_EQ(labels.at("provider_id"), "7");
    EXPECT_EQ(labels.at("ssh_host_key"), "ssh-ed25519 AAAAx");
    const auto shown = orchestrator({"infra", "server", "show", "web-1", "--text"});
    EXPECT_THAT(shown.output, HasSubstr("discovered"));
    EXPECT_THAT(shown.output, HasSubstr("time4vps"));
    EXPECT_EQ(orchestrator({"infra", "server", "list"}).data().as_array().size(), 1u);

    // Files that are no private key, or not there; a name that is taken; a tool of a model.
    const auto refused = [&](const std::string& file, const std::string& words) {
        const auto ran = orchestrator({"infra", "server", "add", "web-2", "--host", "h", "--ssh-key", file});
        EXPECT_EQ(ran.exit, 2) << file;
        EXPECT_THAT(text(ran.json(), "message"), HasSubstr(words));
    };
    refused(key + ".pub", "no private key in it");
    refused(key + ".none", "No such file");
    EXPECT_EQ(orchestrator({"infra", "server", "add", "web-1", "--host", "other"}).exit, 1);
    environment_["ORCHESTRATOR_LITERAL_TEXTS"] = "1";
    refused(key, "a person has to give it");
    environment_.erase("ORCHESTRATOR_LITERAL_TEXTS");
    EXPECT_EQ(orchestrator({"infra", "server", "add", "web-2", "--host", "h", "--port", "0"}).exit, 2);
    EXPECT_EQ(orchestrator({"infra", "server", "show", "web-2"}).exit, 4);

    // Removed, the key is gone; added again, it is as new.
    EXPECT_EQ(text(orchestrator({"infra", "server", "remove", "web-1"}).data(), "status"), "decommissioned");
    auto rows = run(io_, database_->query("SELECT ssh_key_enc FROM servers"));
    ASSERT_TRUE(rows);
    EXPECT_TRUE(rows->rows.at(0).is_null("ssh_key_enc"));
    const auto again = orchestrator({"infra", "server", "add", "web-1", "--host", "192.0.2.8"});
    ASSERT_EQ(again.exit, 0) << again.output;
    EXPECT_EQ(text(again.data(), "status"), "discovered");
    EXPECT_EQ(text(again.data(), "ssh_user"), "root");
    EXPECT_TRUE(again.data().at("labels").as_object().empty());
}

TEST_F(InfraTest, provisioning_is_queued_only_where_somebody_does_it) {
    post("/api/servers", {{"handle", "web-1"},
                          {"host", "web-1.example"},
                          {"public_ip", "192.0.2.7"},
                          {"labels", {{"ssh_host_key", "ssh-ed25519 AAAA"}, {"zone", "eu"}}}});
    const auto nobody = orchestrator({"infra", "server", "provision", "web-1"});
    EXPECT_EQ(nobody.exit, 5);
    EXPECT_THAT(text(nobody.json(), "message"), HasSubstr("nobody runs the infra-service role"));
    EXPECT_EQ(text(orchestrator({"infra", "server", "show", "web-1"}).data(), "status"), "discovered");
    EXPECT_TRUE(stream("provisioner:queue").empty());

    take_from("provisioner:queue", "infrastructure-workers");
    EXPECT_EQ(orchestrator({"infra", "server", "provision", "web-9"}).exit, 4);
    const auto queued = orchestrator({"infra", "server", "provision", "web-1", "--new-host-key"});
    ASSERT_EQ(queued.exit, 0) << queued.output;
    const auto shown = orchestrator({"infra", "server", "show", "web-1"}).data();
    EXPECT_EQ(text(shown, "status"), "pending_setup");
    EXPECT_EQ(shown.at("labels"), (boost::json::object{{"zone", "eu"}}));
    EXPECT_EQ(orchestrator({"infra", "server", "provision", "web-1", "--force-reinstall"}).exit, 0);
    EXPECT_EQ(text(orchestrator({"infra", "server", "show", "web-1"}).data(), "status"), "force_rebuild");
    EXPECT_EQ(orchestrator({"infra", "server", "provision", "web-1", "--recover"}).exit, 0);
    EXPECT_EQ(orchestrator({"infra", "server", "provision", "web-1", "--recover", "--force-reinstall"}).exit, 2);
    const auto messages = stream("provisioner:queue");
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(text(messages[0], "request_id"), text(queued.data(), "request_id"));
    EXPECT_EQ(text(messages[0], "server_handle"), "web-1");
    EXPECT_EQ(messages[1].at("force_reinstall"), true);
    EXPECT_EQ(messages[2].at("is_recovery"), true);
    // Also where Redis loses them.
    const auto kept = run(io_, database_->query("SELECT message FROM pending_provisionings ORDER BY created_at, id"));
    ASSERT_TRUE(kept);
    std::vector<boost::json::object> in_api;
    for (const auto& row : kept->rows) in_api.push_back(boost::json::parse(row.text("message")).as_object());
    EXPECT_EQ(in_api, messages);
}

// As infra-service answers.
TEST_F(InfraTest, the_result_of_a_provisioning_is_waited_for) {
    post("/api/servers", {{"handle", "web-1"}, {"host", "web-1.example"}, {"public_ip", "192.0.2.7"}});
    take_from("provisioner:queue", "infrastructure-workers");
    const auto answered = [&](std::vector<std::string> options, const boost::json::object& result) {
        const auto before = stream("provisioner:queue").size();
        options.insert(options.begin(), {"infra", "server", "provision", "web-1"});
        std::optional<Ran> ran;
        async::Scope scope(io_.get_executor());
        scope.spawn("command", keep(start(std::move(options)), &ran));
        for (int i = 0; i < 500 && stream("provisioner:queue").size() == before; ++i) run(io_, async::sleep_for(20ms));
        const auto request = text(stream("provisioner:queue").back(), "request_id");
        publish("provisioner:results", {{"status", "success"}, {"server_handle", "web-9"}});  // somebody else's
        publish("task_progress:" + request,
                {{"type", "progress"}, {"request_id", request}, {"message", "Docker: Install Docker"}});
        auto message = result;
        message["request_id"] = request;
        message["server_handle"] = "web-1";
        publish("provisioner:results", message);
        run(io_, scope.drain());
        return ran.value_or(Ran());
    };
    const auto good = answered({"--follow", "--text"}, {{"status", "success"}});
    EXPECT_EQ(good.exit, 0) << good.errors;
    EXPECT_THAT(good.output, HasSubstr("Docker: Install Docker"));
    EXPECT_THAT(good.output, HasSubstr("server web-1 is ready"));
    const auto bad = answered({"--wait"}, {{"status", "failed"}, {"error", "play \"Docker\": no space"}});
    EXPECT_EQ(bad.exit, 1);
    EXPECT_EQ(text(bad.json(), "error"), "provisioning_failed");
    EXPECT_THAT(text(bad.json(), "message"), HasSubstr("no space"));
    const auto late = orchestrator({"infra", "server", "provision", "web-1", "--wait", "--wait-timeout", "1"});
    EXPECT_EQ(late.exit, 6);
    EXPECT_THAT(text(late.json(), "message"), HasSubstr("it goes on"));
}

}  // namespace
}  // namespace codegen::cli::testing

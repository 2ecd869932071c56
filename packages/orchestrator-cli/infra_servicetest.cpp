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

}  // namespace
}  // namespace codegen::cli::testing

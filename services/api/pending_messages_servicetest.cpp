// Messages that are kept until their role has them.
#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

class PendingMessages : public ApiFixture {
  protected:
    static constexpr const char* kCommands = "/api/workflow-commands";
    static constexpr const char* kProvisionings = "/api/provisioner-messages";

    static std::string command(const std::string& task, const std::string& id, const std::string& kind = "cancel") {
        return boost::json::serialize(boost::json::object{
            {"request_id", id}, {"correlation_id", id}, {"command", kind}, {"task_id", task}, {"user_id", 77}});
    }
    static std::string provisioning(const std::string& handle, const std::string& id) {
        return boost::json::serialize(boost::json::object{
            {"request_id", id}, {"correlation_id", id}, {"server_handle", handle}, {"force_reinstall", true}});
    }
    boost::json::array list(const char* resource) { return must(200, send("GET", resource, control_)).as_array(); }
};

TEST_F(PendingMessages, ACommandIsKeptByWhoSeesTheTaskUntilItIsObeyed) {
    const auto user = make_user(100);
    const auto owner = user_token(user);
    const auto other = user_token(make_user(101));
    const auto project = make_project(owner);
    const auto task = make_task(owner, project);
    const auto id = new_uuid();
    EXPECT_EQ(send("POST", kCommands, other, command(task, id)).status, 404u) << "another user's task";
    EXPECT_EQ(send("POST", kCommands, worker_token(task, {"engineering.resume"}), command(task, id)).status, 403u);
    EXPECT_TRUE(list(kCommands).empty());

    const auto kept = must(201, send("POST", kCommands, owner, command(task, id)));
    EXPECT_EQ(kept.at("user_id"), user) << "nobody speaks for another";
    EXPECT_EQ(send("POST", kCommands, owner, command(task, id)).status, 200u) << "said again";
    EXPECT_EQ(send("POST", kCommands, owner, command(task, id, "resume")).status, 409u);
    EXPECT_EQ(send("POST", kCommands, worker_token(task, {"engineering.*"}), command(task, new_uuid())).status, 201u);
    EXPECT_EQ(list(kCommands).size(), 2u);
    EXPECT_EQ(text(list(kCommands)[0], "request_id"), id);

    EXPECT_EQ(send("GET", kCommands, owner).status, 403u) << "for the role";
    EXPECT_EQ(send("DELETE", kCommands + ("/" + id), owner).status, 403u);
    EXPECT_EQ(send("DELETE", kCommands + ("/" + id), control_).status, 204u);
    EXPECT_EQ(send("DELETE", kCommands + ("/" + id), control_).status, 404u);
    EXPECT_EQ(list(kCommands).size(), 1u);
}

TEST_F(PendingMessages, AProvisioningIsAskedForByWhoMayAlone) {
    must(201, admin("POST", "/api/servers", R"({"handle": "web-1", "host": "h", "public_ip": "192.0.2.7"})"));
    const auto id = new_uuid();
    const auto owner = user_token(make_user(100));
    EXPECT_EQ(send("POST", kProvisionings, owner, provisioning("web-1", id)).status, 403u);
    EXPECT_EQ(send("POST", kProvisionings, worker_token(make_task(owner, make_project(owner)), {"*"}),
                   provisioning("web-1", id))
                  .status,
              403u);
    EXPECT_EQ(admin("POST", kProvisionings, provisioning("web-2", id)).status, 422u) << "no such server";
    EXPECT_EQ(admin("POST", kProvisionings, provisioning("web-1", "no-uuid")).status, 422u);
    must(201, admin("POST", kProvisionings, provisioning("web-1", id)));
    ASSERT_EQ(list(kProvisionings).size(), 1u);
    EXPECT_EQ(list(kProvisionings)[0].at("force_reinstall"), true);
    EXPECT_EQ(send("DELETE", kProvisionings + ("/" + id), read("infra.token")).status, 204u);
    EXPECT_TRUE(list(kProvisionings).empty());
}

}  // namespace
}  // namespace codegen::api

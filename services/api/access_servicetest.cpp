// Who reaches what, beyond the table of routes_servicetest.cpp.
#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

using ::testing::HasSubstr;

class AccessTest : public ApiFixture {
  protected:
    void SetUp() override {
        ApiFixture::SetUp();
        owner_ = make_user(100);
        stranger_ = make_user(200);
        owner_token_ = user_token(owner_);
        stranger_token_ = user_token(stranger_);
        project_ = make_project(owner_token_);
        task_ = make_task(owner_token_, project_);
        boost::json::object execution{{"id", execution_},
                                      {"task_id", task_},
                                      {"worker_id", "dev-1"},
                                      {"started_at", "2026-01-10T12:00:00Z"},
                                      {"status", "in_progress"}};
        must(201, admin("POST", "/api/task-executions", boost::json::serialize(execution)));
    }

    std::int64_t owner_ = 0;
    std::int64_t stranger_ = 0;
    std::string owner_token_;
    std::string stranger_token_;
    std::string project_;
    std::string task_;
    const std::string execution_ = new_uuid();
};

TEST_F(AccessTest, AWrongOrRevokedOrExpiredTokenIs401) {
    const auto revoked = make_token({{"id", "0a0a0a0a-0a0a-4a0a-8a0a-0a0a0a0a0a0a"}, {"kind", "admin"}});
    must(204, admin("DELETE", "/api/tokens/0A0A0A0A-0a0a-4a0a-8a0a-0a0a0a0a0a0a"));
    const auto expired = make_token({{"kind", "admin"}, {"expires_at", "2026-01-10T12:00:00.5Z"}});
    EXPECT_EQ(send("GET", "/api/projects", expired).status, 200u);
    now_ += std::chrono::seconds(1);
    for (const auto& token : {revoked, expired, std::string("nonsense"), admin_ + "x", std::string(" ")}) {
        EXPECT_EQ(send("GET", "/api/projects", token).status, 401u);
    }
    EXPECT_THAT(send("GET", "/api/projects", expired).body, HasSubstr("expired at 2026-01-10T12:00:00.5"));
    EXPECT_EQ(send("GET", "/api/projects", "", {}, {{"Authorization", "Basic abc"}}).status, 401u);
    EXPECT_EQ(send("GET", "/api/projects", "", {}, {{"Authorization", "bearer " + admin_}}).status, 200u);
}

TEST_F(AccessTest, EvenAWorkerThatMayEverythingReachesOnlyTheWorkOfItsTask) {
    const auto token = worker_token(task_, {"*"});
    const auto other_project = make_project(owner_token_, "other");  // the same user's, but not this task's
    const auto other_task = make_task(owner_token_, other_project);
    EXPECT_EQ(send("GET", "/api/projects/" + other_project, token).status, 404u);
    EXPECT_EQ(send("GET", "/api/tasks/" + other_task, token).status, 404u);
    EXPECT_EQ(must(200, send("GET", "/api/projects", token)).as_array().size(), 1u);
    const auto body = boost::json::object{{"project_id", other_project}, {"type", "engineering"}};
    EXPECT_EQ(send("POST", "/api/tasks", token, boost::json::serialize(body)).status, 422u);
    EXPECT_EQ(send("POST", "/api/tasks", token, R"({"type": "engineering"})").status, 422u);
    EXPECT_EQ(send("POST", "/api/tasks", token, R"({"type": "infrastructure"})").status, 403u);
}

TEST_F(AccessTest, TheActionsOfAWorkerDecideByCommand) {
    const auto reader = worker_token(task_, {"project.get", "engineering.status"});
    EXPECT_EQ(send("GET", "/api/projects/" + project_, reader).status, 200u);
    EXPECT_EQ(send("GET", "/api/tasks/" + task_, reader).status, 200u);
    EXPECT_EQ(send("GET", "/api/task-executions?task_id=" + task_, reader).status, 200u);
    EXPECT_EQ(send("GET", "/api/projects", reader).status, 403u);
    EXPECT_EQ(send("GET", "/api/tasks", reader).status, 403u);
    const auto body = boost::json::object{{"project_id", project_}, {"type", "engineering"}};
    const auto denied = send("POST", "/api/tasks", reader, boost::json::serialize(body));
    EXPECT_EQ(denied.status, 403u);
    EXPECT_THAT(denied.body, HasSubstr("engineering.start"));

    const auto starter = worker_token(task_, {"engineering.trigger"});  // the older name
    const auto started = must(201, send("POST", "/api/tasks", starter, boost::json::serialize(body)));
    EXPECT_EQ(started.at("user_id").as_int64(), owner_);  // from the token's task, not from the body
    auto deploy = body;
    deploy["type"] = "deploy";
    EXPECT_EQ(send("POST", "/api/tasks", starter, boost::json::serialize(deploy)).status, 403u);
    const auto group = worker_token(task_, {"deploy.*"});
    EXPECT_EQ(send("POST", "/api/tasks", group, boost::json::serialize(deploy)).status, 201u);
    auto foreign = deploy;
    foreign["user_id"] = stranger_;
    EXPECT_EQ(send("POST", "/api/tasks", group, boost::json::serialize(foreign)).status, 403u);
}

TEST_F(AccessTest, ActionsBindEveryKindOfTokenThatHasSome) {
    const auto bound = [&](const char* kind, boost::json::array actions) {
        return make_token({{"kind", kind}, {"user_id", owner_}, {"actions", std::move(actions)}});
    };
    const auto reader = bound("user", {"project.get", "engineering.status"});
    EXPECT_EQ(send("GET", "/api/projects/" + project_, reader).status, 200u);
    EXPECT_EQ(send("GET", "/api/tasks/" + task_, reader).status, 200u);
    EXPECT_EQ(send("GET", "/api/hosts", reader).status, 200u);
    EXPECT_EQ(send("GET", "/api/tokens/self", reader).status, 200u);
    EXPECT_EQ(send("GET", "/api/projects", reader).status, 403u);
    EXPECT_EQ(send("PATCH", "/api/projects/" + project_, reader, "{}").status, 403u);
    EXPECT_EQ(send("PATCH", "/api/tasks/" + task_, reader, "{}").status, 403u);
    EXPECT_EQ(send("POST", "/api/rag/messages", reader, R"({"role": "user", "content": "x"})").status, 403u);
    const auto denied = send("POST", "/api/tasks", reader, R"({"type": "engineering"})");
    EXPECT_EQ(denied.status, 403u);
    EXPECT_THAT(denied.body, HasSubstr("engineering.start"));
    EXPECT_EQ(send("POST", "/api/tasks", bound("user", {"engineering.*"}), R"({"type": "engineering"})").status, 201u);
    // The worker-manager asks with a person's token whether the task of a worker is his.
    EXPECT_EQ(send("GET", "/api/tasks/" + task_, bound("user", {"worker.logs"})).status, 200u);
    for (const auto* kind : {"admin", "service"}) {
        const auto some = bound(kind, {"project.*"});
        EXPECT_EQ(send("GET", "/api/projects", some).status, 200u) << kind;
        EXPECT_EQ(send("GET", "/api/tokens", some).status, 403u) << kind;
        EXPECT_EQ(send("POST", "/api/tokens", some, R"({"kind": "admin"})").status, 403u) << kind;
    }
    EXPECT_EQ(send("GET", "/api/tokens", bound("admin", {"*"})).status, 200u);
    EXPECT_EQ(send("GET", "/api/tokens", read("infra.token")).status, 200u);  // a service that names "*"
}

// The workflow writes there, and may write into every stream.
TEST_F(AccessTest, OnlyAdminsAndServicesSayWhereAnAnswerIsWritten) {
    const std::string made = R"({"type": "engineering", "callback_stream": "worker:commands"})";
    const auto of_project = boost::json::serialize(boost::json::object{
        {"type", "engineering"}, {"project_id", project_}, {"callback_stream", "scaffolder:queue:dlq"}});
    const auto target = "/api/tasks/" + task_;
    const std::string changed = R"({"callback_stream": "worker:commands"})";
    for (const auto& refused :
         {send("POST", "/api/tasks", owner_token_, made), send("PATCH", target, owner_token_, changed),
          send("POST", "/api/tasks", worker_token(task_, {"*"}), of_project)}) {
        EXPECT_EQ(refused.status, 403u) << refused.body;
        EXPECT_THAT(refused.body, HasSubstr("callback_stream"));
    }
    EXPECT_FALSE(must(200, admin("GET", target)).as_object().contains("callback_stream"));
    EXPECT_EQ(admin("POST", "/api/tasks", made).status, 201u);
    EXPECT_EQ(send("PATCH", target, control_, changed).status, 200u);
    // A bot that asks for a person hears the answer.
    const Extra acting{{"X-Telegram-ID", "100"}};
    EXPECT_EQ(send("POST", "/api/tasks", control_, of_project, acting).status, 201u);
    EXPECT_EQ(send("PATCH", target, owner_token_, R"({"callback_stream": null})").status, 200u);
}

TEST_F(AccessTest, AWorkerWithoutATaskWorksForItsUser) {
    const auto po = make_token({{"kind", "worker"}, {"worker_id", "po-1"}, {"user_id", owner_}, {"actions", {"*"}}});
    EXPECT_EQ(send("GET", "/api/projects/" + project_, po).status, 200u);
    EXPECT_EQ(must(200, send("GET", "/api/tasks", po)).as_array().size(), 1u);
    const auto theirs = make_project(stranger_token_);
    EXPECT_EQ(send("GET", "/api/projects/" + theirs, po).status, 404u);
    EXPECT_EQ(send("GET", "/api/users/" + std::to_string(owner_), po).status, 403u);

    const auto nobody = make_token({{"kind", "worker"}, {"worker_id", "po-2"}, {"actions", {"*"}}});
    EXPECT_EQ(must(200, send("GET", "/api/projects", nobody)).as_array().size(), 0u);
    EXPECT_EQ(must(200, send("GET", "/api/tasks", nobody)).as_array().size(), 0u);
    EXPECT_EQ(send("GET", "/api/tasks/" + task_, nobody).status, 404u);
    const auto lost = worker_token(new_uuid(), {"*"});  // a task that does not exist
    EXPECT_EQ(must(200, send("GET", "/api/projects", lost)).as_array().size(), 0u);
    EXPECT_EQ(send("GET", "/api/tasks/" + task_, lost).status, 404u);
}

TEST_F(AccessTest, TheOwnerHasHisOwn) {
    EXPECT_EQ(send("GET", "/api/projects/" + project_, owner_token_).status, 200u);
    EXPECT_EQ(send("PATCH", "/api/projects/" + project_, owner_token_, R"({"description": "x"})").status, 200u);
    EXPECT_EQ(send("GET", "/api/tasks/" + task_, owner_token_).status, 200u);
    EXPECT_EQ(send("GET", "/api/task-executions/" + execution_, owner_token_).status, 200u);
    EXPECT_EQ(send("GET", "/api/users/" + std::to_string(owner_), owner_token_).status, 200u);
    EXPECT_EQ(send("GET", "/api/users/by-telegram/100", owner_token_).status, 200u);
    const auto give = boost::json::serialize(boost::json::object{{"owner_id", stranger_}});
    EXPECT_EQ(send("PATCH", "/api/projects/" + project_, owner_token_, give).status, 403u);
    EXPECT_EQ(send("PATCH", "/api/projects/" + project_, owner_token_, R"({"owner_id": null})").status, 403u);
    EXPECT_EQ(admin("PATCH", "/api/projects/" + project_, give).status, 200u);
    EXPECT_EQ(send("GET", "/api/projects/" + project_, owner_token_).status, 404u);
}

TEST_F(AccessTest, AdminAndServiceReachEverything) {
    const auto admin_user = user_token(make_user(900, true));
    for (const auto& token : {admin_, control_, admin_user}) {
        EXPECT_EQ(send("GET", "/api/projects/" + project_, token).status, 200u);
        EXPECT_EQ(send("GET", "/api/tasks/" + task_, token).status, 200u);
        EXPECT_EQ(send("GET", "/api/task-executions/" + execution_, token).status, 200u);
        EXPECT_EQ(send("GET", "/api/tokens", token).status, 200u);
        EXPECT_EQ(must(200, send("GET", "/api/users", token)).as_array().size(), 4u);
    }
}

TEST_F(AccessTest, AServiceActsForTheUserItNames) {
    const Extra owner{{"X-Telegram-ID", "100"}};
    const Extra stranger{{"X-Telegram-ID", "200"}};
    EXPECT_EQ(send("GET", "/api/projects/" + project_, control_, {}, owner).status, 200u);
    EXPECT_EQ(send("GET", "/api/projects/" + project_, control_, {}, stranger).status, 404u);
    const auto made = must(201, send("POST", "/api/projects", control_, R"({"name": "by bot"})", stranger));
    EXPECT_EQ(made.at("owner_id").as_int64(), stranger_);
    EXPECT_EQ(send("POST", "/api/tokens", control_, R"({"kind": "admin"})", stranger).status, 403u);
    EXPECT_EQ(send("POST", "/api/users/upsert", control_, R"({"telegram_id": 200})", stranger).status, 200u);
    EXPECT_EQ(send("POST", "/api/users/upsert", control_, R"({"telegram_id": 200, "is_admin": true})", stranger).status,
              403u);
    EXPECT_EQ(send("GET", "/api/projects", control_, {}, {{"X-Telegram-ID", "777"}}).status, 403u);
    EXPECT_EQ(send("GET", "/api/projects", control_, {}, {{"X-Telegram-ID", "7 or 1"}}).status, 403u);
    make_user(300, true);
    EXPECT_EQ(send("GET", "/api/projects/" + project_, control_, {}, {{"X-Telegram-ID", "300"}}).status, 200u);
}

TEST_F(AccessTest, OnlyAServiceMayNameAUser) {
    const auto worker = worker_token(task_, {"*"});
    for (const auto& token : {admin_, owner_token_, worker}) {
        EXPECT_EQ(send("GET", "/api/projects", token, {}, {{"X-Telegram-ID", "100"}}).status, 403u);
    }
}

TEST_F(AccessTest, TheHeaderAloneIsRefusedUnlessAllowedAndOnLoopback) {
    const Extra header{{"X-Telegram-ID", "100"}};
    EXPECT_EQ(send("GET", "/api/projects", "", {}, header).status, 401u);
    EXPECT_EQ(send(*tcp_, "GET", "/api/projects", "", {}, header).status, 401u);
    options_.allow_header_auth = true;
    restart();
    EXPECT_EQ(send("GET", "/api/projects", "", {}, header).status, 401u);  // the unix socket is the gateways' way in
    EXPECT_EQ(must(200, send(*tcp_, "GET", "/api/projects", "", {}, header)).as_array().size(), 1u);
    EXPECT_EQ(send(*tcp_, "GET", "/api/projects/" + project_, "", {}, {{"X-Telegram-ID", "200"}}).status, 404u);
    EXPECT_EQ(send(*tcp_, "GET", "/api/projects", "", {}, {{"X-Telegram-ID", "777"}}).status, 403u);
    EXPECT_EQ(send(*tcp_, "GET", "/api/tokens", "", {}, header).status, 403u);
    // A bad token is not made good by the header.
    EXPECT_EQ(send(*tcp_, "GET", "/api/projects", "nonsense", {}, header).status, 401u);
}

TEST_F(AccessTest, ATokenSaysWhoseItIs) {
    const auto self = [&](const std::string& token, const Extra& extra = {}) {
        return must(200, send("GET", "/api/tokens/self", token, {}, extra));
    };
    const auto user = self(owner_token_);
    EXPECT_EQ(text(user, "kind"), "user");
    EXPECT_EQ(user.at("user_id").as_int64(), owner_);
    EXPECT_EQ(user.at("sees_all"), false);
    EXPECT_TRUE(user.at("actions").as_array().empty());
    EXPECT_EQ(self(admin_).at("sees_all"), true);
    EXPECT_EQ(self(control_).at("sees_all"), true);
    EXPECT_EQ(self(user_token(make_user(300, true))).at("sees_all"), true);
    const auto acting = self(control_, {{"X-Telegram-ID", "100"}});
    EXPECT_EQ(acting.at("sees_all"), false);
    EXPECT_EQ(acting.at("user_id").as_int64(), owner_);
    const auto bound =
        self(make_token({{"kind", "user"}, {"user_id", owner_}, {"actions", boost::json::array{"worker.list"}}}));
    EXPECT_EQ(bound.at("actions"), boost::json::array{"worker.list"});
}

TEST_F(AccessTest, OnlyAServiceThatSpeaksForItselfAnnouncesAHost) {
    const std::string body = R"({"manager_url": "http://h:8100", "capacity": 4})";
    make_user(300, true);
    EXPECT_EQ(send("PUT", "/api/hosts/host-1", admin_, body).status, 403u);
    EXPECT_EQ(send("PUT", "/api/hosts/host-1", control_, body, {{"X-Telegram-ID", "300"}}).status, 403u);
    EXPECT_EQ(send("GET", "/api/hosts", owner_token_).body, "[]");
    EXPECT_EQ(send("PUT", "/api/hosts/host-1", control_, body).status, 200u);
    EXPECT_EQ(must(200, send("GET", "/api/hosts", owner_token_)).as_array().size(), 1u);
}

TEST_F(AccessTest, MetricsAreOpenOnLoopbackOnly) {
    EXPECT_EQ(send("GET", "/metrics", "").status, 401u);
    EXPECT_EQ(send(*tcp_, "GET", "/metrics", "").status, 200u);
    EXPECT_EQ(send("GET", "/metrics", control_).status, 200u);
}

}  // namespace
}  // namespace codegen::api

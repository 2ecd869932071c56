// What each resource stores, answers and refuses.
#include "services/api/api_fixture.hpp"
#include "services/api/caller.hpp"

namespace codegen::api {
namespace {

using ::testing::HasSubstr;

using Json = boost::json::object;

class ResourcesTest : public ApiFixture {
  protected:
    static std::string body(const Json& object) { return boost::json::serialize(object); }
    // The paths of a 422's errors.
    std::vector<std::string> paths(const http::Response& response, unsigned status = 422) {
        std::vector<std::string> found;
        const auto problem = must(status, response);
        EXPECT_EQ(response.headers.get("Content-Type"), "application/problem+json");
        EXPECT_EQ(problem.at("status").as_int64(), status);
        if (const auto* errors = problem.as_object().if_contains("errors")) {
            for (const auto& error : errors->as_array()) found.push_back(text(error, "path"));
        }
        return found;
    }
    std::string new_task() { return text(must(201, admin("POST", "/api/tasks", R"({"type": "engineering"})")), "id"); }
    unsigned set_status(const std::string& task, const std::string& status) {
        return admin("PATCH", "/api/tasks/" + task, body({{"status", status}})).status;
    }
};

TEST_F(ResourcesTest, UsersAreMadeFoundAndUpserted) {
    const auto made = must(201, admin("POST", "/api/users", R"({"telegram_id": 7, "username": "ann"})"));
    EXPECT_EQ(made.at("id").as_int64(), 2);
    EXPECT_EQ(text(made, "username"), "ann");
    EXPECT_FALSE(made.at("is_admin").as_bool());
    EXPECT_FALSE(made.as_object().contains("first_name"));
    EXPECT_EQ(must(200, admin("GET", "/api/users/2")), made);
    EXPECT_EQ(must(200, admin("GET", "/api/users/by-telegram/7")), made);
    EXPECT_EQ(must(200, admin("GET", "/api/users?telegram_id=7")).as_array(), boost::json::array{made});
    EXPECT_EQ(must(200, admin("GET", "/api/users?telegram_id=8")).as_array().size(), 0u);
    EXPECT_EQ(admin("POST", "/api/users", R"({"telegram_id": 7})").status, 409u);
    must(201, admin("POST", "/api/users", R"({"username": "local"})"));
    must(201, admin("POST", "/api/users", R"({"username": "another without telegram"})"));

    const auto updated = must(200, admin("POST", "/api/users/upsert", R"({"telegram_id": 7, "first_name": "Ann"})"));
    EXPECT_EQ(updated.at("id").as_int64(), 2);
    EXPECT_EQ(text(updated, "username"), "ann");
    EXPECT_EQ(text(updated, "first_name"), "Ann");
    EXPECT_EQ(updated.at("created_at"), made.at("created_at"));
    EXPECT_NE(updated.at("last_seen"), made.at("last_seen"));
    EXPECT_EQ(must(201, admin("POST", "/api/users/upsert", R"({"telegram_id": 8})")).at("telegram_id").as_int64(), 8);
    for (const auto* missing :
         {"/api/users/77", "/api/users/x", "/api/users/by-telegram/77", "/api/users/by-telegram/x"}) {
        EXPECT_EQ(admin("GET", missing).status, 404u) << missing;
    }
    EXPECT_THAT(paths(admin("POST", "/api/users/upsert", "{}")), ::testing::ElementsAre("telegram_id"));
    EXPECT_THAT(paths(admin("GET", "/api/users?telegram_id=x")), ::testing::ElementsAre("telegram_id"));
}

TEST_F(ResourcesTest, AProjectKeepsEveryField) {
    const Json full{{"id", "B3ADDEB0-34bb-47fa-8c77-28d483328041"},
                    {"name", "shop"},
                    {"description", "a shop"},
                    {"status", "active"},
                    {"modules", {"backend", "tg_bot"}},
                    {"repository_url", "file:///x.git"},
                    {"github_repo_id", 42},
                    {"owner_id", 1},
                    {"config", {{"a", {1, 2.5, nullptr}}}},
                    {"project_spec", {{"pages", 3}}}};
    const auto made = must(201, admin("POST", "/api/projects", body(full)));
    EXPECT_EQ(text(made, "id"), "b3addeb0-34bb-47fa-8c77-28d483328041");
    EXPECT_EQ(made.at("modules"), (boost::json::array{"backend", "telegram"}));
    for (const auto* field :
         {"name", "description", "status", "repository_url", "github_repo_id", "owner_id", "config", "project_spec"}) {
        EXPECT_EQ(made.at(field), full.at(field)) << field;
    }
    EXPECT_TRUE(parse_timestamp(text(made, "created_at")));
    EXPECT_EQ(must(200, admin("GET", "/api/projects/b3addeb0-34bb-47fa-8c77-28d483328041")), made);
    EXPECT_EQ(must(200, admin("GET", "/api/projects/B3ADDEB0-34BB-47fa-8c77-28d483328041/")), made);

    const auto minimal = must(201, send("POST", "/api/projects", control_, R"({"name": "x", "unknown": 1})"));
    EXPECT_EQ(text(minimal, "status"), "draft");
    EXPECT_EQ(minimal.at("modules"), (boost::json::array{"backend"}));
    EXPECT_FALSE(minimal.as_object().contains("owner_id"));
    EXPECT_FALSE(minimal.as_object().contains("description"));
}

TEST_F(ResourcesTest, TheSamePostAgainIsTheSameProject) {
    const auto id = new_uuid();
    const Json first{{"id", id}, {"name", "shop"}};
    const auto made = must(201, admin("POST", "/api/projects", body(first)));
    EXPECT_EQ(must(200, admin("POST", "/api/projects", body(first))), made);
    // Also after the object has changed: the stored one is the answer.
    must(200, admin("PATCH", "/api/projects/" + id, R"({"name": "renamed"})"));
    EXPECT_EQ(text(must(200, admin("POST", "/api/projects", body(first))), "name"), "renamed");
    EXPECT_EQ(admin("POST", "/api/projects", body({{"id", id}, {"name", "other"}})).status, 409u);
    const auto stranger = user_token(make_user(5));
    EXPECT_EQ(send("POST", "/api/projects", stranger, body(first)).status, 409u);
}

TEST_F(ResourcesTest, PatchChangesWhatItNamesAndNullClears) {
    const auto id = make_project(admin_);
    const auto target = "/api/projects/" + id;
    must(200, admin("PATCH", target, R"({"description": "text", "project_spec": {"a": 1}, "status": "testing"})"));
    const auto cleared = must(200, admin("PATCH", target, R"({"description": null, "config": {"k": true}})"));
    EXPECT_FALSE(cleared.as_object().contains("description"));
    EXPECT_EQ(cleared.at("project_spec"), (Json{{"a", 1}}));
    EXPECT_EQ(text(cleared, "status"), "testing");
    EXPECT_EQ(cleared.at("config"), (Json{{"k", true}}));
    EXPECT_LT(text(cleared, "created_at"), text(cleared, "updated_at"));
    EXPECT_EQ(text(must(200, admin("PATCH", target, "{}")), "status"), "testing");
    must(200,
         admin("PATCH", target,
               R"({"name": "n", "modules": ["frontend"], "repository_url": "u", "github_repo_id": 1, "owner_id": 1})"));

    EXPECT_THAT(paths(admin("PATCH", target, R"({"name": null, "status": "odd"})")), ::testing::Contains("status"));
    EXPECT_THAT(paths(admin("PATCH", target, R"({"name": null})")), ::testing::ElementsAre("name"));
    EXPECT_THAT(paths(admin("PATCH", target, R"({"modules": ["backend", "x"]})")),
                ::testing::ElementsAre("modules[1]"));
    EXPECT_THAT(paths(admin("PATCH", target, R"({"owner_id": 999})")), ::testing::ElementsAre("owner_id"));
    EXPECT_EQ(admin("PATCH", "/api/projects/" + new_uuid(), "{}").status, 404u);
}

TEST_F(ResourcesTest, PutReplacesEverythingButTheOwner) {
    const auto owner = make_user(5);
    const auto token = user_token(owner);
    const auto id = make_project(token);
    must(200, admin("PATCH", "/api/projects/" + id, R"({"description": "old", "status": "active"})"));
    const auto replaced = must(200, send("PUT", "/api/projects/" + id, token, R"({"name": "new"})"));
    EXPECT_EQ(text(replaced, "name"), "new");
    EXPECT_EQ(text(replaced, "status"), "draft");
    EXPECT_FALSE(replaced.as_object().contains("description"));
    EXPECT_EQ(replaced.at("owner_id").as_int64(), owner);
    EXPECT_EQ(admin("PUT", "/api/projects/" + id, body({{"id", id}, {"name", "same id"}})).status, 200u);
    EXPECT_THAT(paths(admin("PUT", "/api/projects/" + id, body({{"id", new_uuid()}, {"name", "x"}}))),
                ::testing::ElementsAre("id"));
    EXPECT_THAT(paths(admin("PUT", "/api/projects/" + id, "{}")), ::testing::ElementsAre("name"));
    EXPECT_EQ(admin("PUT", "/api/projects/" + new_uuid(), R"({"name": "x"})").status, 404u);
}

TEST_F(ResourcesTest, AProjectIsDeletedWhenItsTasksAreFinished) {
    const auto project = make_project(admin_);
    const auto task = make_task(admin_, project);
    const auto refused = admin("DELETE", "/api/projects/" + project);
    EXPECT_EQ(refused.status, 409u);
    EXPECT_THAT(refused.body, HasSubstr(task));
    EXPECT_EQ(set_status(task, "cancelled"), 200u);
    const auto gone = admin("DELETE", "/api/projects/" + project);
    EXPECT_EQ(gone.status, 204u);
    EXPECT_EQ(gone.body, "");
    EXPECT_EQ(admin("GET", "/api/projects/" + project).status, 404u);
    EXPECT_EQ(admin("DELETE", "/api/projects/" + project).status, 404u);
    EXPECT_FALSE(must(200, admin("GET", "/api/tasks/" + task)).as_object().contains("project_id"));
}

TEST_F(ResourcesTest, IdsInFiltersAreReadInEitherCase) {
    const std::string project = "abcdef01-0000-4000-8000-00000000000a";
    const std::string upper = "ABCDEF01-0000-4000-8000-00000000000A";
    must(201, admin("POST", "/api/projects", body({{"id", project}, {"name", "shop"}})));
    const auto task = make_task(admin_, project);
    const Json execution{{"id", new_uuid()},
                         {"task_id", task},
                         {"worker_id", "dev-1"},
                         {"started_at", "2026-01-10T12:00:00Z"},
                         {"status", "in_progress"}};
    must(201, admin("POST", "/api/task-executions", body(execution)));
    EXPECT_EQ(must(200, admin("GET", "/api/tasks?project_id=" + upper)).as_array().size(), 1u);
    auto shouted = task;
    for (auto& c : shouted) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_EQ(must(200, admin("GET", "/api/task-executions?task_id=" + shouted)).as_array().size(), 1u);
}

TEST_F(ResourcesTest, APlaceOfCodeHoldsNoToken) {
    const auto project = "/api/projects/" + make_project(admin_);
    for (const std::string place :
         {"https://se-cret@h.test/o/t", "https://user:se-cret@h.test/o/t@v1", "ssh://git:se-cret@h.test/o/t"}) {
        for (const auto& [method, target] : {std::pair("POST", std::string("/api/projects")), std::pair("PUT", project),
                                             std::pair("PATCH", project)}) {
            const auto from = admin(method, target, body({{"name", "x"}, {"config", {{"template", place}}}}));
            EXPECT_THAT(paths(from), ::testing::ElementsAre("config.template")) << method;
            const auto there = admin(method, target, body({{"name", "x"}, {"repository_url", place}}));
            EXPECT_THAT(paths(there), ::testing::ElementsAre("repository_url")) << method;
            EXPECT_THAT(from.body + there.body, ::testing::Not(::testing::HasSubstr("se-cret")));
        }
    }
    EXPECT_EQ(must(200, admin("GET", "/api/projects")).as_array().size(), 1u);
    const auto plain = admin("PATCH", project, R"({"config": {"template": "ssh://git@h.test/o/t"}})");
    EXPECT_EQ(plain.status, 200u) << plain.body;
}

TEST_F(ResourcesTest, ATaskIsQueuedForItsCaller) {
    const auto user = make_user(5);
    const auto token = user_token(user);
    const auto project = make_project(token);
    const auto id = new_uuid();
    const Json request{{"id", id},
                       {"project_id", project},
                       {"type", "engineering"},
                       {"spec", "add a button"},
                       {"task_metadata", {{"agent", "claude"}, {"timeout", 60}}},
                       {"status", "completed"}};  // unknown here: a new task is queued
    const auto made = must(201, send("POST", "/api/tasks", token, body(request)));
    EXPECT_EQ(text(made, "id"), id);
    EXPECT_EQ(text(made, "status"), "queued");
    EXPECT_EQ(made.at("user_id").as_int64(), user);
    for (const auto* field : {"project_id", "type", "spec", "task_metadata"}) {
        EXPECT_EQ(made.at(field), request.at(field)) << field;
    }
    for (const auto* field : {"result", "error_message", "started_at", "completed_at"}) {
        EXPECT_FALSE(made.as_object().contains(field)) << field;
    }
    EXPECT_EQ(must(200, send("POST", "/api/tasks", token, body(request))), made);
    auto other = request;
    other["spec"] = "something else";
    EXPECT_EQ(send("POST", "/api/tasks", token, body(other)).status, 409u);
    EXPECT_EQ(must(200, send("GET", "/api/tasks/" + id, token)), made);

    EXPECT_THAT(paths(admin("POST", "/api/tasks", R"({"spec": 5, "id": "x"})")),
                ::testing::UnorderedElementsAre("type", "spec", "id"));
    EXPECT_THAT(paths(admin("POST", "/api/tasks", R"({"type": "deploy", "id": "x"})")), ::testing::ElementsAre("id"));
    EXPECT_THAT(paths(admin("POST", "/api/tasks", R"({"type": "cooking"})")), ::testing::ElementsAre("type"));
    EXPECT_THAT(paths(admin("POST", "/api/tasks", body({{"type", "deploy"}, {"project_id", new_uuid()}}))),
                ::testing::ElementsAre("project_id"));
    EXPECT_THAT(paths(admin("POST", "/api/tasks", R"({"type": "deploy", "user_id": 999})")),
                ::testing::ElementsAre("user_id"));
    EXPECT_THAT(paths(send("POST", "/api/tasks", token, R"({"type": "deploy", "user_id": 1})"), 403),
                ::testing::ElementsAre("user_id"));
}

TEST_F(ResourcesTest, ALargeSpecComesBackByteForByte) {
    std::string spec(1'000'000, 'x');
    spec += "\n\"$HOME\" \\ \xc3\xa4 \xf0\x9f\x98\x80 \x01";
    const auto made = must(201, admin("POST", "/api/tasks", body({{"type", "engineering"}, {"spec", spec}})));
    EXPECT_EQ(text(must(200, admin("GET", "/api/tasks/" + text(made, "id"))), "spec"), spec);
}

TEST_F(ResourcesTest, TheStatusOfATaskFollowsTheArrows) {
    const std::vector<std::string> all{"queued", "running", "completed", "failed", "cancelled"};
    const std::map<std::string, std::set<std::string>> allowed{
        {"queued", {"queued", "running", "failed", "cancelled"}},
        {"running", {"running", "completed", "failed", "cancelled"}},
        {"completed", {"completed"}},
        {"failed", {"failed"}},
        {"cancelled", {"cancelled"}}};
    for (const auto& from : all) {
        for (const auto& to : all) {
            const auto task = new_task();
            if (from != "queued") EXPECT_EQ(set_status(task, "running"), 200u);
            if (from != "queued" && from != "running") EXPECT_EQ(set_status(task, from), 200u);
            const auto before = admin("GET", "/api/tasks/" + task).body;
            const auto response = admin("PATCH", "/api/tasks/" + task, body({{"status", to}, {"spec", "changed"}}));
            const bool fine = allowed.at(from).contains(to);
            EXPECT_EQ(response.status, fine ? 200u : 409u) << from << " -> " << to;
            const auto after = admin("GET", "/api/tasks/" + task).body;
            if (fine) {
                EXPECT_EQ(text(boost::json::parse(after), "status"), to);
            } else {
                EXPECT_EQ(after, before) << "a refused change changed something";
            }
        }
    }
}

TEST_F(ResourcesTest, ThePatchOfATaskKeepsTimesAndResult) {
    const auto task = new_task();
    const auto target = "/api/tasks/" + task;
    const auto running = must(200, admin("PATCH", target, R"({"status": "running"})"));
    EXPECT_EQ(running.at("started_at"), running.at("updated_at"));
    const auto waiting =
        must(200, admin("PATCH", target, R"({"status": "running", "task_metadata": {"waiting_for": "human"}})"));
    EXPECT_EQ(waiting.at("started_at"), running.at("started_at"));
    EXPECT_EQ(waiting.at("task_metadata"), (Json{{"waiting_for", "human"}}));
    const auto failed = must(200, admin("PATCH", target, R"({"status": "failed", "error_message": "it broke",
        "result": {"reason": "timeout"}, "completed_at": "2026-01-10T13:00:00+01:00", "callback_stream": "x"})"));
    EXPECT_EQ(text(failed, "error_message"), "it broke");
    EXPECT_EQ(text(failed.at("result"), "reason"), "timeout");
    EXPECT_EQ(parse_timestamp(text(failed, "completed_at")), parse_timestamp("2026-01-10T12:00:00Z"));
    const auto cleared =
        must(200, admin("PATCH", target, R"({"error_message": null, "spec": null, "started_at": null})"));
    EXPECT_FALSE(cleared.as_object().contains("error_message"));
    EXPECT_FALSE(cleared.as_object().contains("started_at"));
    EXPECT_THAT(paths(admin("PATCH", target, R"({"task_metadata": null})")), ::testing::ElementsAre("task_metadata"));
    EXPECT_THAT(paths(admin("PATCH", target, R"({"completed_at": "yesterday"})")),
                ::testing::ElementsAre("completed_at"));
    EXPECT_EQ(admin("PATCH", "/api/tasks/" + new_uuid(), "{}").status, 404u);
    EXPECT_EQ(admin("GET", "/api/tasks/" + new_uuid()).status, 404u);
}

TEST_F(ResourcesTest, ListsFilterByWhatTheContractNames) {
    const auto user = make_user(5);
    const auto project = make_project(admin_);
    must(200, admin("PATCH", "/api/projects/" + project, body({{"owner_id", user}, {"status", "active"}})));
    make_project(admin_, "second");
    const auto count = [&](const std::string& target) { return must(200, admin("GET", target)).as_array().size(); };
    EXPECT_EQ(count("/api/projects"), 2u);
    EXPECT_EQ(count("/api/projects?status=active"), 1u);
    EXPECT_EQ(count("/api/projects?owner_id=1"), 1u);
    EXPECT_EQ(count("/api/projects?owner_id=1&status=active"), 0u);
    EXPECT_EQ(count("/api/projects?status=active&name=ignored"), 1u);

    make_task(admin_, project);
    const auto deploy =
        text(must(201, admin("POST", "/api/tasks", body({{"type", "deploy"}, {"user_id", user}}))), "id");
    set_status(deploy, "running");
    EXPECT_EQ(count("/api/tasks"), 2u);
    EXPECT_EQ(count("/api/tasks?project_id=" + project), 1u);
    EXPECT_EQ(count("/api/tasks?status=running"), 1u);
    EXPECT_EQ(count("/api/tasks?type=deploy"), 1u);
    EXPECT_EQ(count("/api/tasks?task_type=engineering"), 1u);
    EXPECT_EQ(count("/api/tasks?task_type=infrastructure"), 0u);
    EXPECT_EQ(count("/api/tasks?user_id=" + std::to_string(user)), 1u);
    EXPECT_EQ(count("/api/tasks/?status=running&type=deploy&user_id=" + std::to_string(user)), 1u);

    EXPECT_THAT(paths(admin("GET", "/api/projects?status=odd")), ::testing::ElementsAre("status"));
    EXPECT_THAT(paths(admin("GET", "/api/projects?owner_id=me")), ::testing::ElementsAre("owner_id"));
    EXPECT_THAT(paths(admin("GET", "/api/tasks?status=odd")), ::testing::ElementsAre("status"));
    EXPECT_THAT(paths(admin("GET", "/api/tasks?task_type=odd")), ::testing::ElementsAre("task_type"));
    EXPECT_THAT(paths(admin("GET", "/api/tasks?user_id=x")), ::testing::ElementsAre("user_id"));
    EXPECT_THAT(paths(admin("GET", "/api/task-executions?status=odd")), ::testing::ElementsAre("status"));
    EXPECT_THAT(paths(admin("GET", "/api/tokens?kind=odd")), ::testing::ElementsAre("kind"));
}

TEST_F(ResourcesTest, PagesCoverEverythingOnceInOrder) {
    std::vector<std::string> made;
    const auto frozen = now_;
    for (int i = 0; i < 25; ++i) {
        now_ = frozen + std::chrono::milliseconds(i / 5);  // some at the same time
        made.push_back(new_task());
    }
    for (const auto* resource : {"/api/tasks", "/api/users"}) {
        if (resource == std::string("/api/users")) {
            made.clear();
            for (int i = 0; i < 24; ++i) make_user(1000 + i);
            for (int i = 1; i <= 25; ++i) made.push_back(std::to_string(i));
        }
        std::string target = std::string(resource) + "?limit=7&unused=a%20b";
        std::vector<std::string> seen;
        for (int page = 0; page < 10 && !target.empty(); ++page) {
            const auto response = admin("GET", target);
            for (const auto& item : must(200, response).as_array()) {
                seen.push_back(item.at("id").is_string() ? text(item, "id") : std::to_string(item.at("id").as_int64()));
            }
            const auto link = response.headers.get("Link");
            if (page == 1) {  // what is added meanwhile comes at the end, nothing twice
                EXPECT_EQ(seen.size(), 14u);
            }
            target.clear();
            if (!link) break;
            EXPECT_TRUE(link->starts_with("<") && link->ends_with(">; rel=\"next\"")) << *link;
            target = link->substr(1, link->find('>') - 1);
            EXPECT_THAT(target, HasSubstr("unused=a%20b"));
        }
        std::ranges::sort(seen);
        std::ranges::sort(made);
        EXPECT_EQ(seen, made) << resource;
    }
    EXPECT_FALSE(admin("GET", "/api/tasks?limit=25").headers.get("Link"));
    EXPECT_EQ(must(200, admin("GET", "/api/tasks?limit=1")).as_array().size(), 1u);
    for (const auto* bad : {"limit=0", "limit=501", "limit=-1", "limit=x", "limit=", "limit=1.5"}) {
        EXPECT_THAT(paths(admin("GET", std::string("/api/tasks?") + bad)), ::testing::ElementsAre("limit")) << bad;
    }
    for (const auto* bad : {"cursor=x", "cursor=", "cursor=123", "cursor=123.", "cursor=x.x", "cursor=-1.x",
                            "cursor=.x", "cursor=1234567890123456789.x"}) {
        EXPECT_THAT(paths(admin("GET", std::string("/api/tasks?") + bad)), ::testing::ElementsAre("cursor")) << bad;
    }
}

TEST_F(ResourcesTest, AnExecutionIsWrittenOnceAndMayEnd) {
    const auto task = new_task();
    const Json started{{"id", "request-1"},
                       {"task_id", task},
                       {"worker_id", "dev-1"},
                       {"started_at", "2026-01-10T12:00:00Z"},
                       {"status", "in_progress"}};
    const auto made = must(201, admin("POST", "/api/task-executions", body(started)));
    EXPECT_EQ(text(made, "status"), "in_progress");
    EXPECT_EQ(must(200, admin("POST", "/api/task_executions/", body(started))), made);

    auto ended = started;
    ended["status"] = "success";
    ended["finished_at"] = "2026-01-10T12:01:00Z";
    ended["duration_ms"] = 60000;
    ended["exit_code"] = 0;
    ended["result_data"] = Json{{"commit", "abc"}};
    ended["input_tokens"] = 10;
    ended["output_tokens"] = 20;
    ended["cache_read_tokens"] = 30;
    ended["cache_write_tokens"] = 40;
    ended["cost_usd"] = 0.25;
    ended["turns"] = 3;
    ended["model"] = "m";
    const auto done = must(200, admin("POST", "/api/task-executions", body(ended)));
    for (const auto* field : {"status", "duration_ms", "exit_code", "result_data", "input_tokens", "output_tokens",
                              "cache_read_tokens", "cache_write_tokens", "cost_usd", "turns", "model"}) {
        EXPECT_EQ(done.at(field), ended.at(field)) << field;
    }
    EXPECT_EQ(done.at("created_at"), made.at("created_at"));
    EXPECT_EQ(must(200, admin("POST", "/api/task-executions", body(ended))), done);
    // Finished: nothing changes it any more.
    auto other = ended;
    other["status"] = "error";
    EXPECT_EQ(admin("POST", "/api/task-executions", body(other)).status, 409u);
    EXPECT_EQ(admin("POST", "/api/task-executions", body(started)).status, 409u);
    EXPECT_EQ(must(200, admin("GET", "/api/task-executions/request-1")), done);

    auto second = started;
    second["id"] = "request-2";
    must(201, admin("POST", "/api/task-executions", body(second)));
    auto elsewhere = ended;
    elsewhere["id"] = "request-2";
    elsewhere["worker_id"] = "dev-2";
    EXPECT_EQ(admin("POST", "/api/task-executions", body(elsewhere)).status, 409u);
    EXPECT_EQ(must(200, admin("GET", "/api/task-executions?task_id=" + task)).as_array().size(), 2u);
    EXPECT_EQ(must(200, admin("GET", "/api/task_executions?worker_id=dev-1&status=success")).as_array().size(), 1u);
    EXPECT_EQ(must(200, admin("GET", "/api/task-executions?worker_id=dev-9")).as_array().size(), 0u);
    EXPECT_EQ(admin("GET", "/api/task-executions/unknown").status, 404u);

    auto broken = started;
    broken["id"] = "request-3";
    broken["task_id"] = new_uuid();
    EXPECT_THAT(paths(admin("POST", "/api/task-executions", body(broken))), ::testing::ElementsAre("task_id"));
    broken["id"] = "";
    EXPECT_THAT(paths(admin("POST", "/api/task-executions", body(broken))), ::testing::ElementsAre("id"));
    EXPECT_THAT(paths(admin("POST", "/api/task-executions", "{}")),
                ::testing::IsSupersetOf({"id", "worker_id", "started_at", "status"}));
}

TEST_F(ResourcesTest, ATokenShowsItsSecretOnce) {
    const auto id = new_uuid();
    const Json request{{"id", id},
                       {"kind", "worker"},
                       {"user_id", 1},
                       {"worker_id", "dev-1"},
                       {"actions", {"project.*"}},
                       {"expires_at", "2027-01-01T00:00:00Z"}};
    const auto made = must(201, admin("POST", "/api/tokens", body(request)));
    const auto secret = text(made, "secret");
    EXPECT_EQ(secret.size(), 64u);
    EXPECT_EQ(made.at("actions"), request.at("actions"));
    const auto again = must(200, admin("POST", "/api/tokens", body(request)));
    EXPECT_FALSE(again.as_object().contains("secret"));
    EXPECT_EQ(text(again, "id"), id);
    auto other = request;
    other["actions"] = boost::json::array{"*"};
    EXPECT_EQ(admin("POST", "/api/tokens", body(other)).status, 409u);

    const auto list = admin("GET", "/api/tokens?worker_id=dev-1");
    EXPECT_EQ(must(200, list).as_array().size(), 1u);
    EXPECT_EQ(list.body.find(secret), std::string::npos);
    EXPECT_EQ(must(200, admin("GET", "/api/tokens?kind=worker")).as_array().size(), 1u);
    EXPECT_EQ(must(200, admin("GET", "/api/tokens")).as_array().size(), 4u);  // and the three of the first start
    // Neither the secret nor those of the first start are in the store.
    stop();
    EXPECT_TRUE(store_.holds(sha256_hex(secret)));
    for (const auto& each : {secret, admin_, control_}) EXPECT_FALSE(store_.holds(each));
    start();

    must(204, admin("DELETE", "/api/tokens/" + id));
    EXPECT_EQ(admin("DELETE", "/api/tokens/" + id).status, 404u);
    EXPECT_EQ(send("GET", "/api/projects", secret).status, 401u);
    EXPECT_THAT(paths(admin("POST", "/api/tokens", R"({"kind": "user"})")), ::testing::ElementsAre("user_id"));
    EXPECT_THAT(paths(admin("POST", "/api/tokens", R"({"kind": "worker"})")), ::testing::ElementsAre("worker_id"));
    EXPECT_THAT(paths(admin("POST", "/api/tokens", R"({"kind": "user", "user_id": 99})")),
                ::testing::ElementsAre("user_id"));
    EXPECT_THAT(paths(admin("POST", "/api/tokens", R"({"kind": "service", "actions": [1]})")),
                ::testing::ElementsAre("actions[0]"));
}

TEST_F(ResourcesTest, EveryBodyIsCheckedAsJsonFirst) {
    const auto id = make_project(admin_);
    const auto task = new_task();
    for (const auto& [method, target] :
         std::vector<std::pair<std::string, std::string>>{{"POST", "/api/users"},
                                                          {"POST", "/api/users/upsert"},
                                                          {"POST", "/api/projects"},
                                                          {"PUT", "/api/projects/" + id},
                                                          {"PATCH", "/api/projects/" + id},
                                                          {"POST", "/api/tasks"},
                                                          {"PATCH", "/api/tasks/" + task},
                                                          {"POST", "/api/task-executions"},
                                                          {"POST", "/api/tokens"}}) {
        for (const auto* bad : {"", "{", "{\"a\": }", "\xff\xfe", "{} {}"}) {
            const auto response = admin(method, target, bad);
            EXPECT_EQ(response.status, 400u) << method << " " << target << " " << bad;
            EXPECT_EQ(response.headers.get("Content-Type"), "application/problem+json");
        }
        for (const auto* wrong : {"[]", "null", "5", "\"x\""}) {
            EXPECT_EQ(admin(method, target, wrong).status, 422u) << method << " " << target << " " << wrong;
        }
    }
}

}  // namespace
}  // namespace codegen::api

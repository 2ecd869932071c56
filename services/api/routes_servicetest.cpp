// Every route with every kind of caller, and with an object of another owner.
#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

using Json = boost::json::object;

struct Expected {
    unsigned admin, service, acting, owner, stranger, worker;
};

// acting: a service that names the stranger; owner, worker: whose objects the addresses name; worker: may do everything
// ("*") for a task of the owner.
const std::map<std::string, Expected> kExpected{
    {"POST /api/users", {201, 201, 403, 403, 403, 403}},
    {"POST /api/users/upsert", {201, 201, 201, 403, 403, 403}},
    {"GET /api/users", {200, 200, 200, 200, 200, 403}},
    {"GET /api/users/{id}", {200, 200, 404, 200, 404, 403}},
    {"GET /api/users/by-telegram/{telegram_id}", {200, 200, 404, 200, 404, 403}},
    {"POST /api/projects", {201, 201, 403, 201, 403, 201}},
    {"GET /api/projects", {200, 200, 200, 200, 200, 200}},
    {"GET /api/projects/{id}", {200, 200, 404, 200, 404, 200}},
    {"PUT /api/projects/{id}", {200, 200, 403, 200, 403, 403}},
    {"PATCH /api/projects/{id}", {200, 200, 403, 200, 403, 403}},
    {"DELETE /api/projects/{id}", {409, 409, 404, 409, 404, 403}},  // it has a task that is not finished
    {"POST /api/tasks", {201, 201, 422, 201, 422, 201}},
    {"GET /api/tasks", {200, 200, 200, 200, 200, 200}},
    {"GET /api/tasks/{id}", {200, 200, 404, 200, 404, 200}},
    {"PATCH /api/tasks/{id}", {200, 200, 404, 200, 404, 403}},
    {"POST /api/task-executions", {201, 201, 403, 403, 403, 403}},
    {"GET /api/task-executions", {200, 200, 200, 200, 200, 200}},
    {"GET /api/task-executions/{id}", {200, 200, 404, 200, 404, 200}},
    {"GET /api/tokens/self", {200, 200, 200, 200, 200, 403}},
    {"POST /api/tokens", {201, 201, 403, 403, 403, 403}},
    {"GET /api/tokens", {200, 200, 403, 403, 403, 403}},
    {"DELETE /api/tokens/{id}", {204, 204, 403, 403, 403, 403}},
    {"PUT /api/hosts/{name}", {403, 200, 403, 403, 403, 403}},
    {"GET /api/hosts", {200, 200, 200, 200, 200, 403}},
    {"GET /api/available-models", {200, 200, 200, 200, 200, 403}},  // nobody's own
    {"GET /api/available-models/{model_id...}", {200, 200, 200, 200, 200, 403}},
    {"PUT /api/available-models/{model_id...}", {200, 200, 403, 403, 403, 403}},
    {"POST /api/servers", {201, 201, 403, 403, 403, 403}},
    {"GET /api/servers", {200, 200, 200, 200, 200, 200}},
    {"GET /api/servers/{handle}", {200, 200, 404, 200, 404, 200}},  // the owner's project has a port on it
    {"PATCH /api/servers/{handle}", {200, 200, 403, 403, 403, 403}},
    {"GET /api/servers/{handle}/ssh-key", {403, 403, 403, 403, 403, 403}},  // infra-service's token alone
    {"GET /api/servers/{handle}/ports", {200, 200, 404, 200, 404, 200}},
    {"POST /api/servers/{handle}/ports", {201, 201, 403, 403, 403, 403}},
    {"GET /api/servers/{handle}/incidents", {200, 200, 404, 200, 404, 200}},
    {"GET /api/servers/{handle}/services", {200, 200, 404, 200, 404, 200}},
    {"POST /api/servers/{handle}/force-rebuild", {200, 200, 403, 403, 403, 403}},
    {"POST /api/servers/{handle}/provision", {200, 200, 403, 403, 403, 403}},
    {"GET /api/allocations", {200, 200, 200, 200, 200, 200}},
    {"GET /api/allocations/{id}", {200, 200, 404, 200, 404, 200}},
    {"DELETE /api/allocations/{id}", {204, 204, 403, 403, 403, 403}},
    {"POST /api/incidents", {201, 201, 403, 403, 403, 403}},
    {"GET /api/incidents", {200, 200, 200, 200, 200, 200}},
    {"GET /api/incidents/active", {200, 200, 200, 200, 200, 200}},
    {"GET /api/incidents/{id}", {200, 200, 404, 200, 404, 200}},
    {"PATCH /api/incidents/{id}", {200, 200, 403, 403, 403, 403}},
    {"POST /api/service-deployments", {201, 201, 403, 403, 403, 403}},
    {"GET /api/service-deployments", {200, 200, 200, 200, 200, 200}},
    {"GET /api/service-deployments/{id}", {200, 200, 404, 200, 404, 200}},
    {"PATCH /api/service-deployments/{id}", {200, 200, 403, 403, 403, 403}},
    {"DELETE /api/service-deployments/{id}", {204, 204, 403, 403, 403, 403}},
    {"POST /api/agent-configs", {201, 201, 403, 403, 403, 403}},
    {"GET /api/agent-configs", {200, 200, 200, 200, 200, 403}},  // nobody's own
    {"GET /api/agent-configs/{id}", {200, 200, 200, 200, 200, 403}},
    {"PATCH /api/agent-configs/{id}", {200, 200, 403, 403, 403, 403}},
    {"DELETE /api/agent-configs/{id}", {204, 204, 403, 403, 403, 403}},
    {"POST /api/cli-agent-configs", {201, 201, 403, 403, 403, 403}},
    {"GET /api/cli-agent-configs", {200, 200, 200, 200, 200, 403}},  // nobody's own
    {"GET /api/cli-agent-configs/{id}", {200, 200, 200, 200, 200, 403}},
    {"PATCH /api/cli-agent-configs/{id}", {200, 200, 403, 403, 403, 403}},
    {"DELETE /api/cli-agent-configs/{id}", {204, 204, 403, 403, 403, 403}},
    {"POST /api/api-keys", {201, 201, 403, 403, 403, 403}},
    {"GET /api/api-keys/{service}", {403, 200, 403, 403, 403, 403}},  // a service for itself
    {"DELETE /api/api-keys/{service}", {204, 204, 403, 403, 403, 403}},
    {"POST /api/resources", {201, 201, 403, 403, 403, 403}},
    {"GET /api/resources", {200, 200, 200, 200, 200, 403}},  // nobody's own
    {"GET /api/resources/{handle}", {200, 200, 200, 200, 200, 403}},
    {"POST /api/provisioner-messages", {201, 201, 403, 403, 403, 403}},
    {"GET /api/provisioner-messages", {200, 200, 403, 403, 403, 403}},
    {"DELETE /api/provisioner-messages/{id}", {204, 204, 403, 403, 403, 403}},
    {"POST /api/workflow-commands", {201, 201, 404, 201, 404, 201}},
    {"GET /api/workflow-commands", {200, 200, 403, 403, 403, 403}},
    {"DELETE /api/workflow-commands/{id}", {204, 204, 403, 403, 403, 403}},
    {"POST /api/rag/messages", {201, 201, 403, 201, 403, 403}},
    {"POST /api/rag/ingest", {200, 200, 422, 200, 422, 403}},
    {"POST /api/rag/query", {200, 200, 200, 200, 200, 200}},
    {"GET /api/rag/summaries", {200, 200, 200, 200, 200, 200}},
    {"GET /health", {200, 200, 200, 200, 200, 200}},
    {"GET /api/health", {200, 200, 200, 200, 200, 200}},
    {"GET /openapi.json", {200, 200, 200, 200, 200, 200}},
    {"GET /docs", {200, 200, 200, 200, 200, 200}},
    {"GET /metrics", {200, 200, 200, 200, 200, 403}},
};

// Bodies that would do if the caller were allowed; they name the owner's things ($PROJECT, ...).
const std::map<std::string, std::string> kBodies{
    {"POST /api/users", R"({"telegram_id": 300})"},
    {"POST /api/users/upsert", R"({"telegram_id": 301})"},
    {"POST /api/projects", R"({"name": "taken", "owner_id": $OWNER})"},
    {"PUT /api/projects/{id}", R"({"name": "taken", "owner_id": $OWNER})"},
    {"PATCH /api/projects/{id}", R"({"name": "taken", "owner_id": $OWNER})"},
    {"POST /api/tasks", R"({"project_id": "$PROJECT", "type": "engineering"})"},
    {"PATCH /api/tasks/{id}", R"({"spec": "mine now"})"},
    {"POST /api/task-executions",
     R"({"id": "another", "task_id": "$TASK", "worker_id": "dev-1", "started_at": "2026-01-10T12:00:00Z",
         "status": "success"})"},
    {"POST /api/tokens", R"({"kind": "admin"})"},
    {"PUT /api/hosts/{name}", R"({"manager_url": "http://h:8100", "capacity": 4})"},
    {"PUT /api/available-models/{model_id...}", R"({"provider": "p"})"},
    {"POST /api/servers", R"({"handle": "vps-9", "host": "h", "public_ip": "203.0.113.9"})"},
    {"PATCH /api/servers/{handle}", R"({"notes": "mine now"})"},
    {"POST /api/servers/{handle}/ports", R"({"port": 9000, "service_name": "x", "project_id": "$PROJECT"})"},
    {"POST /api/incidents", R"({"server_handle": "vps-1", "incident_type": "service_down"})"},
    {"PATCH /api/incidents/{id}", R"({"status": "resolved"})"},
    {"POST /api/service-deployments",
     R"({"project_id": "$PROJECT", "service_name": "x", "server_handle": "vps-1", "port": 9001})"},
    {"PATCH /api/service-deployments/{id}", R"({"status": "stopped"})"},
    {"POST /api/agent-configs", R"({"id": "new", "name": "n", "type": "claude", "model": "m", "system_prompt": ""})"},
    {"PATCH /api/agent-configs/{id}", R"({"model": "mine"})"},
    {"POST /api/cli-agent-configs", R"({"id": "new", "name": "n", "provider": "p", "prompt_template": ""})"},
    {"PATCH /api/cli-agent-configs/{id}", R"({"provider": "mine"})"},
    {"POST /api/api-keys", R"({"service": "new", "value": "v", "type": "system"})"},
    {"POST /api/provisioner-messages", R"({"server_handle": "vps-1"})"},
    {"POST /api/workflow-commands", R"({"command": "cancel", "task_id": "$TASK", "user_id": 1})"},
    {"POST /api/rag/messages", R"({"project_id": "$PROJECT", "user_id": $OWNER, "role": "user", "content": "x"})"},
    {"POST /api/rag/ingest", R"({"project_id": "$PROJECT", "source": "README.md", "content": "shop"})"},
    {"POST /api/rag/query", R"({"query": "shop"})"},
    {"POST /api/resources", R"({"handle": "new", "resource_type": "t", "name": "n"})"},
};

class RoutesTest : public ApiFixture, public ::testing::WithParamInterface<std::vector<const char*>> {
  protected:
    void SetUp() override {
        ApiFixture::SetUp();
        const auto owner = make_user(100);
        make_user(200);
        owner_ = std::to_string(owner);
        owner_token_ = user_token(owner);
        project_ = make_project(owner_token_);
        task_ = make_task(owner_token_, project_);
        made("POST", "/api/task-executions",
             {{"id", "execution-1"},
              {"task_id", task_},
              {"worker_id", "dev-1"},
              {"started_at", "2026-01-10T12:00:00Z"},
              {"status", "in_progress"}});
        made("POST", "/api/servers", {{"handle", "vps-1"}, {"host", "shop.test"}, {"public_ip", "203.0.113.1"}});
        ids_["/api/allocations"] = made("POST", "/api/servers/vps-1/ports",
                                        {{"port", 80}, {"service_name", "shop"}, {"project_id", project_}});
        ids_["/api/incidents"] =
            made("POST", "/api/incidents",
                 {{"server_handle", "vps-1"}, {"incident_type", "service_down"}, {"title", "shop is down"}});
        ids_["/api/service-deployments"] =
            made("POST", "/api/service-deployments",
                 {{"project_id", project_}, {"service_name", "shop"}, {"server_handle", "vps-1"}, {"port", 80}});
        made("POST", "/api/agent-configs",
             {{"id", "agent-1"}, {"name", "n"}, {"type", "claude"}, {"model", "m"}, {"system_prompt", ""}});
        made("POST", "/api/cli-agent-configs",
             {{"id", "agent-1"}, {"name", "n"}, {"provider", "p"}, {"prompt_template", ""}});
        made("POST", "/api/api-keys", {{"service", "github"}, {"value", "the-key-of-shop"}, {"type", "system"}});
        made("POST", "/api/resources", {{"handle", "thing"}, {"resource_type", "t"}, {"name", "n"}});
        made("POST", "/api/rag/ingest",
             {{"project_id", project_}, {"source", "README.md"}, {"content", "how to run the shop"}});
        made("PUT", "/api/available-models/some/model", {{"provider", "p"}});
        for (const auto& [resource, body] : std::vector<std::pair<std::string, Json>>{
                 {"/api/provisioner-messages", {{"server_handle", "vps-1"}}},
                 {"/api/workflow-commands", {{"command", "cancel"}, {"task_id", task_}, {"user_id", owner}}}}) {
            ids_[resource] = new_uuid();
            auto message = body;
            message["request_id"] = ids_[resource];
            made("POST", resource, message);
        }
        ids_["/api/tokens"] = made("POST", "/api/tokens", {{"kind", "service"}});
        ids_["/api/users"] = owner_;
        ids_["/api/projects"] = project_;
        ids_["/api/tasks"] = task_;
        ids_["/api/task-executions"] = "execution-1";
        ids_["/api/agent-configs"] = ids_["/api/cli-agent-configs"] = "agent-1";
    }
    std::string made(const std::string& method, const std::string& target, const Json& body) {
        const auto object = must(201, admin(method, target, boost::json::serialize(body)));
        const auto* id = object.as_object().if_contains("id");
        if (!id) return "";
        return id->is_string() ? std::string(id->as_string()) : std::to_string(id->as_int64());
    }

    static void put(std::string& text, const std::string& name, const std::string& value) {
        if (const auto at = text.find(name); at != std::string::npos) text.replace(at, name.size(), value);
    }
    std::string target_of(const http::Router::Route& route) const {
        auto target = route.pattern;
        const auto id = ids_.find(target.substr(0, target.find('/', 5)));
        if (id != ids_.end()) put(target, "{id}", id->second);
        put(target, "{telegram_id}", "100");
        put(target, "{model_id...}", "some/model");
        put(target, "{name}", "host-1");
        put(target, "{handle}", target.starts_with("/api/resources") ? "thing" : "vps-1");
        put(target, "{service}", "github");
        EXPECT_EQ(target.find('{'), std::string::npos) << "say here what stands for the parameter: " << target;
        return target;
    }
    http::Response ask(const http::Router::Route& route, const std::string& token, const Extra& extra = {}) {
        const auto found = kBodies.find(route.method + " " + route.pattern);
        auto body = found == kBodies.end() ? std::string() : found->second;
        put(body, "$PROJECT", project_);
        put(body, "$TASK", task_);
        put(body, "$OWNER", owner_);
        return send(route.method, target_of(route), token, std::move(body), extra);
    }

    void walk(const std::string& kind);

    std::map<std::string, std::string> ids_;  // the owner's object of each resource
    std::string owner_;
    std::string owner_token_;
    std::string project_;
    std::string task_;
};

TEST_P(RoutesTest, AnswerAsTheTableSays) {
    for (const std::string kind : GetParam()) walk(kind);
}

void RoutesTest::walk(const std::string& kind) {
    std::string token;
    Extra extra;
    unsigned Expected::* column = nullptr;
    unsigned otherwise = 0;  // where there is no column: for every route that is not open
    if (kind == "nobody") {
        otherwise = 401;
    } else if (kind == "expired" || kind == "unknown") {
        token = kind == "unknown"
                    ? admin_ + "x"
                    : make_token({{"kind", "admin"}, {"expires_at", format_timestamp(now_ + std::chrono::seconds(1))}});
        now_ += std::chrono::seconds(2);
        otherwise = 401;
    } else if (kind == "idle_worker") {
        token = worker_token(task_, {"respond", "result", "diagnose.api"});
        otherwise = 403;
    } else if (kind == "admin") {
        token = admin_;
        column = &Expected::admin;
    } else if (kind == "service" || kind == "acting") {
        token = control_;
        if (kind == "acting") extra.emplace_back("X-Telegram-ID", "200");
        column = kind == "service" ? &Expected::service : &Expected::acting;
    } else if (kind == "owner") {
        token = owner_token_;
        column = &Expected::owner;
    } else if (kind == "stranger") {
        token = user_token(3);
        column = &Expected::stranger;
    } else {
        token = worker_token(task_, {"*"});
        column = &Expected::worker;
    }
    const bool foreign = kind == "stranger" || kind == "acting" || otherwise != 0;

    auto routes = service_->routes();
    std::ranges::partition(routes, [](const auto& route) { return route.method != "DELETE"; });
    for (const auto& route : routes) {
        const auto name = route.method + " " + route.pattern;
        ASSERT_TRUE(kExpected.contains(name)) << "a new route; say in kExpected what each caller gets: " << name;
        const bool open =
            route.pattern.ends_with("/health") || route.pattern == "/openapi.json" || route.pattern == "/docs";
        const auto expected = column ? kExpected.at(name).*column : open ? 200u : otherwise;
        const auto response = ask(route, token, extra);
        EXPECT_EQ(response.status, expected) << kind << ": " << name << ": " << response.body;
        if (response.status == 401) EXPECT_EQ(response.headers.get("WWW-Authenticate"), "Bearer");
        if (response.status >= 400) EXPECT_EQ(response.headers.get("Content-Type"), "application/problem+json") << name;
        if (foreign && !open)
            for (const auto* word : {"shop", "add a button"})
                EXPECT_EQ(response.body.find(word), std::string::npos) << name << ": " << response.body;
        if (kind != "service") EXPECT_EQ(response.body.find("the-key-of-shop"), std::string::npos) << name;
    }
    for (const auto& [name, expected] : kExpected)
        EXPECT_TRUE(std::ranges::any_of(routes, [&](const auto& r) { return r.method + " " + r.pattern == name; }))
            << name << " is no route any more";
    if (!foreign) return;
    for (const auto* list : {"/api/projects", "/api/tasks", "/api/task-executions", "/api/servers", "/api/allocations",
                             "/api/incidents", "/api/incidents/active", "/api/service-deployments"}) {
        const auto filtered =
            list + ("?owner_id=" + owner_ + "&user_id=" + owner_ + "&task_id=" + task_ + "&project_id=" + project_);
        if (otherwise == 0) EXPECT_EQ(send("GET", filtered, token, {}, extra).body, "[]") << list;
    }
    EXPECT_EQ(must(200, admin("GET", "/api/tasks/" + task_)).at("spec"), "add a button");
    EXPECT_EQ(must(200, admin("GET", "/api/projects/" + project_)).at("name"), "shop");
}
// A database for each line: what one caller may change, the next one of its line does not need.
using Kinds = std::vector<const char*>;
INSTANTIATE_TEST_SUITE_P(As, RoutesTest,
                         ::testing::Values(Kinds{"nobody", "expired", "unknown", "idle_worker", "stranger", "acting"},
                                           Kinds{"worker", "owner"}, Kinds{"service"}, Kinds{"admin"}),
                         [](const auto& info) { return std::string(info.param.front()); });

}  // namespace
}  // namespace codegen::api

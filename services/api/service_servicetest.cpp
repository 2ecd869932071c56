// The service as a whole: first start, restart, health, limits, correlation, a store that fails.
#include <fcntl.h>
#include <sys/stat.h>

#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

using ::testing::HasSubstr;

class ServiceTest : public ApiFixture {
  protected:
    std::vector<storage::Row> query(std::string sql) {
        auto rows = testing::run(io_, database_->query(std::move(sql)));
        EXPECT_TRUE(rows) << rows.error().message;
        return rows ? std::move(rows->rows) : std::vector<storage::Row>();
    }
};

TEST_F(ServiceTest, TheFirstStartMakesTheAdminAndItsTokenFiles) {
    const auto user = must(200, admin("GET", "/api/users/1"));
    EXPECT_TRUE(user.at("is_admin").as_bool());
    for (const auto* name : {"admin.token", "service.token", "infra.token"}) {
        struct stat status{};
        ASSERT_EQ(::stat((directory_ / name).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
        EXPECT_EQ(read(name).size(), 64u);
    }
    EXPECT_NE(admin_, control_);
}

TEST_F(ServiceTest, ARestartKeepsDataAndTokens) {
    const auto project = make_project(admin_);
    const auto task = make_task(admin_, project);
    const auto before = admin("GET", "/api/tasks/" + task).body;
    const auto admin_before = admin_;
    const auto service_before = control_;
    restart();
    EXPECT_EQ(admin_, admin_before);
    EXPECT_EQ(control_, service_before);
    EXPECT_EQ(admin("GET", "/api/tasks/" + task).body, before);
    EXPECT_EQ(must(200, admin("GET", "/api/users")).as_array().size(), 1u);
}

TEST_F(ServiceTest, ALostTokenFileIsMadeAnewAndTheOldTokenDies) {
    const auto lost = admin_;
    const auto kept = control_;
    stop();
    std::filesystem::remove(directory_ / "admin.token");
    ::testing::internal::CaptureStderr();
    start();
    const auto logged = ::testing::internal::GetCapturedStderr();
    EXPECT_THAT(logged, HasSubstr("admin token made anew"));
    EXPECT_EQ(logged.find(admin_), std::string::npos);
    EXPECT_NE(admin_, lost);
    EXPECT_EQ(control_, kept);
    EXPECT_EQ(send("GET", "/api/users", lost).status, 401u);
    EXPECT_EQ(send("GET", "/api/users", admin_).status, 200u);
    // A file with something else in it: the same.
    stop();
    ASSERT_TRUE(posix::write_file_atomically(directory_ / "service.token", "something else", 0600));
    start();
    EXPECT_NE(control_, kept);
    EXPECT_EQ(send("GET", "/api/users", control_).status, 200u);
    EXPECT_EQ(send("GET", "/api/users", "something else").status, 401u);
    // A person may add a newline.
    stop();
    ASSERT_TRUE(posix::write_file_atomically(directory_ / "admin.token", admin_ + "\n", 0600));
    const auto same = admin_;
    start();
    EXPECT_EQ(admin_, same + "\n");
    admin_ = same;
    EXPECT_EQ(send("GET", "/api/users", same).status, 200u);
}

TEST_F(ServiceTest, AStateDirectoryThatCannotBeWrittenStopsTheStart) {
    Options options;
    options.state_directory = directory_ / "missing";
    auto memory = storage::open_sqlite(":memory:");
    ASSERT_TRUE(memory);
    Service service(**memory, options);
    const auto started = testing::run(io_, service.bootstrap());
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message, HasSubstr("missing/tokens.lock: No such file"));
    std::filesystem::create_directory(directory_ / "odd");
    std::filesystem::create_directory(directory_ / "odd" / "admin.token");
    options.state_directory = directory_ / "odd";
    Service odd(**memory, options);
    EXPECT_FALSE(testing::run(io_, odd.bootstrap()));
}

TEST_F(ServiceTest, ANewerDatabaseIsRefused) {
    query("INSERT INTO schema_migrations (component, version, name, applied_at) VALUES ('api', 99, 'future', 0)");
    const auto started = testing::run(io_, service_->bootstrap());
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().category, ErrorCategory::fatal);
    EXPECT_THAT(started.error().message, HasSubstr("version 99"));
}

TEST_F(ServiceTest, HealthSaysWhatRuns) {
    for (const auto* path : {"/health", "/api/health", "/health/", "/api/health/"}) {
        const auto health = must(200, send(*tcp_, "GET", path, ""));
        EXPECT_EQ(text(health, "status"), "ok");
        EXPECT_TRUE(health.at("database").as_bool());
        EXPECT_EQ(text(health, "version"), CODEGEN_VERSION);
        EXPECT_GE(health.at("uptime_seconds").to_number<double>(), 0.0);
    }
    const auto head = send("HEAD", "/health", "");
    EXPECT_EQ(head.status, 200u);
    EXPECT_EQ(head.body, "");
}

TEST_F(ServiceTest, MetricsCountWhatWasAnswered) {
    make_project(admin_);
    make_project(admin_);
    admin("GET", "/api/projects/" + new_uuid());
    admin("GET", "/no/such/path");
    const auto response = send("GET", "/metrics", control_);
    EXPECT_THAT(std::string(response.headers.get("Content-Type").value_or("")), HasSubstr("text/plain"));
    EXPECT_THAT(response.body, HasSubstr(std::string("codegen_build_info{version=\"") + CODEGEN_VERSION + "\"} 1\n"));
    EXPECT_THAT(response.body, HasSubstr("codegen_uptime_seconds "));
    EXPECT_THAT(response.body,
                HasSubstr("codegen_http_requests_total{method=\"POST\",route=\"/api/projects\",status=\"201\"} 2\n"));
    EXPECT_THAT(
        response.body,
        HasSubstr("codegen_http_requests_total{method=\"GET\",route=\"/api/projects/{id}\",status=\"404\"} 1\n"));
    EXPECT_THAT(response.body,
                HasSubstr("codegen_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1\n"));
    // Nobody fills the memory with methods of his own.
    send("FLOWERS", "/no/such/path", "");
    const auto after = send("GET", "/metrics", control_).body;
    EXPECT_THAT(after, HasSubstr("codegen_http_requests_total{method=\"other\",route=\"none\",status=\"404\"} 1\n"));
    EXPECT_THAT(after, ::testing::Not(HasSubstr("FLOWERS")));
}

TEST_F(ServiceTest, UnknownPathsAndMethodsAreProblems) {
    EXPECT_EQ(admin("GET", "/api/nothing").status, 404u);
    EXPECT_EQ(admin("GET", "/").status, 404u);
    const auto wrong = admin("DELETE", "/api/tasks");
    EXPECT_EQ(wrong.status, 405u);
    EXPECT_TRUE(wrong.headers.get("Allow"));
    EXPECT_EQ(admin("GET", "/api/projects/%zz").status, 400u);
    for (const auto* same : {"/api/task-executions", "/api/task_executions", "/api/task_executions/", "/api/tasks/"}) {
        EXPECT_EQ(admin("GET", same).status, 200u) << same;
    }
}

TEST_F(ServiceTest, TheCorrelationIdIsTakenOrMadeAndLogged) {
    ::testing::internal::CaptureStderr();
    const auto given = send("POST", "/api/projects", admin_, R"({"name": "x"})", {{"X-Correlation-ID", "abc-123"}});
    EXPECT_EQ(given.headers.get("X-Correlation-ID"), "abc-123");
    const auto refused = send("GET", "/api/projects", "wrong", {}, {{"X-Correlation-ID", "def-456"}});
    EXPECT_EQ(refused.headers.get("X-Correlation-ID"), "def-456");
    const auto logged = ::testing::internal::GetCapturedStderr();
    EXPECT_THAT(logged, HasSubstr("abc-123"));
    EXPECT_THAT(logged, HasSubstr("admin"));
    EXPECT_THAT(logged, HasSubstr("def-456"));
    EXPECT_THAT(logged, HasSubstr("401"));
    EXPECT_EQ(logged.find(admin_), std::string::npos);
    const auto plain = admin("GET", "/api/projects");
    EXPECT_TRUE(is_uuid(plain.headers.get("X-Correlation-ID").value_or("")));
    for (const auto& bad : {std::string(500, 'x'), std::string("a b"), std::string("<script>")}) {
        const auto response = send("GET", "/health", "", {}, {{"X-Correlation-ID", bad}});
        EXPECT_TRUE(is_uuid(response.headers.get("X-Correlation-ID").value_or("")));
    }
    EXPECT_FALSE(given.headers.get("X-Internal-Route"));
    EXPECT_FALSE(given.headers.get("X-Internal-Caller"));
}

TEST_F(ServiceTest, ABodyOverTheLimitIs413) {
    options_.body_limit = 1000;
    restart();
    const auto big = R"({"name": ")" + std::string(2000, 'x') + "\"}";
    EXPECT_EQ(admin("POST", "/api/projects", big).status, 413u);
    http::Request request;  // and without the server's own limit before it
    request.method = "POST";
    request.target = "/api/projects";
    request.body = big;
    auto reply = testing::run(io_, service_->handler()(request, http::Peer{}));
    EXPECT_EQ(reply.head.status, 413u);
    EXPECT_EQ(admin("POST", "/api/projects", R"({"name": "x"})").status, 201u);
}

TEST_F(ServiceTest, AStoreThatFailsIs503AndSaysNothingOfItself) {
    const auto task = text(must(201, admin("POST", "/api/tasks", R"({"type": "deploy"})")), "id");
    const bool postgres = store_.is_postgres();
    const std::string reason = postgres ? "connection to server" : "readonly";
    if (postgres)
        store_.postgres().kill();
    else
        query("PRAGMA query_only = 1");
    ::testing::internal::CaptureStderr();
    for (const auto& [method, target, body] : std::vector<std::tuple<std::string, std::string, std::string>>{
             {"POST", "/api/projects", R"({"name": "x"})"},
             {"POST", "/api/tasks", R"({"type": "deploy"})"},
             {"PATCH", "/api/tasks/" + task, "{}"},
             {"POST", "/api/users", "{}"},
             {"POST", "/api/users/upsert", R"({"telegram_id": 1})"},
             {"POST", "/api/tokens", R"({"kind": "admin"})"},
             {"DELETE", "/api/tokens/" + task, ""},
             {"POST", "/api/task-executions",
              R"({"id": "x", "worker_id": "w", "started_at": "2026-01-10T12:00:00Z", "status": "error"})"}}) {
        const auto response = admin(method, target, body);
        EXPECT_EQ(response.status, 503u) << method << " " << target;
        EXPECT_EQ(response.body.find(reason), std::string::npos);
    }
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(reason));
    if (postgres)
        store_.postgres().restart();
    else
        query("PRAGMA query_only = 0");
    EXPECT_EQ(admin("POST", "/api/projects", R"({"name": "x"})").status, 201u);

    query("ALTER TABLE users RENAME TO hidden");
    EXPECT_EQ(send("GET", "/health", "").status, 503u);
    EXPECT_EQ(text(must(503, send("GET", "/api/health", "")), "status"), "the database does not answer");
    EXPECT_EQ(admin("GET", "/api/users").status, 503u);
    query("ALTER TABLE hidden RENAME TO users");
    EXPECT_EQ(send("GET", "/health", "").status, 200u);
}

// PostgreSQL cannot store it; SQLite is not to be asked for more.
TEST_F(ServiceTest, ANulCharacterIsRefusedWhereverItStands) {
    const auto path = [&](std::string body) {
        const auto refused = must(422, admin("POST", "/api/tasks", std::move(body)));
        return text(refused.at("errors").at(0), "path");
    };
    EXPECT_EQ(path(R"({"type": "deploy", "spec": "a\u0000b"})"), "spec");
    EXPECT_EQ(path(R"({"type": "deploy", "task_metadata": {"deep": [1, {"x": "\u0000"}]}})"),
              "task_metadata.deep[1].x");
    EXPECT_EQ(path(R"({"type": "deploy", "task_metadata": {"a\u0000": 1}})"), "task_metadata");
    EXPECT_EQ(admin("POST", "/api/tasks", R"({"type": "deploy", "spec": "a\\u0000b"})").status, 201u);  // just text
    EXPECT_EQ(admin("GET", "/api/tasks?project_id=%00").status, 400u);
    EXPECT_EQ(admin("GET", "/api/tasks/%00").status, 400u);
}

}  // namespace
}  // namespace codegen::api

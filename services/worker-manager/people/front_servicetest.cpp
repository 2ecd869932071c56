// The manager's HTTP as people's commands ask it: who may, what they get, what is left of a worker that is gone.
#include <fstream>

#include "services/worker-manager/people/front.hpp"
#include "services/worker-manager/service.hpp"
#include "services/worker-manager/tests/manager_fixture.hpp"
#include "services/worker-manager/tests/process_runtime.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;
using Headers = std::vector<std::pair<std::string, std::string>>;

class FrontTest : public ManagerFixture {
  protected:
    void SetUp() override {
        ManagerFixture::SetUp();
        fs::create_directories(state() / "repositories");
        fs::create_directories(state() / "programs");
        for (const auto* name : {"orchestrator", "worker-wrapper"})
            std::ofstream(state() / "programs" / name) << "#!/bin/sh\n";
        options_.state_directory = state();
        options_.programs_source = state() / "programs";
        options_.installation = "test";
        options_.host = "host-1";
        options_.instance = "manager-1";
        options_.redis = redis_server_.address();
        options_.api_url = api_url();
        options_.service_token = service_token_;
        options_.sweep_interval = std::chrono::milliseconds(50);
        options_.providers = {anthropic_provider("", "provider-canary-0001", "")};
        options_.people.secrets = {"setting-canary-0001"};
        options_.people.announce_interval = std::chrono::milliseconds(50);
        runtime_ = std::make_shared<ProcessRuntime>(io_.get_executor(), state() / "workers");
    }
    void TearDown() override {
        stop();
        runtime_.reset();
        ManagerFixture::TearDown();
    }
    void start() {
        service_ = std::make_unique<Service>(io_.get_executor(), options_, *database_, runtime_);
        scope_ = std::make_unique<async::Scope>(io_.get_executor());
        ended_.reset();
        scope_->spawn("service", [](Service* service, std::optional<Result<void>>* out) -> Task<void> {
            *out = co_await service->run();
        }(service_.get(), &ended_));
        ASSERT_TRUE(eventually([&] { return ended_ || (!hosts().empty() && fs::exists(state() / "manager.sock")); }));
        ASSERT_FALSE(ended_) << ended_->error().message;
        http_ = connect("http+unix://" + (state() / "manager.sock").string());
    }
    void stop() {
        http_.reset();
        if (!service_) return;
        run(service_->stop());
        if (scope_) run(scope_->stop());
        service_.reset();
    }
    std::unique_ptr<http::Client> connect(const std::string& url) {
        return std::make_unique<http::Client>(io_.get_executor(), http::parse_url(url).value());
    }
    boost::json::array hosts() {
        auto body = run(admin_->call("GET", "/api/hosts"));
        return body ? boost::json::parse(*body).as_array() : boost::json::array();
    }

    // A worker of user `user`, whose wrapper (a plain process here) runs.
    void make_worker(const std::string& name, std::int64_t user, const std::string& task = {}) {
        ask_for_worker(name, "create-" + name, user, task);
        const auto response = answer("worker:responses:developer", "create-" + name);
        ASSERT_TRUE(response);
        ASSERT_EQ(response->at("success"), true) << boost::json::serialize(*response);
    }
    void ask_for_worker(const std::string& name, const std::string& request, std::int64_t user,
                        const std::string& task = {}) {
        boost::json::object context{{"user_id", std::to_string(user)}};
        if (!task.empty()) context["task_id"] = task;
        const boost::json::object message{{"command", "create"},
                                          {"request_id", request},
                                          {"config",
                                           {{"name", name},
                                            {"worker_type", "developer"},
                                            {"agent_type", "custom"},
                                            {"instructions", "do it"},
                                            {"allowed_commands", {"result"}},
                                            {"capabilities", {"git"}},
                                            {"command", {"bash", "-c", "true"}}}},
                                          {"context", context}};
        redis({"XADD", "worker:commands", "*", "data", boost::json::serialize(message)});
    }
    void write(const std::string& worker, const std::string& file, const std::string& text) {
        std::ofstream(state() / "workers" / worker / "state" / file, std::ios::app) << text;
    }

    http::Response ask(const std::string& method, const std::string& target, const std::string& token,
                       const std::string& body = {}, const Headers& headers = {}) {
        return ask(*http_, method, target, token, body, headers);
    }
    http::Response ask(http::Client& client, const std::string& method, const std::string& target,
                       const std::string& token, const std::string& body = {}, const Headers& headers = {}) {
        http::Request request;
        request.method = method;
        request.target = target;
        request.body = body;
        if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
        for (const auto& [name, value] : headers) request.headers.set(name, value);
        auto response = run(client.send(std::move(request), std::chrono::seconds(60)));
        if (!response) {
            ADD_FAILURE() << method << " " << target << ": " << response.error().message;
            return {};
        }
        return std::move(*response);
    }
    http::Response admin(const std::string& method, const std::string& target, const std::string& body = {}) {
        return ask(method, target, admin_token_, body);
    }
    std::int64_t make_user(std::int64_t telegram_id) {
        auto made = run(admin_->call("POST", "/api/users",
                                     boost::json::serialize(boost::json::object{{"telegram_id", telegram_id}})));
        EXPECT_TRUE(made);
        return boost::json::parse(*made).at("id").as_int64();
    }
    std::string make_token(boost::json::object body) {
        auto made = run(admin_->call("POST", "/api/tokens", boost::json::serialize(body)));
        EXPECT_TRUE(made) << made.error().message;
        return std::string(boost::json::parse(*made).at("secret").as_string());
    }
    std::vector<std::string> listed(const std::string& token, const std::string& query = {}) {
        const auto response = ask("GET", "/workers" + query, token);
        EXPECT_EQ(response.status, 200u) << response.body;
        std::vector<std::string> ids;
        for (const auto& worker : boost::json::parse(response.body).as_array())
            ids.emplace_back(worker.at("worker_id").as_string());
        return ids;
    }
    static std::string command(boost::json::array argv, int timeout = 20) {
        return boost::json::serialize(boost::json::object{{"command", std::move(argv)}, {"timeout", timeout}});
    }

    Options options_;
    std::shared_ptr<ProcessRuntime> runtime_;
    std::unique_ptr<Service> service_;
    std::optional<Result<void>> ended_;
    std::unique_ptr<async::Scope> scope_;
    std::unique_ptr<http::Client> http_;
};

TEST_F(FrontTest, AManagerAnnouncesWhereItIsAndThatItLives) {
    options_.max_workers = 7;
    start();
    const auto first = hosts().at(0);
    EXPECT_EQ(first.at("name"), "host-1");
    EXPECT_EQ(first.at("manager_url").as_string(), "http+unix://" + (state() / "manager.sock").string());
    EXPECT_EQ(first.at("capacity"), 7);
    EXPECT_TRUE(eventually([&] { return hosts().at(0).at("last_seen") != first.at("last_seen"); }));
    EXPECT_EQ(fs::status(state() / "manager.sock").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(FrontTest, OverTcpTheSameRulesHold) {
    options_.people.address = "127.0.0.1";
    start();
    const std::string url(hosts().at(0).at("manager_url").as_string());
    EXPECT_THAT(url, ::testing::MatchesRegex("http://127.0.0.1:[0-9]+"));
    auto tcp = connect(url);
    EXPECT_EQ(ask(*tcp, "GET", "/workers", "").status, 401u);
    EXPECT_EQ(ask(*tcp, "GET", "/workers", admin_token_).status, 200u);
    EXPECT_EQ(ask("GET", "/workers", admin_token_).status, 200u) << "the socket too";
}

TEST_F(FrontTest, AnAddressThatCannotBeUsedEndsTheManagerWithItsName) {
    options_.people.address = "192.0.2.1";
    service_ = std::make_unique<Service>(io_.get_executor(), options_, *database_, runtime_);
    const auto ended = run(service_->run());
    ASSERT_FALSE(ended);
    EXPECT_THAT(ended.error().message, HasSubstr("MANAGER_ADDRESS"));
}

TEST_F(FrontTest, WhatOthersShouldUseIsWhatTheOperatorSays) {
    options_.people.url = "https://workers.example:8443";
    start();
    EXPECT_EQ(hosts().at(0).at("manager_url"), "https://workers.example:8443");
}

TEST_F(FrontTest, EveryRouteNeedsATokenThatTheApiKnows) {
    start();
    make_worker("dev-1", 1);
    const std::vector<std::pair<std::string, std::string>> routes{{"GET", "/workers"},
                                                                  {"GET", "/workers/dev-1"},
                                                                  {"GET", "/workers/dev-1/logs"},
                                                                  {"POST", "/workers/dev-1/exec"},
                                                                  {"DELETE", "/workers/dev-1"}};
    const auto worker_token =
        make_token({{"kind", "worker"}, {"worker_id", "dev-1"}, {"user_id", 1}, {"actions", {"*"}}});
    const auto other_right = make_token({{"kind", "user"}, {"user_id", 1}, {"actions", {"project.*"}}});
    for (const auto& [method, target] : routes) {
        const auto body = method == "POST" ? command({"true"}) : "";
        const auto missing = ask(method, target, "", body);
        EXPECT_EQ(missing.status, 401u) << method << target;
        EXPECT_EQ(missing.headers.get("WWW-Authenticate"), "Bearer");
        EXPECT_EQ(ask(method, target, "nonsense", body).status, 401u) << method << target;
        EXPECT_EQ(ask(method, target, "", body, {{"X-Telegram-ID", "1"}}).status, 401u) << method << target;
        EXPECT_EQ(ask(method, target, worker_token, body).status, 403u) << "a worker's own token: " << target;
        const auto denied = ask(method, target, other_right, body);
        EXPECT_EQ(denied.status, 403u) << method << target;
        EXPECT_THAT(denied.body, HasSubstr("worker.")) << "names what is missing";
    }
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_EQ(admin("GET", "/elsewhere").status, 404u);
    EXPECT_EQ(admin("PUT", "/workers").status, 405u);
    for (const auto* target : {"/workers/dev-9", "/workers/dev-9/logs", "/workers/..%2Fdev-1/logs"})
        EXPECT_EQ(admin("GET", target).status, 404u) << target;
}

TEST_F(FrontTest, AnApiThatIsAwayIsSaidSo) {
    start();
    run(api_server_->stop(std::chrono::milliseconds(0)));
    const auto response = admin("GET", "/workers");
    EXPECT_EQ(response.status, 503u);
    EXPECT_THAT(response.body, HasSubstr("the API does not answer"));
}

TEST_F(FrontTest, PeopleReachTheirOwnWorkersAndThoseOfTheirProjects) {
    const auto owner = make_user(100);
    const auto stranger = make_user(200);
    const auto owner_token = make_token({{"kind", "user"}, {"user_id", owner}});
    const auto stranger_token = make_token({{"kind", "user"}, {"user_id", stranger}});
    // A task that somebody else started in the owner's project.
    auto project = run(admin_->call(
        "POST", "/api/projects", boost::json::serialize(boost::json::object{{"name", "shop"}, {"owner_id", owner}})));
    ASSERT_TRUE(project) << project.error().message;
    const auto task = make_task(std::string(boost::json::parse(*project).at("id").as_string()));
    start();
    make_worker("own", owner);
    make_worker("of-project", 1, task);
    make_worker("foreign", 1);
    write("foreign", "wrapper.log", "{}\n");

    using Ids = std::vector<std::string>;
    EXPECT_EQ(listed(owner_token), (Ids{"of-project", "own"}));
    EXPECT_EQ(listed(stranger_token), Ids{});
    EXPECT_EQ(listed(admin_token_), (Ids{"foreign", "of-project", "own"}));
    EXPECT_EQ(listed(service_token_), (Ids{"foreign", "of-project", "own"}));
    EXPECT_EQ(ask("GET", "/workers/own", service_token_, {}, {{"X-Telegram-ID", "100"}}).status, 200u);
    EXPECT_EQ(ask("GET", "/workers/own", service_token_, {}, {{"X-Telegram-ID", "200"}}).status, 404u);
    for (const auto& token : {owner_token, stranger_token}) {
        EXPECT_EQ(ask("GET", "/workers/foreign", token).status, 404u);
        EXPECT_EQ(ask("GET", "/workers/foreign/logs", token).status, 404u);
        EXPECT_EQ(ask("POST", "/workers/foreign/exec", token, command({"true"})).status, 404u);
        EXPECT_EQ(ask("DELETE", "/workers/foreign", token).status, 404u);
    }
    EXPECT_TRUE(runtime_->runs("foreign"));
    const auto shown = ask("GET", "/workers/of-project", owner_token);
    EXPECT_EQ(boost::json::parse(shown.body).at("task_id").as_string(), task);
}

TEST_F(FrontTest, AWorkerThatHasNothingYetShowsNothingOfTheFormerOneOfItsName) {
    const auto stranger = make_user(200);
    const auto stranger_token = make_token({{"kind", "user"}, {"user_id", stranger}});
    options_.max_workers = 1;
    start();
    make_worker("dev-1", 1);
    write("dev-1", "wrapper.log", "{\"said\":\"for user 1 alone\"}\n");
    EXPECT_EQ(admin("DELETE", "/workers/dev-1").status, 204u);
    EXPECT_THAT(admin("GET", "/workers/dev-1/logs").body, HasSubstr("for user 1 alone"));
    make_worker("busy", 1);
    ask_for_worker("dev-1", "again", stranger);  // waits for the slot
    ASSERT_TRUE(eventually([&] { return ask("GET", "/workers/dev-1", stranger_token).status == 200; }));
    for (const auto* record : {"log", "transcript", "output"}) {
        const auto logs = ask("GET", std::string("/workers/dev-1/logs?record=") + record, stranger_token);
        EXPECT_EQ(logs.status, 200u);
        EXPECT_EQ(logs.body, "") << record;
    }
}

TEST_F(FrontTest, ExitFactsAreShown) {
    start();
    make_worker("dev-1", 1);
    runtime_->mark_out_of_memory = true;
    runtime_->kill("dev-1");
    boost::json::value shown;
    ASSERT_TRUE(eventually([&] {
        shown = boost::json::parse(admin("GET", "/workers/dev-1").body);
        return shown.at("ended") == true;
    }));
    EXPECT_EQ(shown.at("exit_code"), 137);
    EXPECT_EQ(shown.at("out_of_memory"), true);
    EXPECT_EQ(shown.at("status"), "FAILED");
    EXPECT_EQ(shown.at("host"), "host-1");
    EXPECT_THAT(std::string(shown.at("error").as_string()), HasSubstr("memory"));
    EXPECT_EQ(ask("POST", "/workers/dev-1/exec", admin_token_, command({"true"})).status, 409u);
}

TEST_F(FrontTest, RecordsAreReadRedactedWhileItLivesAndAfterItsEnd) {
    start();
    make_worker("dev-1", 1);
    for (int i = 0; i < 10; ++i) write("dev-1", "wrapper.log", "{\"n\":" + std::to_string(i) + "}\n");
    write("dev-1", "wrapper.log", "{\"k\":\"provider-canary-0001 setting-canary-0001 " + service_token_ + "\"}\n");
    write("dev-1", "transcript.ndjson", R"({"text":"ghp_012345678901234567890123456789012345"})");
    write("dev-1", "output.log", "raw sk-ant-0123456789012345678901234567890\n");
    for (const auto* when : {"while it lives", "after its end"}) {
        const auto all = admin("GET", "/workers/dev-1/logs");
        EXPECT_EQ(all.status, 200u) << when;
        EXPECT_THAT(all.body, ::testing::StartsWith("{\"n\":0}\n")) << when;
        EXPECT_EQ(admin("GET", "/workers/dev-1/logs?tail=2").body,
                  "{\"n\":9}\n{\"k\":\"[redacted] [redacted] [redacted]\"}\n")
            << when;
        const auto transcript = admin("GET", "/workers/dev-1/logs?record=transcript");
        EXPECT_EQ(transcript.body, R"({"text":"[redacted]"})") << when;
        EXPECT_EQ(transcript.headers.get("Content-Type"), "application/x-ndjson");
        EXPECT_EQ(admin("GET", "/workers/dev-1/logs?record=output").body, "raw [redacted]\n") << when;
        EXPECT_EQ(admin("DELETE", "/workers/dev-1").status, 204u) << when;
        EXPECT_FALSE(fs::exists(state() / "workers" / "dev-1"));
    }
    EXPECT_EQ(listed(admin_token_), std::vector<std::string>{});
    EXPECT_EQ(listed(admin_token_, "?all=1"), std::vector<std::string>{"dev-1"});
    // A manager that starts again finds it.
    stop();
    start();
    EXPECT_THAT(admin("GET", "/workers/dev-1/logs?tail=2").body, HasSubstr("\"n\":9"));
    EXPECT_EQ(boost::json::parse(admin("GET", "/workers/dev-1").body).at("status"), "STOPPED");
    for (const auto& file : fs::recursive_directory_iterator(state() / "evidence"))
        if (file.is_regular_file())
            EXPECT_THAT(posix::read_file(file.path(), 1u << 20).value(), Not(HasSubstr("canary"))) << file.path();
}

TEST_F(FrontTest, WhatIsAskedWronglyIsSaidByField) {
    start();
    make_worker("dev-1", 1);
    EXPECT_THAT(admin("GET", "/workers/dev-1/logs?record=secrets").body, HasSubstr("log, transcript, output"));
    EXPECT_EQ(admin("GET", "/workers/dev-1/logs?tail=-1").status, 422u);
    EXPECT_EQ(admin("GET", "/workers/dev-1/logs?follow=yes").status, 422u);
    EXPECT_EQ(admin("GET", "/workers?all=2").status, 422u);
    EXPECT_THAT(admin("POST", "/workers/dev-1/exec", R"({"command":[]})").body, HasSubstr(R"("path":"command")"));
    EXPECT_THAT(admin("POST", "/workers/dev-1/exec", R"({"command":["a"],"timeout":0})").body, HasSubstr("timeout"));
    EXPECT_EQ(admin("POST", "/workers/dev-1/exec", "not json").status, 422u);
    EXPECT_EQ(admin("POST", "/workers/dev-1/exec", std::string(2u << 20, ' ')).status, 413u);
}

TEST_F(FrontTest, ACommandRunsWithoutAShellWithinItsLimits) {
    start();
    make_worker("dev-1", 1);
    const auto exec = [&](boost::json::array argv, int timeout = 20) {
        return admin("POST", "/workers/dev-1/exec", command(std::move(argv), timeout));
    };
    const auto plain = boost::json::parse(exec({"printf", "%s|", "$HOME", "a b; c", "provider-canary-0001"}).body);
    EXPECT_EQ(plain.at("output"), "$HOME|a b; c|[redacted]|");
    EXPECT_EQ(plain.at("exit_code"), 0);
    EXPECT_EQ(boost::json::parse(exec({"sh", "-c", "exit 7"}).body).at("exit_code"), 7);
    EXPECT_EQ(exec({"sleep", "60"}, 1).status, 504u);
    const auto much = boost::json::parse(exec({"head", "-c", "3000000", "/dev/zero"}).body);
    EXPECT_EQ(much.at("truncated"), true);
    EXPECT_LE(much.at("output").as_string().size(), 8u << 20);
    runtime_->unreachable = true;
    EXPECT_EQ(exec({"true"}).status, 503u);
    runtime_->unreachable = false;
}

TEST_F(FrontTest, OnlySoManyCommandsRunAtOnce) {
    start();
    make_worker("dev-1", 1);
    async::Scope scope(io_.get_executor());
    std::vector<unsigned> statuses;
    const auto body = command({"sh", "-c", "while [ ! -e go ]; do sleep 0.05; done"}, 60);
    for (int i = 0; i < 17; ++i)
        scope.spawn(
            "exec",
            [](http::Client* client, std::string token, std::string text, std::vector<unsigned>* out) -> Task<void> {
                http::Request request;
                request.method = "POST";
                request.target = "/workers/dev-1/exec";
                request.headers.set("Authorization", "Bearer " + token);
                request.body = std::move(text);
                auto response = co_await client->send(std::move(request), std::chrono::seconds(60));
                out->push_back(response ? response->status : 0);
            }(http_.get(), admin_token_, body, &statuses));
    ASSERT_TRUE(eventually([&] { return !statuses.empty(); }));
    EXPECT_EQ(statuses.front(), 429u);
    std::ofstream(state() / "workers" / "dev-1" / "workspace" / "go");
    ASSERT_TRUE(eventually([&] { return statuses.size() == 17; }, std::chrono::seconds(60)));
    EXPECT_EQ(std::ranges::count(statuses, 200u), 16);
    run(scope.stop());
}

TEST_F(FrontTest, ALogIsFollowedUntilTheWorkerIsGone) {
    start();
    make_worker("dev-1", 1);
    write("dev-1", "wrapper.log", "one\ntwo\n");
    http::Request request;
    request.target = "/workers/dev-1/logs?follow=1&tail=1";
    request.headers.set("Authorization", "Bearer " + admin_token_);
    auto stream = run(http_->open(std::move(request), std::chrono::seconds(20), std::chrono::seconds(20)));
    ASSERT_TRUE(stream) << stream.error().message;
    ASSERT_EQ((*stream)->head().status, 200u);
    const auto read = [&] {
        auto piece = run((*stream)->read_some());
        EXPECT_TRUE(piece) << piece.error().message;
        return piece ? *piece : "";
    };
    EXPECT_EQ(read(), "two\n");
    write("dev-1", "wrapper.log", "three with setting-canary-0001\nhalf");
    EXPECT_EQ(read(), "three with [redacted]\n");
    EXPECT_EQ(admin("DELETE", "/workers/dev-1").status, 204u);
    EXPECT_EQ(read(), "half");
    EXPECT_EQ(read(), "") << "the end";
}

TEST_F(FrontTest, AStopEndsWhatIsFollowed) {
    start();
    make_worker("dev-1", 1);
    write("dev-1", "wrapper.log", "one\n");
    http::Request request;
    request.target = "/workers/dev-1/logs?follow=1";
    request.headers.set("Authorization", "Bearer " + admin_token_);
    auto stream = run(http_->open(std::move(request), std::chrono::seconds(20), std::chrono::seconds(20)));
    ASSERT_TRUE(stream) << stream.error().message;
    const auto first = run((*stream)->read_some());
    EXPECT_EQ(first.value_or("failed"), "one\n");
    run(service_->stop());
    const auto end = run((*stream)->read_some());
    ASSERT_TRUE(end) << "in order: " << end.error().message;
    EXPECT_EQ(*end, "");
}

TEST_F(FrontTest, DeletingTwiceIsDeletingOnce) {
    start();
    make_worker("dev-1", 1);
    EXPECT_EQ(admin("DELETE", "/workers/dev-1").status, 204u);
    EXPECT_EQ(admin("DELETE", "/workers/dev-1").status, 204u);
    EXPECT_TRUE(runtime_->was_removed("dev-1"));
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "status"}).text, "STOPPED");
}

TEST_F(FrontTest, ImagesAreForThoseWhoSeeEverything) {
    const auto owner = make_user(100);
    const auto owner_token = make_token({{"kind", "user"}, {"user_id", owner}});
    const auto worker_token =
        make_token({{"kind", "worker"}, {"worker_id", "dev-1"}, {"user_id", 1}, {"actions", {"*"}}});
    const auto reader_token = make_token({{"kind", "user"}, {"user_id", 1}, {"actions", {"image.list"}}});
    runtime_->built = {{"worker:aa", "", 10, system_now(), false}};
    start();
    for (const auto& [method, target] :
         std::vector<std::pair<std::string, std::string>>{{"GET", "/images"}, {"POST", "/images/prune"}}) {
        EXPECT_EQ(ask(method, target, "").status, 401u) << target;
        EXPECT_EQ(ask(method, target, "nonsense").status, 401u) << target;
        EXPECT_EQ(ask(method, target, worker_token).status, 403u) << target;
        const auto denied = ask(method, target, owner_token);
        EXPECT_EQ(denied.status, 403u) << target;
        EXPECT_THAT(denied.body, HasSubstr("only an admin")) << target;
        EXPECT_EQ(ask(method, target, service_token_, {}, {{"X-Telegram-ID", "100"}}).status, 403u) << target;
        EXPECT_EQ(admin(method == "GET" ? "POST" : "GET", target).status, 405u) << target;
    }
    EXPECT_EQ(ask("GET", "/images", reader_token).status, 200u) << "user 1 is an admin";
    const auto denied = ask("POST", "/images/prune", reader_token, R"({"unused_for_hours":0})");
    EXPECT_EQ(denied.status, 403u);
    EXPECT_THAT(denied.body, HasSubstr("image.prune"));
    EXPECT_EQ(ask("GET", "/images", service_token_).status, 200u);
    EXPECT_EQ(runtime_->built.size(), 1u);
}

TEST_F(FrontTest, ImagesAreListedAndTheUnusedRemoved) {
    using std::chrono::hours;
    start();
    EXPECT_EQ(admin("GET", "/images").body, "[]") << "a runtime without images";
    const auto none = boost::json::parse(admin("POST", "/images/prune", R"({"unused_for_hours":0})").body);
    EXPECT_EQ(none.at("removed"), boost::json::array());

    const auto now = system_now();
    runtime_->built = {{"worker:new", "", 10, now - hours(2), false},
                       {"worker:old", "claude-1.0.0", 20, now - hours(24 * 8), false},
                       {"worker:used", "", 30, now - hours(24 * 9), true}};
    const auto listed = boost::json::parse(admin("GET", "/images").body).as_array();
    ASSERT_EQ(listed.size(), 3u);
    EXPECT_EQ(listed[1].at("tag"), "worker:old");
    EXPECT_EQ(listed[1].at("agent"), "claude-1.0.0");
    EXPECT_EQ(listed[1].at("host"), "host-1");
    EXPECT_EQ(listed[1].at("bytes"), 20);
    EXPECT_EQ(listed[1].at("last_used").as_string(), format_timestamp(now - hours(24 * 8)));
    EXPECT_EQ(listed[2].at("in_use"), true);

    runtime_->keep_images = true;
    const auto kept = boost::json::parse(admin("POST", "/images/prune").body);
    EXPECT_EQ(kept.at("removed"), boost::json::array());
    EXPECT_EQ(kept.at("kept"), (boost::json::array{"worker:old: somebody else's container uses it"}));
    runtime_->keep_images = false;
    const auto removed = [&](const std::string& body) {
        return boost::json::parse(admin("POST", "/images/prune", body).body).at("removed");
    };
    EXPECT_EQ(removed(""), (boost::json::array{"worker:old"})) << "a week";
    EXPECT_EQ(removed(R"({"unused_for_hours":3})"), boost::json::array());
    EXPECT_EQ(removed(R"({"unused_for_hours":0})"), (boost::json::array{"worker:new"}));
    EXPECT_EQ(runtime_->built.size(), 1u);

    for (const auto* body : {R"({"unused_for_hours":-1})", R"({"unused_for_hours":99999})"})
        EXPECT_THAT(admin("POST", "/images/prune", body).body, HasSubstr(R"("path":"unused_for_hours")")) << body;
    EXPECT_EQ(admin("POST", "/images/prune", "not json").status, 422u);
}

TEST_F(FrontTest, NoImageIsRemovedWhileOneIsPrepared) {
    start();
    runtime_->built = {{"worker:aa", "", 10, system_now(), false}};
    runtime_->hold_images = true;
    redis({"XADD", "worker:commands", "*", "data",
           R"({"command":"create","request_id":"r","config":{"name":"dev-1","worker_type":"developer",)"
           R"("agent_type":"custom","instructions":"","allowed_commands":[],"capabilities":["git"],)"
           R"("command":["true"]},"context":{"user_id":"1"}})"});
    ASSERT_TRUE(eventually([&] { return runtime_->images == 1; }));
    const auto busy = admin("POST", "/images/prune", R"({"unused_for_hours":0})");
    EXPECT_EQ(busy.status, 503u);
    EXPECT_THAT(busy.body, HasSubstr("an image is being prepared"));
    EXPECT_EQ(runtime_->built.size(), 1u);
    runtime_->hold_images = false;
    ASSERT_TRUE(answer("worker:responses:developer", "r"));
}

}  // namespace
}  // namespace codegen::worker_manager

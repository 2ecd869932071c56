// Images through the whole service, on the real engine: built from a tiny base whose package manager is a script.
#include <fstream>

#include "services/worker-manager/images.hpp"
#include "services/worker-manager/runtime/docker_runtime.hpp"
#include "services/worker-manager/runtime/temp_worker.hpp"
#include "services/worker-manager/service.hpp"
#include "services/worker-manager/tests/manager_fixture.hpp"
#include "shared/testing/tiny_image.hpp"

namespace codegen::worker_manager {
namespace {

using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class ImagesTest : public ManagerFixture {
  protected:
    void SetUp() override {
        ASSERT_EQ(::geteuid(), 0u) << "the Docker runtime runs as root";
        ManagerFixture::SetUp();
        fs::permissions(state(), fs::perms(0711));
        fs::create_directories(state() / "programs");
        std::ofstream(state() / "programs/orchestrator") << "#!/bin/sh\n";
        std::ofstream(state() / "programs/worker-wrapper")
            << "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 1000 & wait $!; done\n";
        options_.state_directory = state();
        options_.programs_source = state() / "programs";
        options_.installation = installation_;
        options_.instance = "manager-1";
        options_.redis = redis_server_.address();
        options_.api_url = api_url();
        options_.service_token = service_token_;
        options_.sweep_interval = std::chrono::milliseconds(50);
        options_.providers = {anthropic_provider("", "", "")};
        options_.now = [this] { return now_; };
        DockerOptions docker{.installation = installation_,
                             .images = {.images = state() / "images",
                                        .agents = state() / "agents",
                                        .image_scripts = fs::path(CODEGEN_SOURCE_DIR) / "images",
                                        .agent_scripts = fs::path(CODEGEN_SOURCE_DIR) / "shared/agents",
                                        .base_image = base_.tag()},
                             .workers = state() / "workers"};
        auto runtime = DockerRuntime::make(io_.get_executor(), std::move(docker));
        ASSERT_TRUE(runtime) << runtime.error().message;
        runtime_ = std::move(*runtime);
        start();
    }
    void TearDown() override {
        if (service_) {
            for (const auto& name : made_) remove(name);
            prune(hours(0));
            stop();
        }
        runtime_.reset();
        ManagerFixture::TearDown();
    }
    void start() {
        service_ = std::make_unique<Service>(io_.get_executor(), options_, *database_, runtime_);
        scope_ = std::make_unique<async::Scope>(io_.get_executor());
        scope_->spawn("service", run_service(service_.get()));
    }
    static Task<void> prepare_into(Images* images, ImageRequest request, bool* building,
                                   std::optional<Result<Images::Prepared>>* out) {
        auto prepared =
            co_await images->prepare(std::move(request), [building](const std::string&) { *building = true; });
        *out = std::move(prepared);
    }
    static Task<void> run_service(Service* service) { static_cast<void>(co_await service->run()); }
    void stop() {
        run(service_->stop());
        run(scope_->stop());
        service_.reset();
    }

    // Container names are the engine's, so they carry this test's own mark.
    std::string create(const std::string& name, boost::json::array capabilities) {
        const auto worker = name + "-" + installation_;
        made_.insert(worker);
        const boost::json::object message{{"command", "create"},
                                          {"request_id", "create-" + worker},
                                          {"config",
                                           {{"name", worker},
                                            {"worker_type", "developer"},
                                            {"agent_type", "custom"},
                                            {"instructions", ""},
                                            {"allowed_commands", boost::json::array{}},
                                            {"capabilities", capabilities},
                                            {"command", {"true"}}}},
                                          {"context", {{"user_id", "1"}}}};
        redis({"XADD", "worker:commands", "*", "data", boost::json::serialize(message)});
        auto answered = answer("worker:responses:developer", "create-" + worker, std::chrono::seconds(100));
        EXPECT_TRUE(answered && (*answered)["success"] == true)
            << (answered ? boost::json::serialize(*answered) : "no answer");
        return redis({"HGET", "worker:status:" + worker, "image"}).text;
    }
    void remove(const std::string& worker) {
        redis({"XADD", "worker:commands", "*", "data",
               boost::json::serialize(boost::json::object{
                   {"command", "delete"}, {"request_id", "delete-" + worker}, {"worker_id", worker}})});
        EXPECT_TRUE(answer("worker:responses:developer", "delete-" + worker, std::chrono::seconds(60)));
    }
    std::vector<ImageEntry> images() {
        auto list = run(service_->images().list());
        EXPECT_TRUE(list) << list.error().message;
        return list.value_or(std::vector<ImageEntry>{});
    }
    ImagesPruned prune(std::chrono::microseconds unused_for) {
        Result<ImagesPruned> pruned;
        eventually([&] {  // the daily one may be at it
            pruned = run(service_->images().prune(unused_for));
            return pruned || pruned.error().code != "busy";
        });
        EXPECT_TRUE(pruned) << pruned.error().message;
        return pruned.value_or(ImagesPruned{});
    }
    // As an admin's command asks.
    boost::json::value over_http(const std::string& method, const std::string& target, const std::string& body = {}) {
        http::Client client(io_.get_executor(),
                            http::parse_url("http+unix://" + (state() / "manager.sock").string()).value());
        http::Request request;
        request.method = method;
        request.target = target;
        request.body = body;
        request.headers.set("Authorization", "Bearer " + admin_token_);
        auto response = run(client.send(std::move(request), std::chrono::seconds(60)));
        EXPECT_TRUE(response) << response.error().message;
        EXPECT_EQ(response->status, 200u) << response->body;
        return boost::json::parse(response->body);
    }
    std::string last_used(const std::string& tag) { return redis({"GET", "worker:image:last_used:" + tag}).text; }

    const std::string installation_ = "images-" + random_token(4);
    codegen::testing::TinyImage base_{testing::package_tools()};
    Timestamp now_ = system_now();
    Options options_;
    std::shared_ptr<DockerRuntime> runtime_;
    std::unique_ptr<Service> service_;
    std::unique_ptr<async::Scope> scope_;
    std::set<std::string> made_;
};

TEST_F(ImagesTest, AUseIsNotedAndAnImageInUseStays) {
    const auto tag = create("a", {"git"});
    EXPECT_TRUE(eventually([&] { return last_used(tag) == format_timestamp(now_); }));
    auto list = images();
    ASSERT_EQ(list.size(), 1u);
    EXPECT_EQ(list[0].tag, tag);
    EXPECT_EQ(list[0].last_used, now_);
    EXPECT_GT(list[0].bytes, 0);
    EXPECT_LT(std::chrono::abs(list[0].built_at - now_), hours(1));
    EXPECT_TRUE(list[0].in_use);
    const auto shown = over_http("GET", "/images").as_array();
    ASSERT_EQ(shown.size(), 1u);
    EXPECT_EQ(shown[0].at("tag").as_string(), tag);
    EXPECT_EQ(shown[0].at("bytes"), list[0].bytes);
    EXPECT_EQ(shown[0].at("in_use"), true);

    now_ += hours(24 * 30);
    EXPECT_THAT(prune(hours(0)).removed, IsEmpty());
    // It was in use until now, whenever its worker was made.
    EXPECT_TRUE(eventually([&] { return last_used(tag) == format_timestamp(now_); }));
    remove("a-" + installation_);
    EXPECT_FALSE(images().at(0).in_use);
    EXPECT_THAT(prune(hours(1)).removed, IsEmpty());
    const auto pruned = over_http("POST", "/images/prune", R"({"unused_for_hours":0})");
    EXPECT_EQ(pruned.at("removed"), boost::json::array{tag});
    EXPECT_THAT(images(), IsEmpty());
    EXPECT_TRUE(eventually([&] { return redis({"EXISTS", "worker:image:last_used:" + tag}).integer == 0; }));
    EXPECT_FALSE(fs::exists(state() / "images" / (tag.substr(7) + ".log")));
    // And is built again when it is asked for again.
    EXPECT_EQ(create("b", {"git"}), tag);
}

TEST_F(ImagesTest, OnceADayWhatIsUnusedForAWeekGoesByItself) {
    const auto old = create("a", {"git"});
    remove("a-" + installation_);
    now_ += hours(24 * 6);
    const auto young = create("b", {"curl"});
    ASSERT_NE(old, young);
    remove("b-" + installation_);
    EXPECT_EQ(images().size(), 2u);
    stop();
    start();  // the times survive
    now_ += hours(25);
    EXPECT_TRUE(eventually([&] {
        now_ += std::chrono::minutes(1);
        return images().size() == 1;
    }));
    EXPECT_EQ(images().at(0).tag, young);
    now_ += hours(24 * 8);
    EXPECT_TRUE(eventually([&] { return images().empty(); }));
}

TEST_F(ImagesTest, NothingIsRemovedWhileAnImageIsPrepared) {
    const ImageRequest request{.agent_type = contracts::AgentType::custom, .capabilities = {}, .image = {}};
    std::optional<Result<Images::Prepared>> prepared;
    bool building = false;
    async::Scope scope(io_.get_executor());
    scope.spawn("prepare", prepare_into(&service_->images(), request, &building, &prepared));
    ASSERT_TRUE(eventually([&] { return building; }));
    EXPECT_EQ(run(service_->images().prune(hours(0))).error().code, "busy");
    ASSERT_TRUE(eventually([&] { return prepared.has_value(); }, std::chrono::seconds(100)));
    ASSERT_TRUE(*prepared) << prepared->error().message;
    // Nor before the body of its worker is there.
    EXPECT_TRUE(images().at(0).in_use);
    EXPECT_THAT(prune(hours(0)).removed, IsEmpty());
    prepared.reset();
    EXPECT_EQ(prune(hours(0)).removed.size(), 1u);
    run(scope.stop());
}

TEST_F(ImagesTest, WhatAFailedBuildLeavesGoesAndImagesOfOthersStay) {
    codegen::testing::TinyImage broken({{"bin/apt-get", "#!/bin/sh\necho cannot; exit 9\n"}});
    DockerOptions docker{.installation = installation_,
                         .images = {.images = state() / "images",
                                    .agents = state() / "agents",
                                    .image_scripts = fs::path(CODEGEN_SOURCE_DIR) / "images",
                                    .agent_scripts = fs::path(CODEGEN_SOURCE_DIR) / "shared/agents",
                                    .base_image = broken.tag()},
                         .workers = state() / "workers"};
    auto runtime = DockerRuntime::make(io_.get_executor(), std::move(docker)).value();
    auto failed =
        run(runtime->prepare_image({.agent_type = contracts::AgentType::custom, .capabilities = {}, .image = {}}, {}));
    ASSERT_FALSE(failed);
    const auto label = "codegen.image.installation=" + installation_;
    auto client = clients::DockerClient::make(io_.get_executor()).value();
    ASSERT_FALSE(run(client.list_images(label))->empty()) << "the finished steps";
    prune(hours(0));
    EXPECT_THAT(*run(client.list_images(label)), IsEmpty());
    EXPECT_TRUE(run(client.inspect_image(broken.tag())));
    auto refused = run(runtime->remove_image(broken.tag()));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("was not built by this control plane"));
    EXPECT_TRUE(run(runtime->remove_image("worker:0000000000000000")));
}

}  // namespace
}  // namespace codegen::worker_manager

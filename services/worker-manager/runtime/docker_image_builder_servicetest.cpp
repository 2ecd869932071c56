// Builds with the real engine, on a base whose package manager is a script.
#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "services/worker-manager/runtime/image_builder.hpp"
#include "services/worker-manager/runtime/temp_worker.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/tiny_image.hpp"

namespace codegen::worker_manager {
namespace {
using contracts::Capability;

std::map<std::string, std::string> package_tools() {
    std::map<std::string, std::string> scripts{{"etc/os-release", "VERSION_CODENAME=none\n"}};
    for (const char* name : {"apt-get", "update-ca-certificates", "groupadd", "useradd", "install", "rm"})
        scripts[std::string("bin/") + name] = std::string("#!/bin/sh\necho ") + name + " \"$@\"\n";
    return scripts;
}

class ImageBuilderTest : public ::testing::Test {
  protected:
    ~ImageBuilderTest() override {
        for (const std::string& tag : made_) run(client_.remove_image(tag, true));
    }
    template <class T>
    T run(Task<T> task) {
        return codegen::testing::run(io_, std::move(task), std::chrono::seconds(100));
    }
    std::string made(Result<std::string> tag) {
        EXPECT_TRUE(tag) << tag.error().message;
        if (tag) made_.insert(*tag);
        return tag.value_or("");
    }
    static ImageRequest request(std::vector<Capability> capabilities) {
        return {.agent_type = contracts::AgentType::custom, .capabilities = std::move(capabilities), .image = {}};
    }
    std::function<void(std::string)> counting() {
        return [this](const std::string& line) { builds_ += line.starts_with("building "); };
    }

    testing::TempState state_;
    codegen::testing::TinyImage base_{package_tools()};
    asio::io_context io_;
    clients::DockerClient client_ = clients::DockerClient::make(io_.get_executor()).value();
    ImageBuilder builder_{client_,
                          {.images = state_.images(),
                           .agents = state_.agents(),
                           .image_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "images",
                           .base_image = base_.tag()}};
    std::set<std::string> made_;
    int builds_ = 0;
};

Task<std::pair<Result<std::string>, Result<std::string>>> both(ImageBuilder& builder, ImageRequest request,
                                                               std::function<void(std::string)> progress) {
    using namespace asio::experimental::awaitable_operators;
    auto [a, b] = co_await (builder.ensure(request, progress) && builder.ensure(request, progress));
    co_return std::pair(std::move(a), std::move(b));
}

TEST_F(ImageBuilderTest, BuildsOnceForConcurrentRequestsAndThenReuses) {
    auto [a, b] = run(both(builder_, request({Capability::git}), counting()));
    std::string tag = made(a);
    EXPECT_EQ(made(b), tag);
    EXPECT_EQ(builds_, 1);
    EXPECT_THAT(tag, ::testing::MatchesRegex("worker:[0-9a-f]{16}"));
    EXPECT_EQ(made(run(builder_.ensure(request({Capability::git}), counting()))), tag);
    EXPECT_EQ(builds_, 1);

    std::string other = made(run(builder_.ensure(request({Capability::git, Capability::curl}), counting())));
    EXPECT_NE(other, tag);
    EXPECT_EQ(builds_, 2);
    EXPECT_THAT(testing::content(state_.images() / (other.substr(7) + ".log")),
                ::testing::HasSubstr(" bash ca-certificates curl git procps"));
    EXPECT_EQ(run(client_.inspect_image(tag))->labels["codegen.image"], "worker");
}

TEST_F(ImageBuilderTest, ABaseThatCannotBePulledIsNamed) {
    ImageBuilder builder(client_, {.images = state_.images(),
                                   .agents = state_.agents(),
                                   .image_scripts = {},
                                   .base_image = "localhost:1/none:1"});
    auto tag = run(builder.ensure(request({}), {}));
    ASSERT_FALSE(tag);
    EXPECT_THAT(tag.error().message, ::testing::HasSubstr("WORKER_BASE_IMAGE is \"localhost:1/none:1\""));
}

TEST_F(ImageBuilderTest, AgentsThatThisVersionCannotRunAreRefused) {
    auto tag = run(builder_.ensure({.agent_type = contracts::AgentType::codex, .capabilities = {}, .image = {}}, {}));
    ASSERT_FALSE(tag);
    EXPECT_THAT(tag.error().message, ::testing::HasSubstr("config.agent_type is \"codex\""));
}

}  // namespace
}  // namespace codegen::worker_manager

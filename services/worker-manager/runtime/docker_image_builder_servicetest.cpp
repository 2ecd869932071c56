// Builds with the real engine, on a base whose package manager is a script.
#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "services/worker-manager/runtime/image_builder.hpp"
#include "services/worker-manager/runtime/temp_worker.hpp"
#include "shared/async/scope.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/tiny_image.hpp"

namespace codegen::worker_manager {
namespace {
using contracts::Capability;

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
    codegen::testing::TinyImage base_{testing::package_tools()};
    asio::io_context io_;
    clients::DockerClient client_ = clients::DockerClient::make(io_.get_executor()).value();
    ImageBuilder builder_{client_,
                          {.images = state_.images(),
                           .agents = state_.agents(),
                           .image_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "images",
                           .agent_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "shared/agents",
                           .base_image = base_.tag()},
                          state_.installation()};
    std::set<std::string> made_;
    int builds_ = 0;
};

Task<void> ensure_into(ImageBuilder* builder, ImageRequest request, std::function<void(std::string)> progress,
                       std::vector<Result<std::string>>* out) {
    auto tag = co_await builder->ensure(std::move(request), std::move(progress));
    out->push_back(std::move(tag));
}

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

TEST_F(ImageBuilderTest, ManyRequestsInAnyOrderOfCapabilitiesBuildTwoImagesOnce) {
    std::vector<Result<std::string>> tags;
    async::Scope scope(io_.get_executor());
    for (int i = 0; i < 12; ++i) {
        std::vector<Capability> both{Capability::git, Capability::curl};
        if (i % 2) std::swap(both[0], both[1]);
        if (i % 3 == 0) both.pop_back();
        if (i % 6 == 3) both = {Capability::git};
        scope.spawn("ensure", ensure_into(&builder_, request(std::move(both)), counting(), &tags));
    }
    run(scope.drain());
    ASSERT_EQ(tags.size(), 12u);
    std::set<std::string> names;
    for (const auto& tag : tags) names.insert(made(tag));
    EXPECT_EQ(names.size(), 2u);
    EXPECT_EQ(builds_, 2);
}

TEST_F(ImageBuilderTest, ABuildThatFailsNamesItsStepExitCodeAndLastLine) {
    codegen::testing::TinyImage broken({{"bin/apt-get", "#!/bin/sh\necho E: no such mirror; exit 100\n"}});
    ImageBuilder builder(client_,
                         {.images = state_.images(),
                          .agents = state_.agents(),
                          .image_scripts = {},
                          .agent_scripts = {},
                          .base_image = broken.tag()},
                         state_.installation());
    std::vector<Result<std::string>> tags;
    async::Scope scope(io_.get_executor());
    for (int i = 0; i < 3; ++i) scope.spawn("ensure", ensure_into(&builder, request({}), counting(), &tags));
    run(scope.drain());
    ASSERT_EQ(tags.size(), 3u);
    EXPECT_EQ(builds_, 1) << "all hear of the one failure";
    for (const auto& tag : tags) {
        ASSERT_FALSE(tag);
        EXPECT_THAT(
            tag.error().message,
            ::testing::ContainsRegex("build step [0-9]+ \\(install packages\\): exit 100: E: no such mirror \\(log: "));
    }
    // The next request tries again.
    EXPECT_FALSE(run(builder.ensure(request({}), counting())));
    EXPECT_EQ(builds_, 2);
    run(client_.prune_untagged_images("codegen.image.installation=" + state_.installation()));
}

TEST_F(ImageBuilderTest, ABaseThatCannotBePulledIsNamed) {
    ImageBuilder builder(client_,
                         {.images = state_.images(),
                          .agents = state_.agents(),
                          .image_scripts = {},
                          .agent_scripts = {},
                          .base_image = "localhost:1/none:1"},
                         state_.installation());
    auto tag = run(builder.ensure(request({}), {}));
    ASSERT_FALSE(tag);
    EXPECT_THAT(tag.error().message, ::testing::HasSubstr("WORKER_BASE_IMAGE is \"localhost:1/none:1\""));
}

}  // namespace
}  // namespace codegen::worker_manager

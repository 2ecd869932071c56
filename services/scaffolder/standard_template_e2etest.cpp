// The Dockerfiles of the standard template, on a base made of Debian packages: no registry answers, and no network is
// there while they are built. Then each service runs and is healthy.
#include "services/scaffolder/scaffolder_fixture.hpp"

namespace codegen::scaffolder::testing {
namespace {

class StandardTemplateImages : public ScaffolderTest {
  protected:
    void TearDown() override {
        for (const auto& container : containers_) docker({"rm", "--force", container}, true);
        for (const auto& image : images_) docker({"image", "rm", "--force", image}, true);
        ScaffolderTest::TearDown();
    }
    std::string docker(std::vector<std::string> arguments, bool may_fail = false) {
        process::Spec spec;
        spec.argv = {"docker"};
        spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
        spec.environment = process::minimal_environment();
        spec.environment["HOME"] = directory_.path().string();
        if (const char* host = std::getenv("DOCKER_HOST")) spec.environment["DOCKER_HOST"] = host;
        auto outcome = run(io_, process::run(std::move(spec), {.timeout = 240s}), 250s);
        if (!may_fail) {
            EXPECT_TRUE(outcome && outcome->ok())
                << (outcome ? outcome->describe() + "\n" + outcome->output + outcome->errors : outcome.error().message);
        }
        return outcome ? outcome->output : "";
    }
    std::string make_base() {
        const auto tar = directory_ / "base.tar";
        process::Spec spec;
        spec.argv = {std::string(CODEGEN_SOURCE_DIR) + "/images/worker-base/build.sh", "bookworm", tar.string(),
                     "python3,nodejs"};
        spec.environment = process::minimal_environment();
        auto made = run(io_, process::run(std::move(spec), {.timeout = 300s}), 310s);
        EXPECT_TRUE(made && made->ok()) << (made ? made->describe() + made->output : made.error().message);
        images_.push_back("codegen-template-base-" + suffix_);
        docker({"import", tar.string(), images_.back()});
        return images_.back();
    }
    const std::string suffix_ = random_token(4);
    std::vector<std::string> images_;
    std::vector<std::string> containers_;
};

TEST_F(StandardTemplateImages, are_built_without_a_network_and_are_healthy) {
    const auto id = make_project({{"modules", {"backend", "telegram", "frontend"}}});
    const auto made = make(id);
    ASSERT_TRUE(made) << made.error().message;
    const auto clone = directory_ / "clone";
    command({"git", "clone", "--quiet", repository(id).string(), clone.string()});
    const auto base = make_base();
    for (const std::string module : {"backend", "telegram", "frontend"}) {
        SCOPED_TRACE(module);
        const auto name = "codegen-template-" + module + "-" + suffix_;
        images_.insert(images_.begin(), name);
        docker({"build", "--quiet", "--network", "none", "--build-arg", "BASE_IMAGE=" + base, "--tag", name,
                (clone / module).string()});
        containers_.push_back(name);
        docker({"run", "--detach", "--name", name, "--network", "none", "--read-only", "--cap-drop", "ALL",
                "--health-interval", "1s", "--env", "TELEGRAM_BOT_TOKEN=123:test", name});
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        std::string status;
        while (status != "healthy\n" && std::chrono::steady_clock::now() < deadline) {
            status = docker({"inspect", "--format", "{{.State.Health.Status}}", name});
            run(io_, async::sleep_for(100ms));
        }
        EXPECT_EQ(status, "healthy\n") << docker({"logs", name});
        const auto asked = std::chrono::steady_clock::now();
        docker({"stop", "--time", "20", name});
        EXPECT_LT(std::chrono::steady_clock::now() - asked, 15s) << "it ends when it is asked to";
    }
}

}  // namespace
}  // namespace codegen::scaffolder::testing

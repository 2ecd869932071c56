// The operator's commands on a database, with a real API beside them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "apps/orchestratord/components.hpp"
#include "apps/orchestratord/maintenance.hpp"
#include "services/api/service.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/test_store.hpp"

namespace codegen::orchestratord {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MaintenanceTest : public ::testing::Test {
  protected:
    MaintenanceTest() { std::filesystem::create_directory(state_); }

    Configuration configured(std::map<std::string, std::string> flags = {}) const {
        flags.try_emplace("CODEGEN_STATE_DIR", state_.string());
        flags.try_emplace("DATABASE_URL", store_.url());
        return Configuration::load(flags, nothing, std::nullopt).value();
    }
    static std::optional<std::string> nothing(std::string_view) { return std::nullopt; }

    // An API on the store, and one request to it by its service.
    http::Response ask(std::string method, std::string target, std::string body = {}) {
        auto database = store_.open();
        api::Options options;
        options.state_directory = state_;
        api::Service service(*database, options);
        auto ready = testing::run(io_, service.bootstrap());
        if (!ready) throw std::runtime_error(ready.error().message);
        http::Request request{
            .method = std::move(method), .target = std::move(target), .headers = {}, .body = std::move(body)};
        request.headers.set("Authorization", "Bearer " + posix::read_file(state_ / "service.token", 1000).value());
        return testing::run(io_, service.handler()(std::move(request), http::Peer{})).head;
    }

    asio::io_context io_;
    testing::TempDirectory directory_;
    const std::filesystem::path state_ = directory_ / "state";
    testing::TestStore store_{io_};
};

TEST_F(MaintenanceTest, ABackupBringsEverythingBackAndItsSecretsStayEncrypted) {
    ASSERT_EQ(
        ask("POST", "/api/api-keys", R"({"service": "github", "value": "very-private", "type": "system"})").status,
        201u);
    ASSERT_EQ(ask("POST", "/api/projects", R"({"name": "shop"})").status, 201u);
    const auto file = directory_ / "backup";
    auto taken = back_up(configured(), nothing, file);
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_THAT(posix::read_file(file, 64u << 20).value(), Not(HasSubstr("very-private")));
    EXPECT_FALSE(back_up(configured(), nothing, file));

    ASSERT_EQ(ask("POST", "/api/projects", R"({"name": "later"})").status, 201u);
    const auto refused = put_back(configured(), nothing, file, false);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("restore: "));
    EXPECT_THAT(refused.error().message, HasSubstr("--force"));
    EXPECT_THAT(ask("GET", "/api/projects").body, HasSubstr("later"));
    const auto restored = put_back(configured(), nothing, file, true);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_THAT(ask("GET", "/api/projects").body, HasSubstr("shop"));
    EXPECT_THAT(ask("GET", "/api/projects").body, Not(HasSubstr("later")));
    EXPECT_THAT(ask("GET", "/api/api-keys/github").body, HasSubstr("very-private"));

    // Into another, empty installation, with the key that goes with it.
    testing::TestStore other(io_);
    const auto moved = put_back(configured({{"DATABASE_URL", other.url()}}), nothing, file, false);
    ASSERT_TRUE(moved) << moved.error().message;
}

TEST_F(MaintenanceTest, ABackupOfAllRolesComesBack) {
    auto database = store_.open();
    for (const auto role : role_names()) {
        const auto made = testing::run(io_, migrate(database.get(), role));
        ASSERT_TRUE(made) << made.error().message;
    }
    EXPECT_EQ(testing::run(io_, storage::schema_versions(database.get())).value(), known_versions());
    database.reset();
    const auto file = directory_ / "backup";
    ASSERT_TRUE(back_up(configured(), nothing, file));

    testing::TestStore other(io_);
    const auto moved = put_back(configured({{"DATABASE_URL", other.url()}}), nothing, file, false);
    ASSERT_TRUE(moved) << moved.error().message;
    EXPECT_EQ(testing::run(io_, storage::schema_versions(other.open().get())).value(), known_versions());
}

TEST_F(MaintenanceTest, ABackupOfANewerProgramIsRefused) {
    ASSERT_EQ(ask("GET", "/api/projects").status, 200u);
    {
        auto database = store_.open();
        ASSERT_TRUE(testing::run(io_, database->query("INSERT INTO schema_migrations (component, version, name, "
                                                      "applied_at) VALUES ('workflow', 1000, 'later', 0)")));
    }
    const auto file = directory_ / "backup";
    ASSERT_TRUE(back_up(configured(), nothing, file));
    const auto refused = put_back(configured(), nothing, file, true);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("workflow has version 1000"));
}

TEST_F(MaintenanceTest, RotationChangesTheKeyAndTheApiGoesOn) {
    const auto early = rotate_secrets(configured(), nothing, {});
    ASSERT_FALSE(early);
    EXPECT_THAT(early.error().message, HasSubstr("start the api once"));
    ASSERT_EQ(
        ask("POST", "/api/api-keys", R"({"service": "github", "value": "very-private", "type": "system"})").status,
        201u);
    const auto before = posix::read_file(state_ / "secrets.key", 1000).value();
    const auto rotated = rotate_secrets(configured(), nothing, {});
    ASSERT_TRUE(rotated) << rotated.error().message;
    EXPECT_NE(posix::read_file(state_ / "secrets.key", 1000).value(), before);
    EXPECT_THAT(ask("GET", "/api/api-keys/github").body, HasSubstr("very-private"));
    const auto theirs = rotate_secrets(configured({{"SECRETS_KEY", before}}), nothing, {});
    ASSERT_FALSE(theirs);
    EXPECT_THAT(theirs.error().message, HasSubstr("--new-key-file"));
}

}  // namespace
}  // namespace codegen::orchestratord

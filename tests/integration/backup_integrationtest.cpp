// What all roles have written, in a backup and back again: a component that `restore` does not know would be refused.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "shared/storage/backup.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/test_store.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

class BackupOfAnInstallation : public ::testing::TestWithParam<bool> {
  protected:
    storage::SchemaVersions versions() { return run(io_, storage::schema_versions(store_.open().get())).value(); }
    CommandResult orchestratord(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), CODEGEN_BIN_DIR "/orchestratord");
        arguments.insert(arguments.end(), {"--state-dir", plane_.state().string(), "--database", store_.url()});
        return plane_.run(std::move(arguments));
    }

    asio::io_context io_;
    TestStore store_{io_, GetParam()};
    ControlPlane plane_{{.runtime = "sandbox", .environment = {{"DATABASE_URL", store_.url()}}}};
};

TEST_P(BackupOfAnInstallation, ComesBack) {
    const auto project = plane_.create_project("before");
    const auto task = plane_.wait_for_end(plane_.start_task(project, "cat > spec.txt; " + kCommitAndReport));
    ASSERT_EQ(task.at("status").as_string(), "completed") << boost::json::serialize(task) << plane_.log();
    const auto file = (plane_.state() / "backup").string();
    const auto taken = orchestratord({"backup", file});
    ASSERT_EQ(taken.exit_code, 0) << taken.errors;
    const auto before = versions();
    plane_.create_project("after");
    plane_.stop();
    const auto restored = orchestratord({"restore", "--force", file});
    ASSERT_EQ(restored.exit_code, 0) << restored.errors;
    EXPECT_EQ(versions(), before);
    plane_.start();
    const auto projects = plane_.api("/api/projects").as_array();
    ASSERT_EQ(projects.size(), 1u) << boost::json::serialize(projects);
    EXPECT_EQ(projects.at(0).at("id").as_string(), project);
}

INSTANTIATE_TEST_SUITE_P(Stores, BackupOfAnInstallation, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "postgres" : "sqlite"; });

}  // namespace
}  // namespace codegen::testing

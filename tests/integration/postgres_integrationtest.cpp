// Every role's tables in one PostgreSQL, and a server that goes away while work is under way.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>

#include "shared/testing/temp_postgres.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
using namespace std::chrono_literals;

class OnPostgres : public ::testing::Test {
  protected:
    boost::asio::io_context io_;
    TempPostgres postgres_{io_};
    ControlPlane plane_{{.runtime = "sandbox", .environment = {{"DATABASE_URL", postgres_.url()}}}};
};

TEST_F(OnPostgres, ATaskGoesInAndAVerifiedCommitComesOut) {
    const auto project = plane_.create_project("p");
    const auto record = plane_.wait_for_end(plane_.start_task(project, "cat > spec.txt; " + kCommitAndReport));
    EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record) << plane_.log();
    EXPECT_FALSE(std::filesystem::exists(plane_.state() / "codegen.db"));
}

TEST_F(OnPostgres, AServerThatIsAwayForAWhileCostsNoTask) {
    const auto project = plane_.create_project("p");
    const auto task = plane_.start_task(project, "cat > spec.txt; " + kWaitForGo + kCommitAndReport);
    const auto workspace = plane_.worker_directory(plane_.wait_for_worker(task)) / "workspace";
    postgres_.kill();
    std::ofstream(workspace / "go").close();  // the agent ends meanwhile
    postgres_.restart();
    const auto record = plane_.wait_for_end(task);
    EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record) << plane_.log();
}

}  // namespace
}  // namespace codegen::testing

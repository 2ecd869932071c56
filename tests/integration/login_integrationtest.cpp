// auth_mode host_session: a login of the operator's in an agent's hands, one worker at a time.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "shared/posix/file.hpp"
#include "shared/testing/temp_directory.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;

class Login : public OnEachRuntime {
  protected:
    Login() {
        fs::create_directory(login_);
        // An agent's uid passes by.
        fs::permissions(directory_.path(), fs::perms::others_exec, fs::perm_options::add);
        std::ofstream(login_ / "token") << "first\n";
        // An ordinary user's login is his own already; nobody gives it to his agent.
        fs::permissions(login_, fs::perms::all);
    }
    ControlPlane::Options options() const {
        return {.runtime = runtime(), .environment = {{"HOST_SESSIONS", "custom=" + login_.string()}}};
    }
    static std::string shown(ControlPlane& plane, const std::string& project, const std::string& task,
                             const std::string& file) {
        const std::string commit(plane.task(task).at("result").at("commit_sha").as_string());
        return plane
            .run({"git", "-C", (plane.state() / "repositories" / (project + ".git")).string(), "show",
                  commit + ":" + file})
            .output;
    }
    TempDirectory directory_;
    const fs::path login_ = directory_ / "login";
};

TEST_P(Login, IsRenewedInPlaceByOneWorkerAtATime) {
    ControlPlane plane(options());
    const auto project = plane.create_project("p");
    const std::string agent =
        "cd ~/.login && mkdir held && cp token /workspace/token && sleep 0.2 && echo \"renewed by $TASK_ID\" > "
        "token.new "
        "&& mv token.new token && rmdir held && cd /workspace && " +
        kCommitAndReport;
    const auto one = plane.start_task(project, agent, "do it", {"--host-session"});
    const auto two = plane.start_task(project, agent, "do it", {"--host-session"});
    for (const auto& task : {one, two}) {
        const auto record = plane.wait_for_end(task);
        EXPECT_EQ(record.at("status"), "completed") << boost::json::serialize(record);
    }
    const auto first = shown(plane, project, one, "token") == "first\n" ? one : two;
    const auto second = first == one ? two : one;
    EXPECT_EQ(shown(plane, project, first, "token"), "first\n");
    EXPECT_EQ(shown(plane, project, second, "token"), "renewed by " + first + "\n");
    EXPECT_EQ(posix::read_file(login_ / "token", 1000).value(), "renewed by " + second + "\n");
    // Who did not ask for it does not see it.
    const auto other = plane.start_task(project, "cat > it; ls -A ~/.login > seen 2>&1; " + kCommitAndReport);
    EXPECT_EQ(plane.wait_for_end(other).at("status"), "completed");
    EXPECT_EQ(shown(plane, project, other, "seen").find("token"), std::string::npos);
}

TEST_P(Login, StaysItsWorkersOverARestartOfTheManager) {
    ControlPlane plane(options());
    const auto project = plane.create_project("p");
    const auto one = plane.start_task(project,
                                      "mkdir ~/.login/held; touch runs; " + kWaitForGo +
                                          "rm runs; rmdir ~/.login/held; touch one; " + kCommitAndReport,
                                      "do it", {"--host-session"});
    const auto workspace = plane.worker_directory(plane.wait_for_worker(one)) / "workspace";
    eventually("the agent runs", [&] { return fs::exists(workspace / "runs"); });
    plane.kill_hard();
    plane.start();
    const auto two = plane.start_task(project, "mkdir ~/.login/held && touch two && " + kCommitAndReport, "do it",
                                      {"--host-session"});
    eventually("the second one waits",
               [&] { return plane.redis({"HGET", "worker:status:dev-" + two + "-1", "status"}).text == "STARTING"; });
    std::ofstream(workspace / "go").close();
    EXPECT_EQ(plane.wait_for_end(one).at("status"), "completed");
    EXPECT_EQ(plane.wait_for_end(two).at("status"), "completed");
}

TEST_P(Login, IsRefusedUnlessTheOperatorNamedIt) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = plane.start_task(plane.create_project("p"), "true", "do it", {"--host-session"});
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(record.at("status"), "failed");
    EXPECT_NE(std::string(record.at("error_message").as_string()).find("HOST_SESSIONS=custom=DIRECTORY"),
              std::string::npos)
        << boost::json::serialize(record);
}

CODEGEN_ON_EACH_RUNTIME_AS_ANYBODY(Login);

}  // namespace
}  // namespace codegen::testing

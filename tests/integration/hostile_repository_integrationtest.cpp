// Acceptance H: what an agent puts into its repository does nothing on the host, and cannot fill its disk.
#include <gtest/gtest.h>

#include <filesystem>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;

class HostileRepository : public OnEachRuntime {};

TEST_P(HostileRepository, HooksFiltersAndLinksDoNothingOnTheHost) {
    ControlPlane plane({.runtime = runtime()});
    // A name that only the host could make there: inside, /var/tmp is not the host's.
    const auto mark = fs::path("/var/tmp") / ("hostile-" + random_token(8));
    const auto payload = "touch " + mark.string();
    const auto task = plane.start_task(
        plane.create_project("p"),
        "git config core.fsmonitor '" + payload + "'; mkdir hooks; printf '#!/bin/sh\\n" + payload +
            "\\n' > hooks/post-checkout; chmod +x hooks/post-checkout; "
            "for h in pre-push reference-transaction post-receive update pre-receive post-update; do cp "
            "hooks/post-checkout .git/hooks/$h; cp hooks/post-checkout hooks/$h; done; "
            "ln -s /etc/passwd outside; ln -s ../../../../.. up; printf '* filter=evil\\n' > .gitattributes; "
            "printf '[core]\\n hooksPath = hooks\\n fsmonitor = " +
            payload +
            "\\n' > .gitconfig; echo x > x; git -c core.fsmonitor= add -A; git -c core.fsmonitor= commit -qm evil; "
            "git config filter.evil.clean '" +
            payload + "'; git config filter.evil.smudge '" + payload +
            "'; git config core.hooksPath hooks; git config uploadpack.packObjectsHook '" + payload +
            "'; git config remote.origin.uploadpack '" + payload +
            "'; orchestrator result --status success --summary done");
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);
    EXPECT_FALSE(fs::exists(mark)) << "the agent's configuration ran on the host";
    fs::remove(mark);
}

TEST_P(HostileRepository, LargeFilesAreRejectedWithTheFigureAndTheLimit) {
    ControlPlane plane({.runtime = runtime()});
    for (const char* source : {"/dev/zero", "/dev/urandom"}) {
        SCOPED_TRACE(source);
        const auto task = plane.start_task(
            plane.create_project("p"), "head -c 200M " + std::string(source) +
                                           " > large; git -c core.bigFileThreshold=1m add large; " + kCommitAndReport);
        const auto record = plane.wait_for_end(task, std::chrono::seconds(150));
        EXPECT_EQ(plane.reason(record), "commit_rejected") << boost::json::serialize(record);
        const std::string message = record.at("error_message").as_string().c_str();
        EXPECT_TRUE(message.contains("limit")) << message;
        EXPECT_NE(message.find_first_of("0123456789"), std::string::npos) << message;
    }
    for (const auto& repository : fs::directory_iterator(plane.state() / "repositories"))
        EXPECT_EQ(plane.run({"git", "-C", repository.path().string(), "for-each-ref", "refs/heads/task"}).output, "");
}

CODEGEN_ON_EACH_RUNTIME_AS_ANYBODY(HostileRepository);

}  // namespace
}  // namespace codegen::testing

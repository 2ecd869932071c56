// A completed task of a project on GitHub opens one pull request, whatever GitHub does meanwhile.
#include <gmock/gmock.h>

#include "services/workflow/workflow_fixture.hpp"
#include "shared/testing/github/client_options.hpp"

namespace codegen::workflow::testing {
namespace {

using ::testing::HasSubstr;

class PullRequestWorkflow : public WorkflowTest {
  protected:
    void SetUp() override {
        hub_.add_repository("shop");
        options_.github = std::make_shared<clients::GitHubClient>(
            clients::GitHubClient::make(io_.get_executor(), codegen::testing::client_options(hub_)).value());
        options_.policy.pull_requests = true;
        WorkflowTest::SetUp();
    }
    std::string start_task(const std::string& spec) {
        const auto id = make_task({{"agent", "custom"}, {"agent_command", "true"}}, spec);
        call("PATCH", "/api/projects/" + project_, {{"repository_url", hub_.web_url() + "/acme/shop"}});
        enqueue(id);
        return id;
    }
    // The manager's and the worker's side, with the work pushed.
    void do_work(const std::string& id) {
        const auto create = accept_create();
        develop(take_input(worker_of(create)));
        hub_.commit("shop", "task/" + id, "a.txt", "a\n");
        accept_collect();
        accept_delete();
    }
    boost::json::object pull_request(const std::string& id) {
        boost::json::object found;
        EXPECT_TRUE(eventually([&] {
            const auto task = call("GET", "/api/tasks/" + id);
            const auto* result = task.at("result").if_object();
            if (result && result->contains("pull_request")) found = result->at("pull_request").as_object();
            return !found.empty();
        }));
        return found;
    }

    codegen::testing::FakeGitHub hub_;
};

TEST_F(PullRequestWorkflow, is_opened_into_the_default_branch) {
    hub_.name_default_branch("shop", "trunk");
    const auto id = start_task("Add a page with the opening hours\nand more");
    do_work(id);
    const auto done = wait_task(id, "completed");
    const auto made = pull_request(id);
    EXPECT_EQ(made.at("number"), 1);
    EXPECT_EQ(text(made, "url"), hub_.web_url() + "/acme/shop/pull/1");
    EXPECT_EQ(call("GET", "/api/tasks/" + id).at("result").at("commit_sha"), "c0ffee");
    for (const auto& request : hub_.requests()) {
        if (request.method != "POST" || request.target != "/repos/acme/shop/pulls") continue;
        const auto body = boost::json::parse(request.body).as_object();
        EXPECT_EQ(text(body, "title"), "Add a page with the opening hours");
        EXPECT_EQ(text(body, "head"), "task/" + id);
        EXPECT_EQ(text(body, "base"), "trunk");
        EXPECT_THAT(text(body, "body"), HasSubstr("c0ffee"));
    }
}

TEST_F(PullRequestWorkflow, is_one_though_github_fails_after_the_effect_and_the_role_restarts) {
    const auto id = start_task("x");
    hub_.fail({.method = "GET", .path = "/repos/acme/shop", .status = 503, .times = 2});
    hub_.fail({.method = "POST", .path = "/repos/acme/shop/pulls", .status = 502, .after_effect = true});
    do_work(id);
    wait_task(id, "completed");
    restart();
    EXPECT_EQ(pull_request(id).at("number"), 1);
    EXPECT_EQ(hub_.pull_requests("shop"), 1u);
}

TEST_F(PullRequestWorkflow, that_cannot_be_leaves_the_task_completed_and_says_why) {
    const auto id = start_task("x");
    hub_.fail({.method = "POST",
               .path = "/repos/acme/shop/pulls",
               .status = 403,
               .body = R"({"message": "Resource not accessible by integration"})"});
    do_work(id);
    wait_task(id, "completed");
    EXPECT_THAT(text(pull_request(id), "error"), HasSubstr("403 Resource not accessible by integration"));
    EXPECT_EQ(text(call("GET", "/api/tasks/" + id), "status"), "completed");
}

TEST_F(PullRequestWorkflow, is_not_for_what_failed_or_is_not_on_github) {
    const auto failed = start_task("x");
    const auto create = accept_create();
    develop(take_input(worker_of(create)), {{"status", "failed"}, {"verdict", nullptr}});
    accept_delete();
    wait_task(failed, "failed");
    const auto local = make_task();
    enqueue(local);
    const auto second = accept_create();
    develop(take_input(worker_of(second)));
    accept_collect();
    accept_delete();
    wait_task(local, "completed");
    EXPECT_EQ(hub_.count("POST", "/repos/acme/shop/pulls"), 0u);
}

}  // namespace
}  // namespace codegen::workflow::testing

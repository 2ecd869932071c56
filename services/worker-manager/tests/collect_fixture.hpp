// A manager with one project's repository: workers are given a clone of it, and their commits are collected.
#pragma once
#include "services/worker-manager/tests/service_fixture.hpp"

namespace codegen::worker_manager {

class CollectFixture : public ServiceFixture {
  protected:
    void SetUp() override {
        ServiceFixture::SetUp();
        repository_ = state() / "repositories" / "demo.git";
        shell("git init -q --bare -b main '" + repository_.string() +
              "' && git init -q -b main seed && cd seed && echo hello > README && git add . && " + identity() +
              " git commit -qm first && git push -q '" + repository_.string() + "' main");
        start();
    }
    static std::string identity() {
        return "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b";
    }
    std::string shell(const std::string& script) {
        process::Spec spec;
        spec.argv = {"bash", "-ec",
                     "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory "
                     "GIT_CONFIG_VALUE_0='*'; cd '" +
                         state().string() + "'; " + script};
        spec.environment = process::minimal_environment();
        auto outcome = run(process::run(std::move(spec)));
        EXPECT_TRUE(outcome && outcome->ok())
            << script << ": " << (outcome ? outcome->describe() + outcome->errors : outcome.error().message);
        auto text = outcome ? outcome->output : "";
        if (text.ends_with('\n')) text.pop_back();
        return text;
    }
    void create_with_workspace() {
        auto message = create_message("dev-1", "c-1");
        message["workspace"] = {{"repo_url", repository_.string()}, {"branch", "task/t1"}};
        auto response = ask(message);
        ASSERT_EQ(response["success"], true) << boost::json::serialize(response);
        base_ = runtime_->specs.at("dev-1").config.base_sha.value();
    }
    // What the wrapper does at the end: a bundle of base..HEAD and the result beside it. As ourselves: a test's tree.
    void finish(const std::string& work) {
        create_with_workspace();
        shell("cd workers/dev-1/workspace && " + work);
        const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
        if (head != base_)
            shell("git -C workers/dev-1/workspace bundle create -q '" + (worker_state() / "work.bundle").string() +
                  "' " + base_ + "..HEAD");
        write_result(head, head == base_ ? std::nullopt : std::optional<std::string>("work.bundle"));
    }
    void write_result(std::optional<std::string> head, std::optional<std::string> bundle,
                      std::optional<std::string> bundle_error = {}) {
        contracts::ResultFile file;
        file.output.request_id = "r-1";
        file.output.task_id = "t1";
        file.output.status = contracts::ResultStatus::success;
        file.head_sha = std::move(head);
        file.bundle = std::move(bundle);
        file.bundle_error = std::move(bundle_error);
        ASSERT_TRUE(posix::write_file_atomically(worker_state() / "result-r-1.json", json::write(file), 0600));
    }
    boost::json::object collect(std::optional<std::string> claimed = {}, const std::string& branch = "task/t1") {
        boost::json::object message{{"command", "collect"},
                                    {"request_id", "collect-" + std::to_string(++collects_)},
                                    {"worker_id", "dev-1"},
                                    {"branch", branch}};
        if (claimed) message["claimed_sha"] = *claimed;
        return ask(message);
    }
    bool has_branch() { return !shell("git -C '" + repository_.string() + "' for-each-ref refs/heads/task").empty(); }
    std::filesystem::path worker_state() const { return state() / "workers/dev-1/state"; }
    std::string commit(const std::string& message = "work") {
        return identity() + " git -c core.hooksPath=/dev/null commit -qm '" + message + "'";
    }

    std::filesystem::path repository_;
    std::string base_;
    int collects_ = 0;
};

}  // namespace codegen::worker_manager

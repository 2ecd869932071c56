// What becomes of a project, whatever happens on the way.
#include "services/scaffolder/scaffolder_fixture.hpp"

namespace codegen::scaffolder::testing {
namespace {

TEST_F(ScaffolderTest, a_project_has_one_commit_of_its_template) {
    const auto id = make_project({{"modules", {"backend", "frontend"}}});
    const auto made = make(id);
    ASSERT_TRUE(made) << made.error().message;
    const auto path = repository(id);
    EXPECT_EQ(made->repository_url, path.string());
    const auto after = project(id);
    EXPECT_EQ(after.at("status"), "scaffolded");
    EXPECT_EQ(after.at("repository_url"), boost::json::string(path.string()));

    EXPECT_EQ(git(path, {"log", "--all", "--format=%an <%ae> %s"}),
              "Codegen Orchestrator <orchestrator@codegen.invalid> Begin with template standard\n");
    EXPECT_EQ(git(path, {"symbolic-ref", "HEAD"}), "refs/heads/main\n");
    git(path, {"fsck", "--strict"});
    const auto files = git(path, {"ls-tree", "-r", "--name-only", "main"});
    EXPECT_EQ(std::ranges::count(files, '\n'), made->files);
    EXPECT_THAT(files, HasSubstr("backend/app/server.py"));
    EXPECT_THAT(files, HasSubstr("frontend/src/index.html"));
    EXPECT_THAT(files, Not(HasSubstr("telegram/")));
    EXPECT_THAT(git(path, {"show", "main:.project.yml"}), HasSubstr(id));
    EXPECT_THAT(git(path, {"show", "main:README.md"}), HasSubstr("# My Shop\n\nsells\n"));

    const auto before = git(path, {"rev-parse", "main"});
    const auto again = make(id);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->files, made->files);
    EXPECT_EQ(git(path, {"rev-parse", "main"}), before);
}

// Each step is the last one of a process; the next one ends where it would have ended.
TEST_F(ScaffolderTest, a_death_between_any_two_steps_changes_nothing) {
    for (const std::string last : {"ensured", "begun", "fetched", "applied", "committed", "pushed", "finished"}) {
        SCOPED_TRACE(last);
        const auto id = make_project();
        const auto child = ::fork();
        if (child == 0) {
            asio::io_context own;
            auto api = client(own);
            auto options = options_;
            options.after_step = [&](std::string_view step) {
                if (step == last) ::_exit(9);
            };
            Scaffolder scaffolder(api, *host_, options);
            const auto made = run(own, scaffolder.make(id, silence()));
            ::_exit(made ? 0 : 1);
        }
        int status = 0;
        while (::waitpid(child, &status, WNOHANG) == 0) run(io_, async::sleep_for(5ms));
        ASSERT_TRUE(WIFEXITED(status));
        ASSERT_EQ(WEXITSTATUS(status), 9);
        const auto left = !fs::exists(options_.work) || fs::is_empty(options_.work) ? 0u : 1u;
        EXPECT_EQ(remove_abandoned(options_.work), left);

        const auto made = make(id);
        ASSERT_TRUE(made) << made.error().message;
        EXPECT_GT(made->files, 10);
        EXPECT_EQ(project(id).at("status"), "scaffolded");
        EXPECT_EQ(git(repository(id), {"rev-list", "--count", "--all"}), "1\n");
        for (const auto& entry : fs::directory_iterator(directory_ / "repositories"))
            EXPECT_EQ(entry.path().extension(), ".git") << entry.path();
    }
}

// Two at once make the same commit; whoever comes second finds it.
TEST_F(ScaffolderTest, two_at_once_end_alike) {
    const auto id = make_project();
    LocalHost other(directory_ / "repositories");
    Scaffolder one(*client_, *host_, options_);
    Scaffolder two(*client_, other, options_);
    std::vector<Result<Made>> made;
    const auto into = [](Task<Result<Made>> task, std::vector<Result<Made>>* out) -> Task<void> {
        auto result = co_await std::move(task);
        out->push_back(std::move(result));
    };
    run(io_, async::both(into(one.make(id, silence()), &made), into(two.make(id, silence()), &made)));
    ASSERT_EQ(made.size(), 2u);
    for (const auto& each : made) EXPECT_TRUE(each && each->files > 10) << each.error().message;
    EXPECT_EQ(git(repository(id), {"rev-list", "--count", "--all"}), "1\n");
}

TEST_F(ScaffolderTest, a_repository_with_code_is_left_alone) {
    const auto theirs = directory_ / "theirs";
    write(theirs / "code.txt", "mine");
    git_commit(theirs);
    const auto head = git(theirs, {"rev-parse", "main"});

    // Named by the project: it is used as it is.
    const auto named = make_project({{"repository_url", theirs.string()}});
    const auto made = make(named);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(made->left_alone);
    EXPECT_EQ(made->files, 0);
    EXPECT_EQ(project(named).at("status"), "scaffolded");

    // In the place that the project would have: nobody said that it is meant.
    const auto in_the_way = make_project();
    fs::create_directory(directory_ / "repositories");
    git(theirs, {"clone", "--quiet", "--bare", theirs.string(), repository(in_the_way).string()});
    EXPECT_THAT(failure(in_the_way), HasSubstr("is there and not empty: it is left alone"));
    EXPECT_EQ(git(repository(in_the_way), {"rev-parse", "main"}), head);
    EXPECT_FALSE(project(in_the_way).contains("repository_url"));

    // The workflow's, which the project names.
    call("PATCH", "/api/projects/" + in_the_way, {{"repository_url", repository(in_the_way).string()}});
    const auto known = make(in_the_way);
    ASSERT_TRUE(known) << known.error().message;
    EXPECT_TRUE(known->left_alone);
    EXPECT_EQ(git(repository(in_the_way), {"rev-parse", "main"}), head);
}

TEST_F(ScaffolderTest, an_empty_repository_is_filled) {
    const auto id = make_project();
    command({"git", "init", "--quiet", "--bare", repository(id).string()});
    ASSERT_TRUE(make(id));
    EXPECT_EQ(git(repository(id), {"rev-list", "--count", "main"}), "1\n");
}

TEST_F(ScaffolderTest, a_push_that_is_rejected_is_told) {
    const auto id = make_project();
    command({"git", "init", "--quiet", "--bare", repository(id).string()});
    git(repository(id), {"config", "transfer.hideRefs", "refs/heads/main"});
    const auto made = make(id);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, "rejected");
    EXPECT_THAT(made.error().message, HasSubstr("push to " + repository(id).string()));
}

TEST_F(ScaffolderTest, a_missing_copier_says_how_to_install_it) {
    const auto id = make_project();
    options_.copier = {"/nonexistent/copier"};
    EXPECT_THAT(failure(id), HasSubstr("tools/copier.sh"));
    options_.copier = {"/usr/bin/python3", "-m", "copier"};  // Debian's has none
    EXPECT_THAT(failure(id), HasSubstr("tools/copier.sh"));
}

TEST_F(ScaffolderTest, a_failing_copier_is_told_with_its_last_line) {
    copier_is("echo first >&2; echo 'the disk is full' >&2; exit 3");
    EXPECT_THAT(failure(make_project()), HasSubstr("copier: exit 3: the disk is full"));
}

TEST_F(ScaffolderTest, a_hanging_copier_is_stopped_with_all_that_it_started) {
    const auto pids = directory_ / "pids";
    copier_is("echo $$ >>" + pids.string() + "; (setsid bash -c 'echo $$ >>" + pids.string() +
              "; exec sleep 600') & sleep 600");
    options_.timeout = 1s;
    EXPECT_THAT(failure(make_project()), HasSubstr("did not end within 1 s"));
    std::ifstream file(pids);
    int count = 0;
    for (int pid = 0; file >> pid; ++count) {
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (process::start_time(pid) && std::chrono::steady_clock::now() < deadline) run(io_, async::sleep_for(5ms));
        EXPECT_FALSE(process::start_time(pid)) << pid << " lives on";
    }
    EXPECT_EQ(count, 2);
}

TEST_F(ScaffolderTest, copier_sees_nothing_of_our_environment) {
    ::setenv("ANTHROPIC_API_KEY", "canary-key", 1);
    copier_is("env >&2; tr '\\0' '\\n' </proc/$PPID/cmdline >&2; echo done >&2; env | grep -c canary >&2; exit 1");
    EXPECT_THAT(failure(make_project()), HasSubstr("exit 1: 0"));
    ::unsetenv("ANTHROPIC_API_KEY");
}

TEST_F(ScaffolderTest, a_failure_is_written_down_and_forgotten_after_a_success) {
    const auto id = make_project();
    Scaffolder scaffolder(*client_, *host_, options_);
    ASSERT_TRUE(run(io_, scaffolder.give_up(id, "no disk")));
    EXPECT_EQ(project(id).at("status"), "failed");
    EXPECT_EQ(project(id).at("config").at("scaffolding_error"), "no disk");
    ASSERT_TRUE(make(id));
    EXPECT_EQ(project(id).at("status"), "scaffolded");
    EXPECT_FALSE(project(id).at("config").as_object().contains("scaffolding_error"));
    // Never again.
    ASSERT_TRUE(run(io_, scaffolder.give_up(id, "too late")));
    EXPECT_EQ(project(id).at("status"), "scaffolded");
}

}  // namespace
}  // namespace codegen::scaffolder::testing

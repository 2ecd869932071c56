// The same on a GitHub that checks signatures and serves git over HTTP.
#include "services/scaffolder/github_host.hpp"
#include "services/scaffolder/scaffolder_fixture.hpp"
#include "shared/testing/github/client_options.hpp"

namespace codegen::scaffolder::testing {
namespace {

class ScaffolderOnGitHub : public ScaffolderTest {
  protected:
    void SetUp() override {
        ScaffolderTest::SetUp();
        host_ = make_host();
    }
    std::unique_ptr<RepositoryHost> make_host() {
        return std::make_unique<GitHubHost>(
            clients::GitHubClient::make(io_.get_executor(), codegen::testing::client_options(hub_)).value());
    }
    std::string commits(const std::string& name) {
        return git(hub_.repository_path(name), {"-c", "safe.directory=*", "rev-list", "--count", "--all"});
    }
    codegen::testing::FakeGitHub hub_;
};

TEST_F(ScaffolderOnGitHub, a_repository_is_made_and_filled) {
    const auto id = make_project({{"modules", {"backend", "telegram"}}});
    const auto made = make(id);
    ASSERT_TRUE(made) << made.error().message;
    const auto after = project(id);
    EXPECT_EQ(after.at("status"), "scaffolded");
    EXPECT_EQ(after.at("repository_url"), boost::json::string(hub_.web_url() + "/acme/my-shop"));
    EXPECT_GT(after.at("github_repo_id").as_int64(), 0);
    EXPECT_THAT(hub_.file("my-shop", "main", ".project.yml").value_or(""), HasSubstr(id));
    EXPECT_TRUE(hub_.file("my-shop", "main", ".github/workflows/deploy.yml"));
    // Again, also by another process: nothing new.
    host_ = make_host();
    const auto again = make(id);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->files, made->files);
    EXPECT_EQ(commits("my-shop"), "1\n");
    // No token where it could be read later.
    for (const auto& token : hub_.tokens()) EXPECT_THAT(boost::json::serialize(project(id)), Not(HasSubstr(token)));
}

TEST_F(ScaffolderOnGitHub, a_lost_answer_to_the_creation_makes_no_second_repository) {
    hub_.fail({.method = "POST", .path = "/orgs/acme/repos", .status = 502, .after_effect = true});
    const auto id = make_project();
    auto made = make(id);
    if (!made) made = make(id);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(commits("my-shop"), "1\n");
}

TEST_F(ScaffolderOnGitHub, a_repository_of_others_is_left_alone) {
    hub_.add_repository("my-shop");
    const auto head = hub_.branch("my-shop", "main");
    EXPECT_THAT(failure(make_project()), HasSubstr("is there and not empty: it is left alone"));
    EXPECT_EQ(hub_.branch("my-shop", "main"), head);
    const auto named = make_project({{"repository_url", hub_.web_url() + "/acme/my-shop.git"}});
    const auto made = make(named);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(made->left_alone);
    EXPECT_EQ(hub_.branch("my-shop", "main"), head);
}

TEST_F(ScaffolderOnGitHub, a_project_may_name_its_repository) {
    const auto id = make_project({{"config", {{"repository_name", "the-shop"}}}});
    ASSERT_TRUE(make(id));
    EXPECT_TRUE(hub_.has_repository("the-shop"));
}

TEST_F(ScaffolderOnGitHub, a_push_that_is_rejected_is_told) {
    hub_.add_repository("my-shop", true);
    hub_.refuse_pushes("my-shop", "main is protected");
    const auto made = make(make_project());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, "rejected");
    hub_.refuse_pushes("my-shop", "");
}

TEST_F(ScaffolderOnGitHub, what_may_pass_is_for_a_repetition) {
    const auto id = make_project();
    hub_.fail({.method = "POST", .path = "/orgs/acme/repos", .status = 500, .times = 2});
    auto made = make(id);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().category, ErrorCategory::transient);

    hub_.add_repository("my-shop", true);
    hub_.fail({.path = "/acme/my-shop.git", .status = 503});
    made = make(id);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().category, ErrorCategory::transient) << made.error().message;

    hub_.expire_tokens();
    made = make(id);
    if (!made) {
        EXPECT_EQ(made.error().category, ErrorCategory::transient) << made.error().message;
        made = make(id);
    }
    ASSERT_TRUE(made) << made.error().message;

    hub_.fail({.path = "/repos/acme/my-shop",
               .status = 403,
               .body = R"({"message": "You have exceeded a secondary rate limit."})",
               .headers = {{"Retry-After", "60"}}});
    const auto limited = make(id);
    ASSERT_FALSE(limited);
    EXPECT_EQ(limited.error().category, ErrorCategory::upstream) << limited.error().message;
}

TEST_F(ScaffolderOnGitHub, refused_credentials_stop_the_role) {
    hub_.fail({.status = 401, .body = R"({"message": "A JSON web token could not be decoded"})", .times = 5});
    const auto made = make(make_project());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().category, ErrorCategory::fatal) << made.error().message;
}

}  // namespace
}  // namespace codegen::scaffolder::testing

// Signing in, repositories and git, against a server that checks all of it.
#include <fstream>

#include "shared/async/scope.hpp"
#include "shared/clients/github/github_fixture.hpp"
#include "shared/metrics/metrics.hpp"

namespace codegen::clients {
namespace {

using testing::FakeGitHub;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class GitHubTest : public GitHubFixture {};

TEST_F(GitHubTest, ASettingThatIsMissingOrWrongIsNamed) {
    const auto error_of = [&](auto change) {
        auto o = options();
        change(o);
        const auto made = GitHubClient::make(io_.get_executor(), o);
        EXPECT_FALSE(made);
        EXPECT_EQ(made.error().category, ErrorCategory::fatal);
        EXPECT_THAT(made.error().message, Not(HasSubstr("PRIVATE KEY-----\nMII")));
        return made.error().message;
    };
    EXPECT_THAT(error_of([](auto& o) { o.organization.clear(); }), HasSubstr("GITHUB_ORG is not set"));
    EXPECT_THAT(error_of([](auto& o) { o.organization = "acme/x"; }), HasSubstr("GITHUB_ORG is \"acme/x\""));
    EXPECT_THAT(error_of([](auto& o) { o.app_id.clear(); }), HasSubstr("GITHUB_APP_ID is not set"));
    EXPECT_THAT(error_of([](auto& o) { o.private_key.clear(); }), HasSubstr("GITHUB_APP_PRIVATE_KEY_FILE"));
    EXPECT_THAT(error_of([](auto& o) { o.private_key = "nonsense"; }), HasSubstr("GITHUB_APP_PRIVATE_KEY holds no"));
    EXPECT_THAT(error_of([](auto& o) { o.api_url = "ftp://x"; }), HasSubstr("GITHUB_API_URL"));
    EXPECT_THAT(error_of([](auto& o) {
                    o.api_url = "https://x";
                    o.environment = [](std::string_view) { return "socks5://x:1"; };
                }),
                HasSubstr("https_proxy: only http:// proxies"));
}

TEST_F(GitHubTest, AKeyOfAnotherAppIsRefusedWithWhereToLook) {
    const FakeGitHub other;
    auto o = options();
    o.private_key = other.private_key();
    auto github = GitHubClient::make(io_.get_executor(), o).value();
    const auto checked = run(github.check());
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().category, ErrorCategory::fatal);
    EXPECT_EQ(checked.error().code, "unauthorized");
    EXPECT_THAT(checked.error().message, HasSubstr("could not be verified"));
    EXPECT_THAT(checked.error().message, HasSubstr("GITHUB_APP_PRIVATE_KEY"));
}

TEST_F(GitHubTest, AnAppThatIsNotInstalledInTheOrganisationSaysSo) {
    auto o = options();
    o.organization = "elsewhere";
    auto github = GitHubClient::make(io_.get_executor(), o).value();
    const auto checked = run(github.check());
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().category, ErrorCategory::fatal);
    EXPECT_THAT(checked.error().message, HasSubstr("GITHUB_ORG is \"elsewhere\""));
    EXPECT_THAT(checked.error().message, HasSubstr("not installed"));
}

TEST_F(GitHubTest, RepositoriesAreMadeFoundListedAndRemoved) {
    auto github = client();
    ASSERT_TRUE(run(github.check()));
    auto made = run(github.create_repository({.name = "shop", .description = "A shop"}));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(made->created);
    EXPECT_EQ(made->repository.full_name, "acme/shop");
    EXPECT_TRUE(made->repository.private_);
    EXPECT_EQ(made->repository.description, "A shop");
    EXPECT_EQ(made->repository.clone_url, github.clone_url("shop"));
    EXPECT_EQ(github.repository_at(made->repository.html_url), "shop");

    auto again = run(github.create_repository({.name = "shop"}));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_FALSE(again->created);
    EXPECT_EQ(again->repository.id, made->repository.id);

    auto found = run(github.repository("shop"));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->id, made->repository.id);
    EXPECT_TRUE(run(github.delete_repository("shop")));
    EXPECT_FALSE(hub_.has_repository("shop"));
    EXPECT_TRUE(run(github.delete_repository("shop")));
    const auto gone = run(github.repository("shop"));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, "not_found");
    EXPECT_THAT(gone.error().message, HasSubstr("shop: GitHub: get repository: 404 Not Found"));
}

TEST_F(GitHubTest, AllPagesAreRead) {
    hub_.add_names(205);
    auto github = client();
    const auto all = run(github.repositories());
    ASSERT_TRUE(all) << all.error().message;
    ASSERT_EQ(all->size(), 205u);
    EXPECT_EQ(all->front().name, "r000");
    EXPECT_EQ(all->back().name, "r204");
    EXPECT_EQ(hub_.count("GET", "/orgs/acme/repos"), 3u);
}

TEST_F(GitHubTest, NamesThatCannotBeOneAreNotSent) {
    auto github = client();
    for (const auto* name : {"", "..", "a/b", "a?b", "x.git"}) {
        const auto found = run(github.repository(name));
        ASSERT_FALSE(found) << name;
        EXPECT_EQ(found.error().code, "invalid");
    }
    EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(GitHubTest, OneTokenServesManyRequestsAtOnce) {
    hub_.add_repository("shop", true);
    auto github = client();
    async::Scope scope(io_.get_executor());
    int found = 0;
    for (int i = 0; i < 20; ++i)
        scope.spawn("get", [](GitHubClient hub, int* count) -> Task<void> {
            auto repository = co_await hub.repository("shop");
            if (repository) ++*count;
        }(github, &found));
    run(scope.drain());
    EXPECT_EQ(found, 20);
    EXPECT_EQ(hub_.count("POST", "/app/installations/"), 1u);
    EXPECT_EQ(hub_.count("GET", "/orgs/acme/installation"), 1u);
}

TEST_F(GitHubTest, ATokenIsReplacedFiveMinutesBeforeItsEnd) {
    hub_.add_repository("shop", true);
    auto github = client();
    ASSERT_TRUE(run(github.repository("shop")));
    hub_.advance(54min);
    ASSERT_TRUE(run(github.repository("shop")));
    EXPECT_EQ(hub_.count("POST", "/app/installations/"), 1u);
    hub_.advance(2min);
    ASSERT_TRUE(run(github.repository("shop")));
    EXPECT_EQ(hub_.count("POST", "/app/installations/"), 2u);
}

TEST_F(GitHubTest, FaultTokenExpiringMidRunIsReplacedOnce) {
    hub_.add_repository("shop", true);
    auto github = client();
    ASSERT_TRUE(run(github.repository("shop")));
    hub_.expire_tokens();
    const auto found = run(github.repository("shop"));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(hub_.count("POST", "/app/installations/"), 2u);
}

TEST_F(GitHubTest, Fault401ThatStaysIsFatal) {
    auto github = client();
    hub_.fail({.path = "/repos/acme/shop", .status = 401, .body = R"({"message": "Bad credentials"})", .times = 2});
    const auto found = run(github.repository("shop"));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().category, ErrorCategory::fatal);
    EXPECT_EQ(found.error().code, "unauthorized");
    EXPECT_THAT(found.error().message, HasSubstr("401 Bad credentials"));
    EXPECT_EQ(hub_.count("GET", "/repos/acme/shop"), 2u);
}

TEST_F(GitHubTest, Fault403WithoutALimitIsAMissingPermission) {
    auto github = client();
    hub_.fail({.path = "/repos", .status = 403, .body = R"({"message": "Resource not accessible by integration"})"});
    const auto found = run(github.repository("shop"));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().category, ErrorCategory::permanent);
    EXPECT_EQ(found.error().code, "forbidden");
    EXPECT_THAT(found.error().message, HasSubstr("may lack a permission"));
}

TEST_F(GitHubTest, Fault403RateLimitIsSaidAtOnceAndHonoured) {
    hub_.add_repository("shop", true);
    auto github = client();
    hub_.use_requests(5000);
    const auto began = std::chrono::steady_clock::now();
    const auto refused = run(github.repository("shop"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, ErrorCategory::upstream);
    EXPECT_EQ(refused.error().code, "rate_limit_exceeded");
    EXPECT_GT(refused.error().retry_after, 50min);
    const auto sent = hub_.requests().size();
    EXPECT_FALSE(run(github.repository("shop")));
    EXPECT_EQ(hub_.requests().size(), sent) << "asked again although it was told to wait";
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    hub_.advance(61min);
    EXPECT_TRUE(run(github.repository("shop")));
    EXPECT_THAT(metrics::text(), HasSubstr(R"(codegen_github_rate_limited_total{by="budget"})"));
}

TEST_F(GitHubTest, OurBudgetEndsBeforeGitHubs) {
    hub_.add_repository("shop", true);
    auto github = client();
    hub_.use_requests(4498);
    ASSERT_TRUE(run(github.repository("shop")));
    hub_.add_repository("other", true);
    ASSERT_TRUE(run(github.repository("other")));
    const auto refused = run(github.repository("shop"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "rate_limit_exceeded");
    EXPECT_THAT(refused.error().message, HasSubstr("4500 of 5000"));
}

TEST_F(GitHubTest, CancelledRequestsGiveTheirPlaceInTheBudgetBack) {
    auto o = options();
    o.hourly_budget = 8;
    auto github = GitHubClient::make(io_.get_executor(), o).value();
    hub_.add_repository("shop");
    ASSERT_TRUE(run(github.repository("shop")));
    for (std::size_t i = 1; i <= 10; ++i) {
        hub_.fail({.path = "/repos/acme/other", .hangs = true});
        async::Scope scope(io_.get_executor());
        scope.spawn("cancelled", [](GitHubClient client) -> Task<void> {
            auto there = co_await client.repository("other");
            EXPECT_FALSE(there);
        }(github));
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (hub_.count("GET", "/repos/acme/other") < i && std::chrono::steady_clock::now() < deadline)
            run(async::sleep_for(5ms));
        run(scope.stop());
    }
    hub_.release();
    const auto there = run(github.repository("shop"));
    EXPECT_TRUE(there) << there.error().message;
}

TEST_F(GitHubTest, FaultSecondaryRateLimitIsHonouredForAsLongAsItSays) {
    hub_.add_repository("shop", true);
    auto github = client();
    hub_.fail({.path = "/repos",
               .status = 429,
               .body = R"({"message": "You have exceeded a secondary rate limit."})",
               .headers = {{"Retry-After", "30"}}});
    const auto refused = run(github.repository("shop"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().retry_after, 30s);
    EXPECT_FALSE(run(github.repository("shop")));
    EXPECT_EQ(hub_.count("GET", "/repos"), 1u);
    hub_.advance(31s);
    EXPECT_TRUE(run(github.repository("shop")));
}

TEST_F(GitHubTest, WhatHasNotChangedCostsNothing) {
    hub_.add_repository("shop", true);
    auto github = client();
    for (int i = 0; i < 5; ++i) {
        const auto found = run(github.repository("shop"));
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_EQ(found->name, "shop");
    }
    const auto requests = hub_.requests();
    EXPECT_EQ(std::ranges::count_if(requests, [](const auto& request) { return request.status == 304; }), 4);
}

TEST_F(GitHubTest, Fault404) {
    auto github = client();
    const auto found = run(github.repository("nowhere"));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, "not_found");
    EXPECT_EQ(found.error().category, ErrorCategory::permanent);
}

TEST_F(GitHubTest, Fault409) {
    auto github = client();
    hub_.fail({.method = "DELETE", .path = "/repos/acme/shop", .status = 409, .body = R"({"message": "Conflict"})"});
    const auto gone = run(github.delete_repository("shop"));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, "conflict");
    EXPECT_EQ(gone.error().category, ErrorCategory::permanent);
}

TEST_F(GitHubTest, Fault422NamesTheField) {
    auto github = client();
    hub_.fail({.method = "POST",
               .path = "/orgs/acme/repos",
               .status = 422,
               .body = R"({"message": "Repository creation failed.", "errors": [{"resource": "Repository",
                           "code": "custom", "field": "name", "message": "name is too odd"}]})"});
    const auto made = run(github.create_repository({.name = "shop"}));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, "invalid");
    EXPECT_THAT(made.error().message,
                HasSubstr("shop: GitHub: create repository: 422 Repository creation failed.; Repository name: name is "
                          "too odd"));
}

TEST_F(GitHubTest, Fault422BecauseSomebodyElseWasFasterIsNoError) {
    auto github = client();
    // Not there when we look first, there when we create.
    hub_.fail({.method = "GET", .path = "/repos/acme/shop", .status = 404, .body = R"({"message": "Not Found"})"});
    hub_.add_repository("shop");
    const auto made = run(github.create_repository({.name = "shop"}));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_FALSE(made->created);
}

TEST_F(GitHubTest, Fault500IsTransient) {
    auto github = client();
    hub_.fail({.method = "GET", .path = "/repos/acme/shop", .status = 502, .body = "<html>bad gateway"});
    const auto found = run(github.repository("shop"));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().category, ErrorCategory::transient);
    EXPECT_EQ(found.error().code, "unavailable");
    EXPECT_THAT(found.error().message, HasSubstr("502 <html>bad gateway"));
}

TEST_F(GitHubTest, FaultTimeoutAfterTheEffectOfCreatingARepository) {
    auto o = options();
    o.timeout = 500ms;
    auto github = GitHubClient::make(io_.get_executor(), o).value();
    ASSERT_TRUE(run(github.check()));
    hub_.fail({.method = "POST", .path = "/orgs/acme/repos", .after_effect = true, .hangs = true});
    auto made = run(github.create_repository({.name = "shop"}));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(made->created);
    EXPECT_EQ(hub_.count("POST", "/orgs/acme/repos"), 1u);
    hub_.fail({.method = "POST", .path = "/orgs/acme/repos", .after_effect = true, .cuts = true});
    made = run(github.create_repository({.name = "other"}));
    ASSERT_TRUE(made) << made.error().message;
    hub_.fail({.method = "POST", .path = "/orgs/acme/repos", .status = 500, .after_effect = true});
    made = run(github.create_repository({.name = "third"}));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(made->created);
}

TEST_F(GitHubTest, FaultTimeoutBeforeTheEffectIsReported) {
    auto o = options();
    o.timeout = 300ms;
    auto github = GitHubClient::make(io_.get_executor(), o).value();
    ASSERT_TRUE(run(github.check()));
    hub_.fail({.method = "POST", .path = "/orgs/acme/repos", .hangs = true});
    const auto made = run(github.create_repository({.name = "shop"}));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().category, ErrorCategory::transient);
    EXPECT_EQ(made.error().code, "timeout");
}

TEST_F(GitHubTest, WhenGitHubIsAwayItIsUnavailable) {
    auto o = options();
    o.api_url = "http://127.0.0.1:1";
    auto github = GitHubClient::make(io_.get_executor(), o).value();
    const auto checked = run(github.check());
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().category, ErrorCategory::transient);
    EXPECT_EQ(checked.error().code, "unavailable");
}

TEST(GitHubEnterpriseTest, ItsApiLiesBelowABase) {
    FakeGitHub hub({.enterprise = true});
    asio::io_context io;
    GitHubOptions o;
    o.api_url = hub.api_url();
    o.organization = "acme";
    o.app_id = hub.options().app_id;
    o.private_key = hub.private_key();
    o.environment = [](std::string_view) { return std::nullopt; };
    ASSERT_TRUE(o.api_url.ends_with("/api/v3"));
    auto github = GitHubClient::make(io.get_executor(), o).value();
    const auto made = testing::run(io, github.create_repository({.name = "shop"}));
    ASSERT_TRUE(made) << made.error().message;
    hub.add_names(100);
    const auto all = testing::run(io, github.repositories());
    ASSERT_TRUE(all) << all.error().message;
    EXPECT_EQ(all->size(), 101u);
    EXPECT_EQ(github.clone_url("shop"), hub.web_url() + "/acme/shop.git");
}

class GitOverHttpTest : public GitHubFixture {
  protected:
    std::string clone() const { return (directory_ / "clone").string(); }
    // A commit in the clone that writes `content` to `file`.
    void commit(const std::string& file, const std::string& content) {
        const auto path = directory_ / "clone" / file;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << content;
        ASSERT_TRUE(git({"-C", clone(), "add", "-A"}).ok());
        ASSERT_TRUE(git({"-C", clone(), "commit", "-q", "-m", "work"}).ok());
    }
    bool is_in_clone(const std::string& text) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path())) {
            if (!entry.is_regular_file()) continue;
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string all((std::istreambuf_iterator<char>(file)), {});
            if (all.contains(text)) return true;
        }
        return false;
    }
};

TEST_F(GitOverHttpTest, ClonesAndPushesWithATokenThatStaysNowhere) {
    hub_.add_repository("shop");
    auto github = client();
    const auto remote = run(github.git_remote("shop", github::GitRights::write));
    ASSERT_TRUE(remote) << remote.error().message;
    EXPECT_THAT(remote->url, Not(HasSubstr("@")));
    const auto cloned = git({"clone", "-q", remote->url, clone()}, &*remote);
    ASSERT_TRUE(cloned.ok()) << cloned.describe();
    commit("a.txt", "a\n");
    const auto pushed = git({"-C", clone(), "push", "-q", "origin", "HEAD:task/1"}, &*remote);
    ASSERT_TRUE(pushed.ok()) << pushed.describe();
    EXPECT_EQ(hub_.file("shop", "task/1", "a.txt"), "a\n");
    for (const auto& token : hub_.tokens()) EXPECT_FALSE(is_in_clone(token));
    // Without it there is no way.
    const auto refused = git({"-C", clone(), "push", "-q", "origin", "HEAD:task/2"});
    EXPECT_FALSE(refused.ok());
    EXPECT_FALSE(hub_.branch("shop", "task/2"));
}

TEST_F(GitOverHttpTest, TokensAreForOneRepositoryAndKeptPerRepositoryAndRight) {
    hub_.add_repository("shop");
    hub_.add_repository("other");
    auto github = client();
    const auto shop = run(github.git_remote("shop", github::GitRights::write));
    const auto again = run(github.git_remote("shop", github::GitRights::write));
    const auto read = run(github.git_remote("shop", github::GitRights::read));
    const auto other = run(github.git_remote("other", github::GitRights::write));
    ASSERT_TRUE(shop && again && read && other);
    EXPECT_EQ(shop->token, again->token);
    EXPECT_NE(shop->token, read->token);
    EXPECT_NE(shop->token, other->token);
    EXPECT_FALSE(git({"clone", "-q", github.clone_url("other"), clone()}, &*shop).ok());
    const auto cloned = git({"clone", "-q", github.clone_url("shop"), clone()}, &*read);
    ASSERT_TRUE(cloned.ok()) << cloned.describe();
    commit("a.txt", "a\n");
    EXPECT_FALSE(git({"-C", clone(), "push", "-q", "origin", "HEAD:x"}, &*read).ok());
    github.forget_token(shop->token);
    const auto fresh = run(github.git_remote("shop", github::GitRights::write));
    ASSERT_TRUE(fresh);
    EXPECT_NE(fresh->token, shop->token);
    const auto nowhere = run(github.git_remote("nowhere", github::GitRights::read));
    ASSERT_FALSE(nowhere);
    EXPECT_THAT(nowhere.error().message, HasSubstr("does not exist or is not accessible"));
}

TEST_F(GitOverHttpTest, WorkflowsNeedARightOfTheirOwn) {
    hub_.add_repository("shop");
    auto github = client();
    const auto remote = run(github.git_remote("shop", github::GitRights::write));
    ASSERT_TRUE(remote);
    ASSERT_TRUE(git({"clone", "-q", remote->url, clone()}, &*remote).ok());
    commit(".github/workflows/steal.yml", "on: push\n");
    const auto refused = git({"-C", clone(), "push", "-q", "origin", "HEAD:task/1"}, &*remote);
    EXPECT_FALSE(refused.ok());
    EXPECT_THAT(refused.errors, HasSubstr("without `workflows` permission"));
    const auto allowed = run(github.git_remote("shop", github::GitRights::write_workflows));
    ASSERT_TRUE(allowed);
    const auto pushed = git({"-C", clone(), "push", "-q", "origin", "HEAD:task/1"}, &*allowed);
    EXPECT_TRUE(pushed.ok()) << pushed.describe();
}

TEST_F(GitOverHttpTest, FaultPushRejected) {
    hub_.add_repository("shop");
    hub_.refuse_pushes("shop", "GH013: Repository rule violations found");
    auto github = client();
    const auto remote = run(github.git_remote("shop", github::GitRights::write));
    ASSERT_TRUE(remote);
    ASSERT_TRUE(git({"clone", "-q", remote->url, clone()}, &*remote).ok());
    commit("a.txt", "a\n");
    const auto refused = git({"-C", clone(), "push", "-q", "origin", "HEAD:main"}, &*remote);
    EXPECT_FALSE(refused.ok());
    EXPECT_THAT(refused.errors, HasSubstr("GH013"));
    hub_.refuse_pushes("shop", "");
    EXPECT_TRUE(git({"-C", clone(), "push", "-q", "origin", "HEAD:main"}, &*remote).ok());
}

}  // namespace
}  // namespace codegen::clients

#include "apps/orchestratord/github_access.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <fstream>

#include "shared/testing/github/fake_github.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::orchestratord {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string, std::less<>>;

class GitHubAccessTest : public ::testing::Test {
  protected:
    Result<std::optional<clients::GitHubClient>> open(const Variables& variables) {
        const auto configuration = Configuration::load(
            {},
            [&](std::string_view name) -> std::optional<std::string> {
                const auto found = variables.find(name);
                return found == variables.end() ? std::nullopt : std::optional(found->second);
            },
            directory_ / "config.yaml");
        return open_github(io_.get_executor(), configuration.value());
    }
    std::string error(const Variables& variables) {
        const auto opened = open(variables);
        EXPECT_FALSE(opened);
        if (opened) return "";
        EXPECT_EQ(opened.error().category, ErrorCategory::fatal);
        return opened.error().message;
    }
    void SetUp() override { std::ofstream(directory_ / "config.yaml") << ""; }

    asio::io_context io_;
    testing::TempDirectory directory_;
    testing::FakeGitHub hub_;
    const std::string& key_ = hub_.private_key();
};

TEST_F(GitHubAccessTest, NothingIsUsedWhereNothingIsSet) {
    const auto opened = open({});
    ASSERT_TRUE(opened);
    EXPECT_FALSE(*opened);
}

TEST_F(GitHubAccessTest, ReadsTheKeyFromTheEnvironmentOrAFile) {
    std::ofstream(directory_ / "app.pem") << key_;
    const auto file = (directory_ / "app.pem").string();
    for (const auto& variables :
         {Variables{{"GITHUB_ORG", "acme"}, {"GITHUB_APP_ID", "1"}, {"GITHUB_APP_PRIVATE_KEY", key_}},
          Variables{{"GITHUB_ORG", "acme"}, {"GITHUB_APP_ID", "1"}, {"GITHUB_APP_PRIVATE_KEY_FILE", file}}}) {
        const auto opened = open(variables);
        ASSERT_TRUE(opened) << opened.error().message;
        ASSERT_TRUE(*opened);
        EXPECT_EQ((*opened)->clone_url("shop"), "https://github.com/acme/shop.git");
    }
}

TEST_F(GitHubAccessTest, WhatIsMissingBesideTheOthersIsNamed) {
    EXPECT_THAT(error({{"GITHUB_APP_ID", "1"}, {"GITHUB_APP_PRIVATE_KEY", key_}}), HasSubstr("GITHUB_ORG is not set"));
    EXPECT_THAT(error({{"GITHUB_ORG", "acme"}, {"GITHUB_APP_PRIVATE_KEY", key_}}),
                HasSubstr("GITHUB_APP_ID is not set"));
    EXPECT_THAT(error({{"GITHUB_ORG", "acme"}, {"GITHUB_APP_ID", "1"}}),
                HasSubstr("GITHUB_APP_PRIVATE_KEY is not set"));
    EXPECT_THAT(error({{"GITHUB_ORG", "acme"}, {"GITHUB_APP_ID", "1"}, {"GITHUB_APP_PRIVATE_KEY_FILE", "/no/such"}}),
                HasSubstr("GITHUB_APP_PRIVATE_KEY_FILE: open /no/such"));
    EXPECT_THAT(error({{"GITHUB_APP_PRIVATE_KEY", key_}, {"GITHUB_APP_PRIVATE_KEY_FILE", "/no/such"}}),
                HasSubstr("both set"));
    EXPECT_THAT(error({{"GITHUB_ORG", "acme"},
                       {"GITHUB_APP_ID", "1"},
                       {"GITHUB_APP_PRIVATE_KEY", key_},
                       {"GITHUB_API_URL", "http+unix:///run/x.sock"}}),
                HasSubstr("GITHUB_API_URL"));
}

}  // namespace
}  // namespace codegen::orchestratord

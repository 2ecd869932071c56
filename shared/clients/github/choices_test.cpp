// What is decided without asking: which run is ours, what checks say, which paths and names may be sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include "shared/base/base64.hpp"
#include "shared/clients/github/contents.hpp"
#include "shared/clients/github/pull_request.hpp"
#include "shared/clients/github/sealed_box.hpp"
#include "shared/clients/github/workflow_choice.hpp"

namespace codegen::clients::github {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

WorkflowRun run_of(std::int64_t id, std::string branch, std::string title) {
    WorkflowRun run;
    run.id = id;
    run.head_branch = std::move(branch);
    run.display_title = std::move(title);
    return run;
}

TEST(WorkflowChoiceTest, TheMarkerTellsWhateverElseWasStarted) {
    const std::vector runs{run_of(9, "main", "Deploy m-2"), run_of(8, "main", "Deploy m-1"), run_of(7, "main", "m-1")};
    EXPECT_EQ((*choose_run(runs, 7, "main", "m-1"))->id, 8);
    EXPECT_FALSE(*choose_run(runs, 7, "main", "m-3"));
}

TEST(WorkflowChoiceTest, WithoutOneTheOnlyNewRunOnTheRefIsOurs) {
    const std::vector runs{run_of(9, "other", ""), run_of(8, "main", ""), run_of(7, "main", "")};
    EXPECT_EQ((*choose_run(runs, 7, "refs/heads/main", ""))->id, 8);
    EXPECT_FALSE(*choose_run(runs, 8, "main", ""));
    const auto unclear = choose_run(runs, 6, "main", "");
    ASSERT_FALSE(unclear);
    EXPECT_EQ(unclear.error().code, "conflict");
    EXPECT_THAT(unclear.error().message, HasSubstr("8 and 7"));
}

TEST(ChecksTest, OneFailureIsEnoughAndAllMustEnd) {
    std::vector<std::string> failing;
    EXPECT_EQ(verdict_of({}, &failing), Checks::none);
    EXPECT_EQ(verdict_of({{"a", "completed", "success"}, {"b", "completed", "skipped"}}, &failing), Checks::passed);
    EXPECT_EQ(verdict_of({{"a", "completed", "success"}, {"b", "in_progress", {}}}, &failing), Checks::pending);
    EXPECT_TRUE(failing.empty());
    EXPECT_EQ(verdict_of({{"a", "completed", "timed_out"}, {"b", "queued", {}}}, &failing), Checks::failed);
    EXPECT_THAT(failing, ElementsAre("a"));
}

TEST(EncodedPathTest, KeepsToTheRepository) {
    EXPECT_EQ(encoded_path("src/a b/ü?.txt"), "src/a%20b/%C3%BC%3F.txt");
    EXPECT_EQ(encoded_path(".github/workflows/ci.yml"), ".github/workflows/ci.yml");
    for (const auto* bad : {"", "/", "/a", "a/", "a//b", "..", "a/../b", "./a"}) {
        const auto refused = encoded_path(bad);
        ASSERT_FALSE(refused) << bad;
        EXPECT_EQ(refused.error().code, "invalid");
    }
}

TEST(SealedBoxTest, OnlyTheKeysOwnerReadsIt) {
    ASSERT_GE(::sodium_init(), 0);
    std::string open(crypto_box_PUBLICKEYBYTES, '\0');
    std::string secret(crypto_box_SECRETKEYBYTES, '\0');
    const auto bytes = [](std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); };
    ::crypto_box_keypair(bytes(open), bytes(secret));
    for (const std::string text : {"", "p@ss\nword"}) {
        const auto sealed = seal_for(base64(open), text);
        ASSERT_TRUE(sealed);
        auto raw = from_base64(*sealed).value();
        std::string back(text.size(), '\0');
        ASSERT_EQ(::crypto_box_seal_open(bytes(back), bytes(raw), raw.size(), bytes(open), bytes(secret)), 0);
        EXPECT_EQ(back, text);
    }
    for (const auto& key : {std::string(), std::string("***"), base64("short")}) EXPECT_FALSE(seal_for(key, "x"));
}

TEST(SealedBoxTest, NamesAreThoseOfActions) {
    for (const auto* good : {"A", "_x", "DEPLOY_KEY_2"}) EXPECT_TRUE(check_secret_name(good)) << good;
    for (const auto* bad : {"", "1A", "A-B", "GITHUB_TOKEN", "github_x", "A/B"})
        EXPECT_FALSE(check_secret_name(bad)) << bad;
}

}  // namespace
}  // namespace codegen::clients::github

#include "services/api/caller.hpp"

#include <gtest/gtest.h>

namespace codegen::api {
namespace {

TEST(PermitsTest, PatternsAreExactOrAGroupOrAll) {
    EXPECT_TRUE(permits({"project.get"}, "project.get"));
    EXPECT_TRUE(permits({"respond", "project.*"}, "project.get"));
    EXPECT_TRUE(permits({"*"}, "anything"));
    EXPECT_TRUE(permits({"engineering.trigger"}, "engineering.start"));
    EXPECT_FALSE(permits({}, "project.get"));
    EXPECT_FALSE(permits({""}, "project.get"));
    EXPECT_FALSE(permits({"project"}, "project.get"));
    EXPECT_FALSE(permits({"project.g*"}, "project.get"));
    EXPECT_FALSE(permits({"project.*"}, "projects.get"));
    EXPECT_FALSE(permits({".*"}, "project.get"));
    EXPECT_FALSE(permits({"*.get"}, "project.get"));
    EXPECT_FALSE(permits({"Project.get"}, "project.get"));
}

TEST(CallerTest, WhoSeesEverything) {
    using contracts::TokenKind;
    Caller caller;
    const auto sees = [&](TokenKind kind, bool acting, bool is_admin_user) {
        caller.kind = kind;
        caller.acting = acting;
        caller.is_admin_user = is_admin_user;
        return caller.sees_all();
    };
    EXPECT_TRUE(sees(TokenKind::admin, false, false));
    EXPECT_TRUE(sees(TokenKind::service, false, false));
    EXPECT_FALSE(sees(TokenKind::service, true, false));
    EXPECT_TRUE(sees(TokenKind::service, true, true));
    EXPECT_FALSE(sees(TokenKind::user, false, false));
    EXPECT_TRUE(sees(TokenKind::user, false, true));
    EXPECT_FALSE(sees(TokenKind::worker, false, true));  // also when its user is an admin
}

TEST(CallerTest, TheLogNamesWhoAndForWhom) {
    Caller caller;
    caller.kind = contracts::TokenKind::worker;
    caller.worker_id = "dev-1";
    EXPECT_EQ(caller.description(), "worker dev-1");
    caller.kind = contracts::TokenKind::service;
    EXPECT_EQ(caller.description(), "service");
    caller.acting = true;
    caller.user_id = 7;
    EXPECT_EQ(caller.description(), "service for user 7");
    caller.kind = contracts::TokenKind::user;
    EXPECT_EQ(caller.description(), "user 7 (by header)");
    caller.token_id = "x";
    EXPECT_EQ(caller.description(), "user 7");
}

TEST(DigestTest, IsSha256) {
    EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2
}

}  // namespace
}  // namespace codegen::api

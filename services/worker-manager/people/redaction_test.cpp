#include "services/worker-manager/people/redaction.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace codegen::worker_manager {
namespace {

const std::string kLong(40, 'a');

TEST(Redaction, KnownValuesGoWhereverTheyStand) {
    const Redactor redact({"correct-horse-battery", "correct-horse", "short", "a/b\"c\\d-longer"});
    EXPECT_EQ(redact("x=correct-horse-battery;correct-horse."), "x=[redacted];[redacted].");
    EXPECT_EQ(redact("xcorrect-horsex"), "x[redacted]x");
    EXPECT_EQ(redact("short stays"), "short stays");
    EXPECT_EQ(redact(R"(a/b"c\d-longer a/b\"c\\d-longer a\/b\"c\\d-longer)"), "[redacted] [redacted] [redacted]");
}

TEST(Redaction, WhatLooksLikeATokenGoes) {
    const Redactor redact;
    for (const auto& token :
         {"sk-ant-api03-" + kLong, "sk-proj-" + kLong, "fk-" + kLong, "ghp_" + kLong, "ghs_" + kLong,
          "ghs_12345_" + kLong + "." + kLong + "." + kLong, "github_pat_11ABC_" + kLong, "glpat-" + kLong,
          "xoxb-1234-" + kLong, "AKIAIOSFODNN7EXAMPLE" + std::string(), "AIza" + kLong, "npm_" + kLong,
          "eyJhbGciOi.eyJzdWIiOjEyMw.c2lnbmF0dXJl" + std::string(), "123456789:" + std::string(35, 'A')}) {
        EXPECT_EQ(redact("key " + token + " end"), "key [redacted] end") << token;
        EXPECT_EQ(redact(token), "[redacted]") << token;
        const auto json = boost::json::serialize(boost::json::object{{"text", "line\n" + token + "\"quoted\""}});
        EXPECT_EQ(boost::json::parse(redact(json)).at("text").as_string(), "line\n[redacted]\"quoted\"") << token;
    }
}

TEST(Redaction, BearerTokensAndPasswordsInUrlsGoAlone) {
    const Redactor redact;
    EXPECT_EQ(redact("Authorization: Bearer abc.def/ghi+jkl=mno="), "Authorization: Bearer [redacted]");
    EXPECT_EQ(redact("authorization: bearer 0123456789abcdef0123"), "authorization: bearer [redacted]");
    EXPECT_EQ(redact("git clone https://me:pa%20ss@host/x.git"), "git clone https://me:[redacted]@host/x.git");
    EXPECT_EQ(redact(R"({"u":"redis://default:hunter2@h:1/0"})"), R"({"u":"redis://default:[redacted]@h:1/0"})");
    EXPECT_EQ(redact("a bearer of bad news"), "a bearer of bad news");
    EXPECT_EQ(redact("http://host:8000/path@x"), "http://host:8000/path@x");
}

TEST(Redaction, PrivateKeysGoAsAWhole) {
    const Redactor redact;
    const std::string key =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\nZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----";
    EXPECT_EQ(redact("before\n" + key + "\nafter"), "before\n[redacted]\nafter");
    const auto json = boost::json::serialize(boost::json::object{{"text", "k: " + key + " end"}, {"n", 1}});
    const auto clean = boost::json::parse(redact(json));
    EXPECT_EQ(clean.at("text").as_string(), "k: [redacted] end");
    EXPECT_EQ(clean.at("n"), 1);
    EXPECT_EQ(redact("-----BEGIN RSA PRIVATE KEY-----\nMIIE"), "[redacted]") << "cut off";
    EXPECT_EQ(redact("-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----"),
              "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----");
}

TEST(Redaction, OrdinaryTextStays) {
    const Redactor redact({"correct-horse-battery"});
    for (const std::string text :
         {"", "commit 0123456789abcdef0123456789abcdef01234567", "task-1a2b3c4d-0000-4000-8000-000000000001",
          "sk-short", "mask-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a:b@c", "12:34:56", "-----BEGIN nothing",
          R"({"type":"result","usage":{"input_tokens":123456789}})", "eyJ.x", "see https://example.org/a:b"})
        EXPECT_EQ(redact(text), text);
}

TEST(Redaction, BytesThatAreNoTextStay) {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    EXPECT_EQ(Redactor()(bytes), bytes);
}

}  // namespace
}  // namespace codegen::worker_manager

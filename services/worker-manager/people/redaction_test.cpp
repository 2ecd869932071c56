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

const std::vector<std::string> kKeyLines{
    "-----BEGIN RSA PRIVATE KEY-----", "MIIEowIBAAKCAQEAx9b0pYh3o1v2cW8fJkQe7sGm4LzNtRuXyA5dB6iHqPwKlMnO",
    "Zk1T+u8/JpVbEhQ3xYdLrGs0NfAiCwK5mX2tR9oB7eHqU4vPzS6lDyIgWjMnOaTc", "q2V8kL0=", "-----END RSA PRIVATE KEY-----"};

// As --output --follow reads it: whole lines, as they come.
TEST(Redaction, APrivateKeyThatComesLineByLineGoesToo) {
    const Redactor redact;
    Redactor::State state;
    std::string shown = redact("making a key\n", state);
    for (const auto& line : kKeyLines) shown += redact(line + "\n", state);
    shown += redact("done: kept in /home/agent/workspace/keys/server.pem\n", state);
    EXPECT_EQ(shown,
              "making a key\n[redacted]\n[redacted]\n[redacted]\n[redacted]\n[redacted]\n"
              "done: kept in /home/agent/workspace/keys/server.pem\n");
}

// As a transcript has it: an event a line, and other events between them.
TEST(Redaction, APrivateKeyInConsecutiveEventsGoesAndTheEventsStayJson) {
    const Redactor redact;
    std::string whole;
    const auto event = [](std::string_view text) {
        return boost::json::serialize(boost::json::object{{"worker_id", "dev-1a2b3c4d-1"},
                                                          {"seq", 5},
                                                          {"timestamp", "2026-01-10T12:00:00.123456Z"},
                                                          {"kind", "tool_result"},
                                                          {"text", text},
                                                          {"data", {{"path", "/workspace/key.pem"}}}}) +
               "\n";
    };
    for (const auto& line : kKeyLines) whole += event(line) + event("now the next line") + event(line + "\n");
    whole += event("that was the key");
    Redactor::State state;
    std::string piecewise;
    for (std::size_t begin = 0, end; begin < whole.size(); begin = end) {
        end = whole.find('\n', begin) + 1;
        piecewise += redact(std::string_view(whole).substr(begin, end - begin), state);
    }
    for (const auto& shown : {redact(whole), piecewise}) {
        for (std::size_t i = 1; i < 4; ++i) EXPECT_FALSE(shown.contains(kKeyLines[i])) << kKeyLines[i] << "\n" << shown;
        std::size_t events = 0;
        for (std::size_t begin = 0, end; begin < shown.size(); begin = end, ++events) {
            end = shown.find('\n', begin) + 1;
            const auto read = boost::json::parse(std::string_view(shown).substr(begin, end - begin));
            EXPECT_EQ(read.at("worker_id"), "dev-1a2b3c4d-1");
            EXPECT_EQ(read.at("timestamp"), "2026-01-10T12:00:00.123456Z");
            EXPECT_EQ(read.at("kind"), "tool_result");
            EXPECT_EQ(read.at("data").at("path"), "/workspace/key.pem");
        }
        EXPECT_EQ(events, 16u);
        EXPECT_TRUE(shown.contains("now the next line"));
        EXPECT_TRUE(shown.contains("that was the key"));
    }
}

TEST(Redaction, APrivateKeyThatLostItsBeginGoesToo) {
    const Redactor redact;
    std::string text;
    for (std::size_t i = 1; i < kKeyLines.size(); ++i) text += kKeyLines[i] + "\n";
    EXPECT_EQ(redact(text + "done\n"), "[redacted]\n[redacted]\n[redacted]\n[redacted]\ndone\n");
}

TEST(Redaction, WhoOnlyNamesTheBeginOfAKeyHidesNothingElse) {
    const Redactor redact;
    const std::string code =
        "if (text.starts_with(\"[redacted]\")) return read_private_key(\"/etc/ssl/x509/server\");\n";
    const std::string named =
        "if (text.starts_with(\"-----BEGIN PRIVATE KEY-----\")) return "
        "read_private_key(\"/etc/ssl/x509/server\");\n";
    const std::string hash = "commit 0123456789abcdef0123456789abcdef01234567\n";
    std::string quiet;
    for (int i = 0; i < 70; ++i) quiet += "nothing to see\n";
    EXPECT_EQ(redact(named + quiet + hash), code + quiet + hash);
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

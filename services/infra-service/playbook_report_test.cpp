#include "services/infra-service/playbook_report.hpp"

#include <gtest/gtest.h>

namespace codegen::infra {
namespace {

TEST(PlaybookReport, NamesPlayTaskHostAndMessageOfTheFirstFailure) {
    PlaybookReport report;
    EXPECT_EQ(report.on_line(R"({"event": "started", "pid": 4711})"), PlaybookReport::Step::started);
    EXPECT_EQ(report.pid(), 4711);
    EXPECT_EQ(report.on_line(R"({"event": "task", "play": "Docker", "task": "Install Docker"})"),
              PlaybookReport::Step::task);
    EXPECT_EQ(report.play(), "Docker");
    EXPECT_EQ(report.task(), "Install Docker");
    report.on_line(R"({"event": "failed", "play": "Docker", "task": "Install Docker", "host": "vps-1",
        "message": "No package matching 'docker.io' is available"})");
    report.on_line(R"({"event": "failed", "play": "Docker", "task": "Later", "host": "vps-1", "message": "x"})");
    report.on_line(R"({"event": "stats", "host": "vps-1", "ok": 3, "changed": 1, "failures": 1, "unreachable": 0,
        "skipped": 0, "rescued": 0, "ignored": 0})");
    ASSERT_TRUE(report.failure());
    EXPECT_EQ(report.failure()->describe(),
              "play \"Docker\", task \"Install Docker\", host vps-1: No package matching 'docker.io' is available");
    EXPECT_FALSE(report.clean());
}

TEST(PlaybookReport, ALostConnectionIsToldFromAFailure) {
    PlaybookReport report;
    report.on_line(
        R"({"event": "unreachable", "play": "SSH", "task": "Keys only", "host": "vps-1", "message": "gone"})");
    ASSERT_TRUE(report.failure());
    EXPECT_TRUE(report.failure()->unreachable);
    EXPECT_EQ(report.failure()->describe(),
              "play \"SSH\", task \"Keys only\", host vps-1: the connection is lost: gone");
}

TEST(PlaybookReport, CountsAndFactsOfACleanRun) {
    PlaybookReport report;
    EXPECT_FALSE(report.clean()) << "nothing was said yet";
    report.on_line(
        R"({"event": "facts", "host": "a", "cpus": 2, "ram_mb": 3900, "disk_mb": 40000, "system": "Debian 12"})");
    report.on_line(R"({"event": "skipped", "host": "a", "play": "Firewall", "task": "Enable nftables"})");
    report.on_line(
        R"({"event": "stats", "host": "a", "ok": 20, "changed": 0, "failures": 0, "unreachable": 0, "skipped": 1})");
    EXPECT_TRUE(report.clean());
    EXPECT_EQ(report.counts_text(), "ok=20 changed=0 skipped=1 (Enable nftables)");
    ASSERT_TRUE(report.facts());
    EXPECT_EQ(report.facts()->cpus, 2);
    EXPECT_EQ(report.facts()->system, "Debian 12");
}

TEST(PlaybookReport, KeepsTheLastWordsOfAProgramThatSpokeOtherwise) {
    PlaybookReport report;
    for (const auto* line : {"ERROR! the playbook: x.yml could not be found", "", "  ", "{\"event\": 7}"})
        report.on_line(line);
    EXPECT_EQ(report.last_words(), "{\"event\": 7}");
    report.on_line("{not json");
    EXPECT_EQ(report.last_words(), "{not json");
    EXPECT_FALSE(report.failure());
    // Numbers that are none, and a message without end.
    report.on_line(R"({"event": "stats", "host": "a", "ok": "many", "changed": -3})");
    EXPECT_EQ(report.hosts().at("a").changed, 0);
    report.on_line(R"({"event": "failed", "host": "a", "message": ")" + std::string(100000, 'x') + "\"}");
    EXPECT_LE(report.failure()->message.size(), 2000u);
}

}  // namespace
}  // namespace codegen::infra

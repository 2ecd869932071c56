#include "shared/logging/log.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "shared/logging/line.hpp"

namespace codegen::log {
namespace {

const Timestamp kNow = parse_timestamp("2026-01-10T12:00:00.000001Z").value();

TEST(LogLine, ConsoleIsOneReadableLine) {
    EXPECT_EQ(format_line(Format::console, Level::info, kNow, "api", "worker started",
                          {{"worker_id", "w-1"}, {"why", "a b"}, {"none", ""}}),
              "2026-01-10T12:00:00.000001Z info    api: worker started worker_id=w-1 why=\"a b\" none=\"\"");
}

TEST(LogLine, ConsoleNeitherForgesLinesNorRepaintsTheTerminal) {
    const auto line = format_line(Format::console, Level::error, kNow, "api", "x\ny\x1b[2J", {{"k\n", "v\r\"q\\"}});
    EXPECT_EQ(line.find_first_of("\n\r\x1b"), std::string::npos) << line;
    EXPECT_NE(line.find("x\\x0ay\\x1b[2J k\\x0a=\"v\\x0d\\x22q\\x5c\""), std::string::npos) << line;
}

TEST(LogLine, JsonParsesBackWhateverTheBytes) {
    std::string bytes("a\n\xff\xc0\xaf\xed\xa0\x80\xe2\x82\xac\xf0\x9f\x98\x80");
    bytes.push_back('\0');
    const auto line = format_line(Format::json, Level::warning, kNow, "api", bytes, {{"k", "v"}});
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto value = boost::json::parse(line);
    EXPECT_EQ(value.at("level").as_string(), "warning");
    EXPECT_EQ(value.at("service").as_string(), "api");
    EXPECT_EQ(value.at("timestamp").as_string(), "2026-01-10T12:00:00.000001Z");
    EXPECT_EQ(value.at("k").as_string(), "v");
    const std::string_view message = value.at("message").as_string();
    EXPECT_NE(message.find("\xe2\x82\xac\xf0\x9f\x98\x80"), std::string_view::npos);
    EXPECT_EQ(message.find('\xff'), std::string_view::npos);
}

TEST(Log, WritesToStandardErrorFromItsLevelOn) {
    ::testing::internal::CaptureStderr();
    setup(Level::info, Format::json, "svc");
    debug("hidden");
    info("shown {} %v", {{"a", "b"}});
    const auto text = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(text.find("hidden"), std::string::npos);
    EXPECT_NE(text.find(R"("message":"shown {} %v","a":"b"})"
                        "\n"),
              std::string::npos)
        << text;
}

TEST(Log, LevelsAreValidated) {
    EXPECT_EQ(parse_level("warning").value(), Level::warning);
    EXPECT_EQ(parse_level("loud").error().message, "log level \"loud\": expected debug, info, warning or error");
}

}  // namespace
}  // namespace codegen::log

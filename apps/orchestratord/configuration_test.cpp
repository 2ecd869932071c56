#include "apps/orchestratord/configuration.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "shared/base/ids.hpp"

namespace codegen::orchestratord {
namespace {

std::optional<std::string> nothing(std::string_view) { return std::nullopt; }

std::filesystem::path yaml(std::string_view content) {
    auto path = std::filesystem::path(testing::TempDir()) / ("config-" + random_token(6) + ".yaml");
    std::ofstream(path) << content;
    return path;
}

TEST(Configuration, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
    const auto file = yaml("runtime: docker\nlog_level: error\nmax_concurrent_workers: 3\n");
    const auto environment = [](std::string_view name) -> std::optional<std::string> {
        if (name == "RUNTIME") return "sandbox";
        if (name == "LOG_LEVEL") return "debug";
        return std::nullopt;
    };
    const auto c = Configuration::load({{"RUNTIME", "auto"}}, environment, file);
    ASSERT_TRUE(c) << c.error().message;
    EXPECT_EQ(c->text("RUNTIME"), "auto");
    EXPECT_EQ(c->text("LOG_LEVEL"), "debug");
    EXPECT_EQ(c->integer("MAX_CONCURRENT_WORKERS"), 3);
    EXPECT_EQ(c->bytes("WORKER_MEMORY_LIMIT"), 2ll << 30);
    std::filesystem::remove(file);
}

TEST(Configuration, ErrorsNameTheSettingTheValueAndTheWayOut) {
    auto message = [](const std::map<std::string, std::string>& flags) {
        auto c = Configuration::load(flags, nothing, std::nullopt);
        return c ? std::string() : c.error().message;
    };
    EXPECT_EQ(message({{"RUNTIME", "vm"}}),
              "RUNTIME (flag --runtime) is \"vm\": expected one of auto|docker|sandbox|process|demo");
    EXPECT_EQ(message({{"WORKER_MEMORY_LIMIT", "lots"}}),
              "WORKER_MEMORY_LIMIT (flag ) is \"lots\": expected a size such as 512m or 2g");
    EXPECT_EQ(message({{"MAX_CONCURRENT_WORKERS", "-1"}}),
              "MAX_CONCURRENT_WORKERS (flag ) is \"-1\": expected a whole number of at least 1");
    EXPECT_EQ(message({{"TEST_TIMEOUT", "0"}}), "TEST_TIMEOUT (flag ) is \"0\": expected a whole number of at least 1");
    EXPECT_EQ(message({{"ALLOW_HEADER_AUTH", "7"}}), "ALLOW_HEADER_AUTH (flag ) is \"7\": expected 0 or 1");
    EXPECT_EQ(message({{"OPENAI_BASE_URL", "ftp://x"}}),
              "OPENAI_BASE_URL (flag ) is \"ftp://x\": expected a URL that begins with http:// or https://");
    EXPECT_EQ(message({{"WORKER_MEMORY_CAP", "16m"}}),
              "WORKER_MEMORY_CAP is \"16m\", which is less than WORKER_MEMORY_LIMIT \"2g\": lower the one or raise the "
              "other");
    EXPECT_EQ(message({{"WORKER_MEMORY_LIMIT", "64m"}, {"WORKER_MEMORY_CAP", "256m"}}), "") << "defaults of agents";
    EXPECT_THAT(message({{"CLAUDE_MEMORY_LIMIT", "9g"}}), ::testing::HasSubstr("less than CLAUDE_MEMORY_LIMIT \"9g\""));
    EXPECT_THAT(message({{"WORKER_PIDS_CAP", "10"}}), ::testing::HasSubstr("less than WORKER_PIDS_LIMIT \"512\""));
    EXPECT_THAT(message({{"WORKER_CPU_CAP", "1"}}), ::testing::HasSubstr("less than WORKER_CPU_LIMIT \"2\""));
}

TEST(Configuration, FileErrors) {
    for (auto [content, part] :
         {std::pair{"runtme: docker\n", "unknown setting \"runtme\""}, std::pair{"- a\n", "expected a mapping"},
          std::pair{"runtime: [a]\n", "runtime must be one value"}, std::pair{"runtime: 'x\n", ".yaml: "},
          std::pair{"runtime: docker\nruntime: sandbox\n", "runtime stands there twice"}}) {
        const auto file = yaml(content);
        const auto c = Configuration::load({}, nothing, file);
        ASSERT_FALSE(c) << content;
        EXPECT_NE(c.error().message.find(part), std::string::npos) << c.error().message;
        std::filesystem::remove(file);
    }
    const auto missing = Configuration::load({}, nothing, "/nonexistent/config.yaml");
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message, ::testing::HasSubstr("/nonexistent/config.yaml: No such file"));
    const auto directory = Configuration::load({}, nothing, testing::TempDir());
    ASSERT_FALSE(directory);
    EXPECT_THAT(directory.error().message, ::testing::HasSubstr(testing::TempDir().substr(0, 4)));
}

TEST(Configuration, TheFileMayBeALink) {
    const auto file = yaml("runtime: docker\n");
    const auto link = file.string() + ".link";
    std::filesystem::create_symlink(file, link);
    const auto c = Configuration::load({}, nothing, link);
    std::filesystem::remove(link);
    std::filesystem::remove(file);
    ASSERT_TRUE(c) << c.error().message;
    EXPECT_EQ(c->text("RUNTIME"), "docker");
}

TEST(Configuration, Sizes) {
    EXPECT_EQ(parse_size("512m"), 512ll << 20);
    EXPECT_EQ(parse_size("1G"), 1ll << 30);
    EXPECT_EQ(parse_size("77"), 77);
    for (auto bad : {"", "m", "-1", "1t", "1.5g", "99999999999g"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Configuration, TheDocumentListsEverySetting) {
    const auto text = settings_markdown();
    for (const auto& s : settings()) EXPECT_NE(text.find("`" + std::string(s.name) + "`"), std::string::npos);
}

}  // namespace
}  // namespace codegen::orchestratord

#include "services/worker-manager/runtime/build_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {

std::string content(const std::filesystem::path& file) {
    std::ostringstream out;
    out << std::ifstream(file).rdbuf();
    return out.str();
}

TEST(BuildLog, KeepsTheNewestLinesWithinItsBound) {
    testing::TempDirectory directory;
    const auto file = directory / "ab.log";
    {
        BuildLog log(file, 100);
        for (int i = 0; i < 1000; ++i) log.line("line " + std::to_string(i));
    }
    EXPECT_LE(std::filesystem::file_size(file), 100u);
    EXPECT_LE(std::filesystem::file_size(BuildLog::older(file)), 100u);
    EXPECT_THAT(content(BuildLog::older(file)) + content(file), ::testing::EndsWith("line 998\nline 999\n"));
    BuildLog again(file, 100);
    again.line("new");
    EXPECT_EQ(content(file), "new\n");
    EXPECT_FALSE(std::filesystem::exists(BuildLog::older(file)));
}

TEST(BuildLog, ABuildGoesOnWithoutItsLog) {
    testing::TempDirectory directory;
    BuildLog log(directory / "none" / "ab.log", 100);
    for (int i = 0; i < 100; ++i) log.line("line");
    EXPECT_FALSE(std::filesystem::exists(directory / "none"));
}

}  // namespace
}  // namespace codegen::worker_manager

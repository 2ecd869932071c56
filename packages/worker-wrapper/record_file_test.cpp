#include "packages/worker-wrapper/record_file.hpp"

#include <gtest/gtest.h>

#include "shared/posix/file.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::wrapper {
namespace {

class RecordFileTest : public ::testing::Test {
  protected:
    std::string read(const std::string& name) {
        auto text = posix::read_file(directory_ / name, 1u << 20);
        return text ? *text : "none";
    }
    codegen::testing::TempDirectory directory_;
};

TEST_F(RecordFileTest, GrowsToHalfOfItsLimitThenTurnsOver) {
    RecordFile file(directory_ / "log", 20);
    file.append("12345\n");
    EXPECT_EQ(read("log.1"), "none");
    file.append("abcd");
    EXPECT_EQ(read("log"), "12345\nabcd");
    file.append("x\n");
    EXPECT_EQ(read("log"), "x\n");
    EXPECT_EQ(read("log.1"), "12345\nabcd");
    file.append("123456789");
    EXPECT_EQ(read("log"), "123456789");
    EXPECT_EQ(read("log.1"), "x\n");
}

TEST_F(RecordFileTest, GoesOnWithWhatAnotherBeganAndCountsIt) {
    RecordFile(directory_ / "log", 20).append("12345678");
    RecordFile again(directory_ / "log", 20);
    again.append("9");
    EXPECT_EQ(read("log"), "123456789");
    again.append("ab");
    EXPECT_EQ(read("log"), "ab");
}

TEST_F(RecordFileTest, APieceBeyondHalfOfTheLimitLosesItsEnd) {
    RecordFile file(directory_ / "log", 20);
    file.append(std::string(100, 'x'));
    EXPECT_EQ(read("log"), std::string(10, 'x'));
}

TEST_F(RecordFileTest, WithoutALimitOrAPlaceNothingIsWritten) {
    RecordFile(directory_ / "log", 0).append("x");
    EXPECT_EQ(read("log"), "none");
    RecordFile(directory_ / "absent" / "log", 20).append("x");
    ASSERT_TRUE(posix::write_file_atomically(directory_ / "target", "t", 0600));
    std::filesystem::create_symlink(directory_ / "target", directory_ / "link");
    RecordFile(directory_ / "link", 20).append("x");
    EXPECT_EQ(read("target"), "t");
}

}  // namespace
}  // namespace codegen::wrapper

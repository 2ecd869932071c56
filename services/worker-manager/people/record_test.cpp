#include "services/worker-manager/people/record.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;

class RecordTest : public ::testing::Test {
  protected:
    void append(const std::string& text, const std::string& name = "wrapper.log") {
        std::ofstream(directory_ / name, std::ios::app) << text;
    }
    void rotate() { fs::rename(directory_ / "wrapper.log", directory_ / "wrapper.log.1"); }
    testing::TempDirectory directory_;
};

TEST_F(RecordTest, OlderAndNewerHalfAreOne) {
    EXPECT_EQ(read_record(directory_.path(), Record::log, 1000), "");
    append("one\ntwo\n");
    rotate();
    append("three\nfo");
    EXPECT_EQ(read_record(directory_.path(), Record::log, 1000), "one\ntwo\nthree\nfo");
    append("{}\n", "transcript.ndjson");
    append("raw", "output.log");
    EXPECT_EQ(read_record(directory_.path(), Record::transcript, 1000), "{}\n");
    EXPECT_EQ(read_record(directory_.path(), Record::output, 1000), "raw");
}

TEST_F(RecordTest, BeyondTheLimitTheEndIsReadFromALine) {
    for (int i = 0; i < 1000; ++i) append("line " + std::to_string(i) + "\n");
    const auto text = read_record(directory_.path(), Record::log, 100);
    EXPECT_TRUE(text.starts_with("line 9")) << text;
    EXPECT_TRUE(text.ends_with("line 999\n")) << text;
    EXPECT_LE(text.size(), 100u);
}

TEST_F(RecordTest, ALinkIsNotFollowed) {
    append("secret\n", "elsewhere");
    fs::create_symlink(directory_ / "elsewhere", directory_ / "wrapper.log");
    EXPECT_EQ(read_record(directory_.path(), Record::log, 1000), "");
}

TEST_F(RecordTest, AFollowerSeesEveryLineOnceAcrossRotationAndRemoval) {
    RecordFollower follower(directory_.path(), Record::log, 1000);
    EXPECT_EQ(follower.take(false), "");
    append("one\ntw");
    EXPECT_EQ(follower.take(false), "one\n");
    EXPECT_EQ(follower.take(false), "");
    append("o\n");
    EXPECT_EQ(follower.take(false), "two\n");
    append("three\n");
    rotate();
    append("four\n");
    EXPECT_EQ(follower.take(false), "three\nfour\n");
    append("last words");
    fs::remove_all(directory_.path());
    EXPECT_EQ(follower.take(false), "");
    EXPECT_EQ(follower.take(true), "last words");
}

TEST(LastLines, AreCountedFromTheEnd) {
    EXPECT_EQ(last_lines("a\nb\nc\n", 2), "b\nc\n");
    EXPECT_EQ(last_lines("a\nb\nc", 2), "b\nc");
    EXPECT_EQ(last_lines("a\nb\nc\n", 0), "a\nb\nc\n");
    EXPECT_EQ(last_lines("a\nb\nc\n", 9), "a\nb\nc\n");
    EXPECT_EQ(last_lines("\n\n\n", 2), "\n\n");
    EXPECT_EQ(last_lines("", 2), "");
    EXPECT_EQ(last_lines("\n", 1), "\n");
}

}  // namespace
}  // namespace codegen::worker_manager

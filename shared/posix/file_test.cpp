#include "shared/posix/file.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "shared/base/ids.hpp"

namespace codegen::posix {
namespace {
namespace fs = std::filesystem;

class FileTest : public testing::Test {
  protected:
    fs::path directory_ = fs::temp_directory_path() / ("posix-" + random_token(6));
    void SetUp() override { fs::create_directory(directory_); }
    void TearDown() override { fs::remove_all(directory_); }
};

TEST_F(FileTest, WritesAtomicallyWithTheModeAndReadsBack) {
    const auto path = directory_ / "token";
    ASSERT_TRUE(write_file_atomically(path, "one", 0600));
    ASSERT_TRUE(write_file_atomically(path, std::string("two\0x", 5), 0600));
    EXPECT_EQ(read_file(path, 100).value(), std::string("two\0x", 5));
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "a temporary was left";
}

TEST_F(FileTest, ANewFileIsOnlyMadeWhereNoneIs) {
    ASSERT_TRUE(write_new_file(directory_ / "key", "first", 0600));
    const auto again = write_new_file(directory_ / "key", "second", 0600);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, "exists");
    EXPECT_EQ(read_file(directory_ / "key", 100).value(), "first");
    EXPECT_FALSE(write_new_file(directory_ / "no" / "key", "x", 0600));
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "a temporary was left";
}

TEST_F(FileTest, RefusesLinksSpecialFilesAndLargeOnes) {
    ASSERT_TRUE(write_file_atomically(directory_ / "real", "12345", 0600));
    fs::create_symlink(directory_ / "real", directory_ / "link");
    EXPECT_FALSE(read_file(directory_ / "link", 100));
    ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
    EXPECT_FALSE(read_file(directory_ / "fifo", 100)) << "a fifo must neither be read nor block";
    EXPECT_EQ(read_file(directory_ / "real", 4).error().code, "too_large");
    EXPECT_EQ(read_file(directory_ / "none", 4).error().code, "not_found");
}

TEST_F(FileTest, BindsASocketBelowALongPath) {
    auto deep = directory_;
    for (int i = 0; i < 4; ++i) fs::create_directory(deep /= std::string(60, 'd'));
    auto path = short_socket_path(deep / "http.sock");
    ASSERT_TRUE(path);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_LT(path->path.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, path->path.data(), path->path.size());
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_TRUE(fs::is_socket(deep / "http.sock"));
}

}  // namespace
}  // namespace codegen::posix

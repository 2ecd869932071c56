#include "shared/clients/github/log_archive.hpp"

#include "shared/clients/github/github_fixture.hpp"

namespace codegen::clients::github {
namespace {

using ::testing::HasSubstr;

TEST(LogArchiveTest, UnpacksFilesInTheirOrder) {
    const auto files =
        unpack_logs(zip_of({{"0_build.txt", "all\n"}, {"build/", ""}, {"build/1_Set up job.txt", "ok"}}), {});
    ASSERT_TRUE(files) << files.error().message;
    ASSERT_EQ(files->size(), 2u);
    EXPECT_EQ((*files)[0].name, "0_build.txt");
    EXPECT_EQ((*files)[0].text, "all\n");
    EXPECT_EQ((*files)[1].name, "build/1_Set up job.txt");
    EXPECT_EQ((*files)[1].text, "ok");
}

TEST(LogArchiveTest, ABombEndsAtItsLimits) {
    const std::string zeros(4u << 20, '\0');
    const auto bomb = zip_of({{"a", zeros}, {"b", zeros}, {"c", zeros}});
    EXPECT_LT(bomb.size(), 100'000u);
    LogLimits limits;
    limits.file_bytes = 1u << 20;
    auto refused = unpack_logs(bomb, limits);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "too_large");
    EXPECT_THAT(refused.error().message, HasSubstr("a unpacks to more than 1048576 bytes"));
    limits.file_bytes = 8u << 20;
    limits.total_bytes = 6u << 20;
    refused = unpack_logs(bomb, limits);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "too_large");
    limits = {};
    limits.files = 2;
    refused = unpack_logs(bomb, limits);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("3 files, the limit is 2"));
    EXPECT_TRUE(unpack_logs(bomb, {}));
}

TEST(LogArchiveTest, NamesThatLeadOutAreRefused) {
    for (const auto* name : {"../x", "/etc/passwd", "a/../../x", "a//b", "./x", "a\\..\\x", "a\nb", "a/.."}) {
        const auto refused = unpack_logs(zip_of({{"good", "x"}, {name, "x"}}), {});
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().code, "invalid");
        EXPECT_THAT(refused.error().message, HasSubstr("file 1 has a name that cannot be used"));
    }
    EXPECT_TRUE(unpack_logs(zip_of({{"..a", "x"}, {"b..", "x"}, {"c/d", "x"}}), {}));
}

TEST(LogArchiveTest, WhatIsNoArchiveOrADamagedOneIsRefused) {
    std::string noise;  // which no compression makes shorter: the byte that is changed below is in it
    for (unsigned i = 0, x = 1; i < 400; ++i) noise += static_cast<char>((x = x * 1103515245 + 12345) >> 16);
    const auto good = zip_of({{"a", noise}, {"b", "bbbb"}});
    EXPECT_TRUE(unpack_logs(good, {}));
    auto damaged = good;
    damaged[200] = static_cast<char>(damaged[200] ^ 0x55);
    for (const auto& bytes : {std::string(), std::string("<html>"), good.substr(0, good.size() / 2), damaged,
                              zip_of({{"a", "secret"}}, "password")}) {
        const auto refused = unpack_logs(bytes, {});
        ASSERT_FALSE(refused) << bytes.size();
        EXPECT_EQ(refused.error().category, ErrorCategory::permanent);
    }
    for (std::size_t end = 0; end < good.size(); ++end) EXPECT_FALSE(unpack_logs(good.substr(0, end), {})) << end;
}

}  // namespace
}  // namespace codegen::clients::github

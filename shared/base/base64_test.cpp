#include "shared/base/base64.hpp"

#include <gtest/gtest.h>

namespace codegen {
namespace {

TEST(Base64Test, EncodesAsTheRfcHasIt) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xfb\xff"), "+/8=");
    EXPECT_EQ(base64url("\xfb\xff"), "-_8");
}

TEST(Base64Test, ReadsBothAlphabetsAndLineBreaks) {
    for (std::size_t size = 0; size < 70; ++size) {
        std::string bytes;
        for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(i * 37 + size);
        EXPECT_EQ(from_base64(base64(bytes)), bytes);
        EXPECT_EQ(from_base64(base64url(bytes)), bytes);
    }
    EXPECT_EQ(from_base64("Zm9v\nYmFy\r\n"), "foobar");
}

TEST(Base64Test, RefusesWhatIsNone) {
    for (const auto* text : {"Z", "Zg=", "Zg===", "Zm9v=", "Z g=", "Zg==Zg", "Zh==", "*"})
        EXPECT_EQ(from_base64(text), std::nullopt) << text;
}

}  // namespace
}  // namespace codegen

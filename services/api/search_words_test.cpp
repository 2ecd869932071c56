#include "services/api/search_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SearchWords, AreLettersAndDigitsEachOnce) {
    EXPECT_THAT(search_words("How to add_a-Button? add \"x' OR y* NEAR(\""),
                ElementsAre("how", "to", "add", "a", "button", "x", "or", "y", "near"));
    EXPECT_THAT(search_words("\xc3\x9c"
                             "ber caf\xc3\xa9"),
                ElementsAre("\xc3\x9c"
                            "ber",
                            "caf\xc3\xa9"));
    EXPECT_TRUE(search_words(" -- ?! \n").empty());
    EXPECT_TRUE(search_words(std::string(5000, 'x')).empty());  // no word of anybody's
    std::string many;
    for (int i = 0; i < 100; ++i) many += "w" + std::to_string(i) + " ";
    EXPECT_EQ(search_words(many).size(), 32u);
}

TEST(SearchWords, AnExcerptIsAroundTheWordAndHoldsWholeCharacters) {
    std::string text;
    for (int i = 0; i < 300; ++i) text += "\xe6\xbc\xa2";
    text += " the Basket is here";
    const auto around = excerpt_of(text, std::vector<std::string>{"basket"});
    EXPECT_THAT(around, HasSubstr("the Basket is here"));
    EXPECT_LE(around.size(), 300u);
    EXPECT_TRUE(around.starts_with("\xe6\xbc\xa2"));
    const auto beginning = excerpt_of(text, std::vector<std::string>{"ask"});  // a part of a word is none
    EXPECT_TRUE(text.starts_with(beginning));
    EXPECT_EQ(beginning.size() % 3, 0u);
    EXPECT_EQ(excerpt_of("", std::vector<std::string>{"x"}), "");
    EXPECT_EQ(excerpt_of("short", {}), "short");
}

TEST(SearchWords, VectorsComeBackAndCompareByDirection) {
    const auto a = unpack_vector(pack_vector(std::vector<double>{1, 0, 0.5}));
    EXPECT_THAT(a, ElementsAre(1.0f, 0.0f, 0.5f));
    EXPECT_NEAR(similarity(a, unpack_vector(pack_vector(std::vector<double>{2, 0, 1}))), 1, 1e-6);
    EXPECT_NEAR(similarity(a, unpack_vector(pack_vector(std::vector<double>{-2, 0, -1}))), -1, 1e-6);
    EXPECT_EQ(similarity(a, unpack_vector(pack_vector(std::vector<double>{0, 0, 0}))), 0);
    EXPECT_EQ(similarity(a, unpack_vector(pack_vector(std::vector<double>{1}))), 0);
    EXPECT_THROW((void)unpack_vector("xyz"), std::runtime_error);
}

}  // namespace
}  // namespace codegen::api

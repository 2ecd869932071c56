#include "shared/json/json.hpp"

#include <gtest/gtest.h>

#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <limits>

#include "shared/json/instantiate.hpp"

namespace codegen::json {

BOOST_DEFINE_ENUM_CLASS(Shade, light, dark, delete_)

struct Inner {
    std::int32_t number = 0;
    std::optional<std::string> note;
    void check(FieldErrors& errors, const std::string& prefix) const {
        if (number < 0) errors.push_back({prefix + "number", "is negative"});
    }
};
BOOST_DESCRIBE_STRUCT(Inner, (), (number, note))

struct Base {
    std::string id = "made";
    static constexpr std::array<std::string_view, 1> defaulted{"id"};
};
BOOST_DESCRIBE_STRUCT(Base, (), (id))

struct Sample : Base {
    bool flag = false;
    std::uint8_t small = 0;
    double ratio = 0;
    Shade shade{};
    Timestamp at{};
    std::vector<Inner> items;
    std::map<std::string, std::int64_t> counts;
    boost::json::value anything;
    boost::json::object object;
    std::string operator_ = "none";
    Patch<int> patch;
    static constexpr std::array<std::string_view, 2> defaulted{"operator_", "object"};
    static void normalize(boost::json::object& o) {
        if (const auto* old = o.if_contains("old_flag"); old && !o.contains("flag")) o["flag"] = *old;
    }
};
BOOST_DESCRIBE_STRUCT(Sample, (Base),
                      (flag, small, ratio, shade, at, items, counts, anything, object, operator_, patch))

namespace {

constexpr std::string_view kGood = R"({"flag":true,"small":255,"ratio":2,"shade":"delete","at":"2026-01-10T12:00:00Z",
    "items":[{"number":1},{"number":2,"note":"n"}],"counts":{"a":-9223372036854775808},"anything":null})";

std::string broken(std::string_view from, std::string_view to) {
    std::string text(kGood);
    text.replace(text.find(from), from.size(), to);
    return text;
}

std::string message(std::string_view text) {
    const auto parsed = parse<Sample>(text);
    return parsed ? "accepted" : invalid(parsed.error()).message;
}

TEST(Json, ReadsEveryKindOfMember) {
    const auto x = parse<Sample>(kGood);
    ASSERT_TRUE(x) << invalid(x.error()).message;
    EXPECT_EQ(x->id, "made");
    EXPECT_EQ(x->small, 255);
    EXPECT_EQ(x->ratio, 2.0);
    EXPECT_EQ(x->shade, Shade::delete_);
    EXPECT_EQ(x->items.at(1).note, "n");
    EXPECT_EQ(x->counts.at("a"), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(x->operator_, "none");
    EXPECT_FALSE(x->patch.present);
    EXPECT_EQ(write(*x),
              R"({"id":"made","flag":true,"small":255,"ratio":2E0,"shade":"delete","at":"2026-01-10T12:00:00.000000Z",)"
              R"("items":[{"number":1},{"number":2,"note":"n"}],"counts":{"a":-9223372036854775808},"anything":null,)"
              R"("object":{},"operator":"none"})");
    EXPECT_EQ(to_value(*x), boost::json::parse(write(*x)));
}

TEST(Json, ErrorsNameThePlace) {
    EXPECT_EQ(message(broken("255", "256")), "small: expected integer, got a number that is not whole or out of range");
    EXPECT_EQ(message(broken("255", "-1")), "small: expected integer, got a number that is not whole or out of range");
    EXPECT_EQ(message(broken(R"({"number":2)", R"({"number":null)")), "items[1].number: required field is missing");
    EXPECT_EQ(message(broken(R"("number":1)", R"("number":-1)")), "items[0].number: is negative");
    EXPECT_EQ(message(broken(R"("n"})", R"(7})")), "items[1].note: expected string, got number");
    EXPECT_EQ(message(broken("-9223372036854775808", "\"1\"")), "counts.a: expected integer, got string");
    EXPECT_EQ(message(broken(R"("delete")", R"("delete_")")),
              "shade: unknown value \"delete_\", expected one of light, dark, delete");
    EXPECT_EQ(message(broken(R"("ratio":2)", R"("ratio":1e999)")), "ratio: expected number, got one out of range");
    EXPECT_EQ(message("7"), "expected object, got number");
}

TEST(Json, NotJson) {
    EXPECT_EQ(message(""), "invalid JSON at byte 0: incomplete JSON");
    EXPECT_TRUE(message(std::string(kGood) + "x").starts_with("invalid JSON at byte "));
    EXPECT_TRUE(message(broken("255", "0255")).starts_with("invalid JSON at byte "));
    EXPECT_TRUE(message("{\"id\":\"\xff\"}").starts_with("invalid JSON at byte "));
    EXPECT_TRUE(message(std::string(1 << 20, '[')).starts_with("invalid JSON at byte "));
    EXPECT_EQ(message(R"({"a":1,x})"), "invalid JSON at byte 7: syntax error");
    EXPECT_TRUE(parse_any(R"({"a":[1,2]} )"));
    EXPECT_FALSE(parse_any(R"({"a":[1,2)"));
}

TEST(Json, OlderSpellingsAreNormalizedFirst) {
    EXPECT_EQ(message(broken(R"("flag":true)", R"("old_flag":true)")), "accepted");
    EXPECT_EQ(message(broken(R"("flag":true)", R"("old_flag":1)")), "flag: expected boolean, got number");
}

TEST(Json, APatchKeepsNullApart) {
    EXPECT_TRUE(parse<Sample>(broken(R"("flag")", R"("patch":null,"flag")"))->patch.clears());
    EXPECT_EQ(parse<Sample>(broken(R"("flag")", R"("patch":3,"flag")"))->patch, Patch<int>(3));
    EXPECT_EQ(message(broken(R"("flag")", R"("patch":"3","flag")")), "patch: expected integer, got string");
}

TEST(Json, WhatIsWrittenCanBeRead) {
    Sample x;
    x.operator_ = "caf\xc3\xa9 \xff\xc0\xaf \xed\xa0\x80 \xf0\x9f\x9a\x80 \xf0\x9f";
    x.ratio = std::numeric_limits<double>::infinity();
    x.counts["\xfe"] = 1;
    const auto value = parse_any(write(x));
    ASSERT_TRUE(value) << invalid(value.error()).message;
    EXPECT_EQ(value->as_object().at("operator").as_string(),
              "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
              "\xf0\x9f\x9a\x80 \xef\xbf\xbd\xef\xbf\xbd");
    EXPECT_TRUE(value->as_object().at("ratio").is_null());
}

TEST(Json, ErrorsAreBounded) {
    std::string text = R"({"items":[)";
    for (int i = 0; i < 10000; ++i) text += "7,";
    const auto parsed = parse<Sample>(text + "7]}");
    ASSERT_FALSE(parsed);
    EXPECT_LE(parsed.error().size(), 50u);
    const auto long_value = message(broken(R"("delete")", '"' + std::string(10000, 'x') + '"'));
    EXPECT_LT(long_value.size(), 300u);
}

TEST(Json, LongMessagesOutgrowTheStackBuffer) {
    const std::string big(3 << 20, 'x');
    const auto x = parse<Sample>(broken(R"("flag")", R"("operator":")" + big + R"(","flag")"));
    ASSERT_TRUE(x);
    EXPECT_EQ(x->operator_, big);
    EXPECT_EQ(parse<Sample>(write(*x))->operator_, big);
}

}  // namespace
}  // namespace codegen::json

CODEGEN_JSON_INSTANTIATE(codegen::json::Sample)

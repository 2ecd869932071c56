#include "shared/resp/resp.hpp"

#include <gtest/gtest.h>

#include <random>

namespace codegen::redis {
namespace {

using Type = Reply::Type;

Reply text(Type type, std::string value) { return Reply{type, std::move(value), 0, {}}; }
Reply array(std::vector<Reply> elements) { return Reply{Type::array, {}, 0, std::move(elements)}; }

std::vector<Reply> read_all(ReplyReader& reader) {
    std::vector<Reply> replies;
    for (;;) {
        auto reply = reader.next();
        if (!reply) {
            ADD_FAILURE() << reply.error().message;
            return replies;
        }
        if (!*reply) return replies;
        replies.push_back(std::move(**reply));
    }
}

TEST(Resp, EncodesACommand) {
    std::string out = "before";
    encode_command(out, Arguments{"XADD", "s", std::string("a\0\r\n", 4), ""});
    constexpr char kExpected[] = "before*4\r\n$4\r\nXADD\r\n$1\r\ns\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n";
    EXPECT_EQ(out, std::string(kExpected, sizeof(kExpected) - 1));
}

TEST(Resp, ReadsEveryTypeInSlicesOfEverySize) {
    const std::string bytes = std::string("+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n*-1\r\n$5\r\na\r\nb") + '\0' +
                              "\r\n*3\r\n*2\r\n:1\r\n*0\r\n$0\r\n\r\n+x\r\n";
    for (std::size_t slice = 1; slice <= bytes.size(); ++slice) {
        ReplyReader reader;
        std::vector<Reply> replies;
        for (std::size_t at = 0; at < bytes.size(); at += slice) {
            reader.feed(std::string_view(bytes).substr(at, slice));
            std::ranges::move(read_all(reader), std::back_inserter(replies));
        }
        ASSERT_EQ(replies.size(), 7u) << "slice " << slice;
        EXPECT_EQ(replies[0].type, Type::status);
        EXPECT_EQ(replies[0].text, "OK");
        EXPECT_TRUE(replies[1].is_error());
        EXPECT_EQ(replies[1].text, "ERR no");
        EXPECT_EQ(replies[2].integer, -42);
        EXPECT_TRUE(replies[3].is_nil());
        EXPECT_TRUE(replies[4].is_nil());
        EXPECT_EQ(replies[5].text, std::string("a\r\nb\0", 5));
        ASSERT_EQ(replies[6].elements.size(), 3u);
        EXPECT_EQ(replies[6].elements[0].elements.at(0).integer, 1);
        EXPECT_EQ(replies[6].elements[0].elements.at(1).type, Type::array);
        EXPECT_EQ(replies[6].elements[1].text, "");
        EXPECT_EQ(replies[6].elements[2].text, "x");
    }
}

TEST(Resp, WhatIsEncodedIsReadBack) {
    const Reply reply = array({text(Type::string, "a\r\nb"), text(Type::status, "OK"), Reply{}, array({}),
                               Reply{Type::integer, {}, INT64_MIN, {}}, array({text(Type::error, "ERR x")})});
    const std::string wire = encode_reply(reply);
    ReplyReader reader;
    reader.feed(wire);
    auto read = read_all(reader);
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(encode_reply(read[0]), wire);
    EXPECT_EQ(read[0].elements[4].integer, INT64_MIN);
}

TEST(Resp, AnErrorTextCannotForgeAnotherReply) {
    EXPECT_EQ(encode_reply(text(Type::error, "ERR a\r\n+OK")), "-ERR a  +OK\r\n");
}

TEST(Resp, RubbishBreaksTheReaderForGood) {
    for (const std::string_view rubbish :
         {"hello\r\n", "*1\r\n!\r\n", "$x\r\n", "$-2\r\n", "*99999999999999999999\r\n"}) {
        ReplyReader reader;
        reader.feed(rubbish);
        auto reply = reader.next();
        ASSERT_FALSE(reply) << rubbish;
        EXPECT_EQ(reply.error().code, "protocol");
        EXPECT_EQ(reply.error().category, ErrorCategory::permanent);
        reader.feed("+OK\r\n");
        EXPECT_FALSE(reader.next()) << rubbish;
    }
}

TEST(Resp, DeepNestingIsRefused) {
    ReplyReader reader;
    std::string wire;
    for (int i = 0; i < 64; ++i) wire += "*1\r\n";
    reader.feed(wire);
    EXPECT_FALSE(reader.next());
}

TEST(Resp, AHugeCountCostsNothingUntilItsElementsCome) {
    ReplyReader reader;
    reader.feed("*2147483647\r\n:1\r\n");
    auto reply = reader.next();
    ASSERT_TRUE(reply);
    EXPECT_FALSE(*reply);
}

TEST(Resp, RandomBytesNeverCrash) {
    std::mt19937 random(7);
    constexpr std::string_view kAlphabet = "*$+-:0123456789\r\nab";
    for (int round = 0; round < 20000; ++round) {
        ReplyReader reader;
        std::string bytes;
        for (int i = 0; i < 24; ++i) bytes += kAlphabet[random() % kAlphabet.size()];
        reader.feed(bytes);
        for (int i = 0; i < 32; ++i) {
            auto reply = reader.next();
            if (!reply || !*reply) break;
        }
    }
}

TEST(Resp, ParsesStreamReplies) {
    const auto entry = [](const std::string& id) {
        return array({text(Type::string, id), array({text(Type::string, "data"), text(Type::string, "{}"),
                                                     text(Type::string, "k"), text(Type::string, "v")})});
    };
    const Reply deleted = array({text(Type::string, "1-2"), Reply{}});
    auto entries = parse_entries(array({entry("1-1"), deleted, Reply{}, entry("1-3")}), "s");
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[1].id, "1-3");
    EXPECT_EQ(entries[1].stream, "s");
    ASSERT_TRUE(entries[0].field("k"));
    EXPECT_EQ(*entries[0].field("k"), "v");
    EXPECT_EQ(entries[0].field("absent"), nullptr);

    auto read = parse_xread(array({array({text(Type::string, "a"), array({entry("1-1")})}),
                                   array({text(Type::string, "b"), array({entry("2-1")})})}));
    ASSERT_EQ(read.size(), 2u);
    EXPECT_EQ(read[1].stream, "b");
    EXPECT_TRUE(parse_xread(Reply{}).empty());
}

}  // namespace
}  // namespace codegen::redis

#include <gmock/gmock.h>

#include "shared/redis/client.hpp"

namespace codegen::redis {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Transport = Address::Transport;

TEST(Address, Tcp) {
    const auto plain = parse_address("redis://db.example");
    ASSERT_TRUE(plain) << plain.error().message;
    EXPECT_EQ(plain->transport, Transport::tcp);
    EXPECT_EQ(plain->host, "db.example");
    EXPECT_EQ(plain->port, 6379);
    EXPECT_EQ(plain->password, "");
    const auto full = parse_address("redis://me:p%40ss%2F@[::1]:7000/3");
    ASSERT_TRUE(full);
    EXPECT_EQ(full->host, "::1");
    EXPECT_EQ(full->port, 7000);
    EXPECT_EQ(full->user, "me");
    EXPECT_EQ(full->password, "p@ss/");
    EXPECT_EQ(full->database, 3);
    EXPECT_EQ(parse_address("redis://:secret@h")->user, "default");
    EXPECT_EQ(parse_address("rediss://h:1")->transport, Transport::tls);
}

TEST(Address, UnixSocket) {
    const auto address = parse_address("unix://admin:pw@/run/redis.sock?db=2");
    ASSERT_TRUE(address) << address.error().message;
    EXPECT_EQ(address->transport, Transport::unix_socket);
    EXPECT_EQ(address->path, "/run/redis.sock");
    EXPECT_EQ(address->user, "admin");
    EXPECT_EQ(address->password, "pw");
    EXPECT_EQ(address->database, 2);
    EXPECT_EQ(parse_address("unix:///run/redis.sock")->path, "/run/redis.sock");
    EXPECT_EQ(describe(*address), "/run/redis.sock");
}

TEST(Address, IsWrittenSoThatItIsReadBack) {
    for (const auto* url : {"redis://me:p%40ss@[::1]:7000/3", "unix://admin:a%3Ab@/run/my%20redis.sock?db=1",
                            "unix:///r.sock", "rediss://h:1/0"}) {
        const auto address = parse_address(url);
        ASSERT_TRUE(address) << url;
        const auto again = parse_address(to_url(*address));
        ASSERT_TRUE(again) << to_url(*address) << again.error().message;
        EXPECT_EQ(again->path, address->path);
        EXPECT_EQ(again->host, address->host);
        EXPECT_EQ(again->password, address->password);
        EXPECT_EQ(again->database, address->database);
    }
}

TEST(Address, RefusesWithTheReasonAndWithoutThePassword) {
    for (const auto& [url, why] : std::vector<std::pair<std::string, std::string>>{
             {"reddis://u:geheim@x", "unknown scheme"},
             {"redis://u:geheim@", "host is missing"},
             {"redis://u:geheim@h:0", "port"},
             {"redis://u:geheim@h:99999", "port"},
             {"redis://u:geheim@h/x", "database is not a number"},
             {"redis://u:geheim@h/0?x=1", "parameters"},
             {"unix://u:geheim@", "path is missing"},
             {"unix://u:geheim@host/p", "not a host"},
             {"unix://u:geheim@/p?timeout=1", "unknown parameter \"timeout\""},
             {"u:geheim@x y", "not a URL"},
             {"", "not a URL"}}) {
        const auto address = parse_address(url);
        ASSERT_FALSE(address) << url;
        EXPECT_THAT(address.error().message, HasSubstr(why)) << url;
        EXPECT_THAT(address.error().message, Not(HasSubstr("geheim")));
    }
}

}  // namespace
}  // namespace codegen::redis

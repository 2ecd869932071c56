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

TEST(Address, Sentinels) {
    const auto address = parse_address(
        "redis+sentinel://me:p%40s@a.example,[::1]:26380,b:1/mymaster/2?sentinel_user=s&sentinel_password=x%26y");
    ASSERT_TRUE(address) << address.error().message;
    EXPECT_EQ(address->transport, Transport::tcp);
    ASSERT_EQ(address->sentinels.size(), 3u);
    EXPECT_EQ(address->sentinels[0].host, "a.example");
    EXPECT_EQ(address->sentinels[0].port, 26379);
    EXPECT_EQ(address->sentinels[1].host, "::1");
    EXPECT_EQ(address->sentinels[1].port, 26380);
    EXPECT_EQ(address->master_name, "mymaster");
    EXPECT_EQ(address->database, 2);
    EXPECT_EQ(address->password, "p@s");
    EXPECT_EQ(address->sentinel_password, "x&y");
    EXPECT_EQ(describe(*address), "master mymaster of sentinels a.example:26379,::1:26380,b:1");
    const auto tls = parse_address("rediss+sentinel://h/m?ca=/etc/ca.pem");
    ASSERT_TRUE(tls) << tls.error().message;
    EXPECT_EQ(tls->transport, Transport::tls);
    EXPECT_EQ(tls->ca_file, "/etc/ca.pem");
}

TEST(Address, IsWrittenSoThatItIsReadBack) {
    for (const auto* url : {"redis://me:p%40ss@[::1]:7000/3", "unix://admin:a%3Ab@/run/my%20redis.sock?db=1",
                            "unix:///r.sock", "rediss://h:1/0", "rediss://h:1/0?ca=/a%20b&cert=/c&key=/k",
                            "rediss+sentinel://u:p@a:1,[::1]:2/m/3?ca=/c&sentinel_password=x"}) {
        const auto address = parse_address(url);
        ASSERT_TRUE(address) << url;
        const auto again = parse_address(to_url(*address));
        ASSERT_TRUE(again) << to_url(*address) << again.error().message;
        EXPECT_EQ(again->path, address->path);
        EXPECT_EQ(again->host, address->host);
        EXPECT_EQ(again->password, address->password);
        EXPECT_EQ(again->database, address->database);
        EXPECT_EQ(again->ca_file, address->ca_file);
        EXPECT_EQ(again->master_name, address->master_name);
        EXPECT_EQ(to_url(*again), to_url(*address));
    }
}

TEST(Address, RefusesWithTheReasonAndWithoutThePassword) {
    for (const auto& [url, why] : std::vector<std::pair<std::string, std::string>>{
             {"reddis://u:geheim@x", "unknown scheme"},
             {"redis://u:geheim@", "host is missing"},
             {"redis://u:geheim@h:0", "port"},
             {"redis://u:geheim@h:99999", "port"},
             {"redis://u:geheim@h/x", "database is not a number"},
             {"redis://u:geheim@h/0?x=geheim", "unknown parameter"},
             {"redis://u:geheim@h/0?ca=/x", "unknown parameter \"ca\""},
             {"rediss://u:geheim@h/0?cert=/x", "cert and key"},
             {"redis+sentinel://u:geheim@h", "name of the master"},
             {"redis+sentinel://u:geheim@h:0/m", "sentinels as host"},
             {"redis+sentinel://u:geheim@/m", "sentinels as host"},
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

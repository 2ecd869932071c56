// Where the worker-managers are: announced, announced again, listed.
#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

using ::testing::HasSubstr;

class HostsTest : public ApiFixture {
  protected:
    http::Response announce(const std::string& name, boost::json::object body) {
        return send("PUT", "/api/hosts/" + name, control_, boost::json::serialize(body));
    }
};

TEST_F(HostsTest, AHostIsAnnouncedAgainAndAgain) {
    const auto first = must(200, announce("host-1", {{"manager_url", "http://10.0.0.5:8100"}, {"capacity", 4}}));
    EXPECT_EQ(text(first, "name"), "host-1");
    EXPECT_EQ(text(first, "manager_url"), "http://10.0.0.5:8100");
    EXPECT_EQ(first.at("capacity").as_int64(), 4);
    now_ += std::chrono::seconds(10);
    const auto second =
        must(200, announce("host-1", {{"manager_url", "http+unix:///var/lib/codegen/manager.sock"}, {"capacity", 40}}));
    EXPECT_LT(text(first, "last_seen"), text(second, "last_seen"));
    must(200, announce("host-2.example", {{"manager_url", "https://h2:8100"}, {"capacity", 0}}));
    const auto all = must(200, admin("GET", "/api/hosts")).as_array();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0], second);
    EXPECT_EQ(text(all[1], "name"), "host-2.example");
    const auto page = admin("GET", "/api/hosts?limit=1");
    EXPECT_EQ(must(200, page).as_array().size(), 1u);
    EXPECT_TRUE(page.headers.get("Link"));
    restart();
    EXPECT_EQ(must(200, admin("GET", "/api/hosts")).as_array().size(), 2u);
}

TEST_F(HostsTest, WhatIsNoHostIsRefusedWithItsPath) {
    const boost::json::object good{{"manager_url", "http://h:8100"}, {"capacity", 4}};
    for (const auto* name : {"a%20b", ".hidden", "-x", "a%2Fb", "%C3%A4"})
        EXPECT_THAT(announce(name, good).body, HasSubstr(R"("path":"name")")) << name;
    EXPECT_EQ(announce(std::string(254, 'a'), good).status, 422u);
    for (const auto* url : {"", "ftp://h", "h:8100", "http://", "http+unix://relative"})
        EXPECT_THAT(announce("h", {{"manager_url", url}, {"capacity", 4}}).body, HasSubstr(R"("path":"manager_url")"))
            << url;
    EXPECT_THAT(announce("h", {{"manager_url", "http://h:1"}, {"capacity", -1}}).body,
                HasSubstr(R"("path":"capacity")"));
    EXPECT_EQ(announce("h", {{"capacity", 4}}).status, 422u);
    EXPECT_EQ(send("PUT", "/api/hosts/h", control_, "{").status, 400u);
    EXPECT_EQ(admin("GET", "/api/hosts").body, "[]");
}

}  // namespace
}  // namespace codegen::api

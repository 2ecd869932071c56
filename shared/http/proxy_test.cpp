#include "shared/http/proxy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace codegen::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using Variables = std::map<std::string, std::string, std::less<>>;

Result<std::optional<Proxy>> choose(std::string_view url, const Variables& variables) {
    return proxy_for(parse_url(url).value(), [&](std::string_view name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
}

TEST(ProxyTest, IsChosenByTheScheme) {
    const Variables variables{{"HTTPS_PROXY", "http://p:3128"}, {"http_proxy", "q:81/"}, {"HTTP_PROXY", "r:1"}};
    EXPECT_EQ((*choose("https://api.github.com", variables))->place(), "p:3128");
    EXPECT_EQ((*choose("http://example.com", variables))->place(), "q:81");
    EXPECT_FALSE(*choose("http://example.com", {{"HTTP_PROXY", "r:1"}}));  // a CGI program's header Proxy
    EXPECT_FALSE(*choose("http+unix:///x.sock", variables));
    EXPECT_FALSE(*choose("https://x", {{"https_proxy", " "}}));
    EXPECT_EQ((*choose("https://x", {{"https_proxy", "p"}}))->port, 1080);
    EXPECT_EQ((*choose("https://x", {{"https_proxy", "http://[::1]:8080"}}))->place(), "[::1]:8080");
}

TEST(ProxyTest, SignsInWithWhatStandsThere) {
    const auto proxy = *choose("https://x", {{"https_proxy", "http://me:p%40ss@p:3128"}});
    EXPECT_EQ(proxy->authorization, "Basic bWU6cEBzcw==");
    EXPECT_EQ(proxy->place(), "p:3128");
}

TEST(ProxyTest, IsLeftOutForWhatNoProxyNames) {
    const auto direct = [](std::string_view url, std::string list) {
        return !*choose(url, {{"https_proxy", "p:1"}, {"no_proxy", std::move(list)}});
    };
    EXPECT_TRUE(direct("https://git.example.com", "example.com"));
    EXPECT_TRUE(direct("https://git.Example.com", "other, .example.com"));
    EXPECT_TRUE(direct("https://example.com", ".example.com"));
    EXPECT_FALSE(direct("https://badexample.com", "example.com"));
    EXPECT_FALSE(direct("https://example.com.evil", "example.com"));
    EXPECT_TRUE(direct("https://anything", "*"));
    EXPECT_TRUE(direct("https://127.0.0.1:8443", "127.0.0.1"));
    EXPECT_TRUE(direct("https://[::1]", "::1"));
    EXPECT_TRUE(direct("https://10.1.2.3", "10.0.0.0/8"));
    EXPECT_FALSE(direct("https://11.1.2.3", "10.0.0.0/8"));
    EXPECT_TRUE(direct("https://[fd00::5]", "fd00::/8"));
    EXPECT_FALSE(direct("https://name", "10.0.0.0/8,,"));
    EXPECT_TRUE(direct("https://example.com:8443", "example.com:8443"));
    EXPECT_FALSE(direct("https://example.com", "example.com:8443"));
    EXPECT_FALSE(*choose("https://h", {{"HTTPS_PROXY", "p:1"}, {"NO_PROXY", "h"}}));
}

TEST(ProxyTest, AWrongOneIsNamedByItsVariableOnly) {
    for (const auto* value :
         {"socks5://secret@x:1", "http://me:secret@", "http://secret@p:0", "http://%zz:secret@p:1", "secret@p:99999"}) {
        const auto proxy = choose("https://x", {{"HTTPS_PROXY", value}});
        ASSERT_FALSE(proxy) << value;
        EXPECT_EQ(proxy.error().category, ErrorCategory::fatal);
        EXPECT_THAT(proxy.error().message, HasSubstr("HTTPS_PROXY: "));
        EXPECT_THAT(proxy.error().message, Not(HasSubstr("secret")));
    }
}

}  // namespace
}  // namespace codegen::http

#include "shared/clients/github/places.hpp"

#include <gtest/gtest.h>

#include "shared/clients/github/etag_cache.hpp"

namespace codegen::clients::github {
namespace {

http::Url url(std::string_view text) { return http::parse_url(text).value(); }

TEST(PlacesTest, FindsTheWebSideOfAnApi) {
    EXPECT_EQ(web_url(url("https://api.github.com")), "https://github.com");
    EXPECT_EQ(web_url(url("https://git.example.com/api/v3/")), "https://git.example.com");
    EXPECT_EQ(web_url(url("https://git.example.com:8443/api/v3")), "https://git.example.com:8443");
    EXPECT_EQ(web_url(url("http://127.0.0.1:1234")), "http://127.0.0.1:1234");
}

TEST(PlacesTest, KnowsTheRepositoriesOfItsOrganisation) {
    const auto at = [](std::string_view text) { return repository_at(text, "https://github.com", "acme"); };
    EXPECT_EQ(at("https://github.com/acme/shop"), "shop");
    EXPECT_EQ(at("https://github.com/acme/shop.git"), "shop");
    EXPECT_EQ(at("https://GitHub.com/Acme/Shop/"), "Shop");
    for (const auto* other :
         {"https://github.com/acme", "https://github.com/acme/", "https://github.com/acme/.git",
          "https://github.com/acme/..", "https://github.com/acme/shop/tree/main", "https://github.com/other/shop",
          "https://github.com.evil.example/acme/shop", "https://user:password@github.com/acme/shop",
          "http://github.com/acme/shop", "git@github.com:acme/shop.git", "https://github.com/acme/shop?x=1",
          "https://github.com/acme/sh%6fp", "/srv/shop.git", ""})
        EXPECT_FALSE(at(other)) << other;
}

TEST(PlacesTest, TakesNamesAsGitHubDoes) {
    for (const auto* good : {"a", "shop-1", "my.repo_x", "..."}) EXPECT_TRUE(is_repository_name(good)) << good;
    for (const auto* bad : {"", ".", "..", "a/b", "a b", "x.git", "ä", "a?b"})
        EXPECT_FALSE(is_repository_name(bad)) << bad;
    EXPECT_FALSE(is_repository_name(std::string(101, 'a')));
    for (const auto* good : {"acme", "acme-2", "octo_short"}) EXPECT_TRUE(is_account_name(good)) << good;
    for (const auto* bad : {"", "-acme", "acme-", "ac--me", "acme/x", "a.b"}) EXPECT_FALSE(is_account_name(bad)) << bad;
}

TEST(PlacesTest, FollowsTheNextPageButNotAwayFromTheApi) {
    const auto next = [](std::string link, std::string_view api) {
        http::Headers headers;
        headers.set("Link", std::move(link));
        return next_page(headers, url(api));
    };
    EXPECT_EQ(*next(R"(<https://api.github.com/orgs/a/repos?page=1>; rel="prev", )"
                    R"(<https://api.github.com/orgs/a/repos?page=3>; rel="next")",
                    "https://api.github.com"),
              "/orgs/a/repos?page=3");
    EXPECT_EQ(*next(R"(<https://h/api/v3/x?page=2>; rel="next")", "https://h/api/v3"), "/x?page=2");
    EXPECT_EQ(*next(R"(<https://api.github.com/x?page=9>; rel="last")", "https://api.github.com"), std::nullopt);
    EXPECT_EQ(*next_page({}, url("https://api.github.com")), std::nullopt);
    for (const auto* away : {R"(<https://evil.example/x>; rel="next")", R"(<http://api.github.com/x>; rel="next")",
                             R"(<https://api.github.com.evil.example/x>; rel="next")",
                             R"(<//evil.example/x>; rel="next")", R"(<https://api.github.com:444/x>; rel="next")"})
        EXPECT_FALSE(next(away, "https://api.github.com")) << away;
    EXPECT_FALSE(next(R"(<https://h/other/x>; rel="next")", "https://h/api/v3"));
}

http::Response tagged(std::string etag, std::size_t bytes) {
    http::Response response;
    response.headers.set("ETag", std::move(etag));
    response.body = std::string(bytes, 'x');
    return response;
}

TEST(EtagCacheTest, KeepsTheLatestAndForgetsTheOldestBeyondItsLimit) {
    EtagCache cache(10'000);
    cache.keep("/a", tagged("1", 2000));
    cache.keep("/b", tagged("2", 2000));
    ASSERT_TRUE(cache.find("/a"));
    cache.keep("/c", tagged("3", 2000));
    cache.keep("/d", tagged("4", 2000));  // /b is the least recently used
    EXPECT_FALSE(cache.find("/b"));
    ASSERT_TRUE(cache.find("/a"));
    EXPECT_EQ(cache.find("/a")->etag, "1");
    cache.keep("/a", tagged("5", 10));
    EXPECT_EQ(cache.find("/a")->etag, "5");
    EXPECT_EQ(cache.find("/a")->response.body.size(), 10u);
    EXPECT_LE(cache.bytes(), 10'000u);
}

TEST(EtagCacheTest, KeepsNothingThatIsTooLargeOrHasNoTag) {
    EtagCache cache(10'000);
    cache.keep("/a", tagged("1", 20'000));
    EXPECT_FALSE(cache.find("/a"));
    cache.keep("/a", tagged("1", 10));
    cache.keep("/a", http::Response{});
    EXPECT_FALSE(cache.find("/a"));
    EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace codegen::clients::github

// The parts of shared/http without I/O: headers, problems, URLs, percent coding, routing, the wire format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

#include "shared/http/message.hpp"
#include "shared/http/router.hpp"
#include "shared/http/url.hpp"
#include "shared/http/wire.hpp"
#include "shared/testing/run.hpp"

namespace codegen::http {
namespace {
using ::testing::HasSubstr;

TEST(Headers, CompareNamesWithoutCaseAndKeepOrder) {
    Headers headers;
    headers.add("A", "1");
    headers.add("b", "2");
    headers.add("a", "3");
    EXPECT_EQ(headers.get("a"), "1");
    EXPECT_EQ(headers.get("B"), "2");
    EXPECT_FALSE(headers.get("c"));
    headers.set("A", "4");
    std::string all;
    for (const auto& [name, value] : headers) all += name + value + " ";
    EXPECT_EQ(all, "b2 A4 ");
    headers.erase("B");
    EXPECT_FALSE(headers.get("b"));
}

TEST(Problem, IsRfc9457) {
    const auto response = problem(422, "does not validate", {{"config.name", "too long"}});
    EXPECT_EQ(response.headers.get("content-type"), "application/problem+json");
    EXPECT_EQ(boost::json::parse(response.body),
              boost::json::parse(R"({"type":"about:blank","title":"Unprocessable Content","status":422,
                  "detail":"does not validate","errors":[{"path":"config.name","message":"too long"}]})"));
    EXPECT_FALSE(boost::json::parse(problem(404, "x").body).as_object().contains("errors"));
}

TEST(Url, ParsesTheThreeKinds) {
    auto url = parse_url("http://localhost:8000/base/").value();
    EXPECT_EQ(url.host, "localhost");
    EXPECT_EQ(url.port, 8000);
    EXPECT_EQ(url.path, "/base");
    url = parse_url("https://api.example.com").value();
    EXPECT_EQ(url.scheme, Url::Scheme::https);
    EXPECT_EQ(url.port, 443);
    EXPECT_EQ(url.path, "");
    url = parse_url("http://[::1]:81/").value();
    EXPECT_EQ(url.host, "::1");
    url = parse_url("http+unix:///run/with space/api.sock").value();
    EXPECT_EQ(url.scheme, Url::Scheme::unix_socket);
    EXPECT_EQ(url.path, "/run/with space/api.sock");
}

TEST(Url, KnowsAPlaceThatHoldsASecret) {
    for (const auto* place :
         {"https://token@h.test/o/t", "https://user:secret@h.test/o/t", "HTTPS://token@h.test",
          "http://:secret@h.test/o", "ssh://git:secret@h.test/o/t", "ssh://git:secret@h.test:22/o/t@v1",
          "git+https://token@h.test/o/t", "git:secret@h.test:o/t", "https://a@b@h.test/o", "https://token@h.test?x",
          "https://user:se/cret@h.test/o/t"})
        EXPECT_TRUE(holds_credentials(place)) << place;
    for (const auto* place :
         {"https://h.test/o/t", "https://h.test:8443/o/t@v1", "https://h.test/o/t@a:b", "ssh://git@h.test/o/t",
          "ssh://git@h.test:22/o/t@v1", "git@h.test:o/t", "git@h.test:o/t@v1", "/srv/git/a.git", "https://[::1]/o",
          "https://[::1]:8443/o", "standard", ""})
        EXPECT_FALSE(holds_credentials(place)) << place;
}

TEST(Url, RefusesTheRestWithAWayOut) {
    for (const auto* text :
         {"", "localhost:80", "ftp://x", "http://", "http:///x", "http://x:0", "http://x:99999", "http://x:y",
          "http://x?q", "http://x#f", "http+unix://relative", "http://a b/", "http://x%00y/"}) {
        const auto url = parse_url(text);
        ASSERT_FALSE(url) << text;
        EXPECT_EQ(url.error().code, "invalid");
        EXPECT_THAT(url.error().message, HasSubstr("expected http://"));
    }
    const auto url = parse_url("http://user:secret@host/");
    ASSERT_FALSE(url);
    EXPECT_THAT(url.error().message, ::testing::Not(HasSubstr("secret")));
}

TEST(Percent, RoundTripsEveryByte) {
    for (int i = 1; i < 256; ++i) {
        const std::string text = "a" + std::string(1, static_cast<char>(i)) + "b";
        EXPECT_EQ(percent_decode(percent_encode(text)), text);
    }
    EXPECT_EQ(percent_encode("a/b c~"), "a%2Fb%20c~");
    EXPECT_EQ(percent_decode("%4a%4A"), "JJ");
    for (const auto* bad : {"%", "%4", "a%4", "%zz", "%4z", "%00"}) EXPECT_FALSE(percent_decode(bad)) << bad;
}

class RouterTest : public ::testing::Test {
  protected:
    asio::io_context io_;
    Router router_;
    std::string seen_;

    void add(std::string method, std::string pattern) {
        router_.add(method, pattern,
                    [this](Request request, Match match, Peer) { return note(std::move(request), std::move(match)); });
    }
    Task<Reply> note(Request request, Match match) {
        seen_ = request.method + " " + match.route;
        for (const auto& [k, v] : match.params) seen_ += " " + k + "=" + v;
        for (const auto& [k, v] : match.query) seen_ += " ?" + k + "=" + v;
        co_return Reply{};
    }
    Response ask(std::string method, std::string target) {
        seen_.clear();
        Request request;
        request.method = std::move(method);
        request.target = std::move(target);
        return codegen::testing::run(io_, router_.dispatch(std::move(request), Peer{})).head;
    }
    std::string route(std::string method, std::string target) {
        const auto response = ask(std::move(method), std::move(target));
        return response.status == 200 ? seen_ : std::to_string(response.status);
    }
};

TEST_F(RouterTest, FindsParametersQueriesAndTheRest) {
    add("GET", "/api/tasks/{id}");
    add("GET", "/api/tasks/special");
    add("POST", "/api/tasks");
    add("GET", "/models/{rest...}");
    add("GET", "/");
    EXPECT_EQ(route("GET", "/api/tasks/a%2Fb?x=1+2&x=%26&empty"), "GET /api/tasks/{id} id=a/b ?empty= ?x=&");
    EXPECT_EQ(route("GET", "/api/tasks/special"), "GET /api/tasks/special");
    EXPECT_EQ(route("GET", "/api/tasks/special/"), "GET /api/tasks/special");
    EXPECT_EQ(route("HEAD", "/api/tasks/7"), "HEAD /api/tasks/{id} id=7");
    EXPECT_EQ(route("GET", "/models/a/b/c"), "GET /models/{rest...} rest=a/b/c");
    EXPECT_EQ(route("GET", "/models"), "404");
    EXPECT_EQ(route("GET", "/"), "GET /");
    EXPECT_EQ(route("GET", "/?a=b"), "GET / ?a=b");
    EXPECT_EQ(router_.routes().size(), 5u);
    EXPECT_EQ(router_.routes()[2].method, "POST");
}

TEST_F(RouterTest, RefusesWithTheRightStatus) {
    add("GET", "/a/{id}");
    add("PATCH", "/a/{id}");
    EXPECT_EQ(route("GET", "/b"), "404");
    EXPECT_EQ(route("GET", "/a//"), "404");
    EXPECT_EQ(route("GET", "/a/%zz"), "400");
    EXPECT_EQ(route("GET", "/a/1?%"), "400");
    EXPECT_EQ(route("GET", "*"), "404");
    EXPECT_EQ(route("CONNECT", "host:443"), "404");
    const auto response = ask("DELETE", "/a/1");
    EXPECT_EQ(response.status, 405u);
    EXPECT_EQ(response.headers.get("Allow"), "GET, PATCH, HEAD");
}

TEST_F(RouterTest, TheClosestPatternAnswersForItsPathAlone) {
    add("GET", "/a/self");
    add("DELETE", "/a/{id}");
    add("GET", "/a/{rest...}");
    EXPECT_EQ(route("GET", "/a/self"), "GET /a/self");
    EXPECT_EQ(route("DELETE", "/a/7"), "DELETE /a/{id} id=7");
    EXPECT_EQ(route("GET", "/a/7/8"), "GET /a/{rest...} rest=7/8");
    const auto response = ask("DELETE", "/a/self");
    EXPECT_EQ(response.status, 405u);
    EXPECT_EQ(response.headers.get("Allow"), "GET, HEAD");
    EXPECT_EQ(ask("GET", "/a/7").status, 405u);
}

TEST_F(RouterTest, AHandlerForHeadItselfWins) {
    add("GET", "/a");
    add("HEAD", "/a");
    EXPECT_EQ(route("HEAD", "/a"), "HEAD /a");
    add("HEAD", "/b");
    add("GET", "/b");
    EXPECT_EQ(route("HEAD", "/b"), "HEAD /b");
}

TEST_F(RouterTest, WrongPatternsAreBugs) {
    add("GET", "/a/{id}");
    EXPECT_THROW(add("GET", "/a/{other}"), std::logic_error);
    EXPECT_THROW(add("GET", "no-slash"), std::logic_error);
    EXPECT_THROW(add("GET", "/{rest...}/x"), std::logic_error);
    EXPECT_THROW(add("GET", "/x/{}"), std::logic_error);
    EXPECT_NO_THROW(add("GET", "/a/{id}/x"));
    EXPECT_NO_THROW(add("POST", "/a/{id}"));
}

struct Parsed {
    Request request;
    std::string error;
    std::size_t used = 0;
    bool done = false;
    bool keep_alive = false;
};

Parsed parse(std::string_view bytes, std::size_t step = std::string::npos, std::size_t body_limit = 100) {
    RequestParser parser(1000, body_limit);
    Parsed out;
    for (std::size_t shown = 0; shown < bytes.size() && !parser.done();) {
        shown = step == std::string::npos ? bytes.size() : std::min(bytes.size(), shown + step);
        auto used = parser.feed(bytes.substr(out.used, shown - out.used));
        if (!used) {
            out.error = used.error().code;
            return out;
        }
        out.used += *used;
    }
    out.done = parser.done();
    if (!out.done) return out;
    out.keep_alive = parser.keep_alive();
    out.request = parser.take();
    return out;
}

TEST(RequestParser, ReadsTheSameInAnyPieces) {
    const std::string bytes =
        "POST /a?b=c HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;ext=1\r\nabc\r\n5\r\ndefgh\r\n0\r\nHost: forged\r\nX-T: trailer\r\n\r\n";
    for (const std::size_t step : {std::string::npos, std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
        const auto parsed = parse(bytes + "GET / HTTP/1.1\r\n", step);
        ASSERT_TRUE(parsed.done) << step << " " << parsed.error;
        EXPECT_EQ(parsed.used, bytes.size());
        EXPECT_EQ(parsed.request.method, "POST");
        EXPECT_EQ(parsed.request.target, "/a?b=c");
        EXPECT_EQ(parsed.request.body, "abcdefgh");
        EXPECT_EQ(parsed.request.headers.get("host"), "h");
        EXPECT_FALSE(parsed.request.headers.get("x-t")) << "a trailer became a field";
        EXPECT_TRUE(parsed.keep_alive);
    }
}

TEST(RequestParser, RefusesWhatIsAmbiguousOrTooLarge) {
    const std::string host = "Host: h\r\n";
    for (const std::string& bad :
         {std::string("\r\n\r\n\r\n\r\n"), std::string("GET\r\n\r\n"),
          std::string("GET / HTTP/2.0\r\n") + host + "\r\n", std::string("GET / HTTP/1.1\r\n\r\n"),
          "GET / HTTP/1.1\r\n" + host + host + "\r\n",
          "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
          "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
          "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n",
          "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
          "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
          "POST / HTTP/1.1\r\n" + host + "Content-Length : 1\r\n\r\na",
          "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
          "GET / HTTP/1.1\r\n" + host + "Bad Name: 1\r\n\r\n", std::string("GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n"),
          std::string("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")}) {
        EXPECT_EQ(parse(bad).error, "malformed") << bad;
        EXPECT_EQ(parse(bad, 1).error, "malformed") << bad;
    }
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nX: " + std::string(2000, 'a')).error, "header_too_large");
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" + host + "Content-Length: 101\r\n\r\n").error, "too_large");
    EXPECT_EQ(
        parse("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'a')).error,
        "too_large");
    EXPECT_EQ(
        parse("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(70'000, 'a')).error,
        "malformed");
}

TEST(RequestParser, ReadsAnEmptyChunkedBodyInAnyPieces) {
    const std::string bytes = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: x\r\n\r\n";
    for (std::size_t step = 1; step < 8; ++step) EXPECT_TRUE(parse(bytes, step).done) << step;
}

TEST(RequestParser, KnowsConnectAndHttp10) {
    const auto parsed = parse("CONNECT host.example:443 HTTP/1.1\r\nHost: host.example:443\r\n\r\n");
    ASSERT_TRUE(parsed.done) << parsed.error;
    EXPECT_EQ(parsed.request.target, "host.example:443");
    const auto old = parse("GET / HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(old.done);
    EXPECT_FALSE(old.keep_alive);
}

TEST(ResponseParser, SkipsInformationalAndReadsUntilTheEnd) {
    ResponseParser parser(false);
    std::string body;
    std::string bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nX: y\r\n\r\nabc";
    std::size_t used = 0;
    while (used < bytes.size()) used += parser.feed(std::string_view(bytes).substr(used), body).value();
    EXPECT_EQ(parser.head().status, 200u);
    EXPECT_EQ(body, "abc");
    EXPECT_FALSE(parser.done());
    EXPECT_TRUE(parser.end_of_stream());
    EXPECT_TRUE(parser.done());
}

TEST(ResponseParser, ACutBodyIsAnError) {
    ResponseParser parser(false);
    std::string body;
    const std::string_view bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc";
    const auto used = parser.feed(bytes, body).value();
    ASSERT_TRUE(parser.feed(bytes.substr(used), body));
    EXPECT_EQ(parser.end_of_stream().error().category, ErrorCategory::transient);
    ResponseParser garbage(false);
    EXPECT_EQ(garbage.feed("SSH-2.0-OpenSSH_9\r\n\r\n", body).error().code, "protocol");
}

TEST(Wire, FieldsCannotBreakAMessage) {
    Response response;
    response.headers.add("X", "a\r\nSet-Cookie: b");
    EXPECT_FALSE(response_head(response, Framing::length, 0, true));
    Request request;
    request.headers.add("X\n", "a");
    EXPECT_FALSE(request_head(request, "/", "h", false));
    EXPECT_FALSE(request_head(Request{}, "/a b", "h", false));
    EXPECT_FALSE(request_head(Request{}, "/a\r\nX: y", "h", false));
    Request method;
    method.method = "GET /x";
    EXPECT_FALSE(request_head(method, "/", "h", false));
}

TEST(Wire, TheConnectionsOwnFieldsAreNotPassedOn) {
    Request request;
    request.method = "POST";
    request.body = "abc";
    for (const auto* name : {"Connection", "transfer-encoding", "Content-Length", "Keep-Alive", "Upgrade", "Expect"})
        request.headers.add(name, "77");
    request.headers.add("X", "y");
    EXPECT_EQ(request_head(request, "/t", "h", false).value(),
              "POST /t HTTP/1.1\r\nHost: h\r\nX: y\r\nContent-Length: 3\r\n\r\n");
}

TEST(RetryAfter, SecondsOrADateUpToADay) {
    const auto of = [](const char* value) {
        Headers headers;
        headers.set("Retry-After", value);
        // Sun, 06 Nov 1994 08:49:37 GMT
        return retry_after(headers, *parse_timestamp("1994-11-06T08:49:37Z"));
    };
    using std::chrono::seconds;
    EXPECT_EQ(of("0"), seconds(0));
    EXPECT_EQ(of("120"), seconds(120));
    EXPECT_EQ(of("999999"), std::chrono::hours(24));
    EXPECT_EQ(of("99999999999999999999999"), std::chrono::hours(24));
    EXPECT_EQ(of("Sun, 06 Nov 1994 08:51:37 GMT"), seconds(120));
    EXPECT_EQ(of("Sun, 06 Nov 1994 08:00:00 GMT"), seconds(0));
    for (const auto* bad : {"", "-1", "soon", "1.5", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT"})
        EXPECT_FALSE(of(bad)) << bad;
    EXPECT_FALSE(retry_after({}));
}

}  // namespace
}  // namespace codegen::http

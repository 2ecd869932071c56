// The bytes a stranger may send: requests and responses in pieces, URLs, percent coding, routing.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstdlib>

#include "shared/http/router.hpp"
#include "shared/http/url.hpp"
#include "shared/http/wire.hpp"

namespace codegen::http {
namespace {

void check(bool good) {
    if (!good) std::abort();
}

Task<Reply> echo(Request, Match match, Peer) {
    for (const auto& [name, value] : match.params) check(percent_decode(percent_encode(value)) == value);
    co_return Reply{};
}

const Router& router() {
    static const Router instance = [] {
        Router r;
        for (const auto* pattern : {"/", "/api/tasks", "/api/tasks/{id}", "/api/tasks/{id}/x", "/m/{rest...}"})
            r.add("GET", pattern, echo);
        return r;
    }();
    return instance;
}

Task<void> route(Request request) {
    auto reply = co_await router().dispatch(std::move(request), Peer{});
    check(response_head(reply.head, Framing::length, reply.head.body.size(), true).has_value());
}

// The same bytes in steps must make the same request as at once, or none. (Beast sees some errors of an unfinished head
// only when it has ended.)
std::string parse_request(std::string_view bytes, std::size_t step) {
    RequestParser parser(4096, 4096);
    std::size_t used = 0, shown = 0;
    while (!parser.done() && shown < bytes.size()) {
        shown = std::min(bytes.size(), shown + step);
        auto n = parser.feed(bytes.substr(used, shown - used));
        if (!n) return "none";
        check(*n <= shown - used);
        used += *n;
    }
    if (!parser.done()) return "none";
    auto request = parser.take();
    check(request.body.size() <= 4096);
    std::string out = request.method + " " + request.target + "\n" + request.body;
    asio::io_context io;
    asio::co_spawn(io, route(std::move(request)), [](std::exception_ptr e) { check(!e); });
    io.run();
    return out;
}

void parse_response(std::string_view bytes) {
    ResponseParser parser(false);
    std::string body;
    for (std::size_t used = 0; used < bytes.size() && !parser.done();) {
        auto n = parser.feed(bytes.substr(used), body);
        if (!n) return;
        if (*n == 0) break;
        used += *n;
    }
    (void)parser.end_of_stream();
    check(body.size() <= bytes.size());
}

}  // namespace
}  // namespace codegen::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace codegen::http;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto whole = parse_request(bytes, size + 1);
    check(parse_request(bytes, 1) == whole);
    parse_response(bytes);
    if (auto url = parse_url(bytes)) check(!url->host.empty() || !url->path.empty());
    if (auto decoded = percent_decode(bytes)) check(percent_decode(percent_encode(*decoded)) == *decoded);
    return 0;
}

#include "services/api/cross_origin.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "shared/http/url.hpp"

namespace codegen::api {
namespace {

constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE";
constexpr std::string_view kRequestHeaders =
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Correlation-ID";
constexpr std::string_view kAnswerHeaders = "ETag, Idempotency-Replayed, Link, Retry-After, X-Correlation-ID";
constexpr std::string_view kSeconds = "600";  // that a browser may remember it

bool is_origin(const std::string& text) {
    if (text == "*") return true;
    const auto url = http::parse_url(text);
    return url && url->scheme != http::Url::Scheme::unix_socket && url->path.empty() && !text.ends_with('/') &&
           text.find_first_of("*?#@ ") == text.npos;
}

void say_whose(std::string_view origin, http::Response& response) {
    response.headers.set("Access-Control-Allow-Origin", std::string(origin));
    response.headers.add("Vary", "Origin");
}

}  // namespace

Result<CrossOrigin> CrossOrigin::parse(const std::vector<std::string>& origins) {
    for (const auto& origin : origins)
        if (!is_origin(origin))
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("API_CORS_ORIGINS has \"{}\": expected https://host or http://host:port, without a "
                                    "path, or *",
                                    origin.substr(0, 200)));
    CrossOrigin out;
    out.origins_ = origins;
    return out;
}

bool CrossOrigin::allows(std::string_view origin) const {
    return std::ranges::any_of(origins_, [&](const std::string& one) { return one == "*" || one == origin; });
}

std::optional<http::Response> CrossOrigin::preflight(const http::Request& request) const {
    const auto origin = request.headers.get("Origin");
    if (request.method != "OPTIONS" || !origin || !request.headers.get("Access-Control-Request-Method") ||
        !allows(*origin))
        return std::nullopt;
    http::Response response;
    response.status = 204;
    say_whose(*origin, response);
    response.headers.set("Access-Control-Allow-Methods", std::string(kMethods));
    response.headers.set("Access-Control-Allow-Headers", std::string(kRequestHeaders));
    response.headers.set("Access-Control-Max-Age", std::string(kSeconds));
    return response;
}

void CrossOrigin::admit(std::optional<std::string_view> origin, http::Response& response) const {
    if (!origin || !allows(*origin)) return;
    say_whose(*origin, response);
    response.headers.set("Access-Control-Expose-Headers", std::string(kAnswerHeaders));
}

}  // namespace codegen::api

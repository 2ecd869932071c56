// What GitHub says, as values. No I/O. https://docs.github.com/en/rest
#pragma once
#include <boost/describe/class.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/http/message.hpp"

namespace codegen::clients::github {

struct Repository {
    std::int64_t id = 0;
    std::string name;
    std::string full_name;  // "acme/shop"
    bool private_ = true;
    std::string html_url;
    std::string clone_url;  // https, without a credential
    std::string default_branch;
    bool archived = false;
    std::int64_t size = 0;  // kilobytes; 0 also shortly after the first push
    std::optional<std::string> description;

    static constexpr std::array<std::string_view, 2> defaulted{"archived", "size"};
};
BOOST_DESCRIBE_STRUCT(Repository, (),
                      (id, name, full_name, private_, html_url, clone_url, default_branch, archived, size, description))

struct Installation {
    std::int64_t id = 0;
};
BOOST_DESCRIBE_STRUCT(Installation, (), (id))

struct InstallationToken {
    std::string token;  // secret; its shape and length are GitHub's
    Timestamp expires_at{};
};
BOOST_DESCRIBE_STRUCT(InstallationToken, (), (token, expires_at))

// {"message": "Validation Failed", "errors": [{"resource": ..., "field": ..., "code": ..., "message": ...}]}
struct Refusal {
    std::string message;
    std::vector<boost::json::value> errors;

    static constexpr std::array<std::string_view, 2> defaulted{"message", "errors"};
};
BOOST_DESCRIBE_STRUCT(Refusal, (), (message, errors))

// What a status that is not 2xx means, rate limits aside (rate_budget.hpp): "unauthorized" (401, fatal), "forbidden"
// (403), "not_found" (404, 410), "conflict" (405, 409), "invalid" (422 and every other refusal): permanent;
// "unavailable" (5xx, 408): transient. The message carries GitHub's own words.
Error error_of(const http::Response& response);

}  // namespace codegen::clients::github

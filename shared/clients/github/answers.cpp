#include "shared/clients/github/answers.hpp"

#include <fmt/format.h>

#include "shared/json/instantiate.hpp"

namespace codegen::clients::github {
namespace {

constexpr std::size_t kQuoted = 300;  // bytes of an answer that is no refusal as GitHub writes them

std::string text_of(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// "Repository: name: name already exists on this account"
std::string reason_of(const http::Response& response) {
    auto refusal = json::parse<Refusal>(response.body);
    if (!refusal || refusal->message.empty())
        return response.body.empty() ? "no reason given" : response.body.substr(0, kQuoted);
    auto reason = std::move(refusal->message);
    for (const auto& error : refusal->errors) {
        if (const auto* plain = error.if_string()) {
            reason += fmt::format("; {}", std::string_view(*plain));
            continue;
        }
        const auto* object = error.if_object();
        if (!object) continue;
        const auto message = text_of(*object, "message");
        reason += fmt::format("; {} {}: {}", text_of(*object, "resource"), text_of(*object, "field"),
                              message.empty() ? text_of(*object, "code") : message);
    }
    return reason.substr(0, 2000);
}

}  // namespace

Error error_of(const http::Response& response) {
    const auto make = [&](ErrorCategory category, std::string code, std::string_view hint = {}) {
        return Error{category,
                     std::move(code),
                     fmt::format("{} {}{}", response.status, reason_of(response), hint),
                     {},
                     http::retry_after(response.headers)};
    };
    switch (response.status) {
        case 401:
            return make(ErrorCategory::fatal, "unauthorized",
                        " (check GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and this machine's clock)");
        case 403:
            return make(ErrorCategory::permanent, "forbidden", " (the GitHub App may lack a permission for it)");
        case 404:
        case 410:
            return make(ErrorCategory::permanent, "not_found",
                        " (or the GitHub App is not installed there, or lacks a permission)");
        case 405:  // of a merge: not possible as it is
        case 409:
            return make(ErrorCategory::permanent, "conflict");
        case 408:
            return make(ErrorCategory::transient, "unavailable");
        default:
            if (response.status >= 500) return make(ErrorCategory::transient, "unavailable");
            return make(ErrorCategory::permanent, "invalid");
    }
}

}  // namespace codegen::clients::github

CODEGEN_JSON_INSTANTIATE(codegen::clients::github::Repository)
CODEGEN_JSON_INSTANTIATE(std::vector<codegen::clients::github::Repository>)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::Installation)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::InstallationToken)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::Refusal)

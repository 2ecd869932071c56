// https://docs.github.com/en/rest/branches/branch-protection
#include <fmt/format.h>

#include <boost/json.hpp>

#include "shared/clients/github/session.hpp"
#include "shared/http/url.hpp"

namespace codegen::clients {
namespace {

using github::BranchProtection;
using SessionPtr = std::shared_ptr<github::Session>;

Result<std::string> protection_path(const github::Session& session, std::string_view repository,
                                    std::string_view branch) {
    auto path = session.repository_path(repository);
    if (!path) return path;
    if (branch.empty()) return fail(ErrorCategory::permanent, "invalid", "branch protection: no branch is named");
    return fmt::format("{}/branches/{}/protection", *path, http::percent_encode(branch));
}

bool flag(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value && value->is_bool() && value->get_bool();
}

BranchProtection read_protection(const boost::json::object& object) {
    BranchProtection out;
    out.binds_admins = false;
    if (const auto* admins = object.if_contains("enforce_admins"); admins && admins->is_object())
        out.binds_admins = flag(admins->get_object(), "enabled");
    if (const auto* checks = object.if_contains("required_status_checks"); checks && checks->is_object()) {
        out.up_to_date = flag(checks->get_object(), "strict");
        if (const auto* names = checks->get_object().if_contains("contexts"); names && names->is_array())
            for (const auto& name : names->get_array())
                if (name.is_string()) out.required_checks.emplace_back(name.get_string());
    }
    if (const auto* reviews = object.if_contains("required_pull_request_reviews"); reviews && reviews->is_object()) {
        const auto* count = reviews->get_object().if_contains("required_approving_review_count");
        if (count && count->is_int64()) out.required_approvals = static_cast<int>(count->get_int64());
    }
    return out;
}

Task<Result<void>> protect(SessionPtr session, std::string repository, std::string branch, BranchProtection wanted) {
    auto path = protection_path(*session, repository, branch);
    if (!path) co_return std::unexpected(std::move(path.error()));
    boost::json::object body{{"enforce_admins", wanted.binds_admins},
                             {"restrictions", nullptr},
                             {"required_status_checks", nullptr},
                             {"required_pull_request_reviews", nullptr}};
    if (!wanted.required_checks.empty() || wanted.up_to_date) {
        boost::json::array names(wanted.required_checks.begin(), wanted.required_checks.end());
        body["required_status_checks"] =
            boost::json::object{{"strict", wanted.up_to_date}, {"contexts", std::move(names)}};
    }
    if (wanted.required_approvals > 0)
        body["required_pull_request_reviews"] =
            boost::json::object{{"required_approving_review_count", wanted.required_approvals}};
    auto done = co_await session->call({.operation = "protect branch",
                                        .method = "PUT",
                                        .target = std::move(*path),
                                        .body = boost::json::serialize(body)});
    if (!done) co_return std::unexpected(in_context(std::move(done.error()), fmt::format("{} {}", repository, branch)));
    co_return Result<void>{};
}

Task<Result<std::optional<BranchProtection>>> get(SessionPtr session, std::string repository, std::string branch) {
    auto path = protection_path(*session, repository, branch);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto response = co_await session->call({.operation = "get branch protection", .target = std::move(*path)});
    if (!response && response.error().code == "not_found" && response.error().message.contains("Branch not protected"))
        co_return std::nullopt;
    if (!response)
        co_return std::unexpected(in_context(std::move(response.error()), fmt::format("{} {}", repository, branch)));
    auto value = json::parse_any(response->body);
    if (!value || !value->is_object())
        co_return fail(ErrorCategory::permanent, "protocol", "GitHub: get branch protection: the answer is no object");
    co_return std::optional(read_protection(value->get_object()));
}

Task<Result<void>> unprotect(SessionPtr session, std::string repository, std::string branch) {
    auto path = protection_path(*session, repository, branch);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto gone =
        co_await session->call({.operation = "unprotect branch", .method = "DELETE", .target = std::move(*path)});
    if (!gone && gone.error().code != "not_found")
        co_return std::unexpected(in_context(std::move(gone.error()), fmt::format("{} {}", repository, branch)));
    co_return Result<void>{};
}

}  // namespace

Task<Result<void>> GitHubClient::protect_branch(std::string repository, std::string branch, BranchProtection wanted) {
    return protect(session_, std::move(repository), std::move(branch), std::move(wanted));
}

Task<Result<std::optional<BranchProtection>>> GitHubClient::branch_protection(std::string repository,
                                                                              std::string branch) {
    return get(session_, std::move(repository), std::move(branch));
}

Task<Result<void>> GitHubClient::unprotect_branch(std::string repository, std::string branch) {
    return unprotect(session_, std::move(repository), std::move(branch));
}

}  // namespace codegen::clients

#include "shared/clients/api/api_client.hpp"

#include <fmt/format.h>

#include "shared/logging/context.hpp"

namespace codegen::clients {
namespace {

// "no task 7: task_metadata: expected object, got string" out of a problem document, or the body's beginning.
std::string reason_of(const http::Response& response) {
    auto problem = json::parse<contracts::ProblemDocument>(response.body);
    if (!problem) return response.body.empty() ? "no reason given" : response.body.substr(0, 200);
    std::string reason = problem->title;
    if (problem->detail) reason += (reason.empty() ? "" : ": ") + *problem->detail;
    for (const auto& field : problem->errors) reason += fmt::format("; {}: {}", field.path, field.message);
    return reason;
}

}  // namespace

Error error_of(const http::Response& response, bool has_token) {
    const auto make = [&](ErrorCategory category, std::string code) {
        return Error{category,
                     std::move(code),
                     fmt::format("{} {}", response.status, reason_of(response)),
                     {},
                     http::retry_after(response.headers)};
    };
    switch (response.status) {
        case 401:
            return make(has_token ? ErrorCategory::fatal : ErrorCategory::permanent, "unauthorized");
        case 403:
            return make(ErrorCategory::permanent, "forbidden");
        case 404:
            return make(ErrorCategory::permanent, "not_found");
        case 409:
            return make(ErrorCategory::permanent, "conflict");
        case 412:
            return make(ErrorCategory::permanent, "changed");
        case 429:
            return make(ErrorCategory::upstream, "unavailable");
        case 408:
            return make(ErrorCategory::transient, "unavailable");
        default:
            if (response.status >= 500) return make(ErrorCategory::transient, "unavailable");
            return make(ErrorCategory::permanent, "invalid");
    }
}

ApiClient::ApiClient(std::shared_ptr<http::Client> client, std::string token)
    : client_(std::move(client)), token_(std::move(token)) {}

Result<ApiClient> ApiClient::make(asio::any_io_executor executor, std::string_view url, std::string token) {
    auto parsed = http::parse_url(url);
    if (!parsed) return std::unexpected(in_context(parsed.error(), "URL of the API"));
    return ApiClient(std::make_shared<http::Client>(std::move(executor), std::move(*parsed)), std::move(token));
}

Task<Result<std::string>> ApiClient::call(std::string method, std::string target, std::string body,
                                          std::optional<std::string> correlation_id) {
    auto response =
        co_await send_request(std::move(method), std::move(target), std::move(body), std::move(correlation_id));
    if (!response) co_return std::unexpected(std::move(response.error()));
    co_return std::move(response->body);
}

Task<Result<ApiClient::Page>> ApiClient::page(std::string target) {
    auto response = co_await send_request("GET", std::move(target), {}, {});
    if (!response) co_return std::unexpected(std::move(response.error()));
    Page page{std::move(response->body), {}};
    // <...>; rel="next"
    if (const auto link = response->headers.get("Link"); link && link->ends_with("rel=\"next\""))
        if (const auto end = link->find('>'); link->starts_with('<') && end != link->npos)
            page.next = std::string(link->substr(1, end - 1));
    co_return page;
}

Task<Result<http::Response>> ApiClient::send_request(std::string method, std::string target, std::string body,
                                                     std::optional<std::string> correlation_id,
                                                     std::optional<std::string> if_match) {
    const auto client = client_;  // this coroutine may outlive the ApiClient
    const bool has_token = !token_.empty();
    const std::string what = fmt::format("API {} {}", method, target.substr(0, target.find('?')));
    http::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    if (has_token) request.headers.set("Authorization", "Bearer " + token_);
    if (const auto& on_behalf = log::context()) {
        if (!correlation_id && !on_behalf->correlation_id.empty()) correlation_id = on_behalf->correlation_id;
        if (auto trace = log::traceparent_to_send(); !trace.empty())
            request.headers.set("traceparent", std::move(trace));
    }
    if (correlation_id) request.headers.set("X-Correlation-ID", std::move(*correlation_id));
    if (if_match) request.headers.set("If-Match", std::move(*if_match));
    request.headers.set("Accept", "application/json");
    if (!body.empty()) request.headers.set("Content-Type", "application/json");
    request.body = std::move(body);
    auto response = co_await client->send(std::move(request));
    if (!response) {
        Error error = in_context(response.error(), what);
        if (error.category == ErrorCategory::transient) error.code = "unavailable";
        co_return std::unexpected(std::move(error));
    }
    if (response->status < 200 || response->status > 299) {
        co_return std::unexpected(in_context(error_of(*response, has_token), what));
    }
    co_return std::move(*response);
}

}  // namespace codegen::clients

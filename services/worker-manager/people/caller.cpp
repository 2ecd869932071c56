#include "services/worker-manager/people/caller.hpp"

#include <fmt/format.h>

#include "shared/contracts/contracts.hpp"

namespace codegen::worker_manager {
namespace {

http::Response refused(const http::Response& from_api) {
    const auto problem = json::parse<contracts::ProblemDocument>(from_api.body);
    const auto detail = problem ? problem->detail.value_or(problem->title) : std::string("the API refuses the token");
    if (from_api.status >= 500) return http::problem(503, "the API cannot check the token: " + detail);
    auto answer = http::problem(from_api.status == 401 ? 401 : 403, detail);
    if (answer.status == 401) answer.headers.set("WWW-Authenticate", "Bearer");
    return answer;
}

http::Request with_credentials(std::string target, const Caller& caller) {
    http::Request request;
    request.target = std::move(target);
    request.headers.set("Authorization", caller.authorization);
    if (caller.telegram_id) request.headers.set("X-Telegram-ID", *caller.telegram_id);
    return request;
}

}  // namespace

std::string Caller::description() const {
    if (telegram_id) return fmt::format("{} for telegram {}", json::name_of(self.kind), *telegram_id);
    if (self.user_id) return fmt::format("{} {}", json::name_of(self.kind), *self.user_id);
    return std::string(json::name_of(self.kind));
}

Result<Callers> Callers::make(asio::any_io_executor executor, const std::string& api_url) {
    auto url = http::parse_url(api_url);
    if (!url) return std::unexpected(in_context(url.error(), "URL of the API"));
    return Callers(std::make_shared<http::Client>(std::move(executor), std::move(*url)));
}

Task<std::expected<Caller, http::Response>> Callers::identify(const http::Headers* headers) {
    const auto authorization = headers->get("Authorization");
    if (!authorization) {
        auto answer = http::problem(401, "a token is needed: Authorization: Bearer TOKEN");
        answer.headers.set("WWW-Authenticate", "Bearer");
        co_return std::unexpected(std::move(answer));
    }
    Caller caller;
    caller.authorization = *authorization;
    if (const auto id = headers->get("X-Telegram-ID")) caller.telegram_id = std::string(*id);
    auto response = co_await api_->send(with_credentials("/api/tokens/self", caller));
    if (!response)
        co_return std::unexpected(
            http::problem(503, "the API does not answer, so the token cannot be checked: " + response.error().message));
    if (response->status != 200) co_return std::unexpected(refused(*response));
    auto self = json::parse<contracts::TokenSelf>(response->body);
    if (!self) co_return std::unexpected(http::problem(503, "the API's answer about the token is not understood"));
    caller.self = std::move(*self);
    co_return caller;
}

Task<std::expected<bool, http::Response>> Callers::may_see(const Caller* caller, const contracts::WorkerView* worker) {
    if (caller->self.sees_all) co_return true;
    if (!caller->self.user_id) co_return false;
    if (worker->user_id == caller->self.user_id) co_return true;
    if (!worker->task_id) co_return false;
    // The rule of tasks - one's own, and those of one's projects - is the API's.
    auto response =
        co_await api_->send(with_credentials("/api/tasks/" + http::percent_encode(*worker->task_id), *caller));
    if (!response)
        co_return std::unexpected(http::problem(503, "the API does not answer: " + response.error().message));
    if (response->status == 200) co_return true;
    if (response->status == 404 || response->status == 403) co_return false;
    co_return std::unexpected(refused(*response));
}

}  // namespace codegen::worker_manager

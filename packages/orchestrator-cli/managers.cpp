#include "packages/orchestrator-cli/managers.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "shared/base/retry.hpp"

namespace codegen::cli {
namespace {

constexpr std::chrono::seconds kPatience{15};

std::string local_name(const Settings& settings) {
    if (auto named = settings.environment("CODEGEN_HOST")) return std::move(*named);
    char buffer[256] = {};
    return ::gethostname(buffer, sizeof buffer - 1) == 0 ? buffer : "";
}

Error with_host(Error error, const ManagerHost& host) {
    return in_context(std::move(error), fmt::format("manager of host {} at {}", host.name, host.url));
}

}  // namespace

Managers::Managers(std::shared_ptr<Session> session, std::string only)
    : session_(std::move(session)), only_(std::move(only)) {}

Task<Result<std::vector<ManagerHost>>> Managers::hosts() {
    const auto& settings = session_->settings();
    if (settings.inside_worker())
        co_return fail(ErrorCategory::permanent, "forbidden", "a worker does not reach the managers of workers");
    auto known = co_await session_->get<std::vector<contracts::Host>>("/api/hosts?limit=500");
    if (!known) co_return std::unexpected(known.error());
    std::ranges::sort(*known, std::greater(), &contracts::Host::last_seen);
    const auto local = local_name(settings);
    const auto socket = settings.state_directory / "manager.sock";
    std::error_code ignored;
    const bool here = std::filesystem::exists(socket, ignored);
    std::vector<ManagerHost> out;
    for (const auto& host : *known)
        out.push_back({host.name, here && host.name == local ? "http+unix://" + socket.string() : host.manager_url});
    if (out.empty() && here) out.push_back({local, "http+unix://" + socket.string()});  // not announced yet
    if (!only_.empty()) {
        std::erase_if(out, [&](const auto& host) { return host.name != only_; });
        if (out.empty())
            co_return fail(ErrorCategory::permanent, "not_found", fmt::format("there is no host \"{}\"", only_));
    }
    if (out.empty())
        co_return fail(ErrorCategory::transient, "unavailable",
                       fmt::format("no worker-manager has announced itself: {}", kWayOut));
    co_return out;
}

Result<std::pair<http::Client*, http::Request>> Managers::prepare(const ManagerHost& host, std::string method,
                                                                  std::string target, std::string body) {
    auto token = load_token(session_->settings());
    if (!token) return std::unexpected(token.error());
    auto& client = clients_[host.url];
    if (!client) {
        auto url = http::parse_url(host.url);
        if (!url) return std::unexpected(with_host(url.error(), host));
        client = std::make_unique<http::Client>(session_->executor(), std::move(*url));
    }
    http::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers.set("Authorization", "Bearer " + *token);
    if (!body.empty()) request.headers.set("Content-Type", "application/json");
    request.body = std::move(body);
    return std::pair(client.get(), std::move(request));
}

Task<Result<http::Response>> Managers::ask(ManagerHost host, std::string method, std::string target, std::string body,
                                           std::chrono::milliseconds timeout) {
    auto prepared = prepare(host, std::move(method), std::move(target), std::move(body));
    if (!prepared) co_return std::unexpected(prepared.error());
    auto response = co_await prepared->first->send(std::move(prepared->second), timeout);
    if (!response) co_return std::unexpected(with_host(response.error(), host));
    if (response->status >= 200 && response->status <= 299) co_return std::move(*response);
    auto error = clients::error_of(*response, true);
    if (response->status == 504) error = {ErrorCategory::permanent, "timed_out", error.message, {}};
    co_return std::unexpected(std::move(error));
}

Task<Result<std::unique_ptr<http::ResponseStream>>> Managers::open(ManagerHost host, std::string target) {
    auto prepared = prepare(host, "GET", std::move(target), {});
    if (!prepared) co_return std::unexpected(prepared.error());
    auto stream = co_await prepared->first->open(std::move(prepared->second), kPatience);
    if (!stream) co_return std::unexpected(with_host(stream.error(), host));
    if ((*stream)->head().status == 200) co_return std::move(*stream);
    auto response = (*stream)->head();
    for (;;) {
        auto piece = co_await (*stream)->read_some();
        if (!piece || piece->empty()) break;
        response.body += *piece;
    }
    co_return std::unexpected(clients::error_of(response, true));
}

Task<Result<Managers::Answers>> Managers::ask_all(std::string target, bool enough) {
    auto answers = co_await ask_all("GET", std::move(target), {}, kPatience, enough);
    co_return answers;
}

Task<Result<Managers::Answers>> Managers::ask_all(std::string method, std::string target, std::string body,
                                                  std::chrono::milliseconds timeout, bool enough) {
    auto waiting = co_await hosts();
    if (!waiting) co_return std::unexpected(waiting.error());
    Answers answers;
    for (int retries = 0;; ++retries) {
        answers.missing.clear();
        std::vector<ManagerHost> again;
        for (const auto& host : *waiting) {
            auto response = co_await ask(host, method, target, body, timeout);
            if (response) {
                answers.good.emplace_back(host, std::move(*response));
                if (enough) co_return answers;
            } else if (response.error().category == ErrorCategory::transient) {
                again.push_back(host);
                answers.missing.emplace_back(host, response.error());
            } else if (response.error().code != "not_found") {
                co_return std::unexpected(response.error());
            }
        }
        const auto wait = again.empty() ? std::nullopt : RetryPolicy().next(ErrorCategory::transient, retries);
        if (!wait) co_return answers;
        *waiting = std::move(again);
        co_await async::sleep_for(*wait);
    }
}

Task<Result<std::pair<ManagerHost, contracts::WorkerView>>> Managers::find(std::string worker_id) {
    auto answers = co_await ask_all("/workers/" + http::percent_encode(worker_id), true);
    if (!answers) co_return std::unexpected(answers.error());
    if (answers->good.empty() && !answers->missing.empty()) co_return std::unexpected(answers->missing.front().second);
    if (answers->good.empty())
        co_return fail(ErrorCategory::permanent, "not_found",
                       fmt::format("no worker \"{}\": see orchestrator worker list --all", worker_id));
    auto view = json::parse<contracts::WorkerView>(answers->good.front().second.body);
    if (!view) co_return std::unexpected(in_context(invalid(view.error()), "answer of the manager"));
    co_return std::pair(answers->good.front().first, std::move(*view));
}

}  // namespace codegen::cli

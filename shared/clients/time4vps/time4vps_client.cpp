#include "shared/clients/time4vps/time4vps_client.hpp"

#include <fmt/format.h>

#include <boost/algorithm/string/find.hpp>
#include <boost/beast/core/detail/base64.hpp>
#include <boost/json/serialize.hpp>

#include "shared/json/json.hpp"

namespace codegen::clients {
namespace {

constexpr std::size_t kLongestWords = 500;

std::string base64(std::string_view text) {
    namespace coding = boost::beast::detail::base64;
    std::string out(coding::encoded_size(text.size()), '\0');
    out.resize(coding::encode(out.data(), text.data(), text.size()));
    return out;
}

// Numbers and texts alike: ids come as both.
std::string text(const boost::json::value& object, std::string_view name) {
    const auto* value = object.is_object() ? object.get_object().if_contains(name) : nullptr;
    if (!value || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value);
}

// {"error": [["wait_x_between_action", 24], "unauthorized"]}
std::optional<std::chrono::seconds> wait_in(const boost::json::value& body) {
    const auto* errors = body.is_object() ? body.get_object().if_contains("error") : nullptr;
    if (!errors || !errors->is_array()) return std::nullopt;
    for (const auto& error : errors->get_array()) {
        if (!error.is_array() || error.get_array().size() != 2) continue;
        const auto& pair = error.get_array();
        if (pair[0].is_string() && pair[0].get_string() == "wait_x_between_action" && pair[1].is_int64())
            return std::chrono::seconds(std::clamp<std::int64_t>(pair[1].get_int64(), 1, 3600));
    }
    return std::nullopt;
}

std::unexpected<Error> refusal(const http::Response& response, const boost::json::value& body,
                               const std::string& what) {
    const auto words = text(body, "error").substr(0, kLongestWords);
    const auto message = fmt::format("Time4VPS: {}: {} {}{}", what, response.status,
                                     http::reason_phrase(response.status), words.empty() ? "" : ": " + words);
    if (const auto wait = wait_in(body)) {
        Error error{ErrorCategory::upstream, "rate_limited", message, {}};
        error.retry_after = wait;
        return std::unexpected(std::move(error));
    }
    if (response.status == 429) {
        Error error{ErrorCategory::upstream, "rate_limited", message, {}};
        error.retry_after = http::retry_after(response.headers);
        return std::unexpected(std::move(error));
    }
    if (response.status == 401 || response.status == 403)
        return fail(ErrorCategory::fatal, "unauthorized",
                    message + " (check TIME4VPS_USER, TIME4VPS_PASSWORD and the addresses that the account allows)");
    if (response.status >= 500) return fail(ErrorCategory::transient, "unavailable", message);
    return fail(ErrorCategory::permanent, response.status == 404 ? "not_found" : "invalid", message);
}

bool passes(const Error& error) {
    return error.category == ErrorCategory::transient || error.category == ErrorCategory::upstream;
}

}  // namespace

Result<Time4vpsClient> Time4vpsClient::make(asio::any_io_executor executor, Time4vpsOptions options) {
    if (options.user.empty() || options.password.empty())
        return fail(ErrorCategory::permanent, "configuration",
                    "Time4VPS needs TIME4VPS_USER and TIME4VPS_PASSWORD of the account");
    auto url = http::parse_url(options.url);
    if (!url) return std::unexpected(in_context(url.error(), "TIME4VPS_URL"));
    return Time4vpsClient(std::make_shared<http::Client>(executor, std::move(*url)), std::move(options));
}

Task<Result<boost::json::value>> Time4vpsClient::call(std::string method, std::string target, std::string body) {
    const auto what = method + " " + target;
    http::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers.set("Authorization", "Basic " + base64(options_.user + ":" + options_.password));
    request.headers.set("Accept", "application/json");
    if (!body.empty()) request.headers.set("Content-Type", "application/json");
    request.body = std::move(body);
    auto response = co_await http_->send(std::move(request), options_.call);
    if (!response && response.error().category == ErrorCategory::transient)
        co_return fail(ErrorCategory::transient, "unavailable",
                       fmt::format("Time4VPS: {}: {}", what, response.error().message));
    if (!response) co_return std::unexpected(in_context(response.error(), "Time4VPS: " + what));
    auto parsed = json::parse_any(response->body);
    if (response->status / 100 != 2) co_return refusal(*response, parsed ? *parsed : boost::json::value(), what);
    if (!parsed)
        co_return fail(ErrorCategory::permanent, "protocol", fmt::format("Time4VPS: {}: the answer is not JSON", what));
    co_return std::move(*parsed);
}

Task<Result<std::vector<Time4vpsServer>>> Time4vpsClient::servers() {
    auto body = co_await call("GET", "/server", {});
    if (!body) co_return std::unexpected(body.error());
    if (!body->is_array())
        co_return fail(ErrorCategory::permanent, "protocol", "Time4VPS: GET /server: expected a list");
    std::vector<Time4vpsServer> out;
    for (const auto& item : body->get_array()) {
        Time4vpsServer server{text(item, "id"), text(item, "ip"), text(item, "domain"), text(item, "status")};
        if (!server.id.empty()) out.push_back(std::move(server));
    }
    co_return out;
}

Task<Result<std::vector<std::string>>> Time4vpsClient::systems(std::string server_id) {
    auto body = co_await call("GET", "/server/" + http::percent_encode(server_id) + "/oses", {});
    if (!body) co_return std::unexpected(body.error());
    std::vector<std::string> out;
    if (body->is_array())
        for (const auto& item : body->get_array())
            if (auto name = text(item, "os"); !name.empty()) out.push_back(std::move(name));
    co_return out;
}

Task<Result<std::string>> Time4vpsClient::start(std::string target, std::string body) {
    auto answer = co_await call("POST", target, std::move(body));
    if (!answer) co_return std::unexpected(answer.error());
    auto id = text(*answer, "task_id");
    if (id.empty())
        co_return fail(ErrorCategory::permanent, "protocol", fmt::format("Time4VPS: POST {}: no task_id", target));
    co_return id;
}

Task<Result<std::string>> Time4vpsClient::reinstall(std::string server_id, std::string system, std::string public_key) {
    boost::json::object body{{"os", system}};
    if (!public_key.empty()) body["ssh_key"] = public_key;
    co_return co_await start("/server/" + http::percent_encode(server_id) + "/reinstall", boost::json::serialize(body));
}

Task<Result<std::string>> Time4vpsClient::reset_password(std::string server_id) {
    co_return co_await start("/server/" + http::percent_encode(server_id) + "/resetpassword", "{}");
}

Task<Result<Time4vpsTask>> Time4vpsClient::task(std::string server_id, std::string task_id) {
    auto body = co_await call(
        "GET", fmt::format("/server/{}/task/{}", http::percent_encode(server_id), http::percent_encode(task_id)), {});
    if (!body) co_return std::unexpected(body.error());
    const auto completed = text(*body, "completed");  // a time, or nothing that is one
    co_return Time4vpsTask{
        !completed.empty() && completed != "false" && completed != "0" && !completed.starts_with("0000"),
        text(*body, "results")};
}

Task<Result<Time4vpsTask>> Time4vpsClient::wait(std::string server_id, std::string task_id,
                                                std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::string last;
    while (true) {
        auto seen = co_await task(server_id, task_id);
        if (seen && seen->completed) co_return std::move(*seen);
        if (!seen && !passes(seen.error())) co_return std::unexpected(seen.error());
        if (!seen) last = ": " + seen.error().message;
        auto pause = options_.poll;
        if (!seen && seen.error().retry_after)
            pause = std::max<std::chrono::milliseconds>(pause, *seen.error().retry_after);
        if (std::chrono::steady_clock::now() + pause >= deadline)
            co_return fail(ErrorCategory::transient, "timeout",
                           fmt::format("Time4VPS: task {} of server {} did not end within {} s{}", task_id, server_id,
                                       limit.count() / 1000, last));
        co_await async::sleep_for(pause);
    }
}

std::optional<std::string> password_in(std::string_view results) {
    // A page that shows it on a click: innerHTML = "...".
    if (const auto at = results.find("innerHTML"); at != results.npos) {
        const auto open = results.find_first_of("\"'", at);
        const auto close = open == results.npos ? open : results.find(results[open], open + 1);
        if (close != results.npos && close > open + 1) return std::string(results.substr(open + 1, close - open - 1));
        return std::nullopt;
    }
    const auto found = boost::algorithm::ifind_first(results, "password:");
    if (found.empty()) return std::nullopt;
    auto rest = std::string_view(found.end(), results.end());
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    rest = rest.substr(0, std::min(rest.find_first_of(" \t\r\n<"), rest.size()));
    if (rest.empty()) return std::nullopt;
    return std::string(rest);
}

}  // namespace codegen::clients

#include "packages/orchestrator-cli/session.hpp"

#include <fmt/format.h>

#include <system_error>

#include "shared/base/ids.hpp"
#include "shared/base/retry.hpp"
#include "shared/logging/context.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::cli {
namespace {

constexpr std::chrono::seconds kLongestAsked{30};  // a Retry-After beyond it is for the caller to decide

// The waits between tries; nullopt when the error is final. Somebody at a terminal waits no longer than for
// "transient".
std::optional<std::chrono::milliseconds> next_wait(const Error& error, int retries_done) {
    const bool temporary = error.category == ErrorCategory::transient || error.category == ErrorCategory::upstream;
    auto wait = temporary ? RetryPolicy().next(ErrorCategory::transient, retries_done) : std::nullopt;
    if (!wait || !error.retry_after) return wait;
    if (*error.retry_after > kLongestAsked) return std::nullopt;
    return std::max<std::chrono::milliseconds>(*wait, *error.retry_after);
}

Error unavailable(const Error& error, std::string_view what) {
    if (error.category == ErrorCategory::upstream && error.retry_after)
        return in_context(error, fmt::format("{} asks to come back in {} s", what, error.retry_after->count()));
    if (error.category != ErrorCategory::transient) return error;
    return {ErrorCategory::transient,
            "unavailable",
            fmt::format("{} does not answer ({}): {}", what, error.message, kWayOut),
            {}};
}

}  // namespace

std::string current_correlation_id() {
    const auto& now = log::context();
    return now && !now->correlation_id.empty() ? now->correlation_id : new_uuid();
}

Session::Session(asio::any_io_executor executor, Settings settings)
    : executor_(std::move(executor)), settings_(std::move(settings)) {}

Result<clients::ApiClient*> Session::api() {
    if (api_) return &*api_;
    if (!settings_.inside_worker() && !settings_.api_url_given) {
        if (settings_.state_directory.empty())
            return fail(ErrorCategory::transient, "unavailable",
                        "where is the control plane? HOME is not set: set CODEGEN_STATE_DIR, or API_URL and "
                        "ORCHESTRATOR_TOKEN");
        std::error_code error;
        const auto socket = settings_.state_directory / "api.sock";
        const bool there = std::filesystem::exists(socket, error);
        if (error)  // not "it is not there": somebody else's directory
            return fail(ErrorCategory::permanent, "forbidden",
                        fmt::format("{}: {}: use the account that runs the control plane, or set API_URL and "
                                    "ORCHESTRATOR_TOKEN",
                                    socket.string(), error.message()));
        if (!there)
            return fail(ErrorCategory::transient, "unavailable",
                        fmt::format("the control plane is not running (no {}): {}", socket.string(), kWayOut));
    }
    auto token = load_token(settings_);
    if (!token) return std::unexpected(token.error());
    auto made = clients::ApiClient::make(executor_, settings_.api_url, *token);
    if (!made) return std::unexpected(in_context(made.error(), "API_URL"));
    api_.emplace(std::move(*made));
    return &*api_;
}

Task<Result<std::string>> Session::call(std::string method, std::string target, std::string body) {
    auto client = api();
    if (!client) co_return std::unexpected(client.error());
    for (int retries = 0;; ++retries) {
        auto answered = co_await (*client)->call(method, target, body);
        if (answered) co_return std::move(*answered);
        const auto wait = next_wait(answered.error(), retries);
        if (!wait) co_return std::unexpected(unavailable(answered.error(), "the API at " + settings_.api_url));
        co_await async::sleep_for(*wait);
    }
}

Result<redis::Client*> Session::redis(bool fresh) {
    if (redis_ && !fresh) return redis_.get();
    const auto url = load_redis_url(settings_);
    if (!url) return std::unexpected(url.error());
    auto address = redis::parse_address(*url);
    if (!address) return std::unexpected(in_context(address.error(), "REDIS_URL"));
    if (address->ca_file.empty()) address->ca_file = settings_.environment("REDIS_CA_FILE").value_or("");
    redis_ =
        std::make_unique<redis::Client>(executor_, std::move(*address), redis::ClientOptions{.name = "orchestrator"});
    return redis_.get();
}

Task<Result<void>> Session::enqueue(std::string stream, std::string message) {
    if (settings_.inside_worker()) {
        auto added = co_await call("POST", "/streams/" + stream, std::move(message));
        if (!added) co_return std::unexpected(added.error());
        co_return Result<void>();
    }
    auto client = redis();
    if (!client) co_return std::unexpected(client.error());
    for (int retries = 0;; ++retries) {
        auto added = co_await redis::publish(**client, stream, message);
        if (added) co_return Result<void>();
        const auto wait = next_wait(added.error(), retries);
        if (!wait) co_return std::unexpected(unavailable(added.error(), "Redis"));
        co_await async::sleep_for(*wait);
    }
}

Task<Result<void>> Session::keep_and_enqueue(std::string_view resource, std::string_view stream, std::string message) {
    auto kept = co_await call("POST", std::string(resource), message);
    if (!kept) co_return std::unexpected(kept.error());
    auto queued = co_await enqueue(std::string(stream), std::move(message));
    if (!queued && queued.error().category != ErrorCategory::transient) co_return queued;
    co_return Result<void>();
}

Task<Result<bool>> Session::is_taken(std::string stream, std::string group) {
    if (settings_.inside_worker()) {
        auto answered = co_await call("GET", "/streams/" + stream);
        if (!answered) co_return std::unexpected(answered.error());
        const auto parsed = json::parse_any(*answered);
        const auto* taken = parsed && parsed->is_object() ? parsed->get_object().if_contains("taken") : nullptr;
        if (!taken || !taken->is_bool())
            co_return fail(ErrorCategory::transient, "protocol", "the gateway gave an answer that is none");
        co_return taken->get_bool();
    }
    auto client = redis();
    if (!client) co_return std::unexpected(client.error());
    auto seen = co_await redis::last_consumer(**client, std::move(stream), std::move(group));
    if (!seen) co_return std::unexpected(seen.error());
    co_return *seen && **seen <= redis::kConsumerAlive;
}

}  // namespace codegen::cli

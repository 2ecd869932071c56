// The model provider with the real key put in; the answer passes byte by byte, as fast as the worker reads.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "services/worker-manager/gateway/api_routes.hpp"
#include "services/worker-manager/gateway/doors.hpp"
#include "services/worker-manager/gateway/usage.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::string_view kPrefix = "/model/";

// The provider's own error shape, which agents understand and show; the text says that it is ours.
http::Reply model_error(const Gate& gate, unsigned status, std::string_view type, std::string_view why) {
    ++gate->counts.model_errors;
    log::warning(
        "model request failed at the gateway",
        {{"worker_id", gate->identity.worker_id}, {"status", std::to_string(status)}, {"why", std::string(why)}});
    http::Reply reply;
    reply.head = http::json_response(
        status, {{"type", "error"}, {"error", {{"type", type}, {"message", fmt::format("codegen gateway: {}", why)}}}});
    return reply;
}

bool matches(const std::vector<std::string>& patterns, std::string_view path) {
    return std::ranges::any_of(patterns, [&](const std::string& allowed) {
        if (!allowed.ends_with("/*")) return path == allowed;
        const auto folder = std::string_view(allowed).substr(0, allowed.size() - 1);
        return path.starts_with(folder) && path.size() > folder.size() && !path.substr(folder.size()).contains('/');
    });
}

// What is answered in the provider's place, if this is.
std::optional<http::Reply> answer_here(const ModelProvider& provider, std::string_view method, std::string_view path) {
    const bool absent =
        matches(provider.absent, path) || (provider.key_value.empty() && matches(provider.absent_without_key, path));
    const bool swallowed = method == "POST" && matches(provider.swallowed, path);
    if (!absent && !swallowed) return {};
    http::Reply reply;
    reply.head = absent ? http::json_response(404, {{"error", "codegen gateway: there is none"}})
                        : http::json_response(200, boost::json::object{});
    return reply;
}

void add_usage(GatewayCounts& counts, const ModelUsage& usage) {
    counts.model_input_tokens += usage.input_tokens;
    counts.model_output_tokens += usage.output_tokens;
    counts.model_cache_read_tokens += usage.cache_read_tokens;
    counts.model_cache_write_tokens += usage.cache_write_tokens;
}

struct Answer {
    Answer(Gate g, std::unique_ptr<http::ResponseStream> s, bool events)
        : gate(std::move(g)), stream(std::move(s)), usage(events) {}
    // Also when the worker went away in the middle: what was used was used.
    ~Answer() { add_usage(gate->counts, usage.finish()); }
    Gate gate;
    std::unique_ptr<http::ResponseStream> stream;
    UsageReader usage;
};

Task<Result<void>> pass_on(std::shared_ptr<Answer> answer, http::Stream* worker) {
    for (;;) {
        auto piece = co_await answer->stream->read_some();
        if (!piece) {
            ++answer->gate->counts.model_errors;
            co_return std::unexpected(in_context(piece.error(), "model provider"));
        }
        if (piece->empty()) co_return Result<void>{};
        answer->gate->counts.model_bytes_received += static_cast<std::int64_t>(piece->size());
        answer->usage.feed(*piece);
        auto written = co_await worker->write(*piece);
        if (!written) co_return written;
    }
}

http::Reply streaming_reply(Gate gate, std::unique_ptr<http::ResponseStream> stream) {
    const auto& head = stream->head();
    http::Reply reply;
    reply.head.status = head.status;
    reply.head.headers = end_to_end(head.headers);
    // The body passes unchanged, so a known length stays true.
    if (const auto length = head.headers.get("Content-Length"))
        reply.head.headers.set("Content-Length", std::string(*length));
    if (head.status >= 400) ++gate->counts.model_errors;
    const bool events = head.headers.get("Content-Type").value_or("").starts_with("text/event-stream");
    auto answer = std::make_shared<Answer>(std::move(gate), std::move(stream), events);
    reply.body = [answer](http::Stream& worker) { return pass_on(answer, &worker); };
    return reply;
}

}  // namespace

Task<http::Reply> model_door(Gate gate, http::Request request) {
    auto rest = std::string_view(request.target).substr(kPrefix.size());
    const auto slash = std::min(rest.find('/'), rest.size());
    const auto name = rest.substr(0, slash);
    const auto target = std::string(rest.substr(slash));
    const auto& providers = gate->settings->providers;
    const auto provider = std::ranges::find(providers, name, &ModelProvider::name);
    if (provider == providers.end())
        co_return refuse(gate, 403, fmt::format("there is no model provider \"{}\" here", name));
    const auto path = std::string_view(target).substr(0, target.find('?'));
    const bool read_or_post = request.method == "GET" || request.method == "HEAD" || request.method == "POST";
    if (is_plain_path(path))
        if (auto here = answer_here(*provider, request.method, path)) co_return std::move(*here);
    if (!is_plain_path(path) || !matches(provider->paths, path) || !read_or_post)
        co_return refuse(gate, 403,
                         fmt::format("{} {} of provider {} is not open to workers, only {}", request.method, path,
                                     provider->name, fmt::join(provider->paths, ", ")));
    if (provider->key_value.empty())
        co_return model_error(gate, 401, "authentication_error",
                              fmt::format("no key for provider {} is configured; set {} for the control plane",
                                          provider->name, provider->key_setting));
    ++gate->counts.model_requests;
    gate->counts.model_bytes_sent += static_cast<std::int64_t>(request.body.size());
    request.target = target;
    request.headers = end_to_end(request.headers);
    request.headers.set(provider->key_header, provider->key_value);
    request.headers.set("Accept-Encoding", "identity");  // or the usage in it could not be read
    auto& client = gate->providers.find(provider->name)->second;
    auto answer = co_await client->open(std::move(request), gate->settings->model_head_timeout,
                                        gate->settings->model_idle_timeout);
    if (!answer) {
        const bool late = answer.error().code == "timeout";
        co_return model_error(gate, late ? 504 : 502, "api_error",
                              fmt::format("the model provider does not answer: {}", answer.error().message));
    }
    co_return streaming_reply(std::move(gate), std::move(*answer));
}

}  // namespace codegen::worker_manager

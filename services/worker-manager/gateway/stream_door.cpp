// Adds the queue entry of a permitted command on the worker's behalf.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "services/worker-manager/gateway/doors.hpp"
#include "services/worker-manager/gateway/stream_message.hpp"
#include "shared/base/trace.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::string_view kPrefix = "/streams/";

// Only what the API shows to this worker is its user's. Nullopt: it does.
Task<std::optional<http::Reply>> check_owned(Gate gate, OwnedObject object) {
    http::Request request;
    request.target = fmt::format("/api/{}/{}", object.kind, object.id);
    auto answer = co_await ask_api(gate, std::move(request));
    if (!answer) co_return refuse(gate, 503, "the API does not answer: " + answer.error().message);
    if (answer->status == 200) co_return std::nullopt;
    if (answer->status >= 500) co_return refuse(gate, 503, fmt::format("the API answered {}", answer->status));
    co_return refuse(gate, 403, fmt::format("/api/{}/{} is not one of this worker's user", object.kind, object.id));
}

// Whether a running role takes from the stream; so that nothing is started that would wait for ever.
Task<http::Reply> tell_taken(Gate gate, GatewayIdentity worker, std::string stream) {
    auto group = check_stream_question(worker, stream);
    if (!group) co_return refuse(gate, 403, group.error().message);
    auto seen = co_await redis::last_consumer(gate->redis, stream, std::move(*group));
    if (!seen) co_return refuse(gate, 503, "Redis does not answer: " + seen.error().message);
    http::Reply reply;
    reply.head = http::json_response(200, boost::json::object{{"taken", *seen && **seen <= redis::kConsumerAlive}});
    co_return reply;
}

}  // namespace

// Who may add to the stream is known without the message; what is wrong with an empty one does not matter here.
std::optional<http::Reply> stream_refusal(const Gate& gate, const http::Request& head) {
    const auto stream = std::string_view(head.target).substr(kPrefix.size());
    const auto message = check_stream_message(gate->identity, stream, "");
    if (message || message.error().code != "forbidden") return {};
    return refuse(gate, 403, message.error().message);
}

Task<http::Reply> stream_door(Gate gate, http::Request request) {
    const auto stream = request.target.substr(kPrefix.size());
    if (request.method != "GET" && request.method != "POST")
        co_return refuse(gate, 405, "POST the message to /streams/<stream>, or GET it");
    auto worker = co_await permitted(gate);
    if (!worker) co_return not_told(gate);
    if (request.method == "GET") co_return co_await tell_taken(std::move(gate), std::move(*worker), stream);
    auto message = check_stream_message(*worker, stream, request.body);
    if (!message) {
        const bool forbidden = message.error().code == "forbidden";
        co_return refuse(gate, forbidden ? 403 : 422, message.error().message);
    }
    for (const auto& object : message->owned) {
        auto refusal = co_await check_owned(gate, object);
        if (refusal) co_return std::move(*refusal);
    }
    auto trace = next_traceparent(request.headers.get("traceparent").value_or(""));
    auto entry = co_await redis::publish(gate->redis, stream, std::move(message->data), message->cap, std::move(trace));
    if (!entry) co_return refuse(gate, 503, "Redis does not answer: " + entry.error().message);
    ++gate->counts.stream_entries;
    http::Reply reply;
    reply.head = http::json_response(200, boost::json::object{{"entry_id", *entry}});
    co_return reply;
}

}  // namespace codegen::worker_manager

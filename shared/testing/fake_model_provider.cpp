#include "shared/testing/fake_model_provider.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "shared/async/async.hpp"
#include "shared/base/ids.hpp"
#include "shared/http/server.hpp"

namespace codegen::testing {
namespace {

using boost::json::object;

// Error types of the Messages API by status (docs.anthropic.com, "Errors").
std::string_view error_type(unsigned status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 413:
            return "request_too_large";
        case 429:
            return "rate_limit_error";
        case 529:
            return "overloaded_error";
        default:
            return status < 500 ? "invalid_request_error" : "api_error";
    }
}

http::Reply error_reply(unsigned status, std::string message, std::optional<unsigned> retry_after = {}) {
    http::Reply reply;
    reply.head = http::json_response(
        status, object{{"type", "error"}, {"error", object{{"type", error_type(status)}, {"message", message}}}});
    if (retry_after) reply.head.headers.set("retry-after", std::to_string(*retry_after));
    return reply;
}

object usage_of(const ModelTurn& turn, std::int64_t output_tokens) {
    return {{"input_tokens", turn.input_tokens},
            {"cache_creation_input_tokens", turn.cache_write_tokens},
            {"cache_read_input_tokens", turn.cache_read_tokens},
            {"output_tokens", output_tokens},
            {"service_tier", "standard"}};
}

std::string_view stop_reason(const ModelTurn& turn) {
    return std::ranges::any_of(turn.blocks, [](const auto& b) { return b.tool.has_value(); }) ? "tool_use" : "end_turn";
}

object message_of(const std::string& model, const ModelTurn& turn) {
    return {{"id", "msg_" + random_token(12)},
            {"type", "message"},
            {"role", "assistant"},
            {"model", model},
            {"content", boost::json::array{}},
            {"stop_reason", nullptr},
            {"stop_sequence", nullptr},
            {"usage", usage_of(turn, 1)}};
}

object content_of(const ModelTurn::Block& block, bool empty) {
    if (!block.tool) return {{"type", "text"}, {"text", empty ? std::string{} : block.text}};
    return {{"type", "tool_use"},
            {"id", "toolu_" + random_token(12)},
            {"name", *block.tool},
            {"input", empty ? object{} : block.input}};
}

std::string event(std::string_view name, object data) {
    data["type"] = name;
    return "event: " + std::string(name) + "\ndata: " + boost::json::serialize(data) + "\n\n";
}

// The start, the deltas (two, so that a reader must join them) and the stop of one content block.
std::string block_events(const ModelTurn::Block& block, std::size_t index) {
    std::string out = event("content_block_start", {{"index", index}, {"content_block", content_of(block, true)}});
    const std::string payload = block.tool ? boost::json::serialize(block.input) : block.text;
    std::size_t middle = payload.size() / 2;
    while (middle < payload.size() && (static_cast<unsigned char>(payload[middle]) & 0xc0) == 0x80) ++middle;
    for (const auto& piece : {payload.substr(0, middle), payload.substr(middle)}) {
        if (piece.empty()) continue;
        out += event("content_block_delta",
                     {{"index", index},
                      {"delta", block.tool ? object{{"type", "input_json_delta"}, {"partial_json", piece}}
                                           : object{{"type", "text_delta"}, {"text", piece}}}});
    }
    return out + event("content_block_stop", {{"index", index}});
}

bool streaming(const boost::json::value& body) {
    const auto* stream = body.as_object().if_contains("stream");
    return stream && stream->is_bool() && stream->as_bool();
}

std::unexpected<Error> cut_here() {
    return fail(ErrorCategory::transient, "connection", "the script cuts the connection here");
}

std::string path_of(const std::string& target) { return target.substr(0, target.find('?')); }

}  // namespace

ModelTurn ModelTurn::say(std::string text) {
    ModelTurn turn;
    turn.blocks.push_back({std::move(text), {}, {}});
    return turn;
}

ModelTurn ModelTurn::call(std::string tool, object input, std::string text_before) {
    ModelTurn turn;
    if (!text_before.empty()) turn.blocks.push_back({std::move(text_before), {}, {}});
    turn.blocks.push_back({{}, std::move(tool), std::move(input)});
    return turn;
}

ModelTurn ModelTurn::fail(unsigned status, std::string message) {
    ModelTurn turn;
    turn.error_status = status;
    turn.error_message = std::move(message);
    return turn;
}

ModelTurn ModelTurn::held(Hold where) && {
    hold = where;
    return std::move(*this);
}

struct FakeModelProvider::Impl {
    explicit Impl(Options o) : options(std::move(o)) {}

    const Options options;
    std::uint16_t port = 0;

    // On the server's thread only.
    asio::io_context io{1};
    std::list<asio::steady_timer> holding;
    std::size_t released_ahead = 0;
    bool stopping = false;
    std::optional<http::Server> server;

    // Guarded by mutex.
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::deque<ModelTurn> script;
    std::vector<ModelRequest> seen;
    std::size_t held = 0;

    std::thread thread;

    void start() {
        server.emplace(io.get_executor(),
                       [this](http::Request request, http::Peer) { return answer(std::move(request)); });
        const auto listening = server->listen_tcp("127.0.0.1", 0);
        if (!listening) throw std::runtime_error("fake model provider: " + listening.error().message);
        port = *listening;
        thread = std::thread([this] { io.run(); });
    }

    void stop() {
        asio::post(io, [this] {
            stopping = true;
            for (auto& timer : holding) timer.cancel();
        });
        asio::co_spawn(io, server->stop(std::chrono::milliseconds(0)), [this](std::exception_ptr) { io.stop(); });
        thread.join();
    }

    // False: the provider ends.
    Task<bool> hold() {
        if (released_ahead > 0) {
            --released_ahead;
            co_return !stopping;
        }
        const auto timer = holding.emplace(holding.end(), io, asio::steady_timer::time_point::max());
        note_held(+1);
        co_await timer->async_wait(async::use_tuple);
        note_held(-1);
        holding.erase(timer);
        co_return !stopping;
    }

    void note_held(int change) {
        const std::lock_guard lock(mutex);
        held = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(held) + change);
        changed.notify_all();
    }

    void release_one() {
        for (auto& timer : holding)
            if (timer.cancel() > 0) return;
        ++released_ahead;
    }

    bool authorized(const http::Headers& headers) const {
        if (const auto key = headers.get("x-api-key"); key && *key == options.key) return true;
        const auto bearer = headers.get("authorization");
        return bearer && *bearer == "Bearer " + options.key;
    }

    bool is_main(const ModelRequest& request) const {
        if (request.method != "POST" || path_of(request.target) != "/v1/messages") return false;
        const auto* body = request.json.if_object();
        if (!body) return false;
        if (options.every_message_is_main) return true;
        const auto* tools = body->if_contains("tools");
        const auto* limit = body->if_contains("max_tokens");
        const bool probe = limit && limit->is_int64() && limit->as_int64() == 1;
        return !probe && tools && tools->is_array() && !tools->as_array().empty();
    }

    Task<http::Reply> answer(http::Request request) {
        const bool allowed = authorized(request.headers);
        std::optional<ModelTurn> turn;
        std::size_t index = 0;
        ModelRequest record{request.method, request.target, request.headers, request.body, {}, false, 0};
        boost::system::error_code not_json;
        record.json = boost::json::parse(request.body, not_json);
        const auto body = record.json;
        record.main = is_main(record);
        const bool main = record.main;
        {
            const std::lock_guard lock(mutex);
            if (main && allowed && !script.empty()) {
                turn = std::move(script.front());
                script.pop_front();
            }
            index = seen.size();
            seen.push_back(std::move(record));
            changed.notify_all();
        }
        http::Reply reply;
        if (!allowed && request.method != "HEAD")
            reply = error_reply(401, "invalid x-api-key");
        else if (main && !turn)
            reply = error_reply(400, "the test's script has no more turns for " + request.target);
        else
            reply = co_await answer_allowed(std::move(request), body, std::move(turn));
        const std::lock_guard lock(mutex);
        seen[index].answered = reply.head.status;
        co_return reply;
    }

    Task<http::Reply> answer_allowed(http::Request request, boost::json::value body, std::optional<ModelTurn> turn) {
        const auto path = path_of(request.target);
        http::Reply reply;
        if (request.method == "POST" && path == "/v1/messages") {
            if (!body.is_object()) co_return error_reply(400, "the body is not a JSON object");
            reply = co_await answer_messages(std::move(body), turn ? std::move(*turn) : ModelTurn::say("ok"));
        } else if (request.method == "POST" && path == "/v1/messages/count_tokens") {
            reply.head = http::json_response(200, object{{"input_tokens", request.body.size() / 4 + 1}});
        } else if (request.method == "GET" && path == "/v1/models") {
            reply.head = http::json_response(200, object{{"data", boost::json::array{}}, {"has_more", false}});
        } else if (path == "/" && (request.method == "HEAD" || request.method == "GET")) {
            reply.head = http::json_response(200, object{});
        } else {
            reply = error_reply(404, "Not found: " + request.method + " " + request.target);
        }
        co_return reply;
    }

    Task<http::Reply> answer_messages(boost::json::value body, ModelTurn turn) {
        const bool wait_here = turn.hold == ModelTurn::Hold::before_head ||
                               (turn.hold == ModelTurn::Hold::before_content && !streaming(body));
        if (wait_here) {
            const bool go_on = co_await hold();
            if (!go_on) co_return error_reply(500, "the fake provider ends");
        }
        if (turn.error_status != 0) co_return error_reply(turn.error_status, turn.error_message, turn.retry_after);
        const auto& fields = body.as_object();
        const auto* named = fields.if_contains("model");
        auto message = message_of(named && named->is_string() ? std::string(named->as_string()) : "unknown", turn);
        http::Reply reply;
        reply.head.headers.set("request-id", "req_" + random_token(12));
        if (!streaming(body)) {
            for (const auto& block : turn.blocks) message["content"].as_array().push_back(content_of(block, false));
            message["stop_reason"] = stop_reason(turn);
            message["usage"] = usage_of(turn, turn.output_tokens);
            reply.head = http::json_response(200, message);
            co_return reply;
        }
        reply.head.headers.set("content-type", "text/event-stream; charset=utf-8");
        reply.head.headers.set("cache-control", "no-cache");
        reply.body = [this, message, turn](http::Stream& out) { return stream_turn(out, message, turn); };
        co_return reply;
    }

    Task<Result<void>> stream_turn(http::Stream& out, object message, ModelTurn turn) {
        const auto started = event("message_start", {{"message", message}}) + event("ping", {});
        if (auto sent = co_await out.write(started); !sent) co_return sent;
        if (turn.hold == ModelTurn::Hold::before_content) {
            const bool go_on = co_await hold();
            if (!go_on) co_return fail(ErrorCategory::transient, "connection", "the fake provider ends");
        }
        if (turn.cut == ModelTurn::Cut::before_content) co_return cut_here();
        for (std::size_t i = 0; i < turn.blocks.size(); ++i) {
            const auto events = block_events(turn.blocks[i], i);
            if (auto sent = co_await out.write(events); !sent) co_return sent;
            if (turn.cut == ModelTurn::Cut::after_first_block) co_return cut_here();
        }
        const auto ended =
            event("message_delta", {{"delta", object{{"stop_reason", stop_reason(turn)}, {"stop_sequence", nullptr}}},
                                    {"usage", usage_of(turn, turn.output_tokens)}}) +
            event("message_stop", {});
        co_return co_await out.write(ended);
    }

    template <class Condition>
    bool wait(std::chrono::milliseconds limit, Condition condition) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, limit, condition);
    }
};

FakeModelProvider::FakeModelProvider(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
    impl_->start();
}

FakeModelProvider::~FakeModelProvider() { impl_->stop(); }

std::string FakeModelProvider::base_url() const { return "http://127.0.0.1:" + std::to_string(impl_->port); }

const std::string& FakeModelProvider::key() const { return impl_->options.key; }

void FakeModelProvider::push(ModelTurn turn) {
    const std::lock_guard lock(impl_->mutex);
    impl_->script.push_back(std::move(turn));
}

std::size_t FakeModelProvider::turns_left() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->script.size();
}

void FakeModelProvider::release() {
    asio::post(impl_->io, [impl = impl_.get()] { impl->release_one(); });
}

bool FakeModelProvider::wait_held(std::chrono::milliseconds limit) {
    return impl_->wait(limit, [&] { return impl_->held > 0; });
}

bool FakeModelProvider::wait_main_requests(std::size_t count, std::chrono::milliseconds limit) {
    return impl_->wait(limit, [&] {
        return static_cast<std::size_t>(std::ranges::count_if(impl_->seen, &ModelRequest::main)) >= count;
    });
}

std::vector<ModelRequest> FakeModelProvider::requests() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->seen;
}

std::vector<ModelRequest> FakeModelProvider::main_requests() const {
    std::vector<ModelRequest> out;
    for (auto& request : requests())
        if (request.main) out.push_back(std::move(request));
    return out;
}

}  // namespace codegen::testing

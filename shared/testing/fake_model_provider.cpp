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
#include "shared/testing/model_answers.hpp"

namespace codegen::testing {
namespace {

using boost::json::object;

http::Reply error_reply(ModelApi api, unsigned status, const std::string& message,
                        std::optional<unsigned> retry_after = {}) {
    http::Reply reply;
    reply.head = http::json_response(status, error_document(api, status, message));
    if (retry_after) reply.head.headers.set("retry-after", std::to_string(*retry_after));
    return reply;
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
    turn.blocks.push_back({std::move(text), {}, {}, false});
    return turn;
}

ModelTurn ModelTurn::call(std::string tool, object input, std::string text_before) {
    ModelTurn turn;
    if (!text_before.empty()) turn.blocks.push_back({std::move(text_before), {}, {}, false});
    turn.blocks.push_back({{}, std::move(tool), std::move(input), false});
    return turn;
}

ModelTurn ModelTurn::call_freeform(std::string tool, std::string text) {
    ModelTurn turn;
    turn.blocks.push_back({std::move(text), std::move(tool), {}, true});
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
    std::optional<ModelTurn> otherwise;
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
        const auto api = model_api(path_of(request.target));
        const auto* body = request.json.if_object();
        if (request.method != "POST" || !api || !body) return false;
        if (options.every_message_is_main) return true;
        const auto* limit = body->if_contains("max_tokens");
        const bool probe = limit && limit->is_int64() && limit->as_int64() == 1;
        return !probe && offers_tools(*api, *body);
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
            } else if (main && allowed) {
                turn = otherwise;
            }
            index = seen.size();
            seen.push_back(std::move(record));
            changed.notify_all();
        }
        http::Reply reply;
        const auto api = model_api(path_of(request.target)).value_or(ModelApi::messages);
        if (!allowed && request.method != "HEAD")
            reply = error_reply(api, 401, "invalid x-api-key");
        else if (main && !turn)
            reply = error_reply(api, 400, "the test's script has no more turns for " + request.target);
        else
            reply = co_await answer_allowed(std::move(request), body, std::move(turn));
        const std::lock_guard lock(mutex);
        seen[index].answered = reply.head.status;
        co_return reply;
    }

    Task<http::Reply> answer_allowed(http::Request request, boost::json::value body, std::optional<ModelTurn> turn) {
        const auto path = path_of(request.target);
        http::Reply reply;
        if (const auto api = model_api(path); api && request.method == "POST") {
            if (!body.is_object()) co_return error_reply(*api, 400, "the body is not a JSON object");
            reply = co_await answer_model(*api, std::move(body), turn ? std::move(*turn) : ModelTurn::say("ok"));
        } else if (request.method == "POST" && path == "/v1/messages/count_tokens") {
            reply.head = http::json_response(200, object{{"input_tokens", request.body.size() / 4 + 1}});
        } else if (request.method == "GET" && path == "/v1/models") {
            reply.head = http::json_response(200, object{{"data", boost::json::array{}}, {"has_more", false}});
        } else if (path == "/" && (request.method == "HEAD" || request.method == "GET")) {
            reply.head = http::json_response(200, object{});
        } else {
            reply = error_reply(ModelApi::messages, 404, "Not found: " + request.method + " " + request.target);
        }
        co_return reply;
    }

    Task<http::Reply> answer_model(ModelApi api, boost::json::value body, ModelTurn turn) {
        const bool wait_here = turn.hold == ModelTurn::Hold::before_head ||
                               (turn.hold == ModelTurn::Hold::before_content && !streaming(body));
        if (wait_here) {
            const bool go_on = co_await hold();
            if (!go_on) co_return error_reply(api, 500, "the fake provider ends");
        }
        if (turn.error_status != 0) co_return error_reply(api, turn.error_status, turn.error_message, turn.retry_after);
        const auto* named = body.as_object().if_contains("model");
        std::shared_ptr<ModelAnswer> shape =
            make_answer(api, named && named->is_string() ? std::string(named->as_string()) : "unknown", turn);
        http::Reply reply;
        if (!streaming(body)) {
            reply.head = http::json_response(200, shape->whole());
            reply.head.headers.set("request-id", "req_" + random_token(12));
            co_return reply;
        }
        reply.head.headers.set("request-id", "req_" + random_token(12));
        reply.head.headers.set("content-type", "text/event-stream; charset=utf-8");
        reply.head.headers.set("cache-control", "no-cache");
        reply.body = [this, shape, turn](http::Stream& out) { return stream_turn(out, shape, turn); };
        co_return reply;
    }

    Task<Result<void>> stream_turn(http::Stream& out, std::shared_ptr<ModelAnswer> shape, ModelTurn turn) {
        const auto started = shape->start();
        if (auto sent = co_await out.write(started); !sent) co_return sent;
        if (turn.hold == ModelTurn::Hold::before_content) {
            const bool go_on = co_await hold();
            if (!go_on) co_return fail(ErrorCategory::transient, "connection", "the fake provider ends");
        }
        if (turn.cut == ModelTurn::Cut::before_content) co_return cut_here();
        for (std::size_t i = 0; i < turn.blocks.size(); ++i) {
            const auto events = shape->block(i);
            if (auto sent = co_await out.write(events); !sent) co_return sent;
            if (turn.cut == ModelTurn::Cut::after_first_block) co_return cut_here();
        }
        const auto ended = shape->end();
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

void FakeModelProvider::always(ModelTurn turn) {
    const std::lock_guard lock(impl_->mutex);
    impl_->otherwise = std::move(turn);
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

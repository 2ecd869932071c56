#include "shared/http/connection.hpp"

#include <fmt/format.h>

#include <charconv>

#include "shared/logging/log.hpp"

namespace codegen::http {
namespace {

constexpr std::chrono::seconds kLinger{2};
constexpr std::size_t kPipelined = 64u << 10;  // bytes of further requests read while a reply is streamed
constexpr std::size_t kSmallBody = 16u << 10;  // copied behind the head: one write instead of two
constexpr std::string_view kNoRoom = "no_room";

std::unexpected<Error> no_room() {
    return fail(ErrorCategory::transient, std::string(kNoRoom),
                "the bodies of the requests that are under way fill the room for them; try again when one has ended");
}

bool has_no_body(unsigned status) { return status < 200 || status == 204 || status == 304; }

// What a streaming handler writes to: adds chunks, or counts against the Content-Length.
class BodyWriter final : public Stream {
  public:
    BodyWriter(SocketTransport& transport, bool chunked, std::optional<std::uint64_t> length)
        : transport_(transport), chunked_(chunked), left_(length) {}

    Task<Result<std::size_t>> read_some(std::span<char>) override {
        co_return fail(ErrorCategory::permanent, "invalid", "the request's body has already been read");
    }
    Task<Result<void>> write(std::string_view bytes) override {
        if (bytes.empty()) co_return Result<void>{};
        if (left_) {
            if (bytes.size() > *left_)
                co_return fail(ErrorCategory::permanent, "invalid", "the body is longer than its Content-Length");
            *left_ -= bytes.size();
        }
        if (!chunked_) co_return co_await transport_.write(bytes);
        char size[20];
        char* end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        co_return co_await transport_.write_all({asio::const_buffer(size, static_cast<std::size_t>(end - size)),
                                                 asio::buffer(bytes), asio::buffer("\r\n", 2)});
    }
    void shutdown_write() override {}  // the handler's return is the end
    void close() override { transport_.shutdown_both(); }

    Task<Result<void>> finish() {
        if (left_.value_or(0) != 0)
            co_return fail(ErrorCategory::permanent, "invalid", "the body is shorter than its Content-Length");
        if (chunked_) co_return co_await transport_.write("0\r\n\r\n");
        co_return Result<void>{};
    }

  private:
    SocketTransport& transport_;
    bool chunked_;
    std::optional<std::uint64_t> left_;
};

Task<void> write_body(const Reply* reply, Stream* writer, Result<void>* result) {
    auto done = co_await reply->body(*writer);
    *result = std::move(done);
}

std::string text_of(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "not a std::exception";
    }
}

}  // namespace

bool BodyShare::take(std::size_t bytes) {
    if (bytes <= bytes_) return true;
    if (bytes - bytes_ > server_->options.bodies_limit - server_->bodies) return false;
    server_->bodies += bytes - bytes_;
    bytes_ = bytes;
    return true;
}

Connection::Connection(std::shared_ptr<ServerState> server, Socket socket, Peer peer)
    : server_(std::move(server)),
      place_(server_->connections.insert(server_->connections.end(), this)),
      transport_(std::make_unique<SocketTransport>(std::move(socket))),
      peer_(peer) {
    expect_within(server_->options.idle_timeout);
}

Connection::~Connection() {
    server_->connections.erase(place_);
    server_->changed.cancel();
}

void Connection::close_if_overdue(std::chrono::steady_clock::time_point now) {
    if (now >= deadline_) cut();
}
void Connection::close_if_idle() {
    if (idle_) cut();
}
void Connection::cut() {
    if (transport_) transport_->shutdown_both();
}

Task<void> Connection::run() {
    for (bool again = true; again && !server_->stopping;) {
        auto received = co_await receive();
        if (!received) {
            co_await refuse(std::move(received.error()));
            again = false;
        } else if (!*received) {
            co_return;
        } else {
            again = co_await answer(std::move(**received));
        }
    }
    if (transport_) co_await linger();
}

Result<std::size_t> Connection::at_body(const Request& head, std::optional<std::uint64_t> length, BodyShare* share) {
    if (const auto& rule = server_->options.body_rule) {
        auto ruled = rule(head);
        body_limit_ = ruled.limit;
        if ((refusal_ = std::move(ruled.refusal))) return fail(ErrorCategory::permanent, "refused", "");
    }
    if (length && *length <= body_limit_ && !share->take(static_cast<std::size_t>(*length))) return no_room();
    return body_limit_;
}

Task<Result<std::optional<Connection::Received>>> Connection::receive() {
    BodyShare share(server_);
    body_limit_ = server_->options.body_limit;
    refusal_.reset();
    RequestParser parser(server_->options.header_limit, body_limit_,
                         [this, &share](const Request& head, std::optional<std::uint64_t> length) {
                             return at_body(head, length, &share);
                         });
    bool told_to_continue = false;
    expect_within(server_->options.idle_timeout);
    for (;;) {
        idle_ = transport_->pending().empty() && !parser.head_done();
        if (!transport_->pending().empty()) {
            auto used = parser.feed(transport_->pending());
            if (!used) co_return std::unexpected(std::move(used.error()));
            transport_->consume(*used);
            if (!share.take(parser.body_size())) co_return no_room();
        }
        if (parser.done()) break;
        if (parser.head_done() && parser.expects_continue() && !told_to_continue && transport_->pending().empty()) {
            told_to_continue = true;
            auto written = co_await transport_->write("HTTP/1.1 100 Continue\r\n\r\n");
            if (!written) co_return std::nullopt;
        }
        auto n = co_await transport_->fill();
        if (!n || *n == 0) co_return std::nullopt;
    }
    idle_ = false;
    expect_nothing();
    const bool keep_alive = parser.keep_alive();
    const bool knows_chunks = parser.knows_chunks();
    co_return Received{parser.take(), std::move(share), keep_alive, knows_chunks};
}

Task<void> Connection::refuse(Error error) {
    const unsigned status = error.code == "header_too_large" ? 431
                            : error.code == "too_large"      ? 413
                            : error.code == kNoRoom          ? 503
                                                             : 400;
    auto detail = std::move(error.message);
    if (status == 413) detail += fmt::format("; the limit is {} bytes", body_limit_);
    if (status == 431) detail += fmt::format("; the limit is {} bytes", server_->options.header_limit);
    auto response = refusal_ ? std::move(*refusal_) : problem(status, std::move(detail));
    if (status == 503) response.headers.set("Retry-After", "1");
    co_await send_plain(std::move(response), false, false);
}

Task<Reply> Connection::call_handler(Request request) {
    std::exception_ptr exception;
    const auto what = fmt::format("{} {}", request.method, request.target.substr(0, request.target.find('?')));
    if (server_->cut) throw boost::system::system_error(asio::error::operation_aborted);
    try {
        auto reply = co_await server_->handler(std::move(request), peer_);
        co_return reply;
    } catch (...) {
        exception = std::current_exception();
    }
    if (server_->cut && async::is_cancellation(exception)) std::rethrow_exception(exception);
    log::error("an HTTP handler threw", {{"request", what}, {"error", text_of(exception)}});
    co_return Reply{problem(500, "internal error; the server's log has the details"), {}, {}};
}

Task<bool> Connection::answer(Received received) {
    const bool to_head = received.request.method == "HEAD";
    const bool chunked = received.knows_chunks;
    auto reply = co_await call_handler(std::move(received.request));
    received.share.give_back();  // the answer may be a stream of minutes
    const bool keep_alive = received.keep_alive && !server_->stopping;
    if (reply.upgrade) {
        auto head = response_head(reply.head, Framing::none, 0, true);
        if (!head) co_return false;
        auto written = co_await transport_->write(*head);
        if (!written) co_return false;
        co_await reply.upgrade(std::move(transport_));
        co_return false;
    }
    const bool without_body = to_head || has_no_body(reply.head.status);
    if (reply.body && !without_body) co_return co_await send_stream(std::move(reply), chunked, keep_alive);
    if (reply.body && to_head && !has_no_body(reply.head.status) && !reply.head.headers.get("Content-Length")) {
        auto head = response_head(reply.head, chunked ? Framing::chunked : Framing::none, 0, keep_alive && chunked);
        if (!head) co_return false;
        auto written = co_await transport_->write(*head);
        co_return written&& keep_alive&& chunked;
    }
    co_return co_await send_plain(std::move(reply.head), without_body, keep_alive);
}

Task<bool> Connection::send_plain(Response response, bool without_body, bool keep_alive) {
    expect_within(server_->options.idle_timeout);
    const bool no_length = has_no_body(response.status);
    if (no_length && response.status != 304) response.headers.erase("Content-Length");
    // The length of an answer to HEAD is that of GET; a handler that made no body may know it.
    const bool own_length =
        without_body && !no_length && response.body.empty() && response.headers.get("Content-Length");
    auto head = response_head(response, no_length || own_length ? Framing::none : Framing::length, response.body.size(),
                              keep_alive);
    if (!head) {
        log::error("an HTTP handler made a response that cannot be sent", {{"error", head.error().message}});
        response = problem(500, "internal error; the server's log has the details");
        head = response_head(response, Framing::length, response.body.size(), keep_alive);
        if (!head) co_return false;
    }
    const bool small = response.body.size() <= kSmallBody;
    if (small && !without_body) *head += response.body;
    Result<void> written;
    if (small || without_body)
        written = co_await transport_->write(*head);
    else
        written = co_await transport_->write_all({asio::buffer(*head), asio::buffer(response.body), {}});
    co_return written&& keep_alive;
}

Task<void> Connection::watch_peer() {
    while (transport_->pending().size() < kPipelined) {
        auto n = co_await transport_->fill();
        if (!n || *n == 0) co_return;
    }
    co_await async::sleep_for(std::chrono::hours(24 * 365));  // too much to look behind it; writing will tell
}

Task<bool> Connection::send_stream(Reply reply, bool chunked, bool keep_alive) {
    std::optional<std::uint64_t> length;
    if (const auto text = reply.head.headers.get("Content-Length")) {
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
        if (error != std::errc{} || end != text->data() + text->size()) {
            log::error("an HTTP handler set a bad Content-Length", {{"value", std::string(*text)}});
            co_return co_await send_plain(problem(500, "internal error"), false, keep_alive);
        }
        length = value;
    }
    const auto framing = length ? Framing::length : chunked ? Framing::chunked : Framing::until_close;
    if (framing == Framing::until_close) keep_alive = false;
    auto head = response_head(reply.head, framing, length.value_or(0), keep_alive);
    if (!head) {
        log::error("an HTTP handler made a response that cannot be sent", {{"error", head.error().message}});
        co_return co_await send_plain(problem(500, "internal error"), false, keep_alive);
    }
    auto written = co_await transport_->write(*head);
    if (!written) co_return false;

    BodyWriter writer(*transport_, framing == Framing::chunked, length);
    std::exception_ptr exception;
    Result<void> done = fail(ErrorCategory::transient, "connection", "the client has gone");
    try {
        co_await async::first_of(write_body(&reply, &writer, &done), watch_peer());
    } catch (...) {
        exception = std::current_exception();
    }
    if (exception) done = fail(ErrorCategory::permanent, "internal", text_of(exception));
    if (done) done = co_await writer.finish();
    if (!done) {
        // The peer must see that the body is incomplete: no last chunk, no orderly end.
        (exception ? log::error : log::debug)("a streamed response was cut", {{"error", done.error().message}});
        transport_->close();
        transport_.reset();
        co_return false;
    }
    co_return keep_alive;
}

// A close with unread input resets the connection, and the peer loses the answer that is under way to it.
Task<void> Connection::linger() {
    transport_->shutdown_write();
    idle_ = true;
    expect_within(kLinger);
    transport_->consume(transport_->pending().size());
    for (std::size_t dropped = 0; dropped < (64u << 20);) {
        auto n = co_await transport_->fill();
        if (!n || *n == 0) co_return;
        dropped += *n;
        transport_->consume(*n);
    }
}

}  // namespace codegen::http

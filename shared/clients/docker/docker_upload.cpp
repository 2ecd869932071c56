#include "shared/clients/docker/docker_upload.hpp"

#include <fmt/format.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "shared/clients/docker/docker_messages.hpp"
#include "shared/posix/file.hpp"

namespace codegen::clients {
namespace beast = boost::beast;
using Socket = asio::local::stream_protocol::socket;

namespace {

std::unexpected<Error> unavailable(std::string_view what, const boost::system::error_code& error) {
    return fail(ErrorCategory::transient, "unavailable", fmt::format("Docker engine: {}: {}", what, error.message()));
}

Task<Result<void>> send_body(Socket& socket, BodySource body) {
    for (;;) {
        auto piece = body();
        if (!piece) co_return std::unexpected(piece.error());
        std::string head = fmt::format("{:x}\r\n", piece->size());
        std::array<asio::const_buffer, 3> chunk{asio::buffer(head), asio::buffer(*piece), asio::buffer("\r\n", 2)};
        auto [error, sent] = co_await asio::async_write(socket, chunk, async::use_tuple);
        if (error) co_return unavailable("sending", error);
        if (piece->empty()) co_return Result<void>();
    }
}

}  // namespace

Task<Result<UploadAnswer>> upload(std::string path, std::string target, BodySource body,
                                  std::function<void(const boost::json::value&)> on_message) {
    auto address = posix::short_socket_path(path);
    if (!address) co_return std::unexpected(address.error());
    Socket socket(co_await asio::this_coro::executor);
    auto [connect_error] =
        co_await socket.async_connect(asio::local::stream_protocol::endpoint(address->path), async::use_tuple);
    if (connect_error) co_return unavailable("connect " + path, connect_error);

    std::string head = fmt::format(
        "POST {} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n",
        target);
    auto [head_error, sent] = co_await asio::async_write(socket, asio::buffer(head), async::use_tuple);
    if (head_error) co_return unavailable("sending", head_error);
    // The engine may refuse before it has read everything: then the answer says why the write broke.
    auto body_sent = co_await send_body(socket, std::move(body));
    if (!body_sent && body_sent.error().code != "unavailable") co_return std::unexpected(body_sent.error());

    beast::flat_buffer buffer;
    beast::http::response_parser<beast::http::buffer_body> parser;
    parser.body_limit(boost::none);
    auto [read_error, got] = co_await beast::http::async_read_header(socket, buffer, parser, async::use_tuple);
    if (read_error) co_return body_sent ? unavailable("reading", read_error) : std::unexpected(body_sent.error());

    UploadAnswer answer{parser.get().result_int(), {}};
    JsonSequence sequence;
    std::array<char, 16384> piece;
    while (!parser.is_done()) {
        parser.get().body().data = piece.data();
        parser.get().body().size = piece.size();
        auto [error, n] = co_await beast::http::async_read_some(socket, buffer, parser, async::use_tuple);
        if (error && error != beast::http::error::need_buffer) co_return unavailable("reading", error);
        std::string_view bytes(piece.data(), piece.size() - parser.get().body().size);
        if (answer.status >= 400) {
            if (answer.error_body.size() < (64u << 10)) answer.error_body.append(bytes);
            continue;
        }
        auto messages = sequence.feed(bytes);
        if (!messages) co_return std::unexpected(messages.error());
        for (const boost::json::value& message : *messages) on_message(message);
    }
    co_return answer;
}

}  // namespace codegen::clients

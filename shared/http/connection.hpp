// One connection of a server. Internal to shared/http.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <list>

#include "shared/http/server.hpp"
#include "shared/http/transport.hpp"
#include "shared/http/wire.hpp"

namespace codegen::http {

class Connection;

// What the connections of a server share. It outlives the Server while connections still unwind.
struct ServerState {
    ServerState(const asio::any_io_executor& executor, Handler h, ServerOptions o)
        : handler(std::move(h)), options(std::move(o)), changed(executor, asio::steady_timer::time_point::max()) {}
    Handler handler;
    ServerOptions options;
    std::list<Connection*> connections;
    asio::steady_timer changed;  // never expires; cancelled whenever a connection ends
    std::size_t bodies = 0;      // bytes of options.bodies_limit that are taken
    bool stopping = false;       // no further request
    bool cut = false;            // the owner may be gone: no further call of the handler
};

// What one request has taken of its server's options.bodies_limit; given back with it.
class BodyShare {
  public:
    explicit BodyShare(std::shared_ptr<ServerState> server) : server_(std::move(server)) {}
    BodyShare(BodyShare&& other) noexcept : server_(std::move(other.server_)), bytes_(std::exchange(other.bytes_, 0)) {}
    BodyShare& operator=(BodyShare&&) = delete;
    ~BodyShare() { give_back(); }
    void give_back() {
        if (const auto bytes = std::exchange(bytes_, 0)) server_->bodies -= bytes;
    }
    // Raises it to `bytes`. False: there is no room for that.
    bool take(std::size_t bytes);

  private:
    std::shared_ptr<ServerState> server_;
    std::size_t bytes_ = 0;
};

class Connection {
  public:
    Connection(std::shared_ptr<ServerState> server, Socket socket, Peer peer);
    Connection(const Connection&) = delete;
    ~Connection();

    Task<void> run();
    void close_if_overdue(std::chrono::steady_clock::time_point now);
    void close_if_idle();  // between two requests
    void cut();

  private:
    struct Received {
        Request request;
        BodyShare share;
        bool keep_alive = false;
        bool knows_chunks = true;
    };
    Task<Result<std::optional<Received>>> receive();  // nullopt: the peer is gone
    Result<std::size_t> at_body(const Request& head, std::optional<std::uint64_t> length, BodyShare* share);
    Task<bool> answer(Received received);  // may the connection be used again?
    Task<bool> send_plain(Response response, bool without_body, bool keep_alive);
    Task<bool> send_stream(Reply reply, bool chunked, bool keep_alive);
    Task<void> watch_peer();  // returns when the peer has closed
    Task<Reply> call_handler(Request request);
    Task<void> refuse(Error error);
    Task<void> linger();
    void expect_within(std::chrono::seconds limit) { deadline_ = std::chrono::steady_clock::now() + limit; }
    void expect_nothing() { deadline_ = std::chrono::steady_clock::time_point::max(); }

    std::shared_ptr<ServerState> server_;
    std::list<Connection*>::iterator place_;
    std::unique_ptr<SocketTransport> transport_;  // null after an upgrade
    Peer peer_;
    std::size_t body_limit_ = 0;       // of the request that is coming in
    std::optional<Response> refusal_;  // of the same: what to answer in the handler's place
    bool idle_ = true;
    std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace codegen::http

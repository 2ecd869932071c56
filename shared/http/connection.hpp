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
        : handler(std::move(h)), options(o), changed(executor, asio::steady_timer::time_point::max()) {}
    Handler handler;
    ServerOptions options;
    std::list<Connection*> connections;
    asio::steady_timer changed;  // never expires; cancelled whenever a connection ends
    bool stopping = false;       // no further request
    bool cut = false;            // the owner may be gone: no further call of the handler
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
        bool keep_alive = false;
        bool knows_chunks = true;
    };
    Task<Result<std::optional<Received>>> receive();  // nullopt: the peer is gone
    Task<bool> answer(Received received);             // may the connection be used again?
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
    bool idle_ = true;
    std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace codegen::http

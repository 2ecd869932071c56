// One connection to Redis on Asio: implicit pipelining, reconnect with backoff.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/resp/resp.hpp"

namespace codegen::redis {

// redis://[user[:password]@]host[:port][/db], rediss://... (TLS), unix://[user[:password]@]/path/to.sock[?db=N],
// redis+sentinel://[user[:password]@]host[:port],.../master[/db] and rediss+sentinel://... (TLS to sentinels and
// servers). Parameters: TLS ca, cert, key (PEM files); sentinels sentinel_user, sentinel_password.
struct Address {
    enum class Transport { tcp, tls, unix_socket } transport = Transport::tcp;
    std::string host = "127.0.0.1";
    std::uint16_t port = 6379;
    std::string path;  // unix socket
    std::string user;
    std::string password;
    int database = 0;
    std::string ca_file{};           // TLS: who signs the server; empty: the system's authorities
    std::string certificate_file{};  // TLS: our own, with its key, for a server that wants one
    std::string key_file{};
    struct Node {
        std::string host;
        std::uint16_t port = 26379;
    };
    std::vector<Node> sentinels{};  // asked before each connection where the master is; host and port are then unused
    std::string master_name{};
    std::string sentinel_user{};
    std::string sentinel_password{};
};
Result<Address> parse_address(std::string_view url);  // the error never repeats a password
std::string to_url(const Address& address);           // holds the password: for a 0600 file
std::string describe(const Address& address);         // for people and logs: no user, no password

struct ClientOptions {
    std::chrono::milliseconds command_timeout{
        5000};                             // from the call; a lost connection waits within it for the next one
    std::string name{};                    // CLIENT SETNAME
    std::function<void()> on_connected{};  // after each connection was made, before waiting commands are sent
};

// Use on one thread. Connects by itself and again after every loss (20 ms doubling to 2 s). A command that may have
// reached the server when the connection broke fails with transient "connection": at most once. A command that was not
// sent yet waits for the next connection. An error reply is an Error: code = its first word ("WRONGTYPE", "NOGROUP",
// "NOPERM", ...), category transient for LOADING, BUSY, TRYAGAIN, MASTERDOWN, READONLY, CLUSTERDOWN, OOM; fatal for
// NOAUTH and WRONGPASS; else permanent. With sentinels each connection goes to the master of that moment; a server that
// turns out not to be it is left at once. A command without an answer in time fails with transient "timeout", and the
// connection is made anew. A cancelled one fails with transient "cancelled"; it may have been done.
class Client {
  public:
    Client(asio::any_io_executor executor, Address address, ClientOptions options = {});
    ~Client();

    Task<Result<Reply>> command(Arguments arguments);
    // For blocking commands (XREAD BLOCK): own timeout. Such a client is used for nothing else meanwhile.
    Task<Result<Reply>> command(Arguments arguments, std::chrono::milliseconds timeout);
    // MULTI, the commands, EXEC, as one write: nothing comes between. The reply is EXEC's array; an error reply among
    // its elements is left there.
    Task<Result<Reply>> transaction(std::vector<Arguments> commands);
    bool connected() const;
    void close();  // pending and later commands fail with transient "closed"

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// How an error reply becomes an Error (see above).
Error error_of(const Reply& reply);

// XADD stream [MAXLEN ~ cap] * data <json> [traceparent ...]; returns the entry id. `data` is one JSON object.
Task<Result<std::string>> publish(Client& client, std::string stream, std::string data, std::size_t approximate_cap = 0,
                                  std::string traceparent = {});

}  // namespace codegen::redis

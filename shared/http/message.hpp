// HTTP messages as values. No I/O.
#pragma once
#include <boost/json/value.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/base/timestamp.hpp"

namespace codegen::http {

bool same_name(std::string_view a, std::string_view b);  // ASCII, without case

// Field names compare without case; order is kept.
class Headers {
  public:
    struct Field {
        std::string name;
        std::string value;
    };
    std::optional<std::string_view> get(std::string_view name) const;  // the first of that name
    void set(std::string_view name, std::string value);                // replaces all of that name
    void add(std::string_view name, std::string value);
    void erase(std::string_view name);
    auto begin() const { return fields_.begin(); }
    auto end() const { return fields_.end(); }

  private:
    std::vector<Field> fields_;
};

// The connection's own fields (Connection, Keep-Alive, Transfer-Encoding, Expect) are written by server and client
// themselves, as is Content-Length wherever the body is known: what stands in `headers` under these names is not sent.
// So a proxy may pass messages on as they are.
struct Request {
    std::string method = "GET";  // upper case
    std::string target = "/";    // origin form, still encoded: "/api/tasks?limit=5"; CONNECT: "host:port"
    Headers headers;
    std::string body;
};

struct Response {
    unsigned status = 200;
    Headers headers;
    std::string body;
};

// A byte stream to or from the peer.
class Stream {
  public:
    virtual ~Stream() = default;
    // At least one byte; 0 means end of stream.
    virtual Task<Result<std::size_t>> read_some(std::span<char> buffer) = 0;
    // All of it. Returns when the bytes are handed to the kernel, so a slow reader slows the writer (back-pressure).
    virtual Task<Result<void>> write(std::string_view bytes) = 0;
    virtual void shutdown_write() = 0;  // half-close
    virtual void close() = 0;
};

// What a handler answers. Plain: `head` with its body. Streaming: `body` writes the payload piece by piece after the
// head went out (chunked unless Content-Length is set); an error there cuts the connection. When the client closes (or
// half-closes) meanwhile, `body` is cancelled, so that a silent source does not hold a dead connection. It is not
// called for HEAD and for statuses without a body. Upgrade: after the head, the connection belongs to `upgrade`
// (CONNECT tunnels).
struct Reply {
    Response head;
    std::function<Task<Result<void>>(Stream&)> body;
    std::function<Task<void>(std::unique_ptr<Stream>)> upgrade;
};

// The header Retry-After: seconds, or a date, which counts from `now`. At most a day; nullopt: absent or no such thing.
std::optional<std::chrono::seconds> retry_after(const Headers& headers, Timestamp now = system_now());
Response json_response(unsigned status, const boost::json::value& body);
// RFC 9457: application/problem+json with type, title, status, detail and, when not empty, errors: [{path, message}].
Response problem(unsigned status, std::string detail, const FieldErrors& errors = {});
std::string_view reason_phrase(unsigned status);

}  // namespace codegen::http

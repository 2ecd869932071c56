// HTTP/1.1 messages to and from bytes, incrementally. No I/O; Beast's parser stays behind it. Internal to shared/http.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shared/http/message.hpp"

namespace codegen::http {

// One request. Errors: code "malformed" (400), "header_too_large" (431), "too_large" (413); after one, or when done,
// the parser is spent.
class RequestParser {
  public:
    // Called once, when the head is there and a body follows it: the head, and the body's length unless it comes in
    // chunks. Returns the body's limit, or an error that feed() returns in its turn.
    using AtBody = std::function<Result<std::size_t>(const Request& head, std::optional<std::uint64_t> length)>;
    RequestParser(std::size_t header_limit, std::size_t body_limit, AtBody at_body = {});
    ~RequestParser();
    // Returns how many bytes of the front it consumed; show it the others again, with more behind them.
    Result<std::size_t> feed(std::string_view bytes);
    bool head_done() const;
    bool done() const;
    bool keep_alive() const;        // these after head_done()
    bool expects_continue() const;  // HTTP/1.1 only
    bool knows_chunks() const;      // not HTTP/1.0
    std::size_t body_size() const;  // of what has come
    Request take();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// One response; informational ones before it (100, 103) are skipped.
class ResponseParser {
  public:
    explicit ResponseParser(bool to_head_request);
    ResponseParser(ResponseParser&&) noexcept;
    ~ResponseParser();
    // As above; decoded body bytes are appended to `body`. Stops after the head once, so that the caller can look at it
    // before the bytes behind it are taken for a body. Error: permanent, code "protocol".
    Result<std::size_t> feed(std::string_view bytes, std::string& body);
    Result<void> end_of_stream();  // the peer closed: right only where the body lasts until then
    bool head_done() const;
    bool done() const;
    bool keep_alive() const;
    Response& head();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    bool to_head_request_;
    void restart();
};

enum class Framing { length, chunked, until_close, none };

// The head of a response with its empty line. `length` is used for Framing::length. Error: a field that would break the
// message (line breaks, a bad name).
Result<std::string> response_head(const Response& response, Framing framing, std::uint64_t length, bool keep_alive);

// The head of a request for `target`. Host is `host` unless the request names one. `upgrade`: asks for a raw
// connection.
Result<std::string> request_head(const Request& request, std::string_view target, std::string_view host, bool upgrade);

}  // namespace codegen::http

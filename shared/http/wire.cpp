#include "shared/http/wire.hpp"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <ctime>
#include <iterator>

namespace codegen::http {
namespace {
namespace beast = boost::beast;
using beast::error_code;
using boost::optional;
using beast_view = beast::string_view;

constexpr std::size_t kResponseHeaderLimit = 256u << 10;
// Bytes that a parser may leave unconsumed behind the head: one chunk header, or the trailers.
constexpr std::size_t kLongestLine = 64u << 10;

std::string_view view(beast_view text) { return {text.data(), text.size()}; }

bool is_token(std::string_view text) {
    constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
    if (text.empty()) return false;
    for (const char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              kOthers.find(c) != std::string_view::npos))
            return false;
    return true;
}

bool has_control(std::string_view text) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\t') || byte == 0x7f) return true;
    }
    return false;
}

// What both directions share: fields and body are collected, trailers are dropped (they could forge fields).
template <bool is_request>
class Collector : public beast::http::basic_parser<is_request> {
  public:
    Headers headers;
    std::string body;
    bool strange_coding = false;
    bool body_begun = false;
    int hosts = 0;
    int http_version = 11;

    // Beast 1.81 asserts wrongly when the last chunk is also the first and comes in pieces of less than 5 bytes. No
    // chunked body is shorter.
    bool must_wait(std::size_t available) const {
        return available < 5 && this->is_header_done() && this->chunked() && !body_begun;
    }

  protected:
    void on_field_impl(beast::http::field name, beast_view text, beast_view value, error_code&) override {
        if (head_complete_) return;
        using beast::http::field;
        if (name == field::host) ++hosts;
        if (name == field::transfer_encoding && !beast::iequals(value, "chunked")) strange_coding = true;
        headers.add(view(text), std::string(view(value)));
    }
    void on_header_impl(error_code&) override { head_complete_ = true; }
    void on_body_init_impl(const optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(beast_view bytes, error_code&) override {
        body_begun = true;
        body.append(bytes.data(), bytes.size());
        return bytes.size();
    }
    void on_chunk_header_impl(std::uint64_t, beast_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast_view bytes, error_code&) override {
        body_begun = true;
        body.append(bytes.data(), bytes.size());
        return bytes.size();
    }
    void on_finish_impl(error_code&) override {}

  private:
    bool head_complete_ = false;
};

class RequestCollector final : public Collector<true> {
  public:
    std::string method, target;

  private:
    void on_request_impl(beast::http::verb, beast_view m, beast_view t, int version, error_code&) override {
        method = view(m);
        target = view(t);
        http_version = version;
    }
    void on_response_impl(int, beast_view, int, error_code&) override {}
};

class ResponseCollector final : public Collector<false> {
  public:
    unsigned status = 0;

  private:
    void on_request_impl(beast::http::verb, beast_view, beast_view, int, error_code&) override {}
    void on_response_impl(int code, beast_view, int version, error_code&) override {
        status = static_cast<unsigned>(code);
        http_version = version;
    }
};

std::unexpected<Error> malformed(std::string_view why) {
    return fail(ErrorCategory::permanent, "malformed", fmt::format("malformed HTTP request: {}", why));
}

std::unexpected<Error> too_large() {
    return fail(ErrorCategory::permanent, "too_large", "the request's body is too large");
}

}  // namespace

struct RequestParser::Impl {
    RequestCollector parser;
    AtBody at_body;
    bool head_checked = false;

    Result<void> check_head() {
        head_checked = true;
        if (parser.strange_coding) return malformed("only the transfer coding \"chunked\" is known");
        if (parser.http_version >= 11 && parser.hosts == 0) return malformed("no Host field");
        if (parser.hosts > 1) return malformed("more than one Host field");
        if (!is_token(parser.method)) return malformed("bad method");
        if (parser.http_version < 11 && parser.chunked()) return malformed("HTTP/1.0 with a transfer coding");
        return at_body && !parser.is_done() ? limit_body() : Result<void>{};
    }

    Result<void> limit_body() {
        Request head{std::move(parser.method), std::move(parser.target), std::move(parser.headers), {}};
        const auto length = parser.content_length();
        const auto limit = at_body(head, length ? std::optional<std::uint64_t>(*length) : std::nullopt);
        parser.method = std::move(head.method);
        parser.target = std::move(head.target);
        parser.headers = std::move(head.headers);
        if (!limit) return std::unexpected(limit.error());
        if (length && *length > *limit) return too_large();  // Beast looked at it together with the head
        parser.body_limit(*limit);
        return {};
    }
};

RequestParser::RequestParser(std::size_t header_limit, std::size_t body_limit, AtBody at_body)
    : impl_(std::make_unique<Impl>()) {
    impl_->at_body = std::move(at_body);
    impl_->parser.header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(header_limit, UINT32_MAX)));
    impl_->parser.body_limit(body_limit);
}
RequestParser::~RequestParser() = default;

Result<std::size_t> RequestParser::feed(std::string_view bytes) {
    auto& parser = impl_->parser;
    std::size_t used = 0;
    while (used < bytes.size() && !parser.is_done() && !parser.must_wait(bytes.size() - used)) {
        error_code error;
        const auto n = parser.put(asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
        used += n;
        using Code = beast::http::error;
        if (error == Code::need_more) break;
        if (error == Code::header_limit)
            return fail(ErrorCategory::permanent, "header_too_large", "the request's header fields are too large");
        if (error == Code::body_limit) return too_large();
        if (error) return malformed(error.message());
        if (parser.is_header_done() && !impl_->head_checked)
            if (auto good = impl_->check_head(); !good) return std::unexpected(good.error());
    }
    if (parser.is_header_done() && !parser.is_done() && bytes.size() - used > kLongestLine)
        return malformed("a chunk header or trailer is too long");
    return used;
}

bool RequestParser::head_done() const { return impl_->parser.is_header_done(); }
bool RequestParser::done() const { return impl_->parser.is_done(); }
bool RequestParser::keep_alive() const { return impl_->parser.keep_alive(); }
bool RequestParser::expects_continue() const {
    const auto expect = impl_->parser.headers.get("Expect");
    return expect && impl_->parser.http_version >= 11 && same_name(*expect, "100-continue");
}
std::size_t RequestParser::body_size() const { return impl_->parser.body.size(); }
bool RequestParser::knows_chunks() const { return impl_->parser.http_version >= 11; }

Request RequestParser::take() {
    auto& parser = impl_->parser;
    return {std::move(parser.method), std::move(parser.target), std::move(parser.headers), std::move(parser.body)};
}

struct ResponseParser::Impl {
    ResponseCollector parser;
    Response head;
    bool head_seen = false;
};

ResponseParser::ResponseParser(bool to_head_request) : to_head_request_(to_head_request) { restart(); }
ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;
ResponseParser::~ResponseParser() = default;

void ResponseParser::restart() {
    impl_ = std::make_unique<Impl>();
    impl_->parser.header_limit(kResponseHeaderLimit);
    impl_->parser.body_limit(boost::none);
    if (to_head_request_) impl_->parser.skip(true);
}

Result<std::size_t> ResponseParser::feed(std::string_view bytes, std::string& body) {
    std::size_t used = 0;
    while (used < bytes.size() && !impl_->parser.is_done() && !impl_->parser.must_wait(bytes.size() - used)) {
        auto& parser = impl_->parser;
        error_code error;
        used += parser.put(asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
        if (error == beast::http::error::need_more) break;
        if (error)
            return fail(ErrorCategory::permanent, "protocol",
                        fmt::format("malformed HTTP response: {}", error.message()));
        if (!parser.is_header_done() || impl_->head_seen) continue;
        if (parser.status < 200 && parser.status != 101) {
            restart();
            continue;
        }
        if (parser.strange_coding)
            return fail(ErrorCategory::permanent, "protocol", "HTTP response with an unknown transfer coding");
        impl_->head_seen = true;
        impl_->head.status = parser.status;
        impl_->head.headers = std::move(parser.headers);
        return used;
    }
    auto& parser = impl_->parser;
    body += parser.body;
    parser.body.clear();
    if (parser.is_header_done() && !parser.is_done() && bytes.size() - used > kLongestLine)
        return fail(ErrorCategory::permanent, "protocol", "a chunk header or trailer of the response is too long");
    return used;
}

Result<void> ResponseParser::end_of_stream() {
    if (done()) return {};
    if (!head_done())
        return fail(ErrorCategory::transient, "connection", "the connection was closed before the response");
    error_code error;
    impl_->parser.put_eof(error);
    if (error)
        return fail(ErrorCategory::transient, "connection", "the connection was closed in the middle of the response");
    return {};
}

bool ResponseParser::head_done() const { return impl_->head_seen; }
bool ResponseParser::done() const { return impl_->head_seen && impl_->parser.is_done(); }
bool ResponseParser::keep_alive() const { return impl_->parser.keep_alive(); }
Response& ResponseParser::head() { return impl_->head; }

namespace {

bool belongs_to_connection(std::string_view name) {
    for (const std::string_view own : {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "expect"})
        if (same_name(name, own)) return true;
    return false;
}

Result<void> write_fields(std::string& out, const Headers& headers, bool keep_length, bool keep_upgrade) {
    for (const auto& [name, value] : headers) {
        if (belongs_to_connection(name)) continue;
        if (!keep_length && same_name(name, "content-length")) continue;
        if (!keep_upgrade && same_name(name, "upgrade")) continue;
        if (!is_token(name) || has_control(value))
            return fail(ErrorCategory::permanent, "invalid",
                        fmt::format("header field \"{}\" has a bad name or a line break in its value",
                                    is_token(name) ? name : "?"));
        fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
    }
    return {};
}

// RFC 9110, 6.6.1; made once a second.
std::string_view date_now() {
    thread_local std::time_t made_at = -1;
    thread_local char text[64] = "";
    const auto now = std::time(nullptr);
    if (now != made_at) {
        std::tm parts{};
        ::gmtime_r(&now, &parts);
        std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);  // the C locale: never changed here
        made_at = now;
    }
    return text;
}

}  // namespace

Result<std::string> response_head(const Response& response, Framing framing, std::uint64_t length, bool keep_alive) {
    if (response.status < 100 || response.status > 999)
        return fail(ErrorCategory::permanent, "invalid", fmt::format("status {} is not one", response.status));
    const bool switching = response.status == 101;
    std::string out;
    out.reserve(256);
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                   reason_phrase(response.status), date_now());
    if (auto written = write_fields(out, response.headers, framing == Framing::none && !switching, switching); !written)
        return std::unexpected(written.error());
    if (framing == Framing::length) fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", length);
    if (framing == Framing::chunked) out += "Transfer-Encoding: chunked\r\n";
    if (switching)
        out += "Connection: Upgrade\r\n";
    else
        out += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
    out += "\r\n";
    return out;
}

Result<std::string> request_head(const Request& request, std::string_view target, std::string_view host, bool upgrade) {
    if (!is_token(request.method)) return fail(ErrorCategory::permanent, "invalid", "the request's method is not one");
    if (target.empty() || has_control(target) || target.find_first_of(" \t") != std::string_view::npos)
        return fail(ErrorCategory::permanent, "invalid", "the request's target is empty or has a space in it");
    std::string out;
    out.reserve(256);
    fmt::format_to(std::back_inserter(out), "{} {} HTTP/1.1\r\n", request.method, target);
    if (!request.headers.get("Host")) fmt::format_to(std::back_inserter(out), "Host: {}\r\n", host);
    if (auto written = write_fields(out, request.headers, false, false); !written)
        return std::unexpected(written.error());
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH")
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", request.body.size());
    if (upgrade) out += "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    out += "\r\n";
    return out;
}

}  // namespace codegen::http

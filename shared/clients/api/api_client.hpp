// The one client of our own REST API (docs/protocols.md, "REST resources").
#pragma once
#include <boost/json/serialize.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "shared/contracts/contracts.hpp"
#include "shared/http/client.hpp"

namespace codegen::clients {

// What a status that is not 2xx means, as below; also for other services of ours with problem documents.
Error error_of(const http::Response& response, bool has_token);

// Errors: the problem document's title, detail and field errors in the message; code "not_found" (404), "conflict"
// (409), "unauthorized" (401), "forbidden" (403), "invalid" (400, 413, 422, every other refusal): permanent;
// "unavailable": upstream (429) or transient (5xx, no connection, timeout), with what Retry-After asked for; "protocol"
// (not HTTP), "changed" (412: not as If-Match says any more): permanent. 401 is fatal when a token was sent: it will
// not become right. Statuses are checked; bodies are parsed as the contract ("invalid" when they are not). Correlation
// id and trace of the log context (shared/logging/context.hpp) go along. Cancelling a call closes its connection. A
// call takes 10 s at most.
class ApiClient {
  public:
    // url: http://..., https://..., http+unix:///path/api.sock. An empty token sends none.
    static Result<ApiClient> make(asio::any_io_executor executor, std::string_view url, std::string token);

    // Any request: method, "/api/..." target, JSON body text (or empty). 2xx only; the response's body.
    Task<Result<std::string>> call(std::string method, std::string target, std::string body = {},
                                   std::optional<std::string> correlation_id = {});
    // One page of a list: its body, and the target of the next page unless it is the last.
    struct Page {
        std::string body;
        std::optional<std::string> next;
    };
    Task<Result<Page>> page(std::string target);
    template <class T>
    Task<Result<T>> get(std::string target) {
        auto body = co_await call("GET", std::move(target));
        if (!body) co_return std::unexpected(body.error());
        co_return decode<T>(*body);
    }
    template <class T>
    Task<Result<T>> send(std::string method, std::string target, std::string json) {
        auto body = co_await call(std::move(method), std::move(target), std::move(json));
        if (!body) co_return std::unexpected(body.error());
        co_return decode<T>(*body);
    }
    // Reads the object at `target`, has `make` say which fields to change (none: nothing is written) and changes them
    // only while it is as it was read: when another writer was faster, it is read again. Transient "busy": always.
    template <class T>
    Task<Result<void>> change(std::string target, std::function<boost::json::object(const T&)> make) {
        constexpr int kTries = 8;
        for (int i = 0; i < kTries; ++i) {
            auto read = co_await send_request("GET", target, {}, {});
            if (!read) co_return std::unexpected(std::move(read.error()));
            auto object = decode<T>(read->body);
            if (!object) co_return std::unexpected(std::move(object.error()));
            const auto changes = make(*object);
            if (changes.empty()) co_return Result<void>();
            auto written = co_await send_request("PATCH", target, boost::json::serialize(changes), {},
                                                 std::string(read->headers.get("ETag").value_or("*")));
            if (written) co_return Result<void>();
            if (written.error().code != "changed") co_return std::unexpected(std::move(written.error()));
        }
        co_return fail(ErrorCategory::transient, "busy", "API PATCH " + target + ": changed by others all the time");
    }

  private:
    ApiClient(std::shared_ptr<http::Client> client, std::string token);
    Task<Result<http::Response>> send_request(std::string method, std::string target, std::string body,
                                              std::optional<std::string> correlation_id,
                                              std::optional<std::string> if_match = {});
    template <class T>
    static Result<T> decode(const std::string& body) {
        auto parsed = json::parse<T>(body);
        if (!parsed) return std::unexpected(in_context(invalid(parsed.error()), "answer of the API"));
        return std::move(*parsed);
    }
    std::shared_ptr<http::Client> client_;
    std::string token_;
};

}  // namespace codegen::clients

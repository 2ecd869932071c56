// Requests with their token, budget, ETag and figures. Internal to shared/clients/github.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shared/async/single_flight.hpp"
#include "shared/clients/github/app_key.hpp"
#include "shared/clients/github/etag_cache.hpp"
#include "shared/clients/github/github_client.hpp"
#include "shared/clients/github/rate_budget.hpp"
#include "shared/json/json.hpp"

namespace codegen::clients::github {

// Which repositories, and what in them; empty: all that the installation may.
struct TokenScope {
    std::string repository = {};
    std::map<std::string, std::string> permissions = {};  // "contents": "write"
    std::string key() const;
};

struct Call {
    std::string operation;  // "get repository": of a bounded set, for messages and figures
    std::string method = "GET";
    std::string target = {};     // below the API's base path
    std::string body = {};       // JSON
    bool as_app = false;         // signed by the App itself, not with an installation's token
    bool keep_redirect = false;  // a redirect is the answer
};

class Session : public std::enable_shared_from_this<Session> {
  public:
    static Result<std::shared_ptr<Session>> make(asio::any_io_executor executor, GitHubOptions options);
    Session(asio::any_io_executor executor, GitHubOptions options, http::Url api, AppKey key,
            std::optional<http::Proxy> proxy);

    // The answer, if it is 2xx.
    Task<Result<http::Response>> call(Call call);
    // The answer's body.
    template <class T>
    Task<Result<T>> get(Call call) {
        const auto operation = call.operation;
        auto response = co_await this->call(std::move(call));
        if (!response) co_return std::unexpected(std::move(response.error()));
        co_return read<T>(operation, json::parse<T>(response->body));
    }
    // All pages of a list: an array, or the array `member` of an object.
    template <class T>
    Task<Result<std::vector<T>>> list(Call call, std::string member = {}) {
        const auto operation = call.operation;
        auto items = co_await pages(std::move(call), std::move(member));
        if (!items) co_return std::unexpected(std::move(items.error()));
        std::vector<T> out;
        for (const auto& item : *items) {
            auto value = read<T>(operation, json::from_value<T>(item));
            if (!value) co_return std::unexpected(std::move(value.error()));
            out.push_back(std::move(*value));
        }
        co_return out;
    }
    Task<Result<InstallationToken>> token(TokenScope scope);
    void forget_token(std::string_view token);

    const GitHubOptions& options() const { return options_; }
    const http::Url& api() const { return api_; }
    const std::string& web() const { return web_; }
    asio::any_io_executor executor() const { return executor_; }
    // "/repos/acme/NAME"; error: "invalid".
    Result<std::string> repository_path(std::string_view name) const;

  private:
    template <class T>
    static Result<T> read(std::string_view operation, json::Parsed<T> parsed) {
        if (!parsed)
            return std::unexpected(
                in_context(invalid(parsed.error()), "GitHub: " + std::string(operation) + ": answer"));
        return std::move(*parsed);
    }
    Task<Result<std::vector<boost::json::value>>> pages(Call call, std::string member);
    Task<Result<http::Response>> attempt(Call call, std::string bearer);
    Task<Result<http::Response>> exchange(Call call, std::string bearer);
    Task<Result<InstallationToken>> fetch_token(TokenScope scope);
    Task<Result<std::int64_t>> installation();

    // Constant.
    const asio::any_io_executor executor_;
    const GitHubOptions options_;
    const http::Url api_;
    const std::string web_;
    const AppKey key_;
    http::Client client_;

    RateBudget budget_;      // of the installation
    RateBudget app_budget_;  // of what the App itself asks
    EtagCache cache_;
    std::optional<std::int64_t> installation_;
    std::map<std::string, InstallationToken> tokens_;  // by the scope's key
    async::SingleFlight<InstallationToken> fetching_;
};

// May it have had an effect all the same?
bool is_unsure(const Error& error);

}  // namespace codegen::clients::github

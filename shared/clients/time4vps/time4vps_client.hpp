// The one client of Time4VPS' user API (https://billing.time4vps.com/userapi): HTTP with basic authentication; what
// changes a server is a task there that is waited for.
//
// Errors: fatal "unauthorized" (wrong user or password, an address that the account does not allow); upstream
// "rate_limited" with the seconds that it asks for (it says so with status 401, in the body); permanent "not_found",
// "invalid" (every other refusal; the message has its words), "protocol" (an answer that is none); transient
// "unavailable" (5xx, no connection, timeout). User and password never stand in a message.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/http/client.hpp"

namespace codegen::clients {

struct Time4vpsServer {
    std::string id;
    std::string ip;
    std::string domain;
    std::string status;
};

struct Time4vpsTask {
    bool completed = false;
    std::string results;  // words for people; of a password reset with the password in them
};

struct Time4vpsOptions {
    std::string url = "https://billing.time4vps.com/api";
    std::string user;
    std::string password;
    std::chrono::milliseconds poll{5000};   // between two looks at a task
    std::chrono::milliseconds call{30000};  // one request
};

class Time4vpsClient {
  public:
    static Result<Time4vpsClient> make(asio::any_io_executor executor, Time4vpsOptions options);

    Task<Result<std::vector<Time4vpsServer>>> servers();
    Task<Result<std::vector<std::string>>> systems(std::string server_id);  // names for reinstall()
    // Each returns the id of its task.
    Task<Result<std::string>> reinstall(std::string server_id, std::string system, std::string public_key);
    Task<Result<std::string>> reset_password(std::string server_id);
    Task<Result<Time4vpsTask>> task(std::string server_id, std::string task_id);
    // Until it is completed; what it asks to wait is waited, and what may pass is tried again, as long as there is
    // time. Beyond `limit`: transient "timeout"; the task goes on there.
    Task<Result<Time4vpsTask>> wait(std::string server_id, std::string task_id, std::chrono::milliseconds limit);

  private:
    Time4vpsClient(std::shared_ptr<http::Client> http, Time4vpsOptions options)
        : http_(std::move(http)), options_(std::move(options)) {}
    Task<Result<boost::json::value>> call(std::string method, std::string target, std::string body);
    Task<Result<std::string>> start(std::string target, std::string body);
    std::shared_ptr<http::Client> http_;
    Time4vpsOptions options_;
};

// The password in the results of a password reset: "... Password: abc", or inside a script of a page.
std::optional<std::string> password_in(std::string_view results);

}  // namespace codegen::clients

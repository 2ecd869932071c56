// Who asks the manager, and whose workers they may see. The API knows: every request is checked there, with the
// caller's own token, so that a revoked one is refused at once.
#pragma once
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "shared/async/async.hpp"
#include "shared/contracts/dto/manager.hpp"
#include "shared/http/client.hpp"

namespace codegen::worker_manager {

struct Caller {
    contracts::TokenSelf self;
    std::string authorization;
    std::optional<std::string> telegram_id;
    std::string description() const;  // for the log
};

// Use on one thread.
class Callers {
  public:
    static Result<Callers> make(asio::any_io_executor executor, const std::string& api_url);

    // Or the answer that refuses: 401, 403, and 503 when the API cannot be asked.
    Task<std::expected<Caller, http::Response>> identify(const http::Headers* headers);
    // The worker of the caller, of a task or of a project of the caller; admins and services see all.
    Task<std::expected<bool, http::Response>> may_see(const Caller* caller, const contracts::WorkerView* worker);

  private:
    explicit Callers(std::shared_ptr<http::Client> api) : api_(std::move(api)) {}
    std::shared_ptr<http::Client> api_;
};

}  // namespace codegen::worker_manager

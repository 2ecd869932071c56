// Messages that commit with the state change that causes them, and the relay that delivers them.
#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "shared/storage/database.hpp"

namespace codegen::storage {

// Where an outbox row goes. `kind` is the service's own ("stream", "api"), `target` a stream or a route, `body` the
// message.
struct OutboxItem {
    std::string kind;
    std::string target;
    std::string body;
    std::int64_t id = 0;
    int attempts = 0;
    std::string correlation_id{};  // of the context that it was inserted in (shared/logging/context.hpp), or empty
    std::string traceparent{};
};

// A row keeps the log context of its insert(), and its delivery runs in it: the trace goes on.
// One table `<component>_outbox`, made by its migration. Rows are delivered in order per `target`; a row is deleted
// when the deliverer succeeded. Transient and upstream errors wait and are tried again for ever (with backoff, capped
// at 5 s); a permanent error moves the row to `<component>_outbox_failed` and is logged: nothing is dropped.
class Outbox {
  public:
    using Deliver = std::function<Task<Result<void>>(OutboxItem)>;
    Outbox(Database& database, std::string component, Deliver deliver);
    ~Outbox();

    static Migration migration(int version, const std::string& component);
    static Migration trace_migration(int version, const std::string& component);  // later than the above
    Statement insert(OutboxItem item) const;  // add to the transaction of the state change
    void wake();                              // after the commit: deliver now
    Task<void> run();                         // until cancelled

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::storage

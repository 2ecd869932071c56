#include "shared/storage/outbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <map>

#include "shared/async/log_context.hpp"
#include "shared/async/scope.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/logging/log.hpp"

namespace codegen::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstWait{100};
constexpr milliseconds kLongestWait{5000};
// A row whose wake() was lost with the process that wrote it is found this late.
constexpr milliseconds kIdleWait{1000};
constexpr std::size_t kTargetsAtOnce = 16;

milliseconds backoff(int failures) { return std::min(kLongestWait, kFirstWait * (1 << std::min(failures - 1, 6))); }

}  // namespace

// One chain of deliveries per target, so that a target that does not answer holds up no other.
struct Outbox::Impl {
    Impl(Database& database, std::string component, Deliver deliver)
        : database_(database), table_(std::move(component) + "_outbox"), deliver_(std::move(deliver)) {}

    void wake() {
        woken_ = true;
        if (timer_) timer_->cancel();
    }

    static Task<void> run(std::shared_ptr<Impl> self) {
        const auto executor = co_await asio::this_coro::executor;
        async::Scope chains(executor);
        self->timer_.emplace(executor);
        std::exception_ptr end;
        try {
            co_await relay(self, &chains);
        } catch (...) {
            end = std::current_exception();
        }
        self->timer_.reset();
        co_await async::uncancellable();
        co_await chains.stop();
        self->targets_.clear();
        self->busy_ = 0;
        std::rethrow_exception(end);
    }

  private:
    struct Target {
        bool busy = false;
        int failures = 0;
        steady_clock::time_point not_before{};
    };

    // Until its cancellation unwinds it.
    static Task<void> relay(std::shared_ptr<Impl> self, async::Scope* chains) {
        while (true) {
            self->woken_ = false;
            const milliseconds wait = co_await start_chains(self, chains);
            if (self->woken_) continue;
            self->timer_->expires_after(wait);
            co_await self->timer_->async_wait(async::use_tuple);
        }
    }

    // Returns how long nothing will be due.
    static Task<milliseconds> start_chains(std::shared_ptr<Impl> self, async::Scope* chains) {
        auto rows = co_await self->database_.query(
            fmt::format("SELECT target FROM {} GROUP BY target ORDER BY min(id)", self->table_));
        if (!rows) {
            log::error("outbox cannot be read", {{"table", self->table_}, {"error", rows.error().message}});
            co_return kIdleWait;
        }
        const auto now = steady_clock::now();
        milliseconds wait = kIdleWait;
        for (const auto& row : rows->rows) {
            auto name = row.text("target");
            auto& target = self->targets_[name];
            if (target.busy) continue;
            if (target.not_before > now) {
                wait = std::min(wait, std::chrono::ceil<milliseconds>(target.not_before - now));
                continue;
            }
            if (self->busy_ >= kTargetsAtOnce) continue;  // the end of a chain wakes us
            target.busy = true;
            ++self->busy_;
            chains->spawn("outbox " + name, deliver_all(self, name));
        }
        co_return wait;
    }

    static Task<void> deliver_all(std::shared_ptr<Impl> self, std::string name) {
        bool more = true;
        while (more) more = co_await deliver_first(self, name);
        --self->busy_;
        const auto target = self->targets_.find(name);
        if (target != self->targets_.end()) {
            target->second.busy = false;
            if (target->second.failures == 0) self->targets_.erase(target);
        }
        self->wake();
    }

    // False: nothing left, or not now.
    static Task<bool> deliver_first(std::shared_ptr<Impl> self, std::string name) {
        auto rows =
            co_await self->database_.query(fmt::format("SELECT id, kind, target, body, attempts, correlation_id, "
                                                       "traceparent FROM {} WHERE target = :target ORDER BY id LIMIT 1",
                                                       self->table_),
                                           {{"target", name}});
        if (!rows) co_return self->failed(name, rows.error());
        if (rows->rows.empty()) co_return false;
        const auto& row = rows->rows.front();
        const OutboxItem item{.kind = row.text("kind"),
                              .target = row.text("target"),
                              .body = row.text("body"),
                              .id = row.integer("id"),
                              .attempts = static_cast<int>(row.integer("attempts")),
                              .correlation_id = row.text("correlation_id"),
                              .traceparent = row.text("traceparent")};
        // A cancellation during the delivery unwinds here or in note(): the row stays as it is and is sent again.
        auto context = log::make_context(item.traceparent, item.correlation_id);
        auto delivery = self->deliver_(item);
        auto delivered = co_await async::within(std::move(context), std::move(delivery));
        auto noted = co_await note(self, item, delivered);
        if (!noted) co_return self->failed(name, noted.error());
        if (!delivered && delivered.error().category != ErrorCategory::permanent) {
            co_return self->failed(name, delivered.error());
        }
        self->targets_[name].failures = 0;
        co_return true;
    }

    static Task<Result<void>> note(std::shared_ptr<Impl> self, OutboxItem item, Result<void> delivered) {
        const Parameters id{{"id", item.id}};
        std::vector<Statement> statements;
        if (!delivered && delivered.error().category != ErrorCategory::permanent) {
            statements.push_back(
                {fmt::format("UPDATE {} SET attempts = attempts + 1 WHERE id = :id", self->table_), id, {}});
        } else {
            if (!delivered) {
                log::error("outbox row refused; kept in " + self->table_ + "_failed",
                           {{"target", item.target}, {"error", delivered.error().message}});
                statements.push_back(
                    {fmt::format(
                         "INSERT INTO {0}_failed (id, kind, target, body, attempts, created_at, error, failed_at) "
                         "SELECT id, kind, target, body, attempts + 1, created_at, :error, :failed_at FROM {0} "
                         "WHERE id = :id",
                         self->table_),
                     {{"id", item.id}, {"error", delivered.error().message}, {"failed_at", to_micros(system_now())}},
                     {}});
            }
            statements.push_back({fmt::format("DELETE FROM {} WHERE id = :id", self->table_), id, {}});
        }
        // Undone by a power cut, the row is delivered once more, as after any crash here.
        auto done = co_await self->database_.atomically(std::move(statements), Durability::relaxed);
        if (!done) co_return std::unexpected(done.error());
        co_return Result<void>();
    }

    bool failed(const std::string& name, const Error& error) {
        auto& target = targets_[name];
        ++target.failures;
        const auto wait = backoff(target.failures);
        target.not_before = steady_clock::now() + wait;
        log::warning("outbox delivery failed, will be tried again", {{"target", name},
                                                                     {"failures", std::to_string(target.failures)},
                                                                     {"wait_ms", std::to_string(wait.count())},
                                                                     {"error", error.message}});
        return false;
    }

  public:
    Database& database_;
    const std::string table_;
    const Deliver deliver_;

  private:
    std::optional<asio::steady_timer> timer_;  // while run() runs
    bool woken_ = false;
    std::size_t busy_ = 0;                   // targets with a chain
    std::map<std::string, Target> targets_;  // those with a chain or a failure
};

Outbox::Outbox(Database& database, std::string component, Deliver deliver)
    : impl_(std::make_shared<Impl>(database, std::move(component), std::move(deliver))) {}
Outbox::~Outbox() = default;

Migration Outbox::migration(int version, const std::string& component) {
    return {
        version, "outbox",
        fmt::format("CREATE TABLE {0}_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, "
                    "target TEXT NOT NULL, body TEXT NOT NULL, attempts BIGINT NOT NULL DEFAULT 0, "
                    "created_at BIGINT NOT NULL);"
                    "CREATE INDEX {0}_outbox_target ON {0}_outbox (target, id);"
                    "CREATE TABLE {0}_outbox_failed (id BIGINT PRIMARY KEY, kind TEXT NOT NULL, target TEXT NOT NULL, "
                    "body TEXT NOT NULL, attempts BIGINT NOT NULL, created_at BIGINT NOT NULL, error TEXT NOT NULL, "
                    "failed_at BIGINT NOT NULL);",
                    component)};
}

Migration Outbox::trace_migration(int version, const std::string& component) {
    return {version, "trace of the outbox",
            fmt::format("ALTER TABLE {0}_outbox ADD COLUMN correlation_id TEXT NOT NULL DEFAULT '';"
                        "ALTER TABLE {0}_outbox ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';",
                        component)};
}

Statement Outbox::insert(OutboxItem item) const {
    if (const auto& now = log::context()) {
        if (item.correlation_id.empty()) item.correlation_id = now->correlation_id;
        if (item.traceparent.empty()) item.traceparent = now->traceparent;
    }
    return {fmt::format("INSERT INTO {} (kind, target, body, created_at, correlation_id, traceparent) VALUES (:kind, "
                        ":target, :body, :created_at, :correlation_id, :traceparent)",
                        impl_->table_),
            {{"kind", std::move(item.kind)},
             {"target", std::move(item.target)},
             {"body", std::move(item.body)},
             {"created_at", to_micros(system_now())},
             {"correlation_id", std::move(item.correlation_id)},
             {"traceparent", std::move(item.traceparent)}},
            {}};
}

void Outbox::wake() { impl_->wake(); }

Task<void> Outbox::run() { return Impl::run(impl_); }

}  // namespace codegen::storage

#include "services/infra-service/store.hpp"

#include <fmt/format.h>

namespace codegen::infra {
namespace {

using storage::Statement;

Result<StoredRequest> read(const storage::Row& row) {
    StoredRequest out;
    auto message = json::parse<contracts::ProvisionerMessage>(row.text("message"));
    if (!message)
        return std::unexpected(in_context(invalid(message.error()), "stored provisioning " + row.text("request_id")));
    out.message = std::move(*message);
    if (const auto text = row.optional_text("ending")) {
        auto ending = json::parse<Ending>(*text);
        if (!ending)
            return std::unexpected(
                in_context(invalid(ending.error()), "stored provisioning " + row.text("request_id")));
        out.ending = std::move(*ending);
    }
    out.told = row.integer("told") != 0;
    return out;
}

}  // namespace

std::vector<storage::Migration> Store::migrations() {
    return {storage::Outbox::migration(1, "infra"),
            storage::Outbox::trace_migration(2, "infra"),
            {3, "requests and leases",
             "CREATE TABLE infra_requests (request_id TEXT PRIMARY KEY, server_handle TEXT NOT NULL, "
             "message TEXT NOT NULL, ending TEXT, told BIGINT NOT NULL, created_at BIGINT NOT NULL, "
             "updated_at BIGINT NOT NULL);"
             "CREATE INDEX infra_requests_open ON infra_requests (updated_at) WHERE told = 0;"
             "CREATE TABLE infra_leases (server_handle TEXT PRIMARY KEY, holder TEXT NOT NULL, "
             "held_until BIGINT NOT NULL);"},
            {4, "how often work began", "ALTER TABLE infra_requests ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;"}};
}

Task<Result<StoredRequest>> Store::accept(contracts::ProvisionerMessage message, Timestamp now) {
    auto made = co_await database_.query(
        "INSERT INTO infra_requests (request_id, server_handle, message, told, created_at, updated_at) "
        "VALUES (:request_id, :server, :message, 0, :now, :now) ON CONFLICT (request_id) DO NOTHING",
        {{"request_id", message.request_id},
         {"server", message.server_handle},
         {"message", json::write(message)},
         {"now", to_micros(now)}});
    if (!made) co_return std::unexpected(made.error());
    auto stored = co_await find(message.request_id);
    if (!stored) co_return std::unexpected(stored.error());
    if (!*stored)
        co_return fail(ErrorCategory::transient, "busy", "provisioning " + message.request_id + " was just forgotten");
    co_return std::move(**stored);
}

Task<Result<std::optional<StoredRequest>>> Store::find(std::string request_id) {
    auto rows = co_await database_.query(
        "SELECT request_id, message, ending, told FROM infra_requests WHERE request_id = :request_id",
        {{"request_id", request_id}});
    if (!rows) co_return std::unexpected(rows.error());
    if (rows->rows.empty()) co_return std::optional<StoredRequest>();
    auto stored = read(rows->rows.front());
    if (!stored) co_return std::unexpected(stored.error());
    co_return std::optional(std::move(*stored));
}

Task<Result<std::int64_t>> Store::begin(std::string request_id) {
    auto rows = co_await database_.query(
        "UPDATE infra_requests SET begun = begun + 1 WHERE request_id = :request_id RETURNING begun",
        {{"request_id", request_id}});
    if (!rows) co_return std::unexpected(rows.error());
    co_return rows->rows.empty() ? 1 : rows->rows.front().integer("begun");
}

Task<Result<void>> Store::put_down(std::string request_id) {
    auto done = co_await database_.query(
        "UPDATE infra_requests SET begun = begun - 1 WHERE request_id = :request_id AND begun > 0",
        {{"request_id", request_id}});
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>();
}

Task<Result<Ending>> Store::end(std::string request_id, Ending ending, Timestamp now) {
    auto written = co_await database_.query(
        "UPDATE infra_requests SET ending = :ending, updated_at = :now WHERE request_id = :request_id AND ending IS "
        "NULL",
        {{"ending", json::write(ending)}, {"now", to_micros(now)}, {"request_id", request_id}});
    if (!written) co_return std::unexpected(written.error());
    if (written->affected == 1) co_return ending;
    auto stored = co_await find(request_id);
    if (!stored) co_return std::unexpected(stored.error());
    if (*stored && (*stored)->ending) co_return std::move(*(*stored)->ending);
    co_return ending;
}

std::vector<Statement> Store::result_out(const contracts::ProvisionerResult& result,
                                         const std::optional<std::string>& callback_stream) const {
    const auto text = json::write(result);
    std::vector<Statement> out{outbox_.insert(
        {.kind = "stream", .target = std::string(contracts::streams::kProvisionerResults), .body = text})};
    if (callback_stream) out.push_back(outbox_.insert({.kind = "stream", .target = *callback_stream, .body = text}));
    return out;
}

Task<Result<void>> Store::tell_again(contracts::ProvisionerResult result, std::optional<std::string> callback_stream) {
    auto done = co_await database_.atomically(result_out(result, callback_stream));
    if (!done) co_return std::unexpected(done.error());
    outbox_.wake();
    co_return Result<void>();
}

Task<Result<void>> Store::told(std::string request_id, contracts::ProvisionerResult result,
                               std::optional<std::string> callback_stream, Timestamp now) {
    std::vector<Statement> statements;
    statements.push_back(
        {"UPDATE infra_requests SET told = 1, updated_at = :now WHERE request_id = :request_id AND told = 0",
         {{"now", to_micros(now)}, {"request_id", request_id}},
         1});
    for (auto& statement : result_out(result, callback_stream)) statements.push_back(std::move(statement));
    auto done = co_await database_.atomically(std::move(statements));
    if (!done && done.error().code == "conflict") co_return Result<void>();  // another copy did
    if (!done) co_return std::unexpected(done.error());
    outbox_.wake();
    co_return Result<void>();
}

Task<Result<std::vector<contracts::ProvisionerMessage>>> Store::forgotten(Timestamp before, Timestamp now) {
    auto rows = co_await database_.query(
        "SELECT request_id, message, ending, told FROM infra_requests r WHERE told = 0 AND updated_at < :before AND "
        "NOT "
        "EXISTS (SELECT 1 FROM infra_leases l WHERE l.server_handle = r.server_handle AND l.held_until > :now) "
        "ORDER BY created_at LIMIT 100",
        {{"before", to_micros(before)}, {"now", to_micros(now)}});
    if (!rows) co_return std::unexpected(rows.error());
    std::vector<contracts::ProvisionerMessage> out;
    for (const auto& row : rows->rows)
        if (auto stored = read(row)) out.push_back(std::move(stored->message));
    co_return out;
}

Task<Result<std::int64_t>> Store::forget(Timestamp before) {
    auto gone = co_await database_.query("DELETE FROM infra_requests WHERE told = 1 AND updated_at < :before",
                                         {{"before", to_micros(before)}});
    if (!gone) co_return std::unexpected(gone.error());
    co_return gone->affected;
}

Task<Result<bool>> Store::take(Lease lease, Timestamp now, Timestamp until) {
    auto taken = co_await database_.query(
        "INSERT INTO infra_leases (server_handle, holder, held_until) VALUES (:server, :holder, :until) "
        "ON CONFLICT (server_handle) DO UPDATE SET holder = :holder, held_until = :until "
        "WHERE infra_leases.held_until <= :now",
        {{"server", lease.server}, {"holder", lease.holder}, {"until", to_micros(until)}, {"now", to_micros(now)}});
    if (!taken) co_return std::unexpected(taken.error());
    co_return taken->affected == 1;
}

Task<Result<bool>> Store::renew(Lease lease, Timestamp until) {
    auto renewed = co_await database_.query(
        "UPDATE infra_leases SET held_until = :until WHERE server_handle = :server AND holder = :holder",
        {{"until", to_micros(until)}, {"server", lease.server}, {"holder", lease.holder}});
    if (!renewed) co_return std::unexpected(renewed.error());
    co_return renewed->affected == 1;
}

Task<Result<void>> Store::give_back(Lease lease) {
    auto gone = co_await database_.query("DELETE FROM infra_leases WHERE server_handle = :server AND holder = :holder",
                                         {{"server", lease.server}, {"holder", lease.holder}});
    if (!gone) co_return std::unexpected(gone.error());
    co_return Result<void>();
}

}  // namespace codegen::infra

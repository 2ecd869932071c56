#include "services/worker-manager/store.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "services/worker-manager/images.hpp"
#include "shared/json/enum.hpp"
#include "shared/json/json.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::string_view kTable = R"(
CREATE TABLE worker_manager_workers (
    worker_id TEXT PRIMARY KEY,
    attempt BIGINT NOT NULL,
    state TEXT NOT NULL,
    command TEXT NOT NULL,
    request_id TEXT NOT NULL,
    runtime TEXT NOT NULL,
    body_id TEXT NOT NULL,
    image TEXT NOT NULL,
    repository TEXT NOT NULL,
    base_sha TEXT NOT NULL,
    token_id TEXT NOT NULL,
    ended BIGINT NOT NULL,
    exit_code BIGINT,
    out_of_memory BIGINT NOT NULL,
    error TEXT NOT NULL,
    answered_entry TEXT NOT NULL,
    delete_commands TEXT NOT NULL,
    gateway TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
))";

constexpr std::string_view kSave = R"(
INSERT INTO worker_manager_workers (worker_id, attempt, state, command, request_id, runtime, body_id, image, repository, base_sha,
    token_id, ended, exit_code, out_of_memory, error, answered_entry, delete_commands, gateway, created_at, updated_at)
VALUES (:worker_id, :attempt, :state, :command, :request_id, :runtime, :body_id, :image, :repository, :base_sha,
    :token_id, :ended, :exit_code, :out_of_memory, :error, :answered_entry, :delete_commands, :gateway, :created_at, :updated_at)
ON CONFLICT (worker_id) DO UPDATE SET attempt = excluded.attempt, state = excluded.state, command = excluded.command,
    request_id = excluded.request_id, runtime = excluded.runtime, body_id = excluded.body_id, image = excluded.image,
    repository = excluded.repository, base_sha = excluded.base_sha, token_id = excluded.token_id, ended = excluded.ended,
    exit_code = excluded.exit_code, out_of_memory = excluded.out_of_memory, error = excluded.error,
    answered_entry = excluded.answered_entry, delete_commands = excluded.delete_commands, gateway = excluded.gateway,
    created_at = excluded.created_at, updated_at = excluded.updated_at)";

std::vector<std::string> texts(const std::string& array) {
    std::vector<std::string> out;
    const auto value = json::parse_own(array);  // our own writing
    for (const auto& item : value.as_array()) out.emplace_back(item.as_string());
    return out;
}

WorkerRow read(const storage::Row& row) {
    WorkerRow out;
    out.worker_id = row.text("worker_id");
    out.attempt = static_cast<int>(row.integer("attempt"));
    out.state = json::enum_from<contracts::WorkerState>(row.text("state")).value_or(contracts::WorkerState::FAILED);
    out.command = row.text("command");
    out.request_id = row.text("request_id");
    out.runtime = row.text("runtime");
    out.body_id = row.text("body_id");
    out.image = row.text("image");
    out.repository = row.text("repository");
    out.base_sha = row.text("base_sha");
    out.token_id = row.text("token_id");
    out.ended = row.integer("ended") != 0;
    if (const auto code = row.optional_integer("exit_code")) out.exit_code = static_cast<int>(*code);
    out.out_of_memory = row.integer("out_of_memory") != 0;
    out.error = row.text("error");
    out.answered_entry = row.text("answered_entry");
    out.delete_commands = texts(row.text("delete_commands"));
    out.gateway = json::parse_own(row.text("gateway")).as_object();
    out.created_at = from_micros(row.integer("created_at"));
    out.updated_at = from_micros(row.integer("updated_at"));
    return out;
}

}  // namespace

std::vector<storage::Migration> Store::migrations() {
    return {{1, "workers", std::string(kTable)},
            storage::Outbox::migration(2, std::string(kComponent)),
            Images::migration(3),
            storage::Outbox::trace_migration(4, std::string(kComponent))};
}

std::vector<storage::Migration> Store::owner_migrations() {
    return {{1, "owner", "CREATE TABLE worker_manager_owner (id BIGINT PRIMARY KEY, installation TEXT NOT NULL)"}};
}

Task<Result<void>> Store::migrate() { return database_.migrate(std::string(kComponent), migrations()); }

Task<Result<void>> Store::keep_for(std::string installation) {
    auto migrated = co_await database_.migrate(std::string(kOwnerComponent), owner_migrations());
    if (!migrated) co_return migrated;
    auto taken = co_await database_.query(
        "INSERT INTO worker_manager_owner (id, installation) VALUES (1, :installation) ON CONFLICT (id) DO NOTHING",
        {{"installation", installation}});
    if (!taken) co_return std::unexpected(taken.error());
    auto rows = co_await database_.query("SELECT installation FROM worker_manager_owner");
    if (!rows) co_return std::unexpected(rows.error());
    const auto owner = rows->rows.at(0).text("installation");
    if (owner == installation) co_return Result<void>{};
    co_return fail(ErrorCategory::fatal, "configuration",
                   fmt::format("the database holds the workers of installation {}, this is {}: give each worker host a "
                               "state directory and a DATABASE_URL of its own",
                               owner, installation));
}

Task<Result<std::vector<WorkerRow>>> Store::load() {
    auto rows = co_await database_.query("SELECT * FROM worker_manager_workers ORDER BY created_at, worker_id");
    if (!rows) co_return std::unexpected(rows.error());
    std::vector<WorkerRow> out;
    for (const auto& row : rows->rows) out.push_back(read(row));
    co_return out;
}

storage::Statement Store::save(const WorkerRow& row) {
    const boost::json::array deletes(row.delete_commands.begin(), row.delete_commands.end());
    storage::Parameters p{{"worker_id", row.worker_id},
                          {"attempt", std::int64_t{row.attempt}},
                          {"state", std::string(json::name_of(row.state))},
                          {"command", row.command},
                          {"request_id", row.request_id},
                          {"runtime", row.runtime},
                          {"body_id", row.body_id},
                          {"image", row.image},
                          {"repository", row.repository},
                          {"base_sha", row.base_sha},
                          {"token_id", row.token_id},
                          {"ended", std::int64_t{row.ended}},
                          {"out_of_memory", std::int64_t{row.out_of_memory}},
                          {"error", row.error},
                          {"answered_entry", row.answered_entry},
                          {"delete_commands", boost::json::serialize(deletes)},
                          {"gateway", boost::json::serialize(row.gateway)},
                          {"created_at", to_micros(row.created_at)},
                          {"updated_at", to_micros(row.updated_at)}};
    p.set("exit_code", row.exit_code ? std::optional<std::int64_t>(*row.exit_code) : std::nullopt);
    return {std::string(kSave), std::move(p), {}};
}

storage::Statement Store::forget(const std::string& worker_id) {
    return {"DELETE FROM worker_manager_workers WHERE worker_id = :id", {{"id", worker_id}}, {}};
}

Task<Result<void>> Store::forget_deleted_before(Timestamp t) {
    auto done = co_await database_.query(
        "DELETE FROM worker_manager_workers WHERE state = 'STOPPED' AND updated_at < :t", {{"t", to_micros(t)}});
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>{};
}

Task<Result<void>> Store::write(std::vector<storage::Statement> statements) {
    auto done = co_await database_.atomically(std::move(statements));
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>{};
}

}  // namespace codegen::worker_manager

#include "services/workflow/store.hpp"

#include <fmt/format.h>

#include "shared/base/ids.hpp"
#include "shared/contracts/worker_names.hpp"
#include "shared/json/enum.hpp"
#include "shared/json/json.hpp"

namespace codegen::workflow {
namespace {

using storage::Statement;
using storage::Value;

constexpr std::string_view kColumns = "task_id, node, attempt, request_id, revision, deadline, resend_at, data";

Value micros(const std::optional<Timestamp>& t) { return t ? Value(to_micros(*t)) : Value(); }
std::optional<Timestamp> time(const std::optional<std::int64_t>& us) {
    return us ? std::optional(from_micros(*us)) : std::nullopt;
}

Result<Run> to_run(const storage::Row& row) {
    Run run;
    run.task_id = row.text("task_id");
    const auto node = json::enum_from<Node>(row.text("node"));
    auto data = json::parse<RunData>(row.text("data"));
    if (!node || !data)
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("run of task {}: the stored row cannot be read: {}", run.task_id,
                                data ? "unknown node " + row.text("node") : invalid(data.error()).message));
    run.node = *node;
    run.attempt = static_cast<int>(row.integer("attempt"));
    run.request_id = row.text("request_id");
    run.revision = row.integer("revision");
    run.deadline = time(row.optional_integer("deadline"));
    run.resend_at = time(row.optional_integer("resend_at"));
    run.data = std::move(*data);
    return run;
}

storage::Parameters parameters(const Run& run, Timestamp now) {
    storage::Parameters out{{"task_id", run.task_id},
                            {"node", std::string(json::name_of(run.node))},
                            {"attempt", std::int64_t{run.attempt}},
                            {"request_id", run.request_id},
                            {"worker_id", run.data.worker_id},
                            {"deadline", micros(run.deadline)},
                            {"resend_at", micros(run.resend_at)},
                            {"data", json::write(run.data)},
                            {"now", to_micros(now)}};
    const bool decided = run.data.outcome.has_value();
    out.set("outcome", decided ? Value(std::string(json::name_of(run.data.outcome->ending))) : Value());
    return out;
}

Statement seen_statement(const Seen& seen, bool accepted, Timestamp now) {
    storage::Parameters values{
        {"stream", seen.stream},         {"entry_id", seen.entry_id},          {"message", seen.message},
        {"request_id", seen.request_id}, {"accepted", std::int64_t{accepted}}, {"now", to_micros(now)}};
    values.set("task_id", seen.task_id);
    return {
        "INSERT INTO workflow_inbox (stream, entry_id, request_id, task_id, message, accepted, seen_at) "
        "VALUES (:stream, :entry_id, :request_id, :task_id, :message, :accepted, :now) "
        "ON CONFLICT (stream, entry_id) DO NOTHING",
        std::move(values),
        {}};
}

std::string text(const boost::json::object& object, std::string_view name) {
    return std::string(object.at(name).as_string());
}

}  // namespace

std::string encode(const Publish& effect) {
    return boost::json::serialize(boost::json::object{{"stream", effect.stream}, {"message", effect.message}});
}

std::string encode(const CallApi& effect) {
    return boost::json::serialize(
        boost::json::object{{"method", effect.method}, {"target", effect.target}, {"body", effect.body}});
}

std::string encode(const OpenPullRequest& effect) {
    return boost::json::serialize(boost::json::object{{"task_id", effect.task_id},
                                                      {"repository_url", effect.repository_url},
                                                      {"branch", effect.branch},
                                                      {"title", effect.title},
                                                      {"body", effect.body}});
}

OpenPullRequest decode_pull_request(const std::string& body) {
    const auto object = json::parse_own(body).as_object();
    return {text(object, "task_id"), text(object, "repository_url"), text(object, "branch"), text(object, "title"),
            text(object, "body")};
}

Publish decode_publish(const std::string& body) {
    const auto object = json::parse_own(body).as_object();
    return {text(object, "stream"), text(object, "message")};
}

CallApi decode_call(const std::string& body) {
    const auto object = json::parse_own(body).as_object();
    return {text(object, "method"), text(object, "target"), text(object, "body")};
}

std::vector<storage::Migration> RunStore::migrations() {
    return {storage::Outbox::migration(1, "workflow"),
            {2, "runs and inbox",
             "CREATE TABLE workflow_runs (task_id TEXT PRIMARY KEY, node TEXT NOT NULL, attempt BIGINT NOT NULL, "
             "request_id TEXT NOT NULL, revision BIGINT NOT NULL, worker_id TEXT NOT NULL, deadline BIGINT, "
             "resend_at BIGINT, lease_owner TEXT, lease_until BIGINT, outcome TEXT, data TEXT NOT NULL, "
             "created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);"
             "CREATE UNIQUE INDEX workflow_runs_request ON workflow_runs (request_id);"
             "CREATE INDEX workflow_runs_worker ON workflow_runs (worker_id);"
             "CREATE INDEX workflow_runs_deadline ON workflow_runs (deadline) WHERE deadline IS NOT NULL;"
             "CREATE INDEX workflow_runs_resend ON workflow_runs (resend_at) WHERE resend_at IS NOT NULL;"
             "CREATE TABLE workflow_inbox (stream TEXT NOT NULL, entry_id TEXT NOT NULL, request_id TEXT NOT NULL, "
             "task_id TEXT, message TEXT NOT NULL, accepted BIGINT NOT NULL, seen_at BIGINT NOT NULL, "
             "PRIMARY KEY (stream, entry_id));"
             "CREATE INDEX workflow_inbox_seen ON workflow_inbox (seen_at);"},
            {3, "what a task's messages were",
             "CREATE INDEX workflow_inbox_task ON workflow_inbox (task_id) WHERE task_id IS NOT NULL;"
             "CREATE INDEX workflow_runs_ended ON workflow_runs (updated_at) WHERE node = 'done';"},
            storage::Outbox::trace_migration(4, "workflow")};
}

Task<Result<std::optional<Run>>> RunStore::one(std::string condition, std::string value) {
    auto rows = co_await database_.query(
        fmt::format("SELECT {} FROM workflow_runs WHERE {} :value ORDER BY created_at DESC LIMIT 1", kColumns,
                    condition),
        {{"value", std::move(value)}});
    if (!rows) co_return std::unexpected(rows.error());
    if (rows->rows.empty()) co_return std::optional<Run>();
    auto run = to_run(rows->rows.front());
    if (!run) co_return std::unexpected(run.error());
    co_return std::optional<Run>(std::move(*run));
}

Task<Result<std::optional<Run>>> RunStore::by_task(std::string task_id) { return one("task_id =", std::move(task_id)); }
Task<Result<std::optional<Run>>> RunStore::by_request(std::string id) { return one("request_id =", std::move(id)); }
Task<Result<std::optional<Run>>> RunStore::by_worker(std::string id) {
    const std::string task(contracts::task_of_worker(id));
    return is_uuid(task) ? one("task_id =", task) : one("worker_id =", std::move(id));
}

Task<Result<std::vector<Run>>> RunStore::due(Timestamp now, int limit) {
    auto rows = co_await database_.query(
        fmt::format("SELECT {} FROM workflow_runs WHERE node <> 'done' AND (deadline <= :now OR resend_at <= :now) "
                    "ORDER BY updated_at LIMIT :limit",
                    kColumns),
        {{"now", to_micros(now)}, {"limit", std::int64_t{limit}}});
    if (!rows) co_return std::unexpected(rows.error());
    std::vector<Run> runs;
    for (const auto& row : rows->rows) {
        auto run = to_run(row);
        if (!run) co_return std::unexpected(run.error());
        runs.push_back(std::move(*run));
    }
    co_return runs;
}

void RunStore::add_effects(std::vector<Statement>& statements, const std::string& task_id,
                           const std::vector<Effect>& effects) const {
    for (const auto& effect : effects) {
        storage::OutboxItem item;
        item.target = "task:" + task_id;
        if (const auto* message = std::get_if<Publish>(&effect)) {
            item.kind = kStreamKind;
            item.body = encode(*message);
        } else if (const auto* call = std::get_if<CallApi>(&effect)) {
            item.kind = kApiKind;
            item.body = encode(*call);
        } else if (const auto* request = std::get_if<OpenPullRequest>(&effect)) {
            item.kind = kPullRequestKind;
            item.body = encode(*request);
        } else {
            continue;  // done by the service itself, and again after a restart
        }
        statements.push_back(outbox_.insert(std::move(item)));
    }
}

Task<Result<bool>> RunStore::insert(Step step, Timestamp now) {
    std::vector<Statement> statements{
        {"INSERT INTO workflow_runs (task_id, node, attempt, request_id, revision, worker_id, deadline, resend_at, "
         "outcome, data, created_at, updated_at) VALUES (:task_id, :node, :attempt, :request_id, 0, :worker_id, "
         ":deadline, :resend_at, :outcome, :data, :now, :now) ON CONFLICT (task_id) DO NOTHING",
         parameters(step.run, now), 1}};
    add_effects(statements, step.run.task_id, step.effects);
    auto done = co_await database_.atomically(std::move(statements));
    if (!done && done.error().code == "conflict") co_return false;
    if (!done) co_return std::unexpected(done.error());
    outbox_.wake();
    co_return true;
}

Task<Result<bool>> RunStore::update(std::string fence, std::int64_t revision, Step step, Timestamp now,
                                    std::optional<Seen> cause) {
    auto values = parameters(step.run, now);
    values.set("fence", fence);
    values.set("revision", revision);
    std::vector<Statement> statements{
        {"UPDATE workflow_runs SET node = :node, attempt = :attempt, request_id = :request_id, "
         "revision = revision + 1, worker_id = :worker_id, deadline = :deadline, resend_at = :resend_at, "
         "lease_owner = NULL, lease_until = NULL, outcome = :outcome, data = :data, updated_at = :now "
         "WHERE task_id = :task_id AND request_id = :fence AND revision = :revision AND node NOT IN ('done')",
         std::move(values), 1}};
    add_effects(statements, step.run.task_id, step.effects);
    if (cause) statements.push_back(seen_statement(*cause, true, now));
    auto done = co_await database_.atomically(std::move(statements));
    if (!done && done.error().code == "conflict") co_return false;
    if (!done) co_return std::unexpected(done.error());
    outbox_.wake();
    co_return true;
}

Task<Result<void>> RunStore::record(Seen seen, bool accepted, std::string task_id, std::vector<Effect> effects,
                                    Timestamp now) {
    std::vector<Statement> statements{seen_statement(seen, accepted, now)};
    add_effects(statements, task_id, effects);
    auto done = co_await database_.atomically(std::move(statements));
    if (!done) co_return std::unexpected(done.error());
    if (!effects.empty()) outbox_.wake();
    co_return Result<void>();
}

Task<Result<void>> RunStore::resend_all(Timestamp now) {
    auto done = co_await database_.query(
        "UPDATE workflow_runs SET resend_at = :now, revision = revision + 1 "
        "WHERE node <> 'done' AND resend_at IS NOT NULL",
        {{"now", to_micros(now)}});
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>();
}

Task<Result<bool>> RunStore::lease(std::string task_id, std::string fence, std::string owner, Timestamp now,
                                   Timestamp until) {
    auto done = co_await database_.query(
        "UPDATE workflow_runs SET lease_owner = :owner, lease_until = :until WHERE task_id = :task_id AND "
        "request_id = :fence AND node NOT IN ('done') AND "
        "(lease_until IS NULL OR lease_until <= :now OR lease_owner = :owner)",
        {{"owner", owner},
         {"until", to_micros(until)},
         {"task_id", task_id},
         {"fence", fence},
         {"now", to_micros(now)}});
    if (!done) co_return std::unexpected(done.error());
    co_return done->affected == 1;
}

Task<Result<bool>> RunStore::has_seen(std::string stream, std::string task_id) {
    auto rows = co_await database_.query(
        "SELECT 1 AS seen FROM workflow_inbox WHERE stream = :stream AND task_id = :task LIMIT 1",
        {{"stream", std::move(stream)}, {"task", std::move(task_id)}});
    if (!rows) co_return std::unexpected(rows.error());
    co_return !rows->rows.empty();
}

Task<Result<bool>> RunStore::has_seen(std::string stream, std::string task_id, std::string request_id) {
    auto rows = co_await database_.query(
        "SELECT 1 AS seen FROM workflow_inbox WHERE stream = :stream AND task_id = :task AND request_id = :request "
        "LIMIT 1",
        {{"stream", std::move(stream)}, {"task", std::move(task_id)}, {"request", std::move(request_id)}});
    if (!rows) co_return std::unexpected(rows.error());
    co_return !rows->rows.empty();
}

Task<Result<std::int64_t>> RunStore::prune_runs(Timestamp before, int limit) {
    auto done = co_await database_.query(
        "DELETE FROM workflow_runs WHERE task_id IN (SELECT task_id FROM workflow_runs WHERE node = 'done' AND "
        "updated_at < :before ORDER BY updated_at LIMIT :limit)",
        {{"before", to_micros(before)}, {"limit", std::int64_t{limit}}});
    if (!done) co_return std::unexpected(done.error());
    co_return done->affected;
}

Task<Result<void>> RunStore::prune_seen(Timestamp before) {
    auto done =
        co_await database_.query("DELETE FROM workflow_inbox WHERE seen_at < :before", {{"before", to_micros(before)}});
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>();
}

}  // namespace codegen::workflow

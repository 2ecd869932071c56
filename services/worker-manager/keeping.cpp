// Workspaces that outlive their worker: a delete with keep_workspace puts one aside, a create with workspace.resume
// takes it again, a delete without it removes it. <state>/kept/<worker id>/{workspace,origin.json}. The conversation
// that was led in it is kept as long (sessions.cpp).
#include <fmt/format.h>

#include <system_error>

#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/json/json.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kOriginLimit = 64 << 10;

// What the row of the worker says about it; the row may be forgotten before the workspace is wanted again.
std::string origin_of(const Worker& worker) {
    return boost::json::serialize(boost::json::object{{"repository", worker.row.repository},
                                                      {"base_sha", worker.row.base_sha},
                                                      {"session_id", worker.session.session_id},
                                                      {"gateway", worker.row.gateway}});
}

// Replaces what stands at `to`; nothing to do when there is nothing at `from`.
Task<Result<void>> move_tree(fs::path from, fs::path to) {
    std::error_code ec;
    if (!fs::exists(from, ec)) co_return Result<void>{};
    auto cleared = co_await remove_tree(to);
    if (!cleared) co_return cleared;
    fs::rename(from, to, ec);
    if (ec)
        co_return fail(ErrorCategory::transient, "io",
                       fmt::format("move {} to {}: {}", from.string(), to.string(), ec.message()));
    co_return Result<void>{};
}

}  // namespace

fs::path Manager::kept_directory(const std::string& worker_id) const {
    return options_.state_directory / "kept" / worker_id;
}

bool Manager::keeps_workspace(const Worker& worker) const {
    for (const auto& text : worker.row.delete_commands) {
        const auto command = json::parse<contracts::DeleteWorkerCommand>(text);
        if (!command || !command->keep_workspace.value_or(false)) return false;
    }
    if (!worker.row.delete_commands.empty()) return true;
    // Nobody asked for its deletion: a failed creation is undone, or a body makes room for the next one.
    return worker.resumed || (worker.command.workspace && worker.command.workspace->resume.value_or(false));
}

// Before the worker's directory goes. Safe to repeat.
Task<Result<void>> Manager::put_workspace_aside(WorkerPtr worker) {
    const auto& row = worker->row;
    const auto place = directories(row.worker_id);
    const auto kept = kept_directory(row.worker_id);
    std::error_code ec;
    if (!fs::exists(place.workspace(), ec)) co_return Result<void>{};
    for (const auto& path : {kept.parent_path(), kept})
        if (auto made = posix::make_directory(path, 0700); !made) co_return made;
    // A row that knows nothing yet is of a creation that was cut off between taking the workspace and its end: what was
    // written when it was put aside still holds.
    if (!row.base_sha.empty() || !fs::exists(kept / "origin.json", ec)) {
        auto written = posix::write_file_atomically(kept / "origin.json", origin_of(*worker), 0600);
        if (!written) co_return std::unexpected(written.error());
    }
    // A home that is still here was not taken yet: the worker's is an empty one. The workspace goes last: while it is
    // in its place, all of this is done again.
    Result<void> moved;
    if (!fs::exists(kept / "home", ec)) moved = co_await move_tree(place.home(), kept / "home");
    if (moved) moved = co_await move_tree(place.workspace(), kept / "workspace");
    if (!moved) co_return moved;
    log::info("workspace kept", {{"worker_id", row.worker_id}});
    co_return Result<void>{};
}

// In place of a clone.
Task<Result<void>> Manager::take_workspace_again(WorkerPtr worker, AgentIdentity agent) {
    auto& row = worker->row;
    const auto place = directories(row.worker_id);
    const auto kept = kept_directory(row.worker_id);
    std::error_code ec;
    if (!fs::exists(kept / "workspace", ec))
        co_return fail(ErrorCategory::permanent, "not_found",
                       fmt::format("no workspace of {} is kept here", row.worker_id));
    auto origin = posix::read_file(kept / "origin.json", kOriginLimit);
    if (!origin) co_return std::unexpected(origin.error());
    const auto stored = json::parse_own(*origin).as_object();
    row.repository = stored.at("repository").as_string();
    row.base_sha = stored.at("base_sha").as_string();
    // What it has used counts on: limits are the task's.
    if (const auto* used = stored.if_contains("gateway")) row.gateway = used->as_object();
    auto moved = co_await move_tree(kept / "workspace", place.workspace());
    if (moved) moved = co_await move_tree(kept / "home", place.home());
    if (moved) moved = co_await give_tree(place.home(), agent);
    co_return moved;
}

std::set<std::string> Manager::kept_sessions() const {
    std::set<std::string> ids;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(options_.state_directory / "kept", ec)) {
        const auto origin = posix::read_file(entry.path() / "origin.json", kOriginLimit);
        if (!origin) continue;
        const auto stored = json::parse_own(*origin).as_object();
        if (const auto* id = stored.if_contains("session_id")) ids.emplace(id->as_string());
    }
    return ids;
}

// Where a kept workspace lies is known as long as it lies there, however long a person takes to answer: a late resume
// or cancel finds this host by it.
Task<void> Manager::keep_whereabouts() {
    // KEYS: a worker's status. ARGV: this host, seconds. Another worker of the name is left alone.
    constexpr std::string_view kKeep = R"(
local s = redis.call('HMGET', KEYS[1], 'host', 'status')
if not s[1] then redis.call('HSET', KEYS[1], 'host', ARGV[1], 'status', 'STOPPED') end
if s[1] and not (s[1] == ARGV[1] and s[2] == 'STOPPED') then return 0 end
return redis.call('EXPIRE', KEYS[1], ARGV[2]))";
    const std::chrono::seconds life = contracts::keys::kDeletedStatusTtl;
    std::vector<std::string> ids;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(options_.state_directory / "kept", ec))
        if (fs::exists(entry.path() / "workspace", ec)) ids.push_back(entry.path().filename().string());
    for (const auto& id : ids) {
        if (const auto worker = find(id); worker && !worker->deleted()) continue;
        auto done = co_await redis_.command({"EVAL", std::string(kKeep), "1", contracts::keys::worker_status(id),
                                             options_.host, std::to_string(life.count())});
        if (!done) co_return;  // Redis is away: next time
    }
}

Task<Result<void>> Manager::forget_workspace(std::string worker_id) {
    co_return co_await remove_tree(kept_directory(worker_id));
}

}  // namespace codegen::worker_manager

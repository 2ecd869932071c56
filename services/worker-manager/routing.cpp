// Several hosts, each with a manager, an engine and a database of its own, on one Redis. A worker belongs to the host
// that its status hash names: commands and events of another host's worker are passed on to that host's own streams.
#include <fmt/format.h>

#include <charconv>

#include "services/worker-manager/core/names.hpp"
#include "services/worker-manager/manager.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

namespace streams = contracts::streams;
namespace keys = contracts::keys;

// KEYS: hosts, a worker's status. ARGV: this host, the host to claim for (empty: only look), the create's request.
// nil: Redis does not know this host, so it may have lost the worker's status as well. A deleted worker's name is free,
// but not for a late copy of the command that once made it.
constexpr std::string_view kOwner = R"(
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return false end
local s = redis.call('HMGET', KEYS[2], 'host', 'status', 'request_id')
if s[1] and not (s[2] == 'STOPPED' and ARGV[2] ~= '' and s[3] ~= ARGV[3]) then return s[1] end
if ARGV[2] == '' then return '' end
redis.call('HSET', KEYS[2], 'host', ARGV[2], 'status', 'QUEUED', 'request_id', ARGV[3])
redis.call('EXPIRE', KEYS[2], 86400)
return ARGV[2])";

// KEYS: hosts. ARGV: this host, what it says. Answers: 1 when Redis did not know this host, the time, all hosts. The
// time is the server's: hosts need not agree on theirs.
constexpr std::string_view kAnnounce = R"(
local now = tonumber(redis.call('TIME')[1])
local new = redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '^%d+') or '0') < now - 86400 then redis.call('HDEL', KEYS[1], all[i]) end
end
return {new, now, all})";

constexpr int kSilentSweeps = 3;  // after so many a host is taken for away

bool is_below(const std::string& path, const std::string& folder) {
    return !folder.empty() && path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

std::string repository_path(const contracts::CreateWorkerCommand& command) {
    if (!command.workspace) return {};
    constexpr std::string_view kFile = "file://";
    const std::string& url = command.workspace->repo_url;
    if (url.starts_with("https://") || url.starts_with("http://")) return {};  // on no host
    return url.starts_with(kFile) ? url.substr(kFile.size()) : url;
}

// With what lies on one host: a kept workspace, a conversation, a person's worker that is made again when it is spoken
// to.
bool goes_on(const contracts::CreateWorkerCommand& command) {
    if (command.config.worker_type == contracts::WorkerType::po) return true;
    return (command.workspace && command.workspace->resume.value_or(false)) || command.context.contains("session_id");
}

}  // namespace

// Every sweep. What is announced is what a neighbour needs to know before it hands a waiting create over.
Task<Result<void>> Manager::announce() {
    const auto busy = admission_.in_use() + admission_.waiting().size();
    std::error_code ec;
    // Told before the first project has made the folder.
    const auto repositories = std::filesystem::weakly_canonical(options_.state_directory / "repositories", ec).string();
    const auto said = fmt::format("{} {}", admission_.slots() - std::min(busy, admission_.slots()), repositories);
    auto reply = co_await redis_.command(
        {"EVAL", std::string(kAnnounce), "1", std::string(keys::kManagerHosts), options_.host, said});
    if (!reply) co_return std::unexpected(reply.error());
    if (reply->elements.size() != 3)
        co_return fail(ErrorCategory::transient, "redis", "hosts cannot be read: " + reply->text);
    const auto now = reply->elements[1].integer;
    const auto silence = std::max<std::int64_t>(
        kSilentSweeps, kSilentSweeps * std::chrono::ceil<std::chrono::seconds>(options_.sweep_interval).count());
    std::map<std::string, Neighbour> seen;
    const auto& all = reply->elements[2].elements;
    for (std::size_t i = 0; i + 1 < all.size(); i += 2) {
        if (all[i].text == options_.host) continue;
        std::int64_t at = 0;
        Neighbour neighbour;
        const auto& text = all[i + 1].text;
        const auto* end = text.data() + text.size();
        const auto time = std::from_chars(text.data(), end, at);
        if (time.ptr == end) continue;
        const auto room = std::from_chars(time.ptr + 1, end, neighbour.free);
        if (room.ec != std::errc{}) continue;
        if (room.ptr != end) neighbour.repositories.assign(room.ptr + 1, end);
        neighbour.lives = at + silence >= now;
        seen[all[i].text] = std::move(neighbour);
    }
    if (reply->elements[0].integer == 1 && !neighbours_.empty()) {
        // Redis lost its data, and with it whose workers there are. Everybody says so again within a sweep.
        quiet_until_ = std::chrono::steady_clock::now() + kSilentSweeps * options_.sweep_interval;
        for (auto& [host, neighbour] : neighbours_) seen.try_emplace(host, std::move(neighbour)).first->second.free = 0;
    }
    neighbours_ = std::move(seen);
    if (reply->elements[0].integer == 1) co_await refresh_status_hashes();
    co_return Result<void>{};
}

// Waits while Redis is away: what it would say decides whether a second body is made.
Task<Result<std::string>> Manager::host_of(std::string worker_id, std::string claim_for, std::string request_id) {
    while (!stopping_) {
        if (std::chrono::steady_clock::now() < quiet_until_) {
            co_await async::sleep_for(std::chrono::milliseconds(20));
            continue;
        }
        auto reply = co_await redis_.command({"EVAL", std::string(kOwner), "2", std::string(keys::kManagerHosts),
                                              keys::worker_status(worker_id), options_.host, claim_for, request_id});
        if (reply && !reply->is_nil()) co_return reply->text;
        Result<void> known;
        if (reply) known = co_await announce();
        if (!reply || !known) co_await async::sleep_for(std::chrono::milliseconds(200));
    }
    co_return fail(ErrorCategory::transient, "unavailable", "the worker-manager is stopping");
}

// True: the command is another host's, and was passed on.
Task<Result<bool>> Manager::passed_on(contracts::WorkerCommand command, std::string data) {
    const auto* create = std::get_if<contracts::CreateWorkerCommand>(&command);
    const auto worker_id = create ? create->config.name
                                  : std::visit(
                                        [](const auto& c) {
                                            if constexpr (requires { c.worker_id; })
                                                return c.worker_id;
                                            else
                                                return std::string();
                                        },
                                        command);
    const auto here = find(worker_id);
    if (here && !here->deleted()) co_return false;
    std::string claim_for;
    if (create) {
        claim_for = options_.host;
        const auto path = repository_path(*create);
        if (!check(*create)) {
            claim_for.clear();  // refused here, unless it is another host's repository
            for (const auto& [host, neighbour] : neighbours_)
                if (neighbour.lives && is_below(path, neighbour.repositories)) claim_for = host;
        }
    }
    if (create && goes_on(*create)) {
        // Its name was another worker's before, on the host that has what it left.
        auto before = co_await host_of(worker_id, "", "");
        if (!before) co_return std::unexpected(before.error());
        if (!before->empty()) claim_for = *before;
    }
    auto host = co_await host_of(worker_id, claim_for, create ? create->request_id : "");
    if (!host) co_return std::unexpected(host.error());
    if (host->empty() || *host == options_.host) co_return false;
    auto said = co_await save_and_say({}, {stream_item(streams::worker_commands_of(*host), data)});
    if (!said) co_return std::unexpected(said.error());
    co_return true;
}

Task<Result<void>> Manager::pass_on_event(std::string worker_id, std::string data) {
    auto host = co_await host_of(std::move(worker_id), "", "");
    if (!host) co_return std::unexpected(host.error());
    // Nobody's: the last words of a worker that is gone.
    if (host->empty() || *host == options_.host) co_return Result<void>{};
    co_return co_await save_and_say({}, {stream_item(streams::worker_lifecycle_of(*host), data)});
}

// While there is no room here, a waiting create goes to a host that has announced some: once, so that two full hosts
// do not play with it.
Task<void> Manager::hand_over_waiting() {
    for (const auto& id : admission_.waiting()) {
        const auto worker = find(id);
        if (!worker || worker->handed_over_to_us || goes_on(worker->command)) continue;
        const auto path = worker->row.repository.empty() ? repository_path(worker->command) : worker->row.repository;
        for (auto& [host, neighbour] : neighbours_) {
            if (!neighbour.lives || neighbour.free <= 0) continue;
            if (!path.empty() && !is_below(path, neighbour.repositories)) continue;
            --neighbour.free;
            co_await hand_over(worker, host);
            break;
        }
    }
}

Task<void> Manager::hand_over(WorkerPtr worker, std::string host) {
    auto held = co_await worker->turn.take();
    const auto& id = worker->row.worker_id;
    const auto waiting = admission_.waiting();
    if (worker->deleting() || std::ranges::find(waiting, id) == waiting.end()) co_return;
    admission_.leave(id);
    const auto stream = streams::worker_commands_of(host);
    std::vector<storage::OutboxItem> items;
    // Items of one target keep their order: what was said about it here comes first.
    const auto give = [&](const contracts::CreateWorkerCommand& command) {
        const auto key = keys::worker_status(id);
        items.push_back(redis_item(key, {{"HSET", key, "host", host, "request_id", worker->row.request_id},
                                         {"XADD", stream, "*", "data", json::write(command)}}));
    };
    give(worker->command);
    for (const auto& command : worker->also_asked) give(command);
    auto saved = co_await save_and_say({Store::forget(id)}, std::move(items));
    if (!saved) {
        log::error("a waiting worker was not handed over", {{"worker_id", id}, {"error", saved.error().message}});
        ask_admission(*worker);
    } else {
        log::info("no room: a waiting worker was handed over", {{"worker_id", id}, {"host", host}});
        if (find(id) == worker) workers_.erase(id);
    }
    pump();
}

}  // namespace codegen::worker_manager

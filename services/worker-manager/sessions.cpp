// Which conversation a worker leads: chosen when it is made, its files moved in before its body starts and out again
// after the body has ended. The files are the agent's home: it wrote them, so nothing here follows a link in them.
#include <fmt/format.h>
#include <unistd.h>

#include <system_error>

#include "services/worker-manager/core/context.hpp"
#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "services/worker-manager/result_files.hpp"
#include "shared/base/ids.hpp"
#include "shared/json/enum.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;
using contracts::AgentType;
using contracts::WorkerType;
namespace {

// A custom command has a conversation when somebody wants one: it says nothing of its own about it.
bool leads_conversation(const contracts::CreateWorkerCommand& command) {
    return command.config.agent_type != AgentType::custom || command.config.worker_type == WorkerType::po ||
           from_context(command, "session_id");
}

Result<void> may_continue(const SessionRow& row, const contracts::CreateWorkerCommand& command) {
    const auto refuse = [&](std::string why) {
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("context.session_id: \"{}\" {}", row.session_id, why), "context.session_id");
    };
    if (row.user_id != known_user_of(command)) return refuse("is the conversation of another user");
    if (row.agent_type != command.config.agent_type || row.worker_type != command.config.worker_type)
        return refuse(fmt::format("is the conversation of a {} worker with agent {}", json::name_of(row.worker_type),
                                  json::name_of(row.agent_type)));
    return {};
}

Result<void> move(const fs::path& from, const fs::path& to) {
    std::error_code ec;
    fs::rename(from, to, ec);
    if (ec)
        return fail(ErrorCategory::transient, "io",
                    fmt::format("move {} to {}: {}", from.string(), to.string(), ec.message()));
    return {};
}

bool stands(const fs::path& path) {  // as a directory, not as a link to one
    std::error_code ec;
    return fs::symlink_status(path, ec).type() == fs::file_type::directory;
}

}  // namespace

// The body that led the conversation before may still be there: one that is being removed is waited for, one that has
// ended gives it away, one that lives keeps it. Holds the turn of `worker`, whom none of those waits for.
Task<Result<void>> Manager::choose_session(WorkerPtr worker) {
    const auto& command = worker->command;
    worker->session = {};
    // Of an earlier attempt that nobody undid.
    if (stands(directories(worker->row.worker_id).root)) {
        auto gone = co_await runtime_->remove(worker->row.worker_id, std::chrono::milliseconds(0));
        if (!gone) co_return gone;
        auto aside = co_await put_session_aside(worker);
        if (!aside) co_return aside;
    }
    if (!leads_conversation(command)) co_return Result<void>{};
    const auto named = from_context(command, "session_id");
    const auto user = known_user_of(command);
    const auto* row = named ? sessions_.find(*named) : nullptr;
    if (!named && command.config.worker_type == WorkerType::po && user)
        row = sessions_.latest_of(*user, WorkerType::po, command.config.agent_type);
    if (row) {
        if (auto good = may_continue(*row, command); !good) co_return good;
        const auto session_id = row->session_id;
        const auto holder = find(row->worker_id);
        if (holder && holder != worker && !holder->deleted()) {
            if (!holder->deleting() && !holder->row.ended && !named) {
                worker->session = {new_uuid(), false, false};
                co_return Result<void>{};
            }
            if (!holder->deleting() && !holder->row.ended)
                co_return fail(ErrorCategory::permanent, "conflict",
                               fmt::format("context.session_id: worker {} leads the conversation \"{}\": delete it "
                                           "first, or leave session_id out",
                                           holder->row.worker_id, session_id),
                               "context.session_id");
            auto held = co_await holder->turn.take();
            auto aside = holder->deleted() ? Result<void>{} : co_await put_session_aside(holder);
            if (!aside) co_return aside;
        }
        worker->session = {session_id, true, !sessions_.kept(session_id)};
    } else {
        worker->session = {named.value_or(new_uuid()), named.has_value(), named.has_value()};
    }
    if (worker->session.lost)
        log::warning("the conversation is lost, a new one begins",
                     {{"worker_id", worker->row.worker_id}, {"session_id", worker->session.session_id}});
    co_return Result<void>{};
}

// In place of making a new home. The files change hands before they move: the owner of a worker's home says which uid
// is its agent's.
Task<Result<void>> Manager::take_session(WorkerPtr worker, AgentIdentity agent) {
    const auto session_id = worker->session.session_id;
    if (session_id.empty()) co_return Result<void>{};
    const auto& command = worker->command;
    SessionRow row{session_id,
                   worker->row.worker_id,
                   command.config.worker_type,
                   command.config.agent_type,
                   known_user_of(command),
                   system_now()};
    auto saved = co_await sessions_.save(std::move(row));
    if (!saved || !sessions_.kept(session_id)) co_return saved;
    auto given = co_await give_tree(sessions_.home(session_id), agent);
    if (!given) co_return given;
    co_return move(sessions_.home(session_id), directories(worker->row.worker_id).home());
}

// After the body's end, before its directories go. Safe to repeat: at every instant the files are at one of two places,
// and the row says whose they are until they have moved. A new conversation in which nothing was said is forgotten.
Task<Result<void>> Manager::put_session_aside(WorkerPtr worker) {
    const auto place = directories(worker->row.worker_id);
    const auto* found = sessions_.of_worker(worker->row.worker_id);
    if (!found) co_return Result<void>{};
    auto row = *found;
    if (stands(place.home())) {
        if (!sessions_.was_kept(row.session_id) && !any_request_begun(place.state()))
            co_return co_await sessions_.forget(row.session_id);
        if (auto made = posix::make_directory(sessions_.place(row.session_id), 0700); !made) co_return made;
        auto cleared = co_await remove_tree(sessions_.home(row.session_id));
        if (!cleared) co_return cleared;
        if (auto moved = move(place.home(), sessions_.home(row.session_id)); !moved) co_return moved;
    } else if (!sessions_.kept(row.session_id)) {
        co_return co_await sessions_.forget(row.session_id);
    }
    // Some agents name their conversations themselves: it goes by the name that its results gave, unless that is
    // another conversation's.
    const auto last = last_result(place.state());
    if (const auto own = last ? last->output.session_id : std::nullopt;
        own && is_uuid(*own) && *own != row.session_id && sessions_.find(*own) == nullptr) {
        auto renamed = co_await sessions_.rename(row.session_id, *own);
        if (!renamed) co_return renamed;
        row.session_id = *own;
    }
    worker->session.session_id = row.session_id;
    row.worker_id.clear();
    row.used_at = system_now();
    co_return co_await sessions_.save(std::move(row));
}

// A worker that is there holds its conversation, however long nothing is said in it; so does a kept workspace.
Task<void> Manager::forget_old_sessions() {
    const auto spared = kept_sessions();
    for (const auto& row : sessions_.unused_since(system_now() - options_.session_ttl)) {
        const auto holder = find(row.worker_id);
        if ((holder && !holder->deleted()) || spared.contains(row.session_id)) continue;
        auto gone = co_await sessions_.forget(row.session_id);
        if (gone)
            log::info("conversation forgotten", {{"session_id", row.session_id}});
        else
            log::warning("conversation not forgotten",
                         {{"session_id", row.session_id}, {"error", gone.error().message}});
    }
}

}  // namespace codegen::worker_manager

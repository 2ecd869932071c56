#include "services/worker-manager/gateway/stream_message.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "shared/base/ids.hpp"
#include "shared/contracts/queues/deploy.hpp"
#include "shared/contracts/queues/engineering.hpp"
#include "shared/contracts/queues/progress.hpp"
#include "shared/contracts/queues/scaffolder.hpp"
#include "shared/contracts/queues/worker_io.hpp"
#include "shared/contracts/stream_table.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/json/json.hpp"

namespace codegen::worker_manager {
namespace {

namespace streams = contracts::streams;
constexpr std::size_t kObserverCap = 10000;        // progress and chat are looked at, not worked off
constexpr std::size_t kObserverBytes = 16u << 20;  // of entries as large as the newest

std::size_t observer_cap(std::string_view data) {
    return std::clamp<std::size_t>(kObserverBytes / (data.size() + 1), 1, kObserverCap);
}

StreamMessage for_observers(std::string data, std::vector<OwnedObject> owned) {
    const auto cap = observer_cap(data);
    return StreamMessage{std::move(data), std::move(owned), cap};
}

std::unexpected<Error> forbidden(std::string why) {
    return fail(ErrorCategory::permanent, "forbidden", std::move(why));
}

Result<void> permit(const GatewayIdentity& worker, std::string_view action) {
    if (allows(worker.actions, action)) return {};
    return forbidden(fmt::format("this worker may not {}; it may {}", action, fmt::join(worker.actions, ", ")));
}

template <class T>
Result<T> read(std::string_view body) {
    auto parsed = json::parse<T>(body);
    if (!parsed) return std::unexpected(invalid(parsed.error()));
    return std::move(*parsed);
}

Result<void> require_uuid(std::string_view field, std::string_view id) {
    if (is_uuid(id)) return {};
    return fail(ErrorCategory::permanent, "invalid", fmt::format("{}: \"{}\" is not a UUID", field, id),
                std::string(field));
}

// EngineeringMessage, DeployMessage.
template <class T>
Result<StreamMessage> start_message(const GatewayIdentity& worker, std::string_view action, std::string_view body) {
    if (auto allowed = permit(worker, action); !allowed) return std::unexpected(allowed.error());
    auto message = read<T>(body);
    if (!message) return std::unexpected(message.error());
    for (const auto& [field, id] :
         {std::pair("task_id", &message->task_id), std::pair("project_id", &message->project_id)})
        if (auto good = require_uuid(field, *id); !good) return std::unexpected(good.error());
    message->user_id = *worker.user_id;
    message->callback_stream.reset();
    return StreamMessage{json::write(*message), {{"projects", message->project_id}, {"tasks", message->task_id}}};
}

Result<StreamMessage> workflow_command(const GatewayIdentity& worker, std::string_view body) {
    auto message = read<contracts::WorkflowCommand>(body);
    if (!message) return std::unexpected(message.error());
    const bool cancel = message->command == contracts::WorkflowCommandKind::cancel;
    if (auto allowed = permit(worker, cancel ? "engineering.cancel" : "engineering.resume"); !allowed)
        return std::unexpected(allowed.error());
    if (auto good = require_uuid("task_id", message->task_id); !good) return std::unexpected(good.error());
    message->user_id = *worker.user_id;
    message->callback_stream.reset();
    return StreamMessage{json::write(*message), {{"tasks", message->task_id}}};
}

Result<StreamMessage> scaffolder_message(const GatewayIdentity& worker, std::string_view body) {
    if (auto allowed = permit(worker, "project.create"); !allowed) return std::unexpected(allowed.error());
    auto message = read<contracts::ScaffolderMessage>(body);
    if (!message) return std::unexpected(message.error());
    if (auto good = require_uuid("project_id", message->project_id); !good) return std::unexpected(good.error());
    message->callback_stream.reset();
    return StreamMessage{json::write(*message), {{"projects", message->project_id}}};
}

Result<StreamMessage> po_output(const GatewayIdentity& worker, std::string_view body) {
    if (auto allowed = permit(worker, "respond"); !allowed) return std::unexpected(allowed.error());
    auto message = read<contracts::POWorkerOutput>(body);
    if (!message) return std::unexpected(message.error());
    message->user_id = *worker.user_id;
    message->is_final = false;  // the final answer is the wrapper's, and so is what it says of itself
    message->session_id.reset();
    message->session_lost.reset();
    return for_observers(json::write(*message), {});
}

Result<StreamMessage> progress(const GatewayIdentity& worker, std::string_view task_id, std::string_view body) {
    if (auto allowed = permit(worker, "respond"); !allowed) return std::unexpected(allowed.error());
    if (auto good = require_uuid("task_id", task_id); !good) return std::unexpected(good.error());
    if (worker.task_id && *worker.task_id != task_id)
        return forbidden(
            fmt::format("this worker works on task {} and may not report on {}", *worker.task_id, task_id));
    auto message = read<contracts::ProgressEvent>(body);
    if (!message) return std::unexpected(message.error());
    // Begin and end of a task are the workflow's to tell.
    message->type = contracts::ProgressType::progress;
    message->task_id = std::string(task_id);
    return for_observers(json::write(*message), {{"tasks", std::string(task_id)}});
}

}  // namespace

Result<StreamMessage> check_stream_message(const GatewayIdentity& worker, std::string_view stream,
                                           std::string_view body) {
    if (!worker.user_id)
        return forbidden(
            "this worker acts for no user (its create command had no context.user_id), so it may add nothing to "
            "streams");
    if (stream == streams::kEngineering)
        return start_message<contracts::EngineeringMessage>(worker, "engineering.start", body);
    if (stream == streams::kDeploy) return start_message<contracts::DeployMessage>(worker, "deploy.start", body);
    if (stream == streams::kWorkflowCommands) return workflow_command(worker, body);
    if (stream == streams::kScaffolder) return scaffolder_message(worker, body);
    if (worker.worker_type == contracts::WorkerType::po && stream == streams::po_worker_output(worker.worker_id))
        return po_output(worker, body);
    constexpr std::string_view kProgress = "task_progress:";
    if (stream.starts_with(kProgress)) return progress(worker, stream.substr(kProgress.size()), body);
    return forbidden(fmt::format("stream \"{}\" is not open to this worker", stream));
}

Result<std::string> check_stream_question(const GatewayIdentity& worker, std::string_view stream) {
    if (stream == streams::kScaffolder) {
        if (auto allowed = permit(worker, "project.create"); !allowed) return std::unexpected(allowed.error());
        return std::string(contracts::reader_group(stream));
    }
    const bool engineering = stream == streams::kEngineering;
    if (!engineering && stream != streams::kDeploy)
        return forbidden(fmt::format("stream \"{}\" is not open to this worker's questions", stream));
    if (auto allowed = permit(worker, engineering ? "engineering.start" : "deploy.start"); !allowed)
        return std::unexpected(allowed.error());
    return std::string(streams::kCapabilityWorkersGroup);
}

}  // namespace codegen::worker_manager

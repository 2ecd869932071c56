// What the API says about a worker's task and project that its gateway must know: nothing of it comes from the worker.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "services/worker-manager/gateway/earlier_usage.hpp"
#include "services/worker-manager/manager.hpp"
#include "shared/agents/agent.hpp"
#include "shared/contracts/dto/project.hpp"
#include "shared/http/url.hpp"

namespace codegen::worker_manager {
namespace {

constexpr const char* kEgress = "egress_allow";  // in the stored command's context: a comma-separated list

std::string value_in(const contracts::CreateWorkerCommand& command, const std::string& name) {
    const auto found = command.context.find(name);
    return found == command.context.end() ? std::string() : found->second;
}

std::vector<std::string> strings_of(const boost::json::object& config, std::string_view name) {
    std::vector<std::string> out;
    const auto* value = config.if_contains(name);
    const auto* list = value ? value->if_array() : nullptr;
    if (!list) return out;
    for (const auto& item : *list)
        if (const auto* text = item.if_string()) out.emplace_back(*text);
    return out;
}

}  // namespace

// Kept with the command, so that an adopted worker's gateway has it before the API can be asked.
Task<Result<void>> Manager::learn_egress(WorkerPtr worker) {
    auto& command = worker->command;
    command.context.erase(kEgress);
    if (const auto project_id = value_in(command, "project_id"); !project_id.empty()) {
        auto project = co_await api_->get<contracts::Project>("/api/projects/" + http::percent_encode(project_id));
        if (!project && project.error().code != "not_found")
            co_return std::unexpected(in_context(project.error(), "the worker's project"));
        const auto allowed = project ? strings_of(project->config, kEgress) : std::vector<std::string>{};
        if (!allowed.empty()) command.context[kEgress] = fmt::format("{}", fmt::join(allowed, ","));
    }
    worker->row.command = json::write(command);
    co_return Result<void>{};
}

std::vector<std::string> Manager::learned_egress(const Worker& worker) {
    std::vector<std::string> entries;
    const auto text = value_in(worker.command, kEgress);
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find(',', at), text.size());
        entries.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    if (worker.has_login)
        std::ranges::copy(agents::agent_of(worker.command.config.agent_type).description().login_hosts,
                          std::back_inserter(entries));
    return entries;
}

// Limits are the task's, not the worker's. Of a task with more than 500 executions the newest are left out, which only
// loosens its limits.
Task<Result<void>> Manager::count_earlier_usage(WorkerPtr worker) {
    const auto task_id = value_in(worker->command, "task_id");
    if (task_id.empty()) co_return Result<void>{};
    auto rows = co_await api_->call("GET", "/api/task-executions?limit=500&task_id=" + http::percent_encode(task_id));
    if (!rows) co_return std::unexpected(in_context(rows.error(), "what the task has used"));
    const auto earlier = earlier_usage(*rows, worker->row.worker_id);
    if (worker->gateway) worker->gateway->add_earlier(earlier.tokens, earlier.usd);
    co_return Result<void>{};
}

}  // namespace codegen::worker_manager

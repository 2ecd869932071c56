#include "packages/orchestrator-cli/task_report.hpp"

#include <fmt/format.h>

#include "packages/orchestrator-cli/output.hpp"
#include "shared/http/client.hpp"

namespace codegen::cli {
namespace {

std::string result_text(const contracts::TaskRecord& task, std::string_view name) {
    if (!task.result) return {};
    const auto* value = task.result->if_contains(name);
    if (!value || value->is_null()) return {};
    if (value->is_string()) return printable(value->get_string());
    const auto* list = value->if_array();
    if (!list || !std::ranges::all_of(*list, [](const auto& item) { return item.is_string(); }))
        return boost::json::serialize(*value);
    std::string out;
    for (const auto& item : *list) out += (out.empty() ? "" : ", ") + printable(item.get_string());
    return out;
}

std::string tests_text(const contracts::TaskRecord& task) {
    const auto* tests = task.result ? task.result->if_contains("tests") : nullptr;
    const auto* object = tests ? tests->if_object() : nullptr;
    const auto* status = object ? object->if_contains("status") : nullptr;
    if (!status || !status->is_string() || *status == "none") return {};
    const auto* command = object->if_contains("command");
    return printable(status->get_string()) +
           (command && command->is_string() ? ": " + printable(command->get_string()) : "");
}

bool waits(const contracts::TaskRecord& task) { return task.task_metadata.contains("waiting_for"); }

std::string question_text(const contracts::TaskRecord& task) {
    const auto* question = waits(task) ? task.task_metadata.if_contains("question") : nullptr;
    return question && question->is_string() ? printable(question->get_string()) : "";
}

std::string duration_text(const contracts::TaskRecord& task) {
    if (!task.started_at || !task.completed_at) return {};
    return fmt::format("{:.1f} s", std::chrono::duration<double>(*task.completed_at - *task.started_at).count());
}

std::string usage_text(const std::vector<contracts::TaskExecution>& executions) {
    std::int64_t input = 0;
    std::int64_t output = 0;
    std::int64_t cached = 0;
    double cost = 0;
    bool known = false;
    for (const auto& row : executions) {
        known = known || row.input_tokens || row.output_tokens;
        input += row.input_tokens.value_or(0);
        output += row.output_tokens.value_or(0);
        cached += row.cache_read_tokens.value_or(0) + row.cache_write_tokens.value_or(0);
        cost += row.cost_usd.value_or(0);
    }
    if (!known) return {};
    return fmt::format("{} tokens in, {} out, {} cached{}", input, output, cached,
                       cost > 0 ? fmt::format(", {:.4f} USD", cost) : "");
}

}  // namespace

Task<Result<TaskReport>> load_report(std::shared_ptr<Session> session, std::string task_id) {
    const auto id = http::percent_encode(task_id);
    auto task = co_await session->get<contracts::TaskRecord>("/api/tasks/" + id);
    if (!task) co_return std::unexpected(task.error());
    TaskReport report{std::move(*task), {}};
    auto rows =
        co_await session->get<std::vector<contracts::TaskExecution>>("/api/task-executions?limit=500&task_id=" + id);
    if (rows) {
        report.executions = std::move(*rows);
        std::sort(report.executions.begin(), report.executions.end(),
                  [](const auto& a, const auto& b) { return a.started_at < b.started_at; });
    } else if (rows.error().code != "forbidden") {  // a worker may see its task, not what it cost
        co_return std::unexpected(rows.error());
    }
    co_return report;
}

boost::json::value report_json(const TaskReport& report) {
    auto out = json::to_value(report.task);
    out.as_object()["executions"] = json::to_value(report.executions);
    return out;
}

std::string report_text(const TaskReport& report) {
    const auto& task = report.task;
    return fields(
        {{"task", task.id},
         {"status", std::string(json::name_of(task.status))},
         {"waiting for", waits(task) ? "a person" : ""},
         {"question", question_text(task)},
         {"answer", waits(task) ? fmt::format("orchestrator engineering resume {} --guidance TEXT", task.id) : ""},
         {"project", task.project_id.value_or("")},
         {"duration", duration_text(task)},
         {"worker", result_text(task, "worker_id")},
         {"commit", result_text(task, "commit_sha")},
         {"branch", result_text(task, "branch")},
         {"files", result_text(task, "files_changed")},
         {"summary", result_text(task, "summary")},
         {"tests", tests_text(task)},
         {"reason", result_text(task, "reason")},
         {"error", printable(task.error_message.value_or(""))},
         {"usage", usage_text(report.executions)}});
}

Outcome end_of(const TaskReport& report) {
    using contracts::TaskStatus;
    const auto& task = report.task;
    const auto status = json::name_of(task.status);
    if (task.status != TaskStatus::failed && task.status != TaskStatus::cancelled)
        return Answer{report_json(report), fmt::format("task {} {}", task.id, status), report_text(report)};
    std::string why;
    if (const auto reason = result_text(task, "reason"); !reason.empty() && reason != status) why += ": " + reason;
    if (task.error_message) why += ": " + *task.error_message;
    return std::unexpected(Failure{fmt::format("task_{}", status), fmt::format("task {} {}{}", task.id, status, why),
                                   report_json(report), kFailed});
}

}  // namespace codegen::cli

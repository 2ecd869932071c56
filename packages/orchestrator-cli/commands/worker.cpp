// worker list | show | logs | exec | delete: for people; ask the managers of the hosts.
#include <fmt/format.h>

#include "packages/orchestrator-cli/command.hpp"
#include "packages/orchestrator-cli/managers.hpp"
#include "packages/orchestrator-cli/worker_logs.hpp"

namespace codegen::cli {
namespace {

using contracts::WorkerView;
using std::chrono::seconds;

std::string short_time(Timestamp time) { return format_timestamp(time).substr(0, 19); }

std::string exit_text(const WorkerView& view) {
    std::string text = view.exit_code ? std::to_string(*view.exit_code) : view.ended ? "unknown" : "";
    if (view.out_of_memory) text += text.empty() ? "out of memory" : " (out of memory)";
    return text;
}

std::string counts_text(const boost::json::object& counts) {
    std::string text;
    for (const auto& [name, value] : counts) {
        if (value == 0 || value.is_null() || value.is_structured()) continue;
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", std::string_view(name), boost::json::serialize(value));
    }
    return text;
}

std::string show_text(const WorkerView& view) {
    return fields({{"worker", view.worker_id},
                   {"status", std::string(json::name_of(view.status))},
                   {"host", printable(view.host)},
                   {"runtime", view.runtime},
                   {"type", std::string(json::name_of(view.worker_type))},
                   {"agent", std::string(json::name_of(view.agent_type))},
                   {"task", printable(view.task_id.value_or(""))},
                   {"project", printable(view.project_id.value_or(""))},
                   {"user", view.user_id ? std::to_string(*view.user_id) : ""},
                   {"image", printable(view.image.value_or(""))},
                   {"body", printable(view.body_id.value_or(""))},
                   {"attempt", std::to_string(view.attempt)},
                   {"created", format_timestamp(view.created_at)},
                   {"updated", format_timestamp(view.updated_at)},
                   {"exit code", exit_text(view)},
                   {"error", one_line(view.error.value_or(""), 500)},
                   {"gateway", counts_text(view.gateway)}});
}

Task<Outcome> list(Invocation invocation, bool all, std::string host) {
    Managers managers(invocation.session, host);
    auto answers = co_await managers.ask_all(all ? "/workers?all=1" : "/workers", false);
    if (!answers) co_return failed(answers.error());
    if (answers->good.empty() && !answers->missing.empty()) co_return failed(answers->missing.front().second);
    boost::json::array data;
    std::vector<std::vector<std::string>> rows;
    for (const auto& [from, response] : answers->good) {
        auto views = json::parse<std::vector<WorkerView>>(response.body);
        if (!views) co_return failed(in_context(invalid(views.error()), "answer of the manager of " + from.name));
        for (const auto& view : *views) {
            data.push_back(json::to_value(view));
            rows.push_back({view.worker_id, std::string(json::name_of(view.status)),
                            std::string(json::name_of(view.worker_type)), std::string(json::name_of(view.agent_type)),
                            printable(view.task_id.value_or("")), printable(view.host), short_time(view.updated_at)});
        }
    }
    auto message = fmt::format("{} workers", rows.size());
    auto text =
        rows.empty() ? "no workers\n" : table({"ID", "STATUS", "TYPE", "AGENT", "TASK", "HOST", "UPDATED"}, rows);
    for (const auto& [missing, error] : answers->missing) {
        message += fmt::format("; host {} does not answer", missing.name);
        text += fmt::format("host {} does not answer: {}\n", printable(missing.name), printable(error.message));
    }
    co_return Answer{.data = std::move(data), .message = std::move(message), .text = std::move(text)};
}

Task<Outcome> show(Invocation invocation, std::string id, std::string host) {
    Managers managers(invocation.session, host);
    auto found = co_await managers.find(id);
    if (!found) co_return failed(found.error());
    co_return Answer{.data = json::to_value(found->second),
                     .message = fmt::format("worker {} is {}", id, json::name_of(found->second.status)),
                     .text = show_text(found->second)};
}

Task<Outcome> exec(Invocation invocation, std::string id, std::string host, contracts::WorkerExec wanted) {
    Managers managers(invocation.session, host);
    auto found = co_await managers.find(id);
    if (!found) co_return failed(found.error());
    const auto limit = seconds(wanted.timeout) + seconds(15);
    auto response = co_await managers.ask(found->first, "POST", "/workers/" + http::percent_encode(id) + "/exec",
                                          json::write(wanted), limit);
    if (!response && response.error().code == "timed_out")
        co_return std::unexpected(Failure{"timeout", response.error().message, {}, kTimedOut});
    if (!response) co_return failed(response.error());
    auto ended = json::parse<contracts::WorkerExecAnswer>(response->body);
    if (!ended) co_return failed(in_context(invalid(ended.error()), "answer of the manager"));
    Answer answer;
    answer.data = json::to_value(*ended);
    answer.message = fmt::format("exit {}", ended->exit_code);
    answer.exit = static_cast<int>(ended->exit_code);
    if (!invocation.mode.json) {
        print_text(printable(ended->output));
        if (ended->truncated) print_note("the output was longer; what is shown is its beginning");
        answer.printed = true;
    }
    co_return answer;
}

Task<Outcome> remove(Invocation invocation, std::string id, std::string host) {
    Managers managers(invocation.session, host);
    auto found = co_await managers.find(id);
    if (!found) co_return failed(found.error());
    auto response =
        co_await managers.ask(found->first, "DELETE", "/workers/" + http::percent_encode(id), {}, seconds(75));
    if (!response) co_return failed(response.error());
    const bool done = response->status == 204;
    co_return Answer{
        .data = boost::json::object{{"worker_id", id}, {"deleted", done}},
        .message = done ? fmt::format("worker {} is deleted; its log stays: orchestrator worker logs {}", id, id)
                        : fmt::format("worker {} is being deleted; its engine does not answer yet", id),
        .text = {}};
}

struct Options {
    std::string id;
    std::string host;
    bool all = false;
    LogOptions logs;
    contracts::WorkerExec exec;
};

CLI::App* subcommand(CLI::App* group, const std::shared_ptr<Options>& options, const char* name, const char* help,
                     const char* examples) {
    auto* command = group->add_subcommand(name, help);
    command->add_option("--host", options->host, "Ask this host's manager only");
    command->footer(std::string("Examples:\n") + examples);
    return command;
}

CLI::App* with_id(CLI::App* command, const std::shared_ptr<Options>& options) {
    command->add_option("WORKER", options->id, "The worker's id")->required();
    return command;
}

void add_logs(CLI::App* group, Chosen& chosen, const std::shared_ptr<Options>& options) {
    auto* command = with_id(subcommand(group, options, "logs", "Show a worker's log, also after its end",
                                       "  orchestrator worker logs dev-1a2b3c4d-1\n"
                                       "  orchestrator worker logs dev-1a2b3c4d-1 --transcript --follow\n"
                                       "  orchestrator worker logs dev-1a2b3c4d-1 --output --tail 0"),
                            options);
    auto* transcript =
        command->add_flag("--transcript", options->logs.transcript, "What the agent said and did, instead of the log");
    command->add_flag("--output", options->logs.output, "What the agent printed, as it came")->excludes(transcript);
    command->add_flag("--follow", options->logs.follow, "Go on until the worker has ended");
    command->add_option("--tail,--lines", options->logs.tail, "The last lines only (default 200; 0: all)")
        ->check(CLI::Range(0, 1000000));
    command->callback([&chosen, options] {
        chosen = Command{"worker.logs", [options](Invocation i) {
                             return show_logs(std::move(i), options->id, options->host, options->logs);
                         }};
    });
}

void add_exec(CLI::App* group, Chosen& chosen, const std::shared_ptr<Options>& options) {
    auto* command = with_id(
        subcommand(group, options, "exec", "Run a command in a worker: as the agent's user, in the workspace, no shell",
                   "  orchestrator worker exec dev-1a2b3c4d-1 -- git status --short\n"
                   "  orchestrator worker exec dev-1a2b3c4d-1 -- sh -c 'ps aux | head'\n"
                   "The exit code is that of the command."),
        options);
    command->add_option("--timeout", options->exec.timeout, "Stop it after this many seconds (default 60)")
        ->check(CLI::Range(1, 3600));
    command->add_option("COMMAND", options->exec.command, "Behind --: the program and its arguments")->required();
    command->callback([&chosen, options] {
        chosen = Command{"worker.exec", [options](Invocation i) {
                             return exec(std::move(i), options->id, options->host, options->exec);
                         }};
    });
}

}  // namespace

void add_worker_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("worker", "Workers: list, show, logs, exec, delete")->require_subcommand(1);
    auto options = std::make_shared<Options>();
    auto* list_command = subcommand(group, options, "list", "List the workers of all hosts",
                                    "  orchestrator worker list\n  orchestrator worker list --all --json");
    list_command->add_flag("--all", options->all, "Those deleted in the last 24 hours too");
    list_command->callback([&chosen, options] {
        chosen =
            Command{"worker.list", [options](Invocation i) { return list(std::move(i), options->all, options->host); }};
    });
    with_id(subcommand(group, options, "show", "Show one worker, also after its end",
                       "  orchestrator worker show dev-1a2b3c4d-1"),
            options)
        ->callback([&chosen, options] {
            chosen = Command{"worker.show",
                             [options](Invocation i) { return show(std::move(i), options->id, options->host); }};
        });
    add_logs(group, chosen, options);
    add_exec(group, chosen, options);
    with_id(subcommand(group, options, "delete", "Stop and remove a worker; its log and transcript stay readable",
                       "  orchestrator worker delete dev-1a2b3c4d-1"),
            options)
        ->callback([&chosen, options] {
            chosen = Command{"worker.delete",
                             [options](Invocation i) { return remove(std::move(i), options->id, options->host); }};
        });
}

}  // namespace codegen::cli

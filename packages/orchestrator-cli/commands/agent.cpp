// result | respond: what an agent says from inside its worker.
#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "packages/orchestrator-cli/command.hpp"
#include "shared/async/deadline.hpp"
#include "shared/http/client.hpp"

namespace codegen::cli {
namespace {

constexpr std::chrono::seconds kWrapperLimit{10};
constexpr std::size_t kLineLimit = 1 << 20;

struct ResultOptions {
    std::string status;
    std::string summary;
    std::string data;
};

std::unexpected<Failure> outside(std::string_view command) {
    return std::unexpected(
        Failure{"not_in_worker",
                fmt::format("`orchestrator {}` works only inside a worker (CODEGEN_GATEWAY is not set)", command),
                {},
                kFailed});
}

// One JSON line there, one back.
Task<Result<std::string>> ask_wrapper(std::filesystem::path socket, std::string line) {
    auto stream = co_await http::connect_unix(socket, std::chrono::seconds(5));
    if (!stream) co_return std::unexpected(stream.error());
    auto written = co_await (*stream)->write(line + "\n");
    if (!written) co_return std::unexpected(written.error());
    std::string answer;
    char buffer[4096];
    while (answer.find('\n') == std::string::npos && answer.size() < kLineLimit) {
        auto n = co_await (*stream)->read_some(buffer);
        if (!n) co_return std::unexpected(n.error());
        if (*n == 0) break;
        answer.append(buffer, *n);
    }
    co_return answer.substr(0, answer.find('\n'));
}

Task<Outcome> result(Invocation invocation, ResultOptions options) {
    const auto& settings = invocation.session->settings();
    if (!settings.inside_worker()) co_return outside("result");
    contracts::AgentVerdict verdict;
    verdict.status = *json::enum_from<contracts::VerdictStatus>(options.status);
    verdict.summary = options.summary;
    if (!options.data.empty()) {
        auto data = json::parse_any(options.data);
        if (!data || !data->is_object())
            co_return std::unexpected(
                usage(fmt::format("--data is {}: expected one JSON object", one_line(options.data, 80))));
        verdict.data = data->get_object();
    }
    const auto line =
        boost::json::serialize(boost::json::object{{"command", "result"}, {"verdict", json::to_value(verdict)}});
    auto answer = co_await async::with_timeout(ask_wrapper(*settings.gateway / "agent/agent.sock", line), kWrapperLimit,
                                               "the worker's wrapper");
    if (!answer) co_return failed(answer.error());
    const auto parsed = json::parse_any(*answer);
    const auto* object = parsed ? parsed->if_object() : nullptr;
    const auto* success = object ? object->if_contains("success") : nullptr;
    if (!success || !success->is_bool())
        co_return std::unexpected(
            Failure{"protocol", "the worker's wrapper gave an answer that is none", {}, kUnavailable});
    if (success->get_bool())
        co_return Answer{json::to_value(verdict), fmt::format("result {} recorded", options.status), {}};
    const auto text = [&](std::string_view name, std::string fallback) {
        const auto* value = object->if_contains(name);
        return value && value->is_string() ? std::string(value->get_string()) : fallback;
    };
    Failure refused{text("error", "failed"), text("message", "refused without a reason"), *parsed, kFailed};
    if (refused.kind == "permission_denied" || refused.kind == "forbidden") refused.exit = kDenied;
    co_return std::unexpected(std::move(refused));
}

Task<Outcome> respond(Invocation invocation, std::string text) {
    const auto& settings = invocation.session->settings();
    if (!settings.inside_worker()) co_return outside("respond");
    const auto variable = [&](std::string_view name) { return settings.environment(name).value_or(""); };
    const auto worker = variable("WORKER_ID");
    std::string stream;
    std::string message;
    if (variable("WORKER_TYPE") == "po") {
        contracts::POWorkerOutput output;
        if (const auto request = variable("REQUEST_ID"); !request.empty()) output.request_id = request;
        output.user_id = std::atoll(variable("USER_ID").c_str());
        output.text = text;
        output.is_final = false;
        stream = contracts::streams::po_worker_output(worker);
        message = json::write(output);
    } else {
        const auto task = variable("TASK_ID");
        if (task.empty())
            co_return std::unexpected(
                Failure{"not_in_task", "TASK_ID is not set: this worker has no task to respond to", {}, kFailed});
        contracts::ProgressEvent event;
        event.type = contracts::ProgressType::progress;
        event.task_id = task;
        event.message = text;
        stream = contracts::streams::task_progress(task);
        message = json::write(event);
    }
    auto sent = co_await invocation.session->enqueue(stream, message);
    if (!sent) co_return failed(sent.error());
    co_return Answer{boost::json::object{{"stream", stream}}, "sent", {}};
}

}  // namespace

void add_agent_commands(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<ResultOptions>();
    auto* result_command = app.add_subcommand("result", "Report how the task ended (inside a worker)");
    result_command->add_option("--status", options->status, "success, failure or in_progress")
        ->required()
        ->check(CLI::IsMember({"success", "failure", "in_progress"}));
    result_command->add_option("--summary", options->summary, "What was done, or what went wrong")->required();
    result_command->add_option("--data", options->data, "A JSON object, e.g. {\"no_changes\":true}");
    result_command->footer("Example: orchestrator result --status success --summary 'added the health route'");
    result_command->callback([&chosen, options] {
        chosen = Command{"result", [options](Invocation i) { return result(std::move(i), *options); }};
    });

    auto text = std::make_shared<std::string>();
    auto* respond_command = app.add_subcommand("respond", "Tell the person something while working (inside a worker)");
    respond_command->add_option("--message", *text, "What to say")->required();
    respond_command->footer("Example: orchestrator respond --message 'Half of the tests pass'");
    respond_command->callback([&chosen, text] {
        chosen = Command{"respond", [text](Invocation i) { return respond(std::move(i), *text); }};
    });
}

}  // namespace codegen::cli

#include "packages/orchestrator-cli/worker_logs.hpp"

#include <fmt/format.h>

#include "packages/orchestrator-cli/follow.hpp"
#include "packages/orchestrator-cli/managers.hpp"

namespace codegen::cli {
namespace {

boost::json::value value_of(std::string_view line) {
    auto value = json::parse_any(line);
    if (value && value->is_object()) return std::move(*value);
    return boost::json::object{{"text", json_text(line)}};
}

// A line of the wrapper's log for people; what is no such line stays as it is.
std::string log_line(std::string_view line) {
    const auto value = json::parse_any(line);
    if (!value || !value->is_object()) return printable(line);
    const auto& object = value->get_object();
    const auto text = [&](std::string_view name) {
        const auto* found = object.if_contains(name);
        return found && found->is_string() ? std::string(found->get_string()) : std::string();
    };
    std::string out = fmt::format("{} {:8} {}", text("timestamp").substr(0, 23), text("level"), text("message"));
    for (const auto& [name, field] : object) {
        if (name == "timestamp" || name == "level" || name == "message" || name == "service" || name == "worker_id")
            continue;
        out += fmt::format(" {}={}", std::string_view(name),
                           field.is_string() ? std::string(field.get_string()) : boost::json::serialize(field));
    }
    return printable(out);
}

std::string event_text(std::string_view line, bool colour) {
    const auto event = json::parse<contracts::AgentEvent>(line);
    return event ? event_line(*event, colour) : printable(line);
}

// For people; empty: nothing worth a line.
std::string line_text(std::string_view line, const LogOptions& options, bool colour) {
    if (options.output) return printable(line);
    return options.transcript ? event_text(line, colour) : log_line(line);
}

template <class OnLine>
void each_line(std::string_view text, OnLine on_line) {
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        on_line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void print_lines(std::string_view text, const LogOptions& options, const OutputMode& mode) {
    each_line(text, [&](std::string_view line) {
        if (mode.json) {
            print_line(options.output ? boost::json::serialize(boost::json::object{{"text", json_text(line)}})
                                      : boost::json::serialize(value_of(line)));
        } else if (const auto shown = line_text(line, options, mode.colour); !shown.empty() || options.output) {
            print_line(shown);
        }
    });
}

Task<Outcome> follow(Managers* managers, ManagerHost host, std::string target, LogOptions options, OutputMode mode,
                     std::string worker_id) {
    auto stream = co_await managers->open(std::move(host), std::move(target));
    if (!stream) co_return failed(stream.error());
    std::string pending;
    for (;;) {
        auto piece = co_await (*stream)->read_some();
        if (!piece) co_return failed(in_context(piece.error(), "the log broke off"));
        if (piece->empty()) break;
        pending += *piece;
        const auto whole = pending.rfind('\n') + 1;  // 0: no whole line yet
        print_lines(std::string_view(pending).substr(0, whole), options, mode);
        pending.erase(0, whole);
    }
    print_lines(pending, options, mode);
    Answer answer{.data = nullptr, .message = fmt::format("worker {} has ended", worker_id), .text = {}};
    answer.printed = true;
    co_return answer;
}

}  // namespace

Task<Outcome> show_logs(Invocation invocation, std::string worker_id, std::string host, LogOptions options) {
    Managers managers(invocation.session, host);
    auto found = co_await managers.find(worker_id);
    if (!found) co_return failed(found.error());
    const std::string record = options.output ? "output" : options.transcript ? "transcript" : "log";
    const auto target = fmt::format("/workers/{}/logs?record={}&tail={}{}", http::percent_encode(worker_id), record,
                                    options.tail, options.follow ? "&follow=1" : "");
    if (options.follow) co_return co_await follow(&managers, found->first, target, options, invocation.mode, worker_id);
    auto response = co_await managers.ask(found->first, "GET", target, {}, std::chrono::seconds(30));
    if (!response) co_return failed(response.error());
    boost::json::array data;
    std::string text;
    std::size_t count = 0;
    each_line(response->body, [&](std::string_view line) {
        ++count;
        if (!options.output) data.push_back(value_of(line));
        if (const auto shown = line_text(line, options, invocation.mode.colour); !shown.empty() || options.output)
            text += shown + "\n";
    });
    co_return Answer{.data = options.output ? json_text(response->body) : boost::json::value(data),
                     .message = fmt::format("{} lines of the {} of worker {}", count, record, worker_id),
                     .text = text.empty() ? fmt::format("the {} of worker {} is empty", record, worker_id) : text};
}

}  // namespace codegen::cli

#include "packages/orchestrator-cli/follow.hpp"

#include <fmt/format.h>

#include <ctime>

#include "shared/contracts/worker_names.hpp"

namespace codegen::cli {
namespace {

constexpr std::size_t kWidth = 160;  // bytes of one event's line
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kCyan = "\x1b[36m";

std::string paint(std::string_view text, std::string_view colour, bool on) {
    return on ? fmt::format("{}{}\x1b[0m", colour, text) : std::string(text);
}

std::string clock_time(Timestamp t) {
    const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
    std::tm local{};
    ::localtime_r(&seconds, &local);
    return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

std::string data_text(const contracts::AgentEvent& event, std::string_view name) {
    const auto* value = event.data ? event.data->if_contains(name) : nullptr;
    if (!value || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value);
}

std::string tool_call(const contracts::AgentEvent& event) {
    std::string out = data_text(event, "name");
    const auto input = data_text(event, "input");
    if (!input.empty()) out += (out.empty() ? "" : " ") + input;
    if (out.empty() || (input.empty() && event.text)) out += (out.empty() ? "" : " ") + event.text.value_or("");
    return out;
}

}  // namespace

std::string progress_line(const contracts::ProgressEvent& event, bool colour) {
    std::string text = event.message.value_or(event.current_step.value_or(""));
    if (event.error) text += ": " + *event.error;
    const auto mark = event.type == contracts::ProgressType::completed ? kGreen
                      : event.type == contracts::ProgressType::failed  ? kRed
                                                                       : kBold;
    return fmt::format("{}  {}", clock_time(event.timestamp), paint(one_line(text, 400), mark, colour));
}

std::string event_line(const contracts::AgentEvent& event, bool colour) {
    using Kind = contracts::AgentEventKind;
    const auto line = [&](std::string_view what, std::string_view text, std::string_view how) {
        const auto shown = one_line(text, kWidth);
        return shown.empty() ? std::string()
                             : fmt::format("{}  {} {}", clock_time(event.timestamp),
                                           paint(fmt::format("{:<8}", what), kCyan, colour), paint(shown, how, colour));
    };
    switch (event.kind) {
        case Kind::text:
            return line("says", event.text.value_or(""), "");
        case Kind::thinking:
            return line("thinks", event.text.value_or(""), kDim);
        case Kind::tool_call:
            return line("runs", tool_call(event), "");
        case Kind::tool_result:
            return line("gets", event.text ? *event.text : data_text(event, "content"), kDim);
        case Kind::status:
            return line("status", event.text.value_or(""), kDim);
        case Kind::stderr_:
            return line("stderr", event.text.value_or(""), kDim);
        case Kind::usage:
            return {};
    }
    return {};
}

Follower::Follower(std::shared_ptr<Session> session, OutputMode mode, std::string task_id)
    : session_(std::move(session)), mode_(mode) {
    positions_[contracts::streams::task_progress(task_id)] = "0";
    set_worker(contracts::developer_name(task_id, 1));
}

void Follower::set_worker(const std::string& worker_id) {
    auto stream = contracts::streams::worker_events(worker_id);
    if (stream == events_stream_) return;
    positions_.erase(events_stream_);
    positions_.emplace(stream, "0");
    events_stream_ = std::move(stream);
}

Task<void> Follower::show(std::chrono::milliseconds wait) {
    while (true) {
        auto shown = co_await read(wait);
        if (shown) {
            if (*shown == 0) co_return;
            wait = std::chrono::milliseconds(0);
            continue;
        }
        reconnect_ = true;
        if (!told_) std::fprintf(stderr, "no live events: %s\n", shown.error().message.c_str());
        told_ = true;
        co_await async::sleep_for(wait);
        co_return;
    }
}

Task<Result<std::size_t>> Follower::read(std::chrono::milliseconds wait) {
    auto client = session_->redis(reconnect_);
    if (!client) co_return std::unexpected(client.error());
    reconnect_ = false;
    redis::Arguments command{"XREAD", "COUNT", "200"};
    if (wait.count() > 0) {
        command.push_back("BLOCK");
        command.push_back(std::to_string(wait.count()));
    }
    command.push_back("STREAMS");
    for (const auto& [stream, position] : positions_) command.push_back(stream);
    for (const auto& [stream, position] : positions_) command.push_back(position);
    auto reply = co_await (*client)->command(std::move(command), wait + std::chrono::seconds(5));
    if (!reply) co_return std::unexpected(reply.error());
    const auto entries = redis::parse_xread(*reply);
    for (const auto& entry : entries) {
        print(entry);
        positions_[entry.stream] = entry.id;
    }
    co_return entries.size();
}

void Follower::print(const redis::StreamEntry& entry) const {
    const auto* data = entry.field("data");
    if (!data) return;
    if (mode_.json) {
        const auto message = json::parse_any(*data);
        print_line(boost::json::serialize(boost::json::object{
            {"stream", entry.stream}, {"id", entry.id}, {"message", message ? *message : boost::json::value(*data)}}));
        return;
    }
    std::string line;
    if (entry.stream == events_stream_) {
        if (const auto event = json::parse<contracts::AgentEvent>(*data)) line = event_line(*event, mode_.colour);
    } else if (const auto event = json::parse<contracts::ProgressEvent>(*data)) {
        line = progress_line(*event, mode_.colour);
    }
    if (!line.empty()) print_line(line);
}

}  // namespace codegen::cli

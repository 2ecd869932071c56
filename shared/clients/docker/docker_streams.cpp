// The calls of DockerClient that hold a connection: exec and events.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "shared/async/deadline.hpp"
#include "shared/clients/docker/docker_client.hpp"
#include "shared/clients/docker/docker_messages.hpp"

namespace codegen::clients {
namespace json = boost::json;
using std::chrono::seconds;

namespace {

Error unreachable(Error error) {
    if (error.code == "connection") error.code = "unavailable";
    return in_context(std::move(error), "Docker engine");
}

Task<Result<void>> read_output(std::shared_ptr<http::Stream> stream, std::shared_ptr<ExecOutcome> outcome,
                               std::size_t limit) {
    Demultiplexer frames;
    std::array<char, 16384> buffer;
    for (;;) {
        auto n = co_await stream->read_some(buffer);
        if (!n) co_return std::unexpected(unreachable(n.error()));
        if (*n == 0) co_return Result<void>();
        frames.feed({buffer.data(), *n}, [&](int, std::string_view data) {
            std::size_t room = limit - std::min(limit, outcome->output.size());
            outcome->output.append(data.substr(0, room));
            outcome->truncated |= data.size() > room;
        });
    }
}

ContainerEvent event_of(const json::value& message) {
    ContainerEvent event{.action = text_at(message, {"Action"}),
                         .id = text_at(message, {"Actor", "ID"}),
                         .attributes = {},
                         .time_ns = number_at(message, {"timeNano"})};
    if (const json::value* attributes = find(message, {"Actor", "Attributes"}); attributes && attributes->is_object())
        for (const auto& [name, value] : attributes->get_object())
            if (value.is_string()) event.attributes.emplace(name, value.get_string());
    return event;
}

}  // namespace

Task<Result<ExecOutcome>> DockerClient::exec(std::string container, ExecRequest exec, std::chrono::milliseconds limit,
                                             std::size_t output_limit, std::function<void(std::string)> on_created) {
    json::object body{{"AttachStdout", true},
                      {"AttachStderr", true},
                      {"Cmd", json::array(exec.argv.begin(), exec.argv.end())},
                      {"Env", json::array(exec.environment.begin(), exec.environment.end())}};
    if (!exec.user.empty()) body["User"] = exec.user;
    if (!exec.working_directory.empty()) body["WorkingDir"] = exec.working_directory;
    auto created = co_await call_json("POST", fmt::format("/containers/{}/exec", http::percent_encode(container)),
                                      std::move(body));
    if (!created) co_return std::unexpected(created.error());
    std::string id = text_at(*created, {"Id"});
    if (on_created) on_created(id);

    http::Request start{.method = "POST", .target = fmt::format("/v1.41/exec/{}/start", id), .headers = {}, .body = {}};
    start.headers.set("Host", "docker");
    start.headers.set("Content-Type", "application/json");
    start.body = R"({"Detach":false,"Tty":false})";
    auto stream = co_await http_->upgrade(std::move(start), seconds(30));
    if (!stream) co_return std::unexpected(unreachable(stream.error()));

    auto outcome = std::make_shared<ExecOutcome>();
    auto read = co_await async::with_timeout(read_output(std::move(*stream), outcome, output_limit), limit,
                                             "command in container " + container.substr(0, 12));
    if (!read) co_return std::unexpected(read.error());
    auto ended = co_await call_json("GET", fmt::format("/exec/{}/json", id));
    if (!ended) co_return std::unexpected(ended.error());
    outcome->exit_code = static_cast<int>(number_at(*ended, {"ExitCode"}));
    co_return std::move(*outcome);
}

Task<Result<int>> DockerClient::exec_pid(std::string exec_id) {
    auto answer = co_await call_json("GET", fmt::format("/exec/{}/json", exec_id));
    if (!answer) co_return std::unexpected(answer.error());
    co_return flag_at(*answer, {"Running"}) ? static_cast<int>(number_at(*answer, {"Pid"})) : 0;
}

Task<Result<void>> DockerClient::events(std::string label, std::vector<std::string> actions,
                                        std::optional<std::chrono::sys_seconds> since,
                                        std::function<Task<void>()> on_connected,
                                        std::function<Task<void>(ContainerEvent)> on_event) {
    json::object wanted{{"type", json::array{"container"}},
                        {"label", json::array{json::string(label)}},
                        {"event", json::array(actions.begin(), actions.end())}};
    http::Request request{.method = "GET",
                          .target = "/v1.41/events?filters=" + http::percent_encode(json::serialize(wanted)),
                          .headers = {},
                          .body = {}};
    if (since) request.target += fmt::format("&since={}", since->time_since_epoch().count());
    request.headers.set("Host", "docker");
    auto stream = co_await http_->open(std::move(request), seconds(10));
    if (!stream) co_return std::unexpected(unreachable(stream.error()));
    if ((*stream)->head().status != 200)
        co_return fail(ErrorCategory::transient, "engine",
                       fmt::format("Docker engine: events: status {}", (*stream)->head().status));
    if (on_connected) co_await on_connected();

    JsonSequence sequence;
    for (;;) {
        auto piece = co_await (*stream)->read_some();
        if (!piece) co_return std::unexpected(unreachable(piece.error()));
        if (piece->empty())
            co_return fail(ErrorCategory::transient, "unavailable", "Docker engine: it closed the event stream");
        auto messages = sequence.feed(*piece);
        if (!messages) co_return std::unexpected(messages.error());
        for (const json::value& message : *messages) {
            ContainerEvent event = event_of(message);
            co_await on_event(std::move(event));
        }
    }
}

}  // namespace codegen::clients

// diagnose api | redis | projects | docker
#include <fmt/format.h>

#include "packages/orchestrator-cli/command.hpp"
#include "shared/http/client.hpp"

namespace codegen::cli {
namespace {

using std::chrono::steady_clock;

double milliseconds_since(steady_clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
}

Task<Outcome> api(Invocation invocation) {
    const auto begin = steady_clock::now();
    auto health = co_await invocation.session->get<contracts::Health>("/api/health");
    if (!health) co_return failed(health.error());
    auto data = json::to_value(*health);
    const auto took = milliseconds_since(begin);
    data.as_object()["url"] = invocation.session->settings().api_url;
    data.as_object()["milliseconds"] = took;
    const auto line = fmt::format("API {} at {}: version {}, database {}, up {:.0f} s, answered in {:.1f} ms",
                                  health->status, invocation.session->settings().api_url, health->version,
                                  health->database ? "reachable" : "not reachable", health->uptime_seconds, took);
    if (!health->database) co_return std::unexpected(Failure{"unavailable", line, data, kUnavailable});
    co_return Answer{data, line, {}};
}

Task<Outcome> redis_server(Invocation invocation) {
    auto client = invocation.session->redis();
    if (!client) co_return failed(client.error());
    const auto begin = steady_clock::now();
    auto pong = co_await (*client)->command({"PING"});
    if (!pong) {
        auto failure = failure_of(in_context(pong.error(), "Redis"));
        failure.message += fmt::format(": {}", kWayOut);
        co_return std::unexpected(std::move(failure));
    }
    const auto took = milliseconds_since(begin);
    auto info = co_await (*client)->command({"INFO", "server"});
    std::string version = "unknown";
    if (info)
        if (const auto at = info->text.find("redis_version:"); at != std::string::npos)
            version = info->text.substr(at + 14, info->text.find_first_of("\r\n", at) - at - 14);
    co_return Answer{boost::json::object{{"version", version}, {"milliseconds", took}},
                     fmt::format("Redis {} answered in {:.1f} ms", version, took),
                     {}};
}

Task<Outcome> projects(Invocation invocation) {
    auto list = co_await invocation.session->get<std::vector<contracts::Project>>("/api/projects?limit=500");
    if (!list) co_return failed(list.error());
    auto tasks = co_await invocation.session->get<std::vector<contracts::TaskRecord>>("/api/tasks?limit=500");
    if (!tasks) co_return failed(tasks.error());
    std::map<std::string, std::int64_t> counts;
    for (const auto& task : *tasks) ++counts[std::string(json::name_of(task.status))];
    boost::json::object by_status;
    std::string text;
    for (const auto& [name, count] : counts) {
        by_status[name] = count;
        text += fmt::format(", {} {}", count, name);
    }
    co_return Answer{boost::json::object{{"projects", list->size()}, {"tasks", by_status}},
                     fmt::format("{} projects, {} tasks{} (of the newest 500 each)", list->size(), tasks->size(), text),
                     {}};
}

Task<Outcome> docker(Invocation invocation) {
    const auto& environment = invocation.session->settings().environment;
    const auto host = environment("DOCKER_HOST").value_or("unix:///var/run/docker.sock");
    if (!host.starts_with("unix://"))
        co_return std::unexpected(usage(fmt::format("DOCKER_HOST is \"{}\": only unix:// is supported", host)));
    const auto url = http::parse_url("http+" + host);
    if (!url) co_return failed(url.error());
    http::Client client(invocation.session->executor(), *url);
    http::Request request;
    request.target = "/version";
    request.headers.set("Host", "docker");
    auto response = co_await client.send(std::move(request), std::chrono::seconds(5));
    if (!response)
        co_return failed(in_context(response.error(),
                                    fmt::format("no Docker engine at {} (workers then run in the sandbox)", host)));
    const auto parsed = json::parse_any(response->body);
    const auto* object = parsed ? parsed->if_object() : nullptr;
    const auto* version = object ? object->if_contains("Version") : nullptr;
    if (response->status != 200 || !version || !version->is_string())
        co_return std::unexpected(Failure{
            "protocol", fmt::format("{} is no Docker engine: HTTP {}", host, response->status), {}, kUnavailable});
    co_return Answer{boost::json::object{{"version", *version}, {"host", host}},
                     fmt::format("Docker engine {} at {}", std::string_view(version->get_string()), host),
                     {}};
}

}  // namespace

void add_diagnose_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("diagnose", "Check one part: api, redis, projects, docker")->require_subcommand(1);
    const auto add = [&](const char* name, const char* help, Task<Outcome> (*run)(Invocation)) {
        auto* command = group->add_subcommand(name, help);
        command->footer(fmt::format("Example: orchestrator diagnose {}", name));
        command->callback([&chosen, name, run] { chosen = Command{std::string("diagnose.") + name, run}; });
    };
    add("api", "Is the API there, with its database?", api);
    add("redis", "Does Redis answer?", redis_server);
    add("projects", "How many projects and tasks are there?", projects);
    add("docker", "Is there a Docker engine?", docker);
}

}  // namespace codegen::cli

// worker list | logs: for people; reads the keys and streams of the workers.
#include <fmt/format.h>

#include "packages/orchestrator-cli/command.hpp"
#include "packages/orchestrator-cli/follow.hpp"

namespace codegen::cli {
namespace {

using Hash = std::map<std::string, std::string>;

Hash to_hash(const redis::Reply& reply) {
    Hash out;
    for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2)
        out[reply.elements[i].text] = reply.elements[i + 1].text;
    return out;
}

Task<Result<std::vector<std::string>>> worker_ids(redis::Client* client) {
    const std::string prefix = contracts::keys::worker_status("");
    std::set<std::string> ids;
    std::string cursor = "0";
    do {
        auto page = co_await client->command({"SCAN", cursor, "MATCH", prefix + "*", "COUNT", "500"});
        if (!page) co_return std::unexpected(page.error());
        if (page->elements.size() != 2) co_return fail(ErrorCategory::permanent, "protocol", "SCAN: unexpected reply");
        cursor = page->elements[0].text;
        for (const auto& key : page->elements[1].elements) ids.insert(key.text.substr(prefix.size()));
    } while (cursor != "0");
    co_return std::vector<std::string>(ids.begin(), ids.end());
}

Task<Outcome> list(Invocation invocation, bool all) {
    auto client = invocation.session->redis();
    if (!client) co_return failed(client.error());
    auto ids = co_await worker_ids(*client);
    if (!ids) co_return failed(in_context(ids.error(), "Redis"));
    boost::json::array data;
    std::vector<std::vector<std::string>> rows;
    for (const auto& id : *ids) {
        auto reply = co_await (*client)->command({"HGETALL", contracts::keys::worker_status(id)});
        if (!reply) co_return failed(in_context(reply.error(), "Redis"));
        auto hash = to_hash(*reply);
        if (!all && hash["status"] == "STOPPED") continue;
        boost::json::object object{{"worker_id", id}};
        for (const auto& [name, value] : hash) object[name] = value;
        data.push_back(std::move(object));
        rows.push_back({id, printable(hash["status"]), printable(hash["worker_type"]), printable(hash["agent_type"]),
                        printable(hash["task_id"]), printable(hash["updated_at"]).substr(0, 19)});
    }
    const auto count = rows.size();
    co_return Answer{std::move(data), fmt::format("{} workers", count),
                     rows.empty() ? "no workers" : table({"ID", "STATUS", "TYPE", "AGENT", "TASK", "UPDATED"}, rows)};
}

Task<Outcome> logs(Invocation invocation, std::string id, int lines) {
    auto client = invocation.session->redis();
    if (!client) co_return failed(client.error());
    const auto stream = contracts::streams::worker_events(id);
    auto reply = co_await (*client)->command({"XREVRANGE", stream, "+", "-", "COUNT", std::to_string(lines)});
    if (!reply) co_return failed(in_context(reply.error(), "Redis"));
    auto entries = redis::parse_entries(*reply, stream);
    if (entries.empty()) {
        auto known = co_await (*client)->command({"EXISTS", contracts::keys::worker_status(id)});
        if (!known) co_return failed(in_context(known.error(), "Redis"));
        if (known->integer == 0)
            co_return std::unexpected(Failure{
                "not_found", fmt::format("no worker \"{}\": see orchestrator worker list --all", id), {}, kNotFound});
    }
    std::reverse(entries.begin(), entries.end());
    boost::json::array data;
    std::string text;
    for (const auto& entry : entries) {
        const auto* message = entry.field("data");
        const auto event =
            message ? json::parse<contracts::AgentEvent>(*message) : json::Parsed<contracts::AgentEvent>(std::unexpect);
        if (!event) continue;
        data.push_back(json::to_value(*event));
        if (const auto line = event_line(*event, invocation.mode.colour); !line.empty()) text += line + "\n";
    }
    const auto count = data.size();
    co_return Answer{std::move(data), fmt::format("{} events of worker {}", count, id),
                     text.empty() ? "no events" : text};
}

}  // namespace

void add_worker_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("worker", "Workers: list, logs")->require_subcommand(1);
    auto all = std::make_shared<bool>(false);
    auto* list_command = group->add_subcommand("list", "List the workers");
    list_command->add_flag("--all", *all, "Stopped ones of the last 24 hours too");
    list_command->callback(
        [&chosen, all] { chosen = Command{"worker.list", [all](Invocation i) { return list(std::move(i), *all); }}; });

    auto id = std::make_shared<std::string>();
    auto lines = std::make_shared<int>(200);
    auto* logs_command = group->add_subcommand("logs", "Show what a worker's agent did last");
    logs_command->add_option("WORKER", *id, "The worker's id")->required();
    logs_command->add_option("--lines", *lines, "At most this many events")->check(CLI::Range(1, 10000));
    logs_command->callback([&chosen, id, lines] {
        chosen = Command{"worker.logs", [id, lines](Invocation i) { return logs(std::move(i), *id, *lines); }};
    });
}

}  // namespace codegen::cli

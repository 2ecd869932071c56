// dlq list | show | retry | drop: messages that no consumer could handle. For people: they need Redis itself.
#include <fmt/format.h>

#include <algorithm>

#include "packages/orchestrator-cli/command.hpp"
#include "shared/base/base64.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::cli {
namespace {

constexpr std::string_view kSuffix = ":dlq";

struct Options {
    std::string queue;
    std::vector<std::string> ids;
    std::string id;
    int limit = 100;
    bool all = false;
    bool yes = false;
    bool raw = false;
};

std::string letters_of(const std::string& queue) { return queue + std::string(kSuffix); }

// Of the redis client, with the way out.
std::unexpected<Failure> redis_failed(const Error& error) {
    auto failure = failure_of(in_context(error, "Redis"));
    if (failure.exit == kUnavailable) failure.message += fmt::format(": {}", kWayOut);
    return std::unexpected(std::move(failure));
}

std::unexpected<Failure> no_letter(const std::string& queue, const std::string& id) {
    return std::unexpected(Failure{"not_found",
                                   fmt::format("{} has no dead letter {}: orchestrator dlq list {}", queue, id, queue),
                                   {},
                                   kNotFound});
}

bool is_entry_id(std::string_view id) {
    const auto dash = id.find('-');
    const auto digits = [](std::string_view text) {
        return !text.empty() && text.size() <= 20 &&
               std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    };
    return dash != id.npos && digits(id.substr(0, dash)) && digits(id.substr(dash + 1));
}

std::expected<void, Failure> check(Options& options) {
    if (options.queue.ends_with(kSuffix)) options.queue.resize(options.queue.size() - kSuffix.size());
    if (!options.id.empty()) options.ids = {options.id};
    for (const auto& id : options.ids)
        if (!is_entry_id(id))
            return std::unexpected(
                usage(fmt::format("\"{}\" is no id of a dead letter: expected e.g. 1732600000000-0", id)));
    return {};
}

std::string time_of(std::string_view id) {
    const auto milliseconds = std::strtoll(std::string(id.substr(0, id.find('-'))).c_str(), nullptr, 10);
    return format_timestamp(Timestamp(std::chrono::milliseconds(milliseconds))).substr(0, 19);
}

// What the consumer wrote about it; anything else than an object counts as none.
boost::json::object context_of(const redis::StreamEntry& letter) {
    const auto* text = letter.field("error_context");
    auto value = text ? json::parse_any(*text) : json::Parsed<boost::json::value>(boost::json::object());
    return value && value->is_object() ? value->get_object() : boost::json::object();
}

std::string context_text(const boost::json::object& context, std::string_view name) {
    const auto* value = context.if_contains(name);
    if (!value || value->is_null()) return {};
    return printable(value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value));
}

std::string original_of(const redis::StreamEntry& letter) {
    const auto* text = letter.field("original_message");
    return text ? *text : std::string();
}

boost::json::object letter_json(const std::string& queue, const redis::StreamEntry& letter) {
    const auto original = original_of(letter);
    boost::json::object out{{"queue", queue},
                            {"id", letter.id},
                            {"error_context", context_of(letter)},
                            {"original_message", json_text(original)},
                            {"original_base64", base64(original)}};
    if (const auto* trace = letter.field("traceparent")) out["traceparent"] = json_text(*trace);
    return out;
}

Task<Result<std::vector<redis::StreamEntry>>> read_letters(redis::Client* client, std::string queue, std::string from,
                                                           std::string to, int limit) {
    const auto stream = letters_of(queue);
    auto reply = co_await client->command({"XRANGE", stream, from, to, "COUNT", std::to_string(limit)});
    if (!reply) co_return std::unexpected(reply.error());
    co_return redis::parse_entries(*reply, stream);
}

Task<Outcome> list_queues(redis::Client* client) {
    auto counts = co_await redis::dead_letter_counts(*client);
    if (!counts) co_return redis_failed(counts.error());
    boost::json::array data;
    std::vector<std::vector<std::string>> rows;
    for (const auto& [queue, count] : *counts) {
        auto oldest = co_await read_letters(client, queue, "-", "+", 1);
        if (!oldest) co_return redis_failed(oldest.error());
        if (oldest->empty()) continue;  // somebody retried it meanwhile
        const auto since = time_of(oldest->front().id);
        data.push_back(boost::json::object{{"queue", queue}, {"letters", count}, {"oldest", since + "Z"}});
        rows.push_back({printable(queue), std::to_string(count), since});
    }
    const auto message = fmt::format("{} queues with dead letters", rows.size());
    co_return Answer{data, message, rows.empty() ? "no dead letters" : table({"QUEUE", "LETTERS", "OLDEST"}, rows)};
}

Task<Outcome> list(Invocation invocation, Options options) {
    if (auto good = check(options); !good) co_return std::unexpected(good.error());
    auto client = invocation.session->redis();
    if (!client) co_return failed(client.error());
    if (options.queue.empty()) co_return co_await list_queues(*client);
    auto letters = co_await read_letters(*client, options.queue, "-", "+", options.limit);
    if (!letters) co_return redis_failed(letters.error());
    boost::json::array data;
    std::vector<std::vector<std::string>> rows;
    for (const auto& letter : *letters) {
        const auto context = context_of(letter);
        data.push_back(boost::json::object{{"id", letter.id}, {"error_context", context}});
        rows.push_back({letter.id, time_of(letter.id), context_text(context, "service"),
                        context_text(context, "category"), context_text(context, "attempts"),
                        one_line(context_text(context, "error"), 80)});
    }
    co_return Answer{data, fmt::format("{} dead letters of {}", rows.size(), options.queue),
                     rows.empty() ? fmt::format("{} has no dead letters", options.queue)
                                  : table({"ID", "SINCE", "SERVICE", "CATEGORY", "ATTEMPTS", "ERROR"}, rows)};
}

Task<Outcome> show(Invocation invocation, Options options) {
    if (auto good = check(options); !good) co_return std::unexpected(good.error());
    auto client = invocation.session->redis();
    if (!client) co_return failed(client.error());
    auto letters = co_await read_letters(*client, options.queue, options.id, options.id, 1);
    if (!letters) co_return redis_failed(letters.error());
    if (letters->empty()) co_return no_letter(options.queue, options.id);
    const auto& letter = letters->front();
    if (options.raw) {
        Answer answer;
        answer.text = original_of(letter);
        answer.raw = true;
        co_return answer;
    }
    const auto context = context_of(letter);
    auto text = fields({{"queue", printable(options.queue)},
                        {"letter", letter.id},
                        {"error", context_text(context, "error")},
                        {"category", context_text(context, "category")},
                        {"service", context_text(context, "service")},
                        {"attempts", context_text(context, "attempts")},
                        {"since", context_text(context, "timestamp")},
                        {"entry", context_text(context, "entry_id")},
                        {"bytes", std::to_string(original_of(letter).size())}});
    text += "\n" + printable(original_of(letter));
    co_return Answer{letter_json(options.queue, letter), fmt::format("dead letter {} of {}", letter.id, options.queue),
                     text};
}

// The letters that were asked for; with --all, all that are there now.
Task<std::expected<std::vector<std::string>, Failure>> chosen_ids(redis::Client* client, Options options) {
    if (options.all != options.ids.empty())
        co_return std::unexpected(usage("name the dead letters by ID, or say --all"));
    if (!options.all) co_return options.ids;
    std::vector<std::string> ids;
    std::string from = "-";
    for (;;) {
        auto letters = co_await read_letters(client, options.queue, from, "+", 500);
        if (!letters) co_return redis_failed(letters.error());
        if (letters->empty()) break;
        for (const auto& letter : *letters) ids.push_back(letter.id);
        from = "(" + ids.back();
    }
    co_return ids;
}

Task<Outcome> retry(Invocation invocation, Options options) {
    if (auto good = check(options); !good) co_return std::unexpected(good.error());
    auto client = invocation.session->redis();
    if (!client) co_return failed(client.error());
    auto ids = co_await chosen_ids(*client, options);
    if (!ids) co_return std::unexpected(ids.error());
    boost::json::array data;
    std::string text;
    std::string strange;  // what is no letter: with --all the others are retried
    for (const auto& id : *ids) {
        auto entry = co_await redis::retry_dead_letter(**client, options.queue, id);
        if (!entry && options.all && entry.error().code == "NOLETTER") {
            strange += (strange.empty() ? "" : ", ") + id;
            continue;
        }
        if (!entry)
            co_return redis_failed(in_context(
                entry.error(), fmt::format("{} of {} were retried; dead letter {}", data.size(), ids->size(), id)));
        if (entry->empty() && !options.all) co_return no_letter(options.queue, id);
        if (entry->empty()) continue;  // somebody else was faster
        data.push_back(boost::json::object{{"id", id}, {"entry_id", *entry}});
        text += fmt::format("{} is in {} again as {}\n", id, printable(options.queue), *entry);
    }
    auto message = fmt::format("{} dead letters are in {} again", data.size(), options.queue);
    if (!strange.empty()) {
        const auto note = fmt::format("no dead letters and left where they are: {}", strange);
        message += "; " + note;
        text += note + "\n";
    }
    co_return Answer{std::move(data), message, text};
}

Task<Outcome> drop(Invocation invocation, Options options) {
    if (auto good = check(options); !good) co_return std::unexpected(good.error());
    auto client = invocation.session->redis();
    if (!client) co_return failed(client.error());
    auto ids = co_await chosen_ids(*client, options);
    if (!ids) co_return std::unexpected(ids.error());
    if (!options.yes)
        co_return std::unexpected(
            usage(fmt::format("this deletes {} dead letters of {} for ever: say --yes", ids->size(), options.queue)));
    std::int64_t dropped = 0;
    for (const auto& id : *ids) {
        auto removed = co_await (*client)->command({"XDEL", letters_of(options.queue), id});
        if (!removed) co_return redis_failed(removed.error());
        if (removed->integer == 0 && !options.all) co_return no_letter(options.queue, id);
        dropped += removed->integer;
    }
    co_return Answer{boost::json::object{{"queue", options.queue}, {"dropped", dropped}},
                     fmt::format("{} dead letters of {} are gone", dropped, options.queue),
                     {}};
}

using Run = Task<Outcome> (*)(Invocation, Options);

CLI::App* subcommand(CLI::App* group, Chosen& chosen, const std::shared_ptr<Options>& options, const char* name,
                     const char* help, const char* examples, Run run) {
    auto* command = group->add_subcommand(name, help);
    command->footer(std::string("Examples:\n") + examples);
    command->callback([&chosen, options, name, run] {
        chosen =
            Command{std::string("dlq.") + name, [options, run](Invocation i) { return run(std::move(i), *options); }};
    });
    return command;
}

void add_choice(CLI::App* command, const std::shared_ptr<Options>& options) {
    command->add_option("QUEUE", options->queue, "Its stream, e.g. engineering:queue")->required();
    auto* ids = command->add_option("ID", options->ids, "Which dead letters");
    command->add_flag("--all", options->all, "All that the queue has now")->excludes(ids);
}

}  // namespace

void add_dead_letter_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("dlq", "Dead letters, messages that could not be handled: list, show, retry, drop")
                      ->require_subcommand(1);
    auto options = std::make_shared<Options>();
    auto* list_command =
        subcommand(group, chosen, options, "list", "List queues with dead letters, or those of one queue",
                   "  orchestrator dlq list\n  orchestrator dlq list engineering:queue", list);
    list_command->add_option("QUEUE", options->queue, "Its stream, e.g. engineering:queue");
    list_command->add_option("--limit", options->limit, "At most this many letters, the oldest (default 100)")
        ->check(CLI::Range(1, 10000));
    auto* show_command =
        subcommand(group, chosen, options, "show", "Show one dead letter: its message and what was wrong",
                   "  orchestrator dlq show engineering:queue 1732600000000-0\n"
                   "  orchestrator dlq show engineering:queue 1732600000000-0 --raw",
                   show);
    show_command->add_option("QUEUE", options->queue, "Its stream, e.g. engineering:queue")->required();
    show_command->add_option("ID", options->id, "Which dead letter")->required();
    show_command->add_flag("--raw", options->raw, "The message alone, byte for byte");
    add_choice(subcommand(group, chosen, options, "retry", "Put dead letters into their queue again, as they were",
                          "  orchestrator dlq retry engineering:queue 1732600000000-0\n"
                          "  orchestrator dlq retry engineering:queue --all",
                          retry),
               options);
    auto* drop_command = subcommand(group, chosen, options, "drop", "Delete dead letters for ever",
                                    "  orchestrator dlq drop engineering:queue 1732600000000-0 --yes\n"
                                    "  orchestrator dlq drop engineering:queue --all --yes",
                                    drop);
    add_choice(drop_command, options);
    drop_command->add_flag("--yes", options->yes, "Yes, delete them");
}

}  // namespace codegen::cli

// image list | prune: what the workers of the hosts are made from, for admins; ask the managers of the hosts.
#include <fmt/format.h>

#include "packages/orchestrator-cli/command.hpp"
#include "packages/orchestrator-cli/managers.hpp"

namespace codegen::cli {
namespace {

using contracts::ImagePruneAnswer;
using contracts::ImageView;

constexpr std::chrono::minutes kPruning{5};

std::string short_time(Timestamp time) { return format_timestamp(time).substr(0, 19); }

std::string megabytes(std::int64_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

void add_missing(const Managers::Answers& answers, std::string& message, std::string& text) {
    for (const auto& [missing, error] : answers.missing) {
        message += fmt::format("; host {} gives no answer", missing.name);
        text += fmt::format("host {} gives no answer: {}\n", printable(missing.name), printable(error.message));
    }
}

Task<Outcome> list(Invocation invocation, std::string host) {
    Managers managers(invocation.session, host);
    auto answers = co_await managers.ask_all("/images", false);
    if (!answers) co_return failed(answers.error());
    if (answers->good.empty() && !answers->missing.empty()) co_return failed(answers->missing.front().second);
    boost::json::array data;
    std::vector<std::vector<std::string>> rows;
    for (const auto& [from, response] : answers->good) {
        auto images = json::parse<std::vector<ImageView>>(response.body);
        if (!images) co_return failed(in_context(invalid(images.error()), "answer of the manager of " + from.name));
        for (const auto& image : *images) {
            data.push_back(json::to_value(image));
            rows.push_back({printable(image.tag), printable(image.agent.value_or("")), megabytes(image.bytes),
                            short_time(image.last_used), image.in_use ? "yes" : "no", printable(image.host)});
        }
    }
    auto message = fmt::format("{} images", rows.size());
    auto text = rows.empty() ? "no images\n" : table({"TAG", "AGENT", "SIZE", "LAST USED", "IN USE", "HOST"}, rows);
    add_missing(*answers, message, text);
    co_return Answer{.data = std::move(data), .message = std::move(message), .text = std::move(text)};
}

Task<Outcome> prune(Invocation invocation, std::string host, contracts::ImagePrune wanted) {
    Managers managers(invocation.session, host);
    auto answers = co_await managers.ask_all("POST", "/images/prune", json::write(wanted), kPruning);
    if (!answers) co_return failed(answers.error());
    if (answers->good.empty() && !answers->missing.empty()) co_return failed(answers->missing.front().second);
    boost::json::array data;
    std::string text;
    std::size_t removed = 0;
    std::size_t kept = 0;
    for (const auto& [from, response] : answers->good) {
        auto done = json::parse<ImagePruneAnswer>(response.body);
        if (!done) co_return failed(in_context(invalid(done.error()), "answer of the manager of " + from.name));
        data.push_back(json::to_value(*done));
        removed += done->removed.size();
        kept += done->kept.size();
        for (const auto& tag : done->removed) text += fmt::format("removed {}\n", printable(tag));
        for (const auto& why : done->kept) text += fmt::format("kept {}\n", printable(why));
        text += fmt::format("host {}: {} images removed, {} of leftovers\n", printable(done->host),
                            done->removed.size(), megabytes(done->leftover_bytes));
    }
    auto message = fmt::format("{} images removed", removed);
    if (kept > 0) message += fmt::format(", {} could not be", kept);
    add_missing(*answers, message, text);
    co_return Answer{.data = std::move(data), .message = std::move(message), .text = std::move(text)};
}

struct Options {
    std::string host;
    contracts::ImagePrune prune;
};

CLI::App* subcommand(CLI::App* group, const std::shared_ptr<Options>& options, const char* name, const char* help,
                     const char* examples) {
    auto* command = group->add_subcommand(name, help);
    command->add_option("--host", options->host, "Ask this host's manager only");
    command->footer(std::string("Examples:\n") + examples);
    return command;
}

}  // namespace

void add_image_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("image", "Images that workers are made from: list, prune")->require_subcommand(1);
    auto options = std::make_shared<Options>();
    subcommand(group, options, "list", "List the images that the hosts have built",
               "  orchestrator image list\n  orchestrator image list --host build-1 --json")
        ->callback([&chosen, options] {
            chosen = Command{"image.list", [options](Invocation i) { return list(std::move(i), options->host); }};
        });
    auto* prune_command =
        subcommand(group, options, "prune", "Remove images that no worker has used for a while; never one in use",
                   "  orchestrator image prune\n"
                   "  orchestrator image prune --unused-for 24\n"
                   "  orchestrator image prune --unused-for 0 --host build-1");
    prune_command
        ->add_option("--unused-for", options->prune.unused_for_hours,
                     "For so many hours (default 168; 0: everything that is not in use now)")
        ->check(CLI::Range(0, 24 * 3650));
    prune_command->callback([&chosen, options] {
        chosen = Command{"image.prune",
                         [options](Invocation i) { return prune(std::move(i), options->host, options->prune); }};
    });
}

}  // namespace codegen::cli

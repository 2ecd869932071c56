// contracts export | compare: what other programs need to speak with this version. Needs no server.
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <system_error>

#include "packages/orchestrator-cli/api_document.hpp"
#include "packages/orchestrator-cli/command.hpp"
#include "shared/contracts/schema.hpp"
#include "shared/posix/file.hpp"

namespace codegen::cli {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLargest = 16u << 20;  // bytes of a document that is compared

using Documents = std::map<std::string, std::string>;  // relative path -> text

Documents of_this_version() {
    Documents out;
    for (const auto& file : contracts::schema_files()) out[file.path] = contracts::pretty(file.document);
    out["openapi.json"] = api_document();
    return out;
}

Result<Documents> in_directory(const fs::path& directory) {
    Documents out;
    std::error_code error;
    fs::recursive_directory_iterator it(directory, error);
    for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
        std::error_code ignored;
        if (it.depth() > 0) it.disable_recursion_pending();  // an export has no deeper folders
        if (!it->is_regular_file(ignored) || it->path().extension() != ".json") continue;
        auto text = posix::read_file(it->path(), kLargest);
        if (!text) return std::unexpected(text.error());
        out[it->path().lexically_relative(directory).string()] = std::move(*text);
    }
    if (error) return fail(ErrorCategory::permanent, "io", fmt::format("{}: {}", directory.string(), error.message()));
    return out;
}

struct Comparison {
    std::vector<std::string> problems;  // "queues/X.json: task_id: went"
    std::size_t differing = 0;
};

Result<Comparison> compare(const Documents& before, const Documents& after) {
    Comparison out;
    for (const auto& [path, text] : before) {
        const auto now = after.find(path);
        if (now == after.end()) {
            out.problems.push_back(path + ": went");
            continue;
        }
        if (now->second == text) continue;
        ++out.differing;
        const auto was = json::parse_any(text);
        const auto is = json::parse_any(now->second);
        for (const auto* parsed : {&was, &is})
            if (!*parsed)
                return fail(ErrorCategory::permanent, "invalid",
                            fmt::format("{}: {}", path, invalid(parsed->error()).message));
        for (const auto& problem : contracts::incompatible_changes(*was, *is))
            out.problems.push_back(fmt::format("{}: {}", path, problem));
    }
    return out;
}

Failure incompatible(const Comparison& found, const std::string& against, std::string_view way_out) {
    boost::json::array list;
    std::string lines;
    for (const auto& problem : found.problems) {
        list.emplace_back(problem);
        lines += "\n  " + problem;
    }
    return {"incompatible",
            fmt::format("{} incompatible changes against {}{}:{}", found.problems.size(), against, way_out, lines),
            boost::json::object{{"changes", std::move(list)}}, kFailed};
}

Outcome judge(const Documents& before, const Documents& after, const std::string& against) {
    if (before.empty())
        return std::unexpected(
            usage(fmt::format("{} holds no document that export writes, such as asyncapi.json", against)));
    const auto found = compare(before, after);
    if (!found) return failed(found.error());
    if (!found->problems.empty()) return std::unexpected(incompatible(*found, against, ""));
    return Answer{.data = boost::json::object{{"compared", before.size()}, {"differing", found->differing}},
                  .message = fmt::format("compatible with {}: {} documents compared, {} differ", against, before.size(),
                                         found->differing),
                  .text = {}};
}

Task<Outcome> check(Invocation, std::string directory) {
    const auto before = in_directory(directory);
    if (!before) co_return failed(before.error());
    const auto now = of_this_version();
    // Somebody's folder of other documents is no export of which everything went.
    const bool known = std::ranges::any_of(*before, [&](const auto& document) { return now.contains(document.first); });
    co_return judge(known ? *before : Documents(), now, directory);
}

Task<Outcome> compare_directories(Invocation, std::string old_one, std::string new_one) {
    const auto before = in_directory(old_one);
    if (!before) co_return failed(before.error());
    const auto after = in_directory(new_one);
    if (!after) co_return failed(after.error());
    co_return judge(*before, *after, old_one);
}

Task<Outcome> write_all(Invocation, std::string directory, bool force) {
    const auto files = of_this_version();
    std::error_code ignored;
    if (!force && fs::exists(directory, ignored)) {
        const auto before = in_directory(directory);
        if (!before) co_return failed(before.error());
        const auto found = compare(*before, files);
        if (!found) co_return failed(found.error());
        if (!found->problems.empty())
            co_return std::unexpected(incompatible(*found, directory, "; --force writes all the same"));
    }
    for (const auto& [name, text] : files) {
        const auto path = fs::path(directory) / name;
        std::error_code error;
        fs::create_directories(path.parent_path(), error);
        if (error)
            co_return std::unexpected(
                Failure{"io", fmt::format("{}: {}", path.parent_path().string(), error.message()), {}, kFailed});
        if (auto written = posix::replace_file(path, text, 0644); !written) co_return failed(written.error());
    }
    co_return Answer{.data = boost::json::object{{"directory", directory}, {"documents", files.size()}},
                     .message = fmt::format("{} documents written to {}", files.size(), directory),
                     .text = {}};
}

struct Options {
    std::string before;
    std::string after;
    std::string directory = "contracts";
    std::string check;
    bool force = false;
};

}  // namespace

void add_contracts_commands(CLI::App& app, Chosen& chosen) {
    auto* group =
        app.add_subcommand("contracts", "Messages, streams and API as other programs read them")->require_subcommand(1);
    auto* command = group->add_subcommand(
        "export", "Write JSON Schema of every message and resource, asyncapi.json and openapi.json; needs no server");
    auto options = std::make_shared<Options>();
    auto* directory = command->add_option("--directory", options->directory, "Where to; is made when it is missing")
                          ->capture_default_str();
    command->add_flag("--force", options->force, "Also over documents with which the new ones are incompatible");
    command
        ->add_option("--check", options->check,
                     "Write nothing: can a program that was made for the documents in this directory speak with this "
                     "version?")
        ->excludes(directory);
    command->footer(
        "Examples:\n  orchestrator contracts export --directory contracts\n"
        "  orchestrator contracts export --check contracts");
    command->callback([&chosen, options] {
        chosen = Command{"contracts.export", [options](Invocation invocation) {
                             return options->check.empty()
                                        ? write_all(std::move(invocation), options->directory, options->force)
                                        : check(std::move(invocation), options->check);
                         }};
    });
    auto* between = group->add_subcommand(
        "compare", "Can a program that was made for the documents in OLD speak with one that wrote those in NEW?");
    between->add_option("OLD", options->before, "A directory that export wrote")->required();
    between->add_option("NEW", options->after, "Another one")->required();
    between->footer("Examples:\n  orchestrator contracts compare contracts-0.1 contracts");
    between->callback([&chosen, options] {
        chosen = Command{"contracts.compare", [options](Invocation invocation) {
                             return compare_directories(std::move(invocation), options->before, options->after);
                         }};
    });
}

}  // namespace codegen::cli

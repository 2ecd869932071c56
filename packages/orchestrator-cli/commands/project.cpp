// project create | list | get | tasks
#include <fmt/format.h>

#include "packages/orchestrator-cli/command.hpp"
#include "shared/contracts/stream_table.hpp"
#include "shared/http/client.hpp"
#include "shared/http/url.hpp"

namespace codegen::cli {
namespace {

// A role that has just been started makes its group within this.
constexpr int kLooks = 3;
constexpr std::chrono::milliseconds kBetweenLooks{100};

struct CreateOptions {
    std::string name;
    std::string modules;
    std::optional<std::string> description;
    std::string test_command;
    std::string from_template;
    std::vector<std::string> data;
    std::string repository;
};

std::expected<std::vector<contracts::ServiceModule>, Failure> parse_modules(std::string_view text) {
    std::vector<contracts::ServiceModule> out;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const auto name = text.substr(0, comma);
        const auto module = json::enum_from<contracts::ServiceModule>(name);
        if (!module)
            return std::unexpected(usage(fmt::format("--modules: unknown module \"{}\", expected some of {}", name,
                                                     json::names_of<contracts::ServiceModule>())));
        out.push_back(*module);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return out;
}

// KEY=VALUE, for the template's questions.
std::expected<boost::json::object, Failure> parse_data(const std::vector<std::string>& data) {
    boost::json::object out;
    for (const auto& item : data) {
        const auto equals = item.find('=');
        if (equals == item.npos || equals == 0)
            return std::unexpected(usage(fmt::format("--data {}: expected KEY=VALUE", item)));
        out[item.substr(0, equals)] = item.substr(equals + 1);
    }
    return out;
}

// Whether somebody will make its first code base. What cannot be known does not hinder.
Task<bool> is_scaffolded(std::shared_ptr<Session> session) {
    const std::string stream(contracts::streams::kScaffolder);
    for (int look = 0; look < kLooks; ++look) {
        if (look > 0) co_await async::sleep_for(kBetweenLooks);
        auto taken = co_await session->is_taken(stream, std::string(contracts::reader_group(stream)));
        if (!taken) co_return false;
        if (*taken) co_return true;
    }
    co_return false;
}

std::string modules_text(const contracts::Project& project) {
    std::string out;
    for (const auto module : project.modules) out += (out.empty() ? "" : ",") + std::string(json::name_of(module));
    return out;
}

// Why it has no code base.
std::string scaffolding_error(const contracts::Project& project) {
    const auto* why = project.config.if_contains("scaffolding_error");
    return why && why->is_string() ? std::string(why->get_string()) : std::string();
}

// Refused before it is sent, and never repeated.
std::expected<void, Failure> check_place(std::string_view option, std::string_view place) {
    if (!http::holds_credentials(place)) return {};
    return std::unexpected(
        usage(fmt::format("{} holds a user or a password: it would be stored and logged; leave it out", option)));
}

Task<Outcome> create(Invocation invocation, CreateOptions options) {
    if (auto clean = check_place("--template", options.from_template); !clean) co_return std::unexpected(clean.error());
    if (auto clean = check_place("--repository", options.repository); !clean) co_return std::unexpected(clean.error());
    auto modules = parse_modules(options.modules);
    if (!modules) co_return std::unexpected(modules.error());
    contracts::ProjectCreate body;
    body.id = new_uuid();  // made here: a retried POST makes no second project
    body.name = options.name;
    body.description = options.description;
    if (!options.test_command.empty()) body.config["test_command"] = options.test_command;
    if (!modules->empty()) body.modules = *modules;
    auto data = parse_data(options.data);
    if (!data) co_return std::unexpected(data.error());
    if (!options.from_template.empty()) body.config["template"] = options.from_template;
    if (!data->empty()) body.config["template_data"] = std::move(*data);
    if (!options.repository.empty()) {
        if (!options.repository.starts_with('/') && !options.repository.contains("://"))
            co_return std::unexpected(
                usage(fmt::format("--repository is \"{}\": expected a URL, or an absolute path", options.repository)));
        // Its code is there: nobody is asked for a first one.
        body.repository_url = options.repository;
        auto there = co_await invocation.session->send<contracts::Project>("POST", "/api/projects", json::write(body));
        if (!there) co_return failed(there.error());
        co_return Answer{
            json::to_value(*there),
            fmt::format("project {} created: {}, with the code of {}", there->name, there->id, options.repository),
            {}};
    }
    const bool scaffolded = co_await is_scaffolded(invocation.session);
    // From here on it is asked for until it is there, also when the message below is lost.
    if (scaffolded) body.status = contracts::ProjectStatus::scaffolding;
    auto project = co_await invocation.session->send<contracts::Project>("POST", "/api/projects", json::write(body));
    if (!project) co_return failed(project.error());

    contracts::ScaffolderMessage message;
    message.request_id = project->id;
    message.project_id = project->id;
    message.project_name = project->name;
    message.modules = project->modules;
    message.description = project->description;
    auto queued =
        co_await invocation.session->enqueue(std::string(contracts::streams::kScaffolder), json::write(message));
    if (!queued)
        co_return failed(in_context(queued.error(), fmt::format("project {} is created but not queued", project->id)));
    const std::string_view note =
        scaffolded ? "" : "; nobody runs the scaffolder role: until somebody does, its code base is a README";
    co_return Answer{
        json::to_value(*project), fmt::format("project {} created: {}{}", project->name, project->id, note), {}};
}

Task<Outcome> list(Invocation invocation, int limit) {
    auto body = co_await invocation.session->call("GET", fmt::format("/api/projects?limit={}", limit));
    if (!body) co_return failed(body.error());
    auto projects = json::parse<std::vector<contracts::Project>>(*body);
    if (!projects) co_return failed(in_context(invalid(projects.error()), "answer of the API"));
    std::vector<std::vector<std::string>> rows;
    for (const auto& project : *projects)
        rows.push_back({project.id, one_line(project.name, 40), std::string(json::name_of(project.status)),
                        modules_text(project), project.repository_url.value_or("-")});
    co_return Answer{json::to_value(*projects), fmt::format("{} projects", projects->size()),
                     rows.empty() ? "no projects yet: orchestrator project create --name NAME"
                                  : table({"ID", "NAME", "STATUS", "MODULES", "REPOSITORY"}, rows)};
}

Task<Outcome> get(Invocation invocation, std::string id) {
    auto project = co_await invocation.session->get<contracts::Project>("/api/projects/" + http::percent_encode(id));
    if (!project) co_return failed(project.error());
    const auto text = fields({{"project", project->id},
                              {"name", printable(project->name)},
                              {"status", std::string(json::name_of(project->status))},
                              {"reason", printable(scaffolding_error(*project))},
                              {"modules", modules_text(*project)},
                              {"repository", project->repository_url.value_or("")},
                              {"created", project->created_at ? format_timestamp(*project->created_at) : ""},
                              {"description", printable(project->description.value_or(""))}});
    co_return Answer{json::to_value(*project), "project " + project->name, text};
}

Task<Outcome> tasks(Invocation invocation, std::string id, int limit) {
    // The list of tasks of a project that is not there would be an empty list.
    auto project = co_await invocation.session->get<contracts::Project>("/api/projects/" + http::percent_encode(id));
    if (!project) co_return failed(project.error());
    auto body = co_await invocation.session->call(
        "GET", fmt::format("/api/tasks?project_id={}&limit={}", http::percent_encode(id), limit));
    if (!body) co_return failed(body.error());
    auto found = json::parse<std::vector<contracts::TaskRecord>>(*body);
    if (!found) co_return failed(in_context(invalid(found.error()), "answer of the API"));
    std::vector<std::vector<std::string>> rows;
    for (const auto& task : *found)
        rows.push_back({task.id, std::string(json::name_of(task.type)), std::string(json::name_of(task.status)),
                        format_timestamp(task.created_at).substr(0, 19), one_line(task.spec.value_or(""), 50)});
    co_return Answer{json::to_value(*found), fmt::format("{} tasks", found->size()),
                     rows.empty() ? "no tasks yet" : table({"ID", "TYPE", "STATUS", "CREATED", "SPEC"}, rows)};
}

}  // namespace

void add_project_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("project", "Projects: create, list, get, tasks")->require_subcommand(1);

    auto options = std::make_shared<CreateOptions>();
    auto* create_command = group->add_subcommand("create", "Create a project");
    create_command->add_option("--name", options->name, "The project's name")->required();
    create_command->add_option("--modules", options->modules, "Comma-separated: backend, telegram, frontend");
    create_command->add_option("--description", options->description, "What it is for");
    create_command->add_option(
        "--test-command", options->test_command,
        "Run on every commit by a worker of its own, e.g. 'make test'; a task completes when it passes");
    create_command->add_option("--template", options->from_template,
                               "What its code base begins with: a template of ours, or any Copier template as "
                               "URL[@REF] (default: standard)");
    create_command
        ->add_option("--data", options->data, "KEY=VALUE: an answer to a question of the template; several times")
        ->allow_extra_args(false);
    create_command
        ->add_option("--repository", options->repository,
                     "Where its code is already, e.g. https://github.com/ORG/NAME; instead of a template, by an admin")
        ->excludes("--template", "--data", "--modules");
    create_command->footer("Example: orchestrator project create --name shop --modules backend,frontend");
    create_command->callback([&chosen, options] {
        chosen = Command{"project.create", [options](Invocation i) { return create(std::move(i), *options); }};
    });

    auto limit = std::make_shared<int>(500);
    auto* list_command = group->add_subcommand("list", "List your projects");
    list_command->add_option("--limit", *limit, "At most this many (1 to 500)")->check(CLI::Range(1, 500));
    list_command->footer("Example: orchestrator project list --limit 20");
    list_command->callback([&chosen, limit] {
        chosen = Command{"project.list", [limit](Invocation i) { return list(std::move(i), *limit); }};
    });

    auto id = std::make_shared<std::string>();
    auto* get_command = group->add_subcommand("get", "Show one project");
    get_command->add_option("ID", *id, "The project's id")->required();
    get_command->footer("Example: orchestrator project get ID");
    get_command->callback(
        [&chosen, id] { chosen = Command{"project.get", [id](Invocation i) { return get(std::move(i), *id); }}; });

    auto* tasks_command = group->add_subcommand("tasks", "List a project's tasks");
    tasks_command->add_option("ID", *id, "The project's id")->required();
    tasks_command->add_option("--limit", *limit, "At most this many (1 to 500)")->check(CLI::Range(1, 500));
    tasks_command->footer("Example: orchestrator project tasks ID --limit 20");
    tasks_command->callback([&chosen, id, limit] {
        chosen = Command{"project.tasks", [id, limit](Invocation i) { return tasks(std::move(i), *id, *limit); }};
    });
}

}  // namespace codegen::cli

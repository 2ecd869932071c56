#include "packages/orchestrator-cli/command_tree.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>

namespace codegen::cli {
namespace {

constexpr std::string_view kFooter = R"(Examples:
  orchestrator project create --name shop
  orchestrator engineering start --project ID --spec 'Write a README' --follow
  orchestrator engineering status TASK

Output: tables on a terminal, otherwise one JSON object: {"success":true,"data":...,"message":...}.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 permission denied, 4 not found, 5 system unavailable, 6 timed out.
Environment: CODEGEN_STATE_DIR, API_URL, REDIS_URL, REDIS_CA_FILE, ORCHESTRATOR_TOKEN, ALLOWED_COMMANDS, TRACEPARENT,
  CORRELATION_ID, NO_COLOR.)";

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto end = std::min(text.find(at), text.size());
        out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

// CLI11 keeps the checks of an option as text only: "TEXT:{a,b}", "INT:INT in [1 - 500]", "FLOAT:POSITIVE".
void read_type(std::string_view type, OptionInfo& out) {
    const auto colon = type.find(':');
    const auto base = type.substr(0, colon);
    if (base == "INT" || base == "UINT")
        out.kind = OptionInfo::Kind::integer;
    else if (base == "FLOAT")
        out.kind = OptionInfo::Kind::number;
    else if (base != "TEXT")
        throw std::logic_error(fmt::format("{}: unknown type \"{}\"", out.name, type));
    if (base == "UINT") out.least = 0;
    if (colon == type.npos) return;
    const std::string check(type.substr(colon + 1));
    double least = 0;
    double most = 0;
    if (check.starts_with('{') && check.ends_with('}')) {
        out.choices = split(std::string_view(check).substr(1, check.size() - 2), ',');
    } else if (check == "POSITIVE") {
        out.least = out.kind == OptionInfo::Kind::integer ? std::optional<double>(1) : std::nullopt;
    } else if (check == "NONNEGATIVE") {
        out.least = 0;
    } else if (std::sscanf(check.c_str(), "%*[A-Z] in [%lf - %lf]", &least, &most) == 2) {
        out.least = least;
        out.most = most;
    } else {
        throw std::logic_error(fmt::format("{}: unknown check \"{}\"", out.name, check));
    }
}

std::string name_of(const CLI::Option& option) {
    return option.get_positional() ? option.get_name(true) : "--" + option.get_lnames().at(0);
}

OptionInfo describe_option(const CLI::Option& option) {
    OptionInfo out;
    out.positional = option.get_positional();
    out.required = option.get_required();
    out.help = option.get_description();
    out.name = name_of(option);
    for (std::size_t i = out.positional ? 0 : 1; i < option.get_lnames().size(); ++i)
        out.also.push_back("--" + option.get_lnames()[i]);
    for (const auto& name : option.get_snames()) out.also.push_back("-" + name);
    for (const auto* other : option.get_excludes()) out.excludes.push_back(name_of(*other));
    if (option.get_items_expected_max() == 0) {
        out.kind = OptionInfo::Kind::flag;
        return out;
    }
    out.many = option.get_items_expected_max() > 1;
    read_type(option.get_type_name(), out);
    return out;
}

void describe_into(std::vector<CommandInfo>& out, const CLI::App& app, std::vector<std::string> path) {
    CommandInfo info;
    info.path = path;
    info.also = app.get_aliases();
    info.help = app.get_description();
    info.footer = app.get_footer();
    info.about = app.get_group() == kAboutGroup;
    for (const auto* option : app.get_options())
        if (option != app.get_help_ptr() && option->get_lnames() != std::vector<std::string>{"version"})
            info.options.push_back(describe_option(*option));
    const auto below = app.get_subcommands([](const CLI::App*) { return true; });
    info.group = !below.empty();
    out.push_back(std::move(info));
    for (const auto* command : below) {
        auto longer = path;
        longer.push_back(command->get_name());
        describe_into(out, *command, std::move(longer));
    }
}

}  // namespace

CommandTree::CommandTree()
    : app_("Codegen Orchestrator: give coding agents tasks, get verified commits", "orchestrator") {
    app_.set_version_flag("--version", "orchestrator " CODEGEN_VERSION);
    app_.footer(std::string(kFooter));
    app_.require_subcommand(1);
    app_.fallthrough();
    auto* json_flag = app_.add_flag("--json", json_, "JSON, also on a terminal");
    app_.add_flag("--text", text_, "Text for people, also when piped")->excludes(json_flag);
    add_project_commands(app_, chosen_);
    add_engineering_commands(app_, chosen_);
    add_deploy_commands(app_, chosen_);
    add_infra_commands(app_, chosen_);
    add_agent_commands(app_, chosen_);
    add_worker_commands(app_, chosen_);
    add_image_commands(app_, chosen_);
    add_dead_letter_commands(app_, chosen_);
    add_diagnose_commands(app_, chosen_);
    add_contracts_commands(app_, chosen_);
    add_mcp_command(app_, chosen_);
    add_about_commands(app_, chosen_);
}

std::string CommandInfo::name(char separator) const {
    std::string out;
    for (const auto& part : path) out += (out.empty() ? "" : std::string(1, separator)) + part;
    return out;
}

std::vector<std::string> CommandInfo::examples() const {
    std::vector<std::string> out;
    for (auto line : split(footer, '\n')) {
        line.erase(0, line.find_first_not_of(' '));
        if (line.starts_with("Example: ")) line.erase(0, 9);
        if (line.starts_with("orchestrator ")) out.push_back(line);
    }
    return out;
}

std::vector<CommandInfo> describe(const CLI::App& app) {
    std::vector<CommandInfo> out;
    describe_into(out, app, {});
    return out;
}

}  // namespace codegen::cli

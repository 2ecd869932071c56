#include "packages/orchestrator-cli/manual.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace codegen::cli {
namespace {

// Text for roff: a line that begins with a dot or quote is no request, dashes and quotes are what they look like.
std::string escaped(std::string_view text) {
    std::string out;
    bool line_start = true;
    for (const char c : text) {
        if (line_start && (c == '.' || c == '\'')) out += "\\&";
        line_start = c == '\n';
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if (c == '\'')
            out += "\\(aq";
        else if (c == '`')
            out += "\\(ga";
        else if (c == '~')
            out += "\\(ti";
        else if (c == '^')
            out += "\\(ha";
        else
            out += c;
    }
    return out;
}

std::string placeholder(const OptionInfo& option) {
    if (!option.choices.empty()) return fmt::format("{}", fmt::join(option.choices, "|"));
    switch (option.kind) {
        case OptionInfo::Kind::flag:
            return {};
        case OptionInfo::Kind::integer:
        case OptionInfo::Kind::number:
            return "N";
        case OptionInfo::Kind::text:
            return "TEXT";
    }
    return {};
}

std::string option_head(const OptionInfo& option) {
    std::string head = fmt::format("\\fB{}\\fR", escaped(option.name));
    for (const auto& also : option.also) head += fmt::format(", \\fB{}\\fR", escaped(also));
    if (!option.positional)
        if (const auto value = placeholder(option); !value.empty()) head += fmt::format(" \\fI{}\\fR", escaped(value));
    return head;
}

std::string option_entries(const std::vector<OptionInfo>& options) {
    std::string out;
    for (const auto& option : options)
        out += fmt::format(".TP\n{}\n{}{}\n", option_head(option), escaped(option.help),
                           option.required ? " (required)" : "");
    return out;
}

std::string synopsis(const CommandInfo& command) {
    std::string out = fmt::format("\\fBorchestrator {}\\fR", escaped(command.name(' ')));
    for (const auto& option : command.options) {
        auto text = option.positional ? fmt::format("\\fI{}\\fR", escaped(option.name)) : option_head(option);
        if (option.many) text += "...";
        out += option.required ? " " + text : " [" + text + "]";
    }
    return out;
}

// The footer: examples as they are, the rest as text.
std::string notes(const CommandInfo& command) {
    const auto examples = command.examples();
    std::string out;
    if (!examples.empty()) {
        out += ".PP\n.RS 4\n.nf\n";
        for (const auto& example : examples) out += escaped(example) + "\n";
        out += ".fi\n.RE\n";
    }
    std::string rest;
    for (std::size_t at = 0; at < command.footer.size();) {
        const auto end = std::min(command.footer.find('\n', at), command.footer.size());
        const auto line = std::string_view(command.footer).substr(at, end - at);
        at = end + 1;
        if (line.empty() || line.starts_with("Example") || line.starts_with("  orchestrator ")) continue;
        rest += fmt::format(".PP\n{}\n", escaped(line));
    }
    return out + rest;
}

}  // namespace

std::string manual_page(const std::vector<CommandInfo>& tree) {
    const auto& program = tree.front();
    std::string out = fmt::format(
        ".\\\" Made by `orchestrator man`; do not edit.\n"
        ".nh\n.ad l\n.TH ORCHESTRATOR 1 \"\" \"codegen orchestrator {}\" \"User Commands\"\n"
        ".SH NAME\norchestrator \\- {}\n"
        ".SH SYNOPSIS\n\\fBorchestrator\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
        ".SH OPTIONS\nThey may stand before or after the command.\n{}",
        escaped(CODEGEN_VERSION), escaped(program.help), option_entries(program.options));
    out += ".TP\n\\fB\\-\\-version\\fR\nThe version\n.TP\n\\fB\\-\\-help\\fR\nHelp, also of each command\n";
    out += ".SH COMMANDS\n";
    for (const auto& command : tree) {
        if (command.path.empty()) continue;
        if (command.group) {
            out += fmt::format(".SS \"{}\"\n{}\n", escaped(command.path.back()), escaped(command.help));
            continue;
        }
        if (command.path.size() == 1)
            out += fmt::format(".SS \"{}\"\n", escaped(command.path.back()));
        else
            out += ".PP\n";
        out += fmt::format("{}\n.RS 4\n{}", synopsis(command), escaped(command.help));
        for (const auto& also : command.also) out += fmt::format(" (also: \\fB{}\\fR)", escaped(also));
        out += "\n";
        if (!command.options.empty()) out += option_entries(command.options);
        out += notes(command) + ".RE\n";
    }
    out += ".SH NOTES\n" + notes(program);
    return out;
}

}  // namespace codegen::cli

#include "shared/command_line/usage.hpp"

#include <fmt/format.h>

#include <charconv>

namespace codegen::command_line {
namespace {

const CLI::App& deepest(const CLI::App& app) {
    const auto* at = &app;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().back();
    return *at;
}

std::string path_of(const CLI::App& app) {
    const auto* parent = app.get_parent();
    return parent ? path_of(*parent) + " " + app.get_name() : app.get_name();
}

std::string names_below(const CLI::App& app) {
    std::string out;
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
        out += (out.empty() ? "" : ", ") + command->get_name();
    return out;
}

// Of this command or of one above it: they may stand after it too.
CLI::Option* option_of(CLI::App& app, const std::string& name) {
    if (auto* option = app.get_option_no_throw(name)) return option;
    return app.get_parent() ? option_of(*app.get_parent(), name) : nullptr;
}

}  // namespace

Misuse explain(const CLI::App& app, const CLI::ParseError& error) {
    const auto& at = deepest(app);
    Misuse out{error.what(), path_of(at)};
    const auto rest = app.remaining(true);
    if (const auto* missing = dynamic_cast<const CLI::RequiredError*>(&error); missing && !rest.empty()) {
        const bool group = !at.get_subcommands([](const CLI::App*) { return true; }).empty();
        if (group && !rest.front().starts_with('-'))
            out.message = fmt::format("\"{}\" is no command of {}, expected one of {}", rest.front(), out.command,
                                      names_below(at));
        else
            out.message = fmt::format("{} does not know \"{}\"; {}", out.command, rest.front(), error.what());
    } else if (missing && !at.get_subcommands([](const CLI::App*) { return true; }).empty()) {
        out.message = fmt::format("{} needs a command: one of {}", out.command, names_below(at));
    } else if (dynamic_cast<const CLI::ConversionError*>(&error)) {
        // "Could not convert: --timeout = 0.5"
        const std::string text = error.what();
        const auto colon = text.find(": ");
        const auto equals = text.find(" = ");
        if (colon != text.npos && equals != text.npos && colon < equals) {
            const auto name = text.substr(colon + 2, equals - colon - 2);
            const auto* option = at.get_option_no_throw(name);
            const auto type = option ? option->get_type_name() : "";
            out.message = fmt::format("{} is \"{}\": expected a {}number", name, text.substr(equals + 3),
                                      type.starts_with("FLOAT") ? "" : "whole ");
        }
    }
    return out;
}

std::optional<Misuse> forgotten_value(CLI::App& app, int argc, const char* const* argv) {
    auto* at = &app;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--") break;
        if (!word.starts_with('-')) {
            for (auto* command : at->get_subcommands([](CLI::App*) { return true; }))
                if (command->check_name(word)) {
                    at = command;
                    break;
                }
            continue;
        }
        const auto* option = word.contains('=') ? nullptr : option_of(*at, word);
        if (!option || option->get_items_expected_max() == 0 || i + 1 == argc) continue;
        const std::string next = argv[++i];
        if (next.starts_with("--") && option_of(*at, next.substr(0, next.find('='))))
            return Misuse{
                fmt::format("{} has no value: \"{}\" follows it; if that is the value: {}={}", word, next, word, next),
                path_of(*at)};
    }
    return std::nullopt;
}

CLI::Validator above_zero() {
    CLI::Validator out("POSITIVE");
    return out.operation([](std::string& text) -> std::string {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        return error == std::errc() && end == text.data() + text.size() && value > 0
                   ? ""
                   : fmt::format("\"{}\": expected a number above 0", text);
    });
}

}  // namespace codegen::command_line

// What is wrong with a command line, in words for a person: CLI11 says of an unknown word only that something is
// missing.
#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace codegen::command_line {

struct Misuse {
    std::string message;  // names the word, the value and what was expected
    std::string command;  // whose --help tells more: "orchestrator project create"
};

// After app.parse() has thrown `error`, which is none of --help and --version.
Misuse explain(const CLI::App& app, const CLI::ParseError& error);

// `--spec --text`: a forgotten value, for which CLI11 takes the option that follows. Nothing: there is none.
// ("--spec=--text" is how somebody says that it is meant.)
std::optional<Misuse> forgotten_value(CLI::App& app, int argc, const char* const* argv);

// In place of CLI::PositiveNumber, whose message prints the largest double.
CLI::Validator above_zero();

}  // namespace codegen::command_line

// Standard output for programs (one JSON envelope) and for people (text and tables).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "packages/orchestrator-cli/answer.hpp"

namespace codegen::cli {

struct OutputMode {
    bool json = false;    // --json, or standard output is no terminal (unless --text)
    bool colour = false;  // a terminal, and NO_COLOR is not set
};

// Prints and returns the exit code. Failures of people's mode go to standard error.
int print(const OutputMode& mode, const Outcome& outcome,
          const std::optional<std::vector<std::string>>& allowed_commands);
void print_line(const std::string& line);  // flushed: it is followed live
void print_text(const std::string& text);  // as it is
void print_note(const std::string& line);  // on standard error

// Columns as wide as they must be; the last one is not padded. No rows: only the headings.
std::string table(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows);
// "name:  value" lines, aligned; empty values are left out.
std::string fields(const std::vector<std::pair<std::string, std::string>>& values);

// Agents write what they like: control characters (escape sequences of a terminal) become visible marks; newlines and
// tabs stay.
std::string printable(std::string_view text);
// Any bytes as a JSON string: what is not UTF-8 becomes U+FFFD.
boost::json::value json_text(std::string_view bytes);
// One line of at most `width` bytes, cut at a character.
std::string one_line(std::string_view text, std::size_t width);

}  // namespace codegen::cli

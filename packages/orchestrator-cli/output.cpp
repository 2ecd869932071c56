#include "packages/orchestrator-cli/output.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>

#include "shared/contracts/dto/manager.hpp"
#include "shared/json/json.hpp"

namespace codegen::cli {
namespace {

// Characters, not bytes: what a terminal shows in one column each (wide ones apart).
std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

boost::json::object envelope(const Outcome& outcome, const std::optional<std::vector<std::string>>& allowed_commands) {
    boost::json::object out;
    out["success"] = outcome.has_value();
    if (outcome) {
        out["data"] = outcome->data;
        out["message"] = outcome->message;
        return out;
    }
    const auto& failure = outcome.error();
    out["error"] = failure.kind;
    out["message"] = failure.message;
    out["details"] = failure.details;
    if (failure.exit == kDenied && allowed_commands)
        out["allowed_commands"] = boost::json::value_from(*allowed_commands);
    return out;
}

}  // namespace

void print_line(const std::string& line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
    std::fflush(stdout);
}

void print_text(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

void print_note(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

int print(const OutputMode& mode, const Outcome& outcome,
          const std::optional<std::vector<std::string>>& allowed_commands) {
    if (outcome && outcome->raw) {
        print_text(outcome->text);
        return outcome->exit;
    }
    if (mode.json) {
        print_line(boost::json::serialize(envelope(outcome, allowed_commands)));
        return outcome ? outcome->exit : outcome.error().exit;
    }
    if (outcome) {
        if (outcome->printed) return outcome->exit;
        std::string text = outcome->text.empty() ? outcome->message : outcome->text;
        while (text.ends_with('\n')) text.pop_back();
        print_line(text);
        return outcome->exit;
    }
    std::string line = outcome.error().message;
    if (outcome.error().exit == kDenied && allowed_commands)
        line += fmt::format("\nallowed commands: {}",
                            allowed_commands->empty() ? "none" : fmt::format("{}", fmt::join(*allowed_commands, ", ")));
    const char* prefix = mode.colour ? "\x1b[31merror:\x1b[0m " : "error: ";
    std::fprintf(stderr, "%s%s\n", prefix, printable(line).c_str());
    return outcome.error().exit;
}

Failure failure_of(const Error& error) {
    Failure out{error.code, error.message, {}, kFailed};
    if (error.code == "not_found")
        out.exit = kNotFound;
    else if (error.code == "forbidden" || error.code == "unauthorized")
        out.exit = kDenied;
    else if (error.category == ErrorCategory::transient || error.category == ErrorCategory::upstream)
        out.exit = kUnavailable;
    if (out.exit == kUnavailable) out.kind = "unavailable";
    return out;
}

std::string table(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& heading : headings) widths.push_back(columns(heading));
    for (const auto& row : rows)
        for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
    std::string out;
    const auto add = [&](const std::vector<std::string>& row) {
        for (std::size_t i = 0; i < widths.size(); ++i) {
            out += row[i];
            if (i + 1 < widths.size()) out.append(widths[i] - columns(row[i]) + 2, ' ');
        }
        while (out.ends_with(' ')) out.pop_back();
        out += '\n';
    };
    add(headings);
    for (const auto& row : rows) add(row);
    return out;
}

std::string fields(const std::vector<std::pair<std::string, std::string>>& values) {
    std::size_t width = 0;
    for (const auto& [name, value] : values)
        if (!value.empty()) width = std::max(width, columns(name));
    std::string out;
    for (const auto& [name, value] : values)
        if (!value.empty()) out += fmt::format("{}:{}{}\n", name, std::string(width - columns(name) + 2, ' '), value);
    return out;
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        // C1 controls are two bytes in UTF-8 (0xC2 0x80..0x9F); some terminals obey them.
        const bool c1 = c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F || c1) {
            out += "\xEF\xBF\xBD";  // U+FFFD
            if (c1) ++i;
        } else {
            out += static_cast<char>(c);
        }
    }
    return out;
}

boost::json::value json_text(std::string_view bytes) {
    contracts::WorkerExecAnswer carrier;  // a contract is always written as valid UTF-8
    carrier.output = bytes;
    return json::to_value(carrier).at("output");
}

std::string one_line(std::string_view text, std::size_t width) {
    std::string out = printable(text);
    std::replace(out.begin(), out.end(), '\n', ' ');
    std::replace(out.begin(), out.end(), '\t', ' ');
    if (out.size() <= width) return out;
    std::size_t end = width;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
    return out.substr(0, end) + "...";
}

}  // namespace codegen::cli

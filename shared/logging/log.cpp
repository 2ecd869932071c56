#include "shared/logging/log.hpp"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "shared/base/trace.hpp"
#include "shared/logging/context.hpp"
#include "shared/logging/line.hpp"

namespace codegen::log {
namespace {

struct Settings {
    Format format = Format::console;
    std::string service = "codegen";
    std::shared_ptr<spdlog::logger> logger = make_logger();

    static std::shared_ptr<spdlog::logger> make_logger() {
        auto logger = std::make_shared<spdlog::logger>("codegen", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        logger->set_pattern("%v");  // the line is complete: JSON cannot be made by a pattern
        logger->flush_on(spdlog::level::trace);
        return logger;
    }
};

Settings& settings() {
    static Settings instance;
    return instance;
}

spdlog::level::level_enum spdlog_level(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warning:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    std::unreachable();
}

void write(Level level, std::string_view message, Fields fields) {
    auto& s = settings();
    const auto threshold = spdlog_level(level);
    if (!s.logger->should_log(threshold)) return;
    const std::string line = format_line(s.format, level, system_now(), s.service, message, fields);
    s.logger->log(threshold, spdlog::string_view_t(line.data(), line.size()));
}

// Log text comes from agents and peers: without this a newline forges a line and an escape repaints the terminal.
void append_visible(std::string& out, std::string_view text, bool spaces_too) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '\\' || (spaces_too && c == '"'))
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
}

void append_value(std::string& out, std::string_view text) {
    const bool quote = text.empty() || text.find_first_of(" =\"") != std::string_view::npos;
    if (quote) out += '"';
    append_visible(out, text, quote);
    if (quote) out += '"';
}

// Boost.JSON writes strings as they are; a log reader needs valid UTF-8.
std::string valid_utf8(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        std::size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
        bool good = lead < 0x80 || (lead >= 0xc2 && lead <= 0xf4);
        good = good && i + length <= text.size();
        for (std::size_t k = 1; good && k < length; ++k)
            good = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
        if (good && length > 2) {  // overlong forms, surrogates, beyond U+10FFFF
            const auto second = static_cast<unsigned char>(text[i + 1]);
            good = !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second >= 0xa0) &&
                   !(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second >= 0x90);
        }
        if (good) {
            out += text.substr(i, length);
            i += length;
        } else {
            out += "\xef\xbf\xbd";
            ++i;
        }
    }
    return out;
}

// Of the current context; checked when it was made, so safe to write as they are.
std::vector<std::pair<std::string, std::string>> trace_fields() {
    std::vector<std::pair<std::string, std::string>> out;
    const auto& now = context();
    if (!now) return out;
    if (!now->correlation_id.empty()) out.emplace_back("correlation_id", now->correlation_id);
    if (!now->traceparent.empty()) out.emplace_back("trace_id", trace_id_of(now->traceparent));
    return out;
}

}  // namespace

std::string format_line(Format format, Level level, Timestamp now, std::string_view service, std::string_view message,
                        Fields fields) {
    if (format == Format::json) {
        boost::json::object line{{"timestamp", format_timestamp(now)},
                                 {"level", boost::json::string_view(name_of(level).data(), name_of(level).size())},
                                 {"service", valid_utf8(service)},
                                 {"message", valid_utf8(message)}};
        for (const auto& [key, value] : trace_fields()) line[key] = value;
        for (const auto& [key, value] : fields) line[valid_utf8(key)] = valid_utf8(value);
        return boost::json::serialize(line);
    }
    std::string line = fmt::format("{} {:<7} {}: ", format_timestamp(now), name_of(level), service);
    append_visible(line, message, false);
    for (const auto& [key, value] : trace_fields()) {
        if (std::ranges::any_of(fields, [&](const Field& field) { return field.first == key; })) continue;
        line += fmt::format(" {}={}", key, value);
    }
    for (const auto& [key, value] : fields) {
        line += ' ';
        append_visible(line, key, true);
        line += '=';
        append_value(line, value);
    }
    return line;
}

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warning:
            return "warning";
        case Level::error:
            return "error";
    }
    std::unreachable();
}

void set_level(Level level) { settings().logger->set_level(spdlog_level(level)); }

Level level() {
    switch (settings().logger->level()) {
        case spdlog::level::trace:
        case spdlog::level::debug:
            return Level::debug;
        case spdlog::level::info:
            return Level::info;
        case spdlog::level::warn:
            return Level::warning;
        default:
            return Level::error;
    }
}

void setup(Level level, Format format, std::string service) {
    auto& s = settings();
    s.format = format;
    s.service = std::move(service);
    s.logger->set_level(spdlog_level(level));
}

Result<Level> parse_level(std::string_view text) {
    for (const auto level : {Level::debug, Level::info, Level::warning, Level::error})
        if (text == name_of(level)) return level;
    return fail(ErrorCategory::permanent, "invalid",
                fmt::format("log level \"{}\": expected debug, info, warning or error", text));
}

void debug(std::string_view message, Fields fields) { write(Level::debug, message, fields); }
void info(std::string_view message, Fields fields) { write(Level::info, message, fields); }
void warning(std::string_view message, Fields fields) { write(Level::warning, message, fields); }
void error(std::string_view message, Fields fields) { write(Level::error, message, fields); }

}  // namespace codegen::log

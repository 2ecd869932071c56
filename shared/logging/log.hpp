// Structured logs on stderr: one line an event, JSON (LOG_FORMAT=json) or console text. Never log a secret.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "shared/base/result.hpp"

namespace codegen::log {

enum class Level { debug, info, warning, error };
enum class Format { console, json };

// Call once before the first line; default: info, console, standard error. `service` stands on every line.
void setup(Level level, Format format, std::string service);
Result<Level> parse_level(std::string_view text);  // debug, info, warning, error
std::string_view name_of(Level level);
// While running; from the logging thread's own or any other.
void set_level(Level level);
Level level();

using Field = std::pair<std::string_view, std::string>;
using Fields = std::initializer_list<Field>;

// log::info("worker started", {{"worker_id", id}, {"correlation_id", cid}});
void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warning(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

}  // namespace codegen::log

// One JSON line an entry on stderr, which the runtime keeps with the worker. Never holds prompts or environments.
#pragma once
#include <boost/json/object.hpp>
#include <cstddef>
#include <filesystem>
#include <string_view>

namespace codegen::wrapper {

// From here on lines also go into this file (RecordFile); where stderr is the same file, they are written once.
void keep_log(const std::filesystem::path& file, std::size_t limit);
void set_log_worker(std::string_view worker_id);
void set_log_trace(std::string_view traceparent);  // of the request that is being worked on; empty: none
void log(std::string_view level, std::string_view message, boost::json::object fields = {});
inline void log_info(std::string_view message, boost::json::object fields = {}) {
    log("info", message, std::move(fields));
}
inline void log_error(std::string_view message, boost::json::object fields = {}) {
    log("error", message, std::move(fields));
}

}  // namespace codegen::wrapper

#include "packages/worker-wrapper/log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <optional>
#include <string>

#include "packages/worker-wrapper/record_file.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/base/trace.hpp"

namespace codegen::wrapper {

namespace {
std::string& worker() {
    static std::string id;
    return id;
}

std::string& trace() {
    static std::string id;
    return id;
}

struct Kept {
    std::optional<RecordFile> file;
    bool is_stderr = false;
};
Kept& kept() {
    static Kept there;
    return there;
}

}  // namespace

void keep_log(const std::filesystem::path& file, std::size_t limit) {
    struct stat there{};
    struct stat standard_error{};
    kept().is_stderr = limit > 0 && ::stat(file.c_str(), &there) == 0 && ::fstat(STDERR_FILENO, &standard_error) == 0 &&
                       there.st_dev == standard_error.st_dev && there.st_ino == standard_error.st_ino;
    kept().file.emplace(file, limit);
}

void set_log_trace(std::string_view traceparent) { trace() = trace_id_of(traceparent); }

void set_log_worker(std::string_view worker_id) { worker() = worker_id; }

void log(std::string_view level, std::string_view message, boost::json::object fields) {
    boost::json::object line{{"timestamp", format_timestamp(system_now())},
                             {"level", level},
                             {"service", "worker-wrapper"},
                             {"worker_id", worker()},
                             {"message", message}};
    if (!trace().empty()) line["trace_id"] = trace();
    for (auto& [key, value] : fields) line.insert_or_assign(key, std::move(value));
    const std::string text = boost::json::serialize(line) + "\n";
    if (kept().file) kept().file->append(text);
    if (kept().is_stderr) return;
    // A full or closed log must not stop the worker.
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace codegen::wrapper

#include "packages/worker-wrapper/log.hpp"

#include <unistd.h>

#include <boost/json.hpp>
#include <string>

#include "shared/base/timestamp.hpp"

namespace codegen::wrapper {

namespace {
std::string& worker() {
    static std::string id;
    return id;
}
}  // namespace

void set_log_worker(std::string_view worker_id) { worker() = worker_id; }

void log(std::string_view level, std::string_view message, boost::json::object fields) {
    boost::json::object line{{"timestamp", format_timestamp(system_now())},
                             {"level", level},
                             {"service", "worker-wrapper"},
                             {"worker_id", worker()},
                             {"message", message}};
    for (auto& [key, value] : fields) line.insert_or_assign(key, std::move(value));
    const std::string text = boost::json::serialize(line) + "\n";
    // A full or closed log must not stop the worker.
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace codegen::wrapper

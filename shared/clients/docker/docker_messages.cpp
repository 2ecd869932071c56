#include "shared/clients/docker/docker_messages.hpp"

#include <fmt/format.h>

namespace codegen::clients {
namespace json = boost::json;

const json::value* find(const json::value& value, std::initializer_list<std::string_view> path) {
    const json::value* at = &value;
    for (std::string_view key : path) {
        const json::object* object = at->if_object();
        if (!object) return nullptr;
        at = object->if_contains(key);
        if (!at) return nullptr;
    }
    return at;
}

std::string text_at(const json::value& value, std::initializer_list<std::string_view> path) {
    const json::value* found = find(value, path);
    return found && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::int64_t number_at(const json::value& value, std::initializer_list<std::string_view> path) {
    const json::value* found = find(value, path);
    if (!found || !found->is_number()) return 0;
    json::error_code error;
    auto number = found->to_number<std::int64_t>(error);
    return error ? 0 : number;
}

bool flag_at(const json::value& value, std::initializer_list<std::string_view> path) {
    const json::value* found = find(value, path);
    return found && found->is_bool() && found->get_bool();
}

Result<std::vector<json::value>> JsonSequence::feed(std::string_view bytes) {
    std::vector<json::value> values;
    while (!bytes.empty()) {
        if (!inside_ && (bytes.front() == '\n' || bytes.front() == '\r' || bytes.front() == ' ')) {
            bytes.remove_prefix(1);
            continue;
        }
        json::error_code error;
        bytes.remove_prefix(parser_.write_some(bytes.data(), bytes.size(), error));
        if (error)
            return fail(ErrorCategory::permanent, "protocol", "the engine sent invalid JSON: " + error.message());
        inside_ = !parser_.done();
        if (!inside_) {
            values.push_back(parser_.release());
            parser_.reset();
        }
    }
    return values;
}

void Demultiplexer::feed(std::string_view bytes, const std::function<void(int, std::string_view)>& on_data) {
    while (!bytes.empty()) {
        if (left_ == 0) {
            std::size_t take = std::min<std::size_t>(8 - header_.size(), bytes.size());
            header_.append(bytes.substr(0, take));
            bytes.remove_prefix(take);
            if (header_.size() < 8) return;
            stream_ = static_cast<unsigned char>(header_[0]);
            for (std::size_t i = 4; i < 8; ++i) left_ = left_ << 8 | static_cast<unsigned char>(header_[i]);
            header_.clear();
            continue;
        }
        std::size_t take = std::min(left_, bytes.size());
        on_data(stream_, bytes.substr(0, take));
        left_ -= take;
        bytes.remove_prefix(take);
    }
}

namespace {

// "2/5 : RUN npm install" -> "2 (npm install)". A script may begin with its own name: ": install packages; ...".
std::string step_name(const std::string& step) {
    const auto colon = step.find(" : ");
    const auto number = step.substr(0, std::min(step.find_first_of(" /"), step.size()));
    if (colon == std::string::npos) return number;
    std::string_view command = std::string_view(step).substr(colon + 3);
    constexpr std::string_view kRun = "RUN ";
    constexpr std::size_t kLongest = 60;
    if (command.starts_with(kRun)) command.remove_prefix(kRun.size());
    if (command.starts_with(": ")) command = command.substr(2, std::min(command.find(';'), command.size()) - 2);
    return fmt::format("{} ({}{})", number, command.substr(0, kLongest), command.size() > kLongest ? "..." : "");
}

// "The command '/bin/sh -c ...' returned a non-zero code: 3" -> "exit 3"; anything else as it is.
std::string exit_of(const std::string& error) {
    constexpr std::string_view kCode = "returned a non-zero code: ";
    const auto at = error.rfind(kCode);
    return at == std::string::npos ? error : "exit " + error.substr(at + kCode.size());
}

}  // namespace

ProgressLog::ProgressLog(std::function<void(std::string)> on_line) : on_line_(std::move(on_line)) {}

void ProgressLog::feed(const json::value& message) {
    if (find(message, {"stream"})) text(text_at(message, {"stream"}));
    if (find(message, {"aux", "ID"})) image_ = text_at(message, {"aux", "ID"});
    if (find(message, {"error"})) error_ = text_at(message, {"error"});
    if (find(message, {"status"})) {
        // Pull repeats "Downloading" with every few kilobytes: each state of each layer is said once.
        std::string id = text_at(message, {"id"});
        std::string status = text_at(message, {"status"});
        if (status.starts_with("sha256:")) image_ = status;
        std::string said = id.empty() ? status : id + ": " + status;
        if (said != std::exchange(last_status_, said)) line(said);
    }
}

namespace {

// The engine paints what a step writes to stderr: ESC [ digits m.
void without_colours(std::string& line) {
    for (std::size_t at = 0; (at = line.find("\x1b[", at)) != std::string::npos;) {
        const auto end = line.find_first_not_of("0123456789;", at + 2);
        if (end == std::string::npos || line[end] != 'm') return;
        line.erase(at, end + 1 - at);
    }
}

}  // namespace

void ProgressLog::text(std::string_view piece) {
    partial_.append(piece);
    for (std::size_t end; (end = partial_.find('\n')) != std::string::npos;) {
        std::string whole = partial_.substr(0, end);
        partial_.erase(0, end + 1);
        if (!whole.empty() && whole.back() == '\r') whole.pop_back();
        without_colours(whole);
        if (!whole.empty()) line(std::move(whole));
    }
    if (partial_.size() > (64u << 10)) line(std::exchange(partial_, {}));
}

void ProgressLog::line(std::string whole) {
    if (whole.starts_with("Step ")) {
        step_ = whole.substr(5);
        last_line_.clear();
    } else if (!whole.starts_with(" ---> ") && !whole.starts_with("Removing intermediate container ")) {
        last_line_ = whole;
    }
    if (on_line_) on_line_(std::move(whole));
}

Result<std::string> ProgressLog::finish() {
    without_colours(partial_);
    if (!partial_.empty()) line(std::exchange(partial_, {}));
    if (!error_) return image_;
    if (on_line_) on_line_("error: " + *error_);
    if (step_.empty()) return fail(ErrorCategory::permanent, "failed", *error_);
    return fail(ErrorCategory::permanent, "failed",
                fmt::format("build step {}: {}{}{}", step_name(step_), exit_of(*error_), last_line_.empty() ? "" : ": ",
                            last_line_));
}

}  // namespace codegen::clients

#include "services/worker-manager/gateway/command_filter.hpp"

#include <algorithm>
#include <array>

namespace codegen::worker_manager {
namespace {

// Events and results are far smaller; more would only fill our memory.
constexpr std::size_t kLongestCommand = 16u << 20;

// AUTH, HELLO and RESET shed the ACL user of the connection.
constexpr std::array<std::string_view, 3> kRefused{"AUTH", "HELLO", "RESET"};

std::string upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return out;
}

bool is_command(const redis::Reply& reply) {
    return reply.type == redis::Reply::Type::array && !reply.elements.empty() &&
           std::ranges::all_of(reply.elements, [](const auto& e) { return e.type == redis::Reply::Type::string; });
}

void refuse(std::string_view what, CommandFilter::Passed& passed) {
    const redis::Arguments notice{"CODEGEN-GATEWAY-REFUSES-" + std::string(what)};
    redis::encode_command(passed.bytes, notice);
    ++passed.refused;
}

}  // namespace

CommandFilter::Passed CommandFilter::feed(std::string_view bytes) {
    Passed passed;
    if (ended_) return passed;
    const auto end = [&](std::string_view what) {
        refuse(what, passed);
        ended_ = passed.ends = true;
    };
    reader_.feed(bytes);
    unfinished_ += bytes.size();
    while (!ended_) {
        auto next = reader_.next();
        if (!next) {
            end("INLINE-COMMANDS");
        } else if (!*next) {
            if (unfinished_ > kLongestCommand) end("COMMANDS-OVER-16-MB");
            break;
        } else if (!is_command(**next)) {
            end("WHAT-IS-NO-ARRAY-OF-BULK-STRINGS");
        } else {
            unfinished_ = 0;
            take(**next, passed);
        }
    }
    return passed;
}

void CommandFilter::take(const redis::Reply& command, Passed& passed) const {
    const auto name = upper(command.elements.front().text);
    if (std::ranges::find(kRefused, name) != kRefused.end()) return refuse(name, passed);
    redis::Arguments arguments;
    arguments.reserve(command.elements.size());
    for (const auto& element : command.elements) arguments.push_back(element.text);
    redis::encode_command(passed.bytes, arguments);
}

}  // namespace codegen::worker_manager

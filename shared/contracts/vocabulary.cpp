#include "shared/contracts/vocabulary.hpp"

#include <string>

#include "shared/json/enum.hpp"

namespace codegen::contracts {
namespace {

// The value whose name is `text` in upper case.
template <class E>
std::optional<E> from_upper_case(std::string_view text) {
    std::string lower;
    for (const char c : text) {
        if (c >= 'a' && c <= 'z') return std::nullopt;  // mixed case is nobody's spelling
        lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    std::optional<E> found;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
        if (lower == d.name) found = d.value;
    });
    return found;
}

}  // namespace

std::optional<ServiceModule> enum_alias(std::string_view text, ServiceModule) {
    return text == "tg_bot" ? std::optional(ServiceModule::telegram) : std::nullopt;
}

std::optional<AgentType> enum_alias(std::string_view text, AgentType) { return from_upper_case<AgentType>(text); }

std::optional<Capability> enum_alias(std::string_view text, Capability) { return from_upper_case<Capability>(text); }

std::optional<ServerStatus> enum_alias(std::string_view text, ServerStatus) {
    if (text == "new") return ServerStatus::pending_setup;
    if (text == "active") return ServerStatus::in_use;
    return std::nullopt;
}

bool is_final(TaskStatus status) { return status != TaskStatus::queued && status != TaskStatus::running; }

bool may_follow(TaskStatus from, TaskStatus to) {
    if (from == to) return true;
    switch (from) {
        case TaskStatus::queued:
            return to != TaskStatus::completed;
        case TaskStatus::running:
            return is_final(to);
        default:
            return false;
    }
}

}  // namespace codegen::contracts

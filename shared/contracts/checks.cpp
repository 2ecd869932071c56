// The rules that neither a message's types nor its `rules` say.
#include <algorithm>

#include "shared/contracts/contracts.hpp"
#include "shared/contracts/dto/manager.hpp"

namespace codegen::contracts {
namespace {

void check_dimensions(const std::optional<std::vector<double>>& embedding, FieldErrors& errors,
                      const std::string& prefix) {
    constexpr std::size_t kMost = 8192;
    if (embedding && embedding->size() > kMost)
        errors.push_back({prefix + "embedding", "has " + std::to_string(embedding->size()) +
                                                    " dimensions: expected at most " + std::to_string(kMost)});
}

}  // namespace

void AgentVerdict::check(FieldErrors& errors, const std::string& prefix) const {
    if (json::nested_deeper_than(data, json::kMaxFreeDepth / 2))
        errors.push_back(
            {prefix + "data", "is nested deeper than " + std::to_string(json::kMaxFreeDepth / 2) + " levels"});
}

void WorkerConfig::check(FieldErrors& errors, const std::string& prefix) const {
    for (const auto& [variable, value] : env_vars) {
        const bool named =
            !variable.empty() && !(variable[0] >= '0' && variable[0] <= '9') &&
            std::ranges::all_of(variable, [](char c) {
                return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
            });
        if (!named) errors.push_back({prefix + "env_vars." + variable.substr(0, 80), "is not a variable's name"});
        if (value.contains('\0')) errors.push_back({prefix + "env_vars." + variable.substr(0, 80), "holds a NUL"});
    }
}

void WorkerExec::check(FieldErrors& errors, const std::string& prefix) const {
    if (command.front().empty())
        errors.push_back({prefix + "command", "is empty: expected a program and its arguments"});
    for (std::size_t i = 0; i < command.size(); ++i)
        if (command[i].contains('\0')) errors.push_back({prefix + "command[" + std::to_string(i) + "]", "holds a NUL"});
}

void ApiKeyCreate::check(FieldErrors& errors, const std::string& prefix) const {
    if (type == ApiKeyType::system && project_id)
        errors.push_back({prefix + "project_id", "a key of type system belongs to no project; leave it out"});
}

void RagMessage::check(FieldErrors& errors, const std::string& prefix) const {
    check_dimensions(embedding, errors, prefix);
}

void RagDocument::check(FieldErrors& errors, const std::string& prefix) const {
    check_dimensions(embedding, errors, prefix);
}

void RagQuery::check(FieldErrors& errors, const std::string& prefix) const {
    check_dimensions(embedding, errors, prefix);
}

}  // namespace codegen::contracts

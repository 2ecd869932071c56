// The rules that a message's types do not say.
#include <algorithm>
#include <cmath>

#include "shared/contracts/contracts.hpp"
#include "shared/contracts/dto/manager.hpp"

namespace codegen::contracts {
namespace {

void check_version(const QueueMeta& meta, FieldErrors& errors, const std::string& prefix) {
    if (meta.version != "1")
        errors.push_back({prefix + "version", "unknown value \"" + meta.version + "\", expected one of 1"});
}

void check_command(WorkerCommandKind got, WorkerCommandKind expected, FieldErrors& errors, const std::string& prefix) {
    if (got != expected)
        errors.push_back({prefix + "command", "unknown value \"" + std::string(json::name_of(got)) +
                                                  "\", expected one of " + std::string(json::name_of(expected))});
}

void check_worker_name(const std::string& field, const std::string& value, FieldErrors& errors) {
    if (!is_worker_name(value))
        errors.push_back({field, "\"" + value.substr(0, 80) +
                                     "\" is not a worker name: expected 1 to 63 of a-z 0-9 . _ -, the first one a "
                                     "letter or digit"});
}

void check_client_id(const std::optional<std::string>& id, FieldErrors& errors, const std::string& prefix) {
    if (id && !is_uuid(*id))
        errors.push_back({prefix + "id", "\"" + id->substr(0, 80) + "\" is not a UUID; leave it out to get one"});
}

// `patch` is null although the field has no empty state.
template <class T>
void check_not_cleared(const json::Patch<T>& patch, std::string_view name, FieldErrors& errors,
                       const std::string& prefix) {
    if (patch.clears()) errors.push_back({prefix + std::string(name), "cannot be cleared: expected a value, got null"});
}

void check_project_name(const std::string& name, FieldErrors& errors, const std::string& prefix) {
    if (name.empty()) errors.push_back({prefix + "name", "is empty: expected a name"});
    if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        errors.push_back({prefix + "name", "has a control character"});
    if (name.size() > 200)
        errors.push_back({prefix + "name", "has " + std::to_string(name.size()) + " bytes: expected at most 200"});
}

}  // namespace

void QueueMeta::check(FieldErrors& errors, const std::string& prefix) const { check_version(*this, errors, prefix); }

void AgentVerdict::check(FieldErrors& errors, const std::string& prefix) const {
    if (json::nested_deeper_than(data, json::kMaxFreeDepth / 2))
        errors.push_back(
            {prefix + "data", "is nested deeper than " + std::to_string(json::kMaxFreeDepth / 2) + " levels"});
}

void DeveloperWorkerInput::check(FieldErrors& errors, const std::string& prefix) const {
    if (timeout < 1)
        errors.push_back({prefix + "timeout", "is " + std::to_string(timeout) + ": expected at least 1 second"});
    if (budget_usd && *budget_usd < 0)
        errors.push_back({prefix + "budget_usd", "is negative: expected 0 or more US dollars"});
}

void WorkerConfig::check(FieldErrors& errors, const std::string& prefix) const {
    check_worker_name(prefix + "name", name, errors);
    for (const auto& [variable, value] : env_vars) {
        const bool named =
            !variable.empty() && !(variable[0] >= '0' && variable[0] <= '9') &&
            std::ranges::all_of(variable, [](char c) {
                return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
            });
        if (!named) errors.push_back({prefix + "env_vars." + variable.substr(0, 80), "is not a variable's name"});
        if (value.contains('\0')) errors.push_back({prefix + "env_vars." + variable.substr(0, 80), "holds a NUL"});
    }
    if (cpu_limit && *cpu_limit <= 0)
        errors.push_back({prefix + "cpu_limit", "is not above 0: expected a number of processors such as 1.5"});
}

void CreateWorkerCommand::check(FieldErrors& errors, const std::string& prefix) const {
    check_version(*this, errors, prefix);
    check_command(command, WorkerCommandKind::create, errors, prefix);
}

void CollectWorkerCommand::check(FieldErrors& errors, const std::string& prefix) const {
    check_version(*this, errors, prefix);
    check_command(command, WorkerCommandKind::collect, errors, prefix);
    check_worker_name(prefix + "worker_id", worker_id, errors);
}

void DeleteWorkerCommand::check(FieldErrors& errors, const std::string& prefix) const {
    check_version(*this, errors, prefix);
    check_command(command, WorkerCommandKind::delete_, errors, prefix);
    check_worker_name(prefix + "worker_id", worker_id, errors);
}

void StatusWorkerCommand::check(FieldErrors& errors, const std::string& prefix) const {
    check_version(*this, errors, prefix);
    check_command(command, WorkerCommandKind::status, errors, prefix);
    check_worker_name(prefix + "worker_id", worker_id, errors);
}

void TokenCreate::check(FieldErrors& errors, const std::string& prefix) const {
    check_client_id(id, errors, prefix);
    if (kind == TokenKind::user && !user_id)
        errors.push_back({prefix + "user_id", "required field is missing: a token of kind user names its user"});
    if (kind == TokenKind::worker && !worker_id)
        errors.push_back({prefix + "worker_id", "required field is missing: a token of kind worker names its worker"});
    if (worker_id) check_worker_name(prefix + "worker_id", *worker_id, errors);
}

void WorkerExec::check(FieldErrors& errors, const std::string& prefix) const {
    constexpr std::int64_t kLongest = 3600;
    if (command.empty() || command.front().empty())
        errors.push_back({prefix + "command", "is empty: expected a program and its arguments"});
    for (std::size_t i = 0; i < command.size(); ++i)
        if (command[i].contains('\0')) errors.push_back({prefix + "command[" + std::to_string(i) + "]", "holds a NUL"});
    if (timeout < 1 || timeout > kLongest)
        errors.push_back({prefix + "timeout", "is " + std::to_string(timeout) + ": expected 1 to " +
                                                  std::to_string(kLongest) + " seconds"});
}

void ImagePrune::check(FieldErrors& errors, const std::string& prefix) const {
    constexpr std::int64_t kLongest = std::int64_t{24} * 3650;
    if (unused_for_hours < 0 || unused_for_hours > kLongest)
        errors.push_back({prefix + "unused_for_hours", "is " + std::to_string(unused_for_hours) + ": expected 0 to " +
                                                           std::to_string(kLongest) + " hours"});
}

void ProjectCreate::check(FieldErrors& errors, const std::string& prefix) const {
    check_client_id(id, errors, prefix);
    check_project_name(name, errors, prefix);
}

void ProjectPatch::check(FieldErrors& errors, const std::string& prefix) const {
    check_not_cleared(name, "name", errors, prefix);
    check_not_cleared(status, "status", errors, prefix);
    check_not_cleared(modules, "modules", errors, prefix);
    check_not_cleared(config, "config", errors, prefix);
    if (name.value) check_project_name(*name.value, errors, prefix);
}

void TaskCreate::check(FieldErrors& errors, const std::string& prefix) const { check_client_id(id, errors, prefix); }

void TaskPatch::check(FieldErrors& errors, const std::string& prefix) const {
    check_not_cleared(status, "status", errors, prefix);
    check_not_cleared(task_metadata, "task_metadata", errors, prefix);
}

}  // namespace codegen::contracts

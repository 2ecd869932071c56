// How the workflow names the workers of a task: dev-<task id>-<attempt> and test-<task id>-<n>. The whole id: clients
// choose ids, and those of one minute may begin alike.
#pragma once
#include <string>
#include <string_view>

namespace codegen::contracts {

inline constexpr std::string_view kDeveloperPrefix = "dev-";
inline constexpr std::string_view kTesterPrefix = "test-";

inline std::string developer_name(std::string_view task_id, int attempt) {
    return std::string(kDeveloperPrefix).append(task_id).append("-").append(std::to_string(attempt));
}
inline std::string tester_name(std::string_view task_id, int run) {
    return std::string(kTesterPrefix).append(task_id).append("-").append(std::to_string(run));
}

// The task that such a name holds; empty: another kind of name.
inline std::string_view task_of_worker(std::string_view name) {
    for (const auto prefix : {kDeveloperPrefix, kTesterPrefix})
        if (name.starts_with(prefix)) {
            name.remove_prefix(prefix.size());
            const auto dash = name.rfind('-');
            return dash == name.npos ? std::string_view() : name.substr(0, dash);
        }
    return {};
}

}  // namespace codegen::contracts

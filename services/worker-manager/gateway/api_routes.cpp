#include "services/worker-manager/gateway/api_routes.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace codegen::worker_manager {
namespace {

using Actions = std::optional<std::vector<std::string>>;

std::vector<std::string_view> segments_of(std::string_view path) {
    std::vector<std::string_view> out;
    while (!path.empty()) {
        const auto slash = path.find('/');
        if (slash != 0) out.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    return out;
}

Actions starting(std::string_view body) {
    boost::system::error_code ec;
    const auto value = boost::json::parse(body, ec);
    const auto* object = ec ? nullptr : value.if_object();
    const auto* type = object ? object->if_contains("type") : nullptr;
    const auto* name = type ? type->if_string() : nullptr;
    if (name && *name == "deploy") return {{"deploy.start"}};
    return {{"engineering.start"}};  // the API refuses what is neither
}

const std::vector<std::string> kTaskReaders{"engineering.status", "engineering.wait", "deploy.status", "project.tasks"};

Actions reading(const std::vector<std::string_view>& path) {
    const auto& resource = path[1];
    const bool one = path.size() == 3;
    const bool all = path.size() == 2;
    if (resource == "health" && all) return {std::vector<std::string>{}};
    if (resource == "projects" && all) return {{"project.list", "diagnose.projects"}};
    if (resource == "projects" && one) return {{"project.get"}};
    if (resource == "tasks" && (all || one)) return kTaskReaders;
    if ((resource == "task-executions" || resource == "task_executions") && (all || one)) return kTaskReaders;
    if (resource == "servers" && (all || one)) return {{"infra.servers"}};
    if (resource == "incidents" && (all || one)) return {{"infra.incidents"}};
    return {};
}

}  // namespace

std::optional<std::vector<std::string>> actions_for(std::string_view method, std::string_view target,
                                                    std::string_view body) {
    const auto path = target.substr(0, target.find('?'));
    const auto parts = segments_of(path);
    if (parts.size() < 2 || parts[0] != "api") return {};
    if (method == "GET" || method == "HEAD") return reading(parts);
    if (method == "POST" && parts.size() == 2 && parts[1] == "projects") return {{"project.create"}};
    if (method == "POST" && parts.size() == 2 && parts[1] == "tasks") return starting(body);
    // The API looks which of the two it is.
    if (method == "POST" && parts.size() == 2 && parts[1] == "workflow-commands")
        return {{"engineering.cancel", "engineering.resume"}};
    return {};
}

bool is_plain_path(std::string_view path) {
    if (!path.starts_with('/')) return false;
    const bool plain = std::ranges::all_of(path, [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/-._~:@").contains(static_cast<char>(c));
    });
    if (!plain) return false;
    if (path.size() > 1 && path.ends_with('/') && !path.ends_with("//")) path.remove_suffix(1);
    for (std::size_t begin = 1; begin <= path.size();) {
        const auto end = std::min(path.find('/', begin), path.size());
        const auto segment = path.substr(begin, end - begin);
        if ((segment.empty() && path.size() > 1) || segment == "." || segment == "..") return false;
        begin = end + 1;
    }
    return true;
}

}  // namespace codegen::worker_manager

#include "services/worker-manager/gateway/api_routes.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

namespace codegen::worker_manager {
namespace {

constexpr std::string_view kTasks = "/api/tasks";

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

// The text of `field` in a body that is an object; "" otherwise.
std::string field_of(std::string_view body, std::string_view field) {
    boost::system::error_code ec;
    const auto value = boost::json::parse(body, ec);
    const auto* object = ec ? nullptr : value.if_object();
    const auto* found = object ? object->if_contains(field) : nullptr;
    const auto* text = found ? found->if_string() : nullptr;
    return text ? std::string(*text) : std::string();
}

// Which of its actions a body asks for. The API refuses what is neither.
std::string by_body(std::string_view pattern, std::string_view body) {
    if (pattern == kTasks) return field_of(body, "type") == "deploy" ? "deploy.start" : "engineering.start";
    return field_of(body, "command") == "resume" ? "engineering.resume" : "engineering.cancel";
}

constexpr std::string_view kTaskReaders = "engineering.status,engineering.wait,deploy.status";

// What services/api opens to workers, and with which actions; api_routes_test.cpp compares the two. A literal segment
// stands before a parameter in its place.
constexpr auto kRoutes = std::to_array<WorkerRoute>({
    {"GET", "/api/health", ""},
    {"POST", "/api/projects", "project.create"},
    {"GET", "/api/projects", "project.list"},
    {"GET", "/api/projects/{id}", "project.get"},
    {"POST", kTasks, "engineering.start,deploy.start", true},
    {"GET", kTasks, "project.tasks"},
    {"GET", "/api/tasks/{id}",
     "engineering.status,engineering.wait,deploy.status,worker.list,worker.show,worker.logs,worker.exec,worker.delete"},
    {"POST", "/api/workflow-commands", "engineering.cancel,engineering.resume", true},
    {"GET", "/api/task-executions", kTaskReaders},
    {"GET", "/api/task-executions/{id}", kTaskReaders},
    {"GET", "/api/servers", "infra.servers"},
    {"GET", "/api/servers/{handle}", "infra.servers"},
    {"GET", "/api/servers/{handle}/ports", "infra.servers"},
    {"GET", "/api/servers/{handle}/incidents", "infra.incidents"},
    {"GET", "/api/servers/{handle}/services", "infra.servers"},
    {"GET", "/api/allocations", "infra.servers"},
    {"GET", "/api/allocations/{id}", "infra.servers"},
    {"GET", "/api/incidents", "infra.incidents"},
    {"GET", "/api/incidents/active", "infra.incidents"},
    {"GET", "/api/incidents/{id}", "infra.incidents"},
    {"GET", "/api/service-deployments", "infra.servers"},
    {"GET", "/api/service-deployments/{id}", "infra.servers"},
    {"POST", "/api/rag/query", "project.get"},
    {"GET", "/api/rag/summaries", "project.get"},
});

// As the API reads it: "_" for "-" in the name of a resource.
bool same_segment(std::string_view pattern, std::string_view part) {
    if (pattern.starts_with('{')) return true;
    return std::ranges::equal(pattern, part, [](char a, char b) { return a == b || (a == '-' && b == '_'); });
}

const WorkerRoute* find_route(std::string_view method, std::string_view path) {
    const auto parts = segments_of(path);
    if (method == "HEAD") method = "GET";
    const auto found = std::ranges::find_if(kRoutes, [&](const WorkerRoute& route) {
        return route.method == method && std::ranges::equal(segments_of(route.pattern), parts, same_segment);
    });
    return found == kRoutes.end() ? nullptr : &*found;
}

std::vector<std::string> split(std::string_view list) {
    std::vector<std::string> out;
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        out.emplace_back(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return out;
}

}  // namespace

std::span<const WorkerRoute> worker_routes() { return kRoutes; }

std::optional<std::vector<std::string>> actions_for(std::string_view method, std::string_view target,
                                                    std::string_view body) {
    const auto* route = find_route(method, target.substr(0, target.find('?')));
    if (!route) return {};
    if (route->by_body) return {{by_body(route->pattern, body)}};
    return split(route->actions);
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

// Which actions open which API routes to a worker. The API checks the worker's token itself; what one request forbids
// is checked here alone. Pure.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace codegen::worker_manager {

struct WorkerRoute {
    std::string_view method;
    std::string_view pattern;
    std::string_view actions;  // "a,b"
    bool by_body = false;      // which one of them, the body says
};
std::span<const WorkerRoute> worker_routes();

// Any one of the actions is enough. Nullopt: not a route for workers. Empty: for every worker. `target` is the
// request's, with query; `body` decides where one route is of several commands.
std::optional<std::vector<std::string>> actions_for(std::string_view method, std::string_view target,
                                                    std::string_view body);

// Plain characters only, no empty, "." or ".." segments, no percent-encoding: a path that no two readers understand
// differently.
bool is_plain_path(std::string_view path);

}  // namespace codegen::worker_manager

// Which actions open which API routes to a worker: the early, friendly refusal. What binds is the worker's token, which
// the API checks itself. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codegen::worker_manager {

// Any one of the actions is enough. Nullopt: not a route for workers. Empty: for every worker. `target` is the
// request's, with query; `body` decides for POST /api/tasks, whose type is in it.
std::optional<std::vector<std::string>> actions_for(std::string_view method, std::string_view target,
                                                    std::string_view body);

// Plain characters only, no empty, "." or ".." segments, no percent-encoding: a path that no two readers understand
// differently.
bool is_plain_path(std::string_view path);

}  // namespace codegen::worker_manager

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "services/worker-manager/gateway/api_routes.hpp"
#include "services/worker-manager/gateway/doors.hpp"

namespace codegen::worker_manager {

std::optional<http::Reply> api_refusal(const Gate& gate, const http::Request& head) {
    const std::string_view target = head.target;
    if (!is_plain_path(target.substr(0, target.find('?'))))
        return refuse(gate, 403, "the path has characters that no route of the API has");
    if (actions_for(head.method, target, head.body)) return {};
    return refuse(gate, 403, fmt::format("{} {} is not open to workers", head.method, target));
}

Task<http::Reply> api_door(Gate gate, http::Request request) {
    const std::string_view target = request.target;
    if (auto refusal = api_refusal(gate, request)) co_return std::move(*refusal);
    const auto actions = actions_for(request.method, target, request.body);
    if (!actions->empty()) {
        const auto worker = co_await permitted(gate);
        if (!worker) co_return not_told(gate);
        const auto& granted = worker->actions;
        if (!std::ranges::any_of(*actions, [&](const auto& action) { return allows(granted, action); }))
            co_return refuse(gate, 403,
                             fmt::format("{} {} needs the permission {}, this worker has {}", request.method, target,
                                         fmt::join(*actions, " or "), fmt::join(granted, ", ")));
    }
    ++gate->counts.api_requests;
    request.headers = end_to_end(request.headers);
    auto response = co_await ask_api(gate, std::move(request));
    if (!response) co_return refuse(gate, 503, "the API does not answer: " + response.error().message);
    http::Reply reply;
    reply.head.status = response->status;
    reply.head.headers = end_to_end(response->headers);
    reply.head.body = std::move(response->body);
    co_return reply;
}

}  // namespace codegen::worker_manager

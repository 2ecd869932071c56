#include "shared/redis/progress.hpp"

#include "shared/logging/context.hpp"

namespace codegen::redis {

Task<Result<void>> publish_progress(Client* client, std::string stream, std::string event) {
    Arguments add{"XADD", stream, "MAXLEN", "~", std::to_string(kProgressKept), "*", "data", std::move(event)};
    if (auto trace = log::traceparent_to_send(); !trace.empty())
        add.insert(add.end(), {"traceparent", std::move(trace)});
    const std::string seconds = std::to_string(std::chrono::seconds(kProgressLife).count());
    std::vector<Arguments> commands;
    commands.push_back(std::move(add));
    commands.push_back({"EXPIRE", std::move(stream), seconds});
    auto done = co_await client->transaction(std::move(commands));
    if (!done) co_return std::unexpected(std::move(done.error()));
    for (const auto& reply : done->elements)
        if (reply.is_error()) co_return std::unexpected(error_of(reply));
    co_return Result<void>();
}

}  // namespace codegen::redis

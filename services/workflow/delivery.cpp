#include "services/workflow/delivery.hpp"

#include "services/workflow/store.hpp"

namespace codegen::workflow {
namespace {

constexpr std::size_t kProgressKept = 1000;  // entries of one task_progress stream; observers only

}  // namespace

Task<Result<void>> Delivery::deliver(storage::OutboxItem item) {
    if (item.kind == kStreamKind) return publish(std::move(item.body));
    return call(std::move(item.body));
}

Task<Result<void>> Delivery::publish(std::string body) {
    const auto message = decode_publish(body);
    const std::size_t cap = message.stream.starts_with("task_progress:") ? kProgressKept : 0;
    auto added = co_await redis::publish(redis_, message.stream, message.message, cap);
    if (!added) co_return std::unexpected(in_context(added.error(), "stream " + message.stream));
    co_return Result<void>();
}

Task<Result<void>> Delivery::call(std::string body) {
    const auto request = decode_call(body);
    auto answered = co_await api_.call(request.method, request.target, request.body);
    if (!answered) co_return std::unexpected(in_context(answered.error(), request.method + " " + request.target));
    co_return Result<void>();
}

}  // namespace codegen::workflow

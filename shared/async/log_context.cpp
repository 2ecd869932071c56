#include "shared/async/log_context.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>

namespace codegen::async {
namespace {

class ContextExecutor {
  public:
    ContextExecutor(asio::any_io_executor inner, log::ContextPtr context) noexcept
        : inner_(std::move(inner)), context_(std::move(context)) {}

    template <class F>
    void execute(F&& function) const {
        inner_.execute([context = context_, function = std::forward<F>(function)]() mutable {
            const log::Within within(std::move(context));
            std::move(function)();
        });
    }
    friend bool operator==(const ContextExecutor& a, const ContextExecutor& b) noexcept {
        return a.context_ == b.context_ && a.inner_ == b.inner_;
    }

    template <class Property>
    auto query(const Property& property) const
        -> decltype(asio::query(std::declval<const asio::any_io_executor&>(), property)) {
        return asio::query(inner_, property);
    }
    template <class Property>
    auto require(const Property& property) const
        -> std::enable_if_t<asio::can_require_v<const asio::any_io_executor&, Property>, ContextExecutor> {
        return {asio::require(inner_, property), context_};
    }
    template <class Property>
    auto prefer(const Property& property) const
        -> std::enable_if_t<asio::can_prefer_v<const asio::any_io_executor&, Property>, ContextExecutor> {
        return {asio::prefer(inner_, property), context_};
    }

  private:
    asio::any_io_executor inner_;
    log::ContextPtr context_;
};

}  // namespace

asio::any_io_executor executor_within(asio::any_io_executor inner, log::ContextPtr context) {
    return ContextExecutor(std::move(inner), std::move(context));
}

Task<void> within(log::ContextPtr context, Task<void> task) {
    auto inner = co_await asio::this_coro::executor;
    const auto before = log::context();
    auto executor = executor_within(std::move(inner), std::move(context));
    try {
        co_await asio::co_spawn(std::move(executor), std::move(task), asio::use_awaitable);
    } catch (...) {
        log::replace_context(before);
        throw;
    }
    // The task's last step may have resumed us directly, inside its context.
    log::replace_context(before);
}

}  // namespace codegen::async

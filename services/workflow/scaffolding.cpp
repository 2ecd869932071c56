#include "services/workflow/scaffolding.hpp"

#include "shared/contracts/stream_table.hpp"
#include "shared/logging/log.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::workflow {
namespace {

using std::chrono::steady_clock;

std::string message_for(const contracts::Project& project) {
    contracts::ScaffolderMessage message;
    message.request_id = project.id;
    message.project_id = project.id;
    message.project_name = project.name;
    message.modules = project.modules;
    message.description = project.description;
    return json::write(message);
}

}  // namespace

Task<Result<bool>> Scaffolding::is_served() {
    if (options_.served) co_return *options_.served;
    const std::string stream(contracts::streams::kScaffolder);
    auto seen = co_await redis::last_consumer(redis_, stream, std::string(contracts::reader_group(stream)));
    if (!seen) co_return std::unexpected(seen.error());
    co_return *seen && **seen <= redis::kConsumerAlive;
}

Task<void> Scaffolding::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    for (bool going = true; going;) {
        auto sent = co_await send_forgotten();
        if (!sent && sent.error().code != "cancelled")
            log::warning("sweep of new projects failed", {{"error", sent.error().message}});
        co_await async::sleep_for(options_.interval);
        const auto state = co_await asio::this_coro::cancellation_state;
        going = state.cancelled() == asio::cancellation_type::none;
    }
}

// Projects that stay `scaffolding`: their message was lost, or what it asks for takes long; the scaffolder can tell.
Task<Result<void>> Scaffolding::send_forgotten() {
    auto served = co_await is_served();
    if (!served) co_return std::unexpected(served.error());
    if (!*served) co_return Result<void>();
    const bool lost = std::exchange(lost_, false);
    std::map<std::string, steady_clock::time_point> still;
    std::optional<std::string> target = "/api/projects?status=scaffolding&limit=500";
    while (target) {
        auto page = co_await api_.page(std::move(*target));
        if (!page) co_return std::unexpected(page.error());
        auto projects = json::parse<std::vector<contracts::Project>>(page->body);
        if (!projects) co_return std::unexpected(in_context(invalid(projects.error()), "answer of the API: projects"));
        for (const auto& project : *projects) {
            const auto now = steady_clock::now();
            // The first look finds messages that are on their way.
            const auto known = sent_.find(project.id);
            auto since = known != sent_.end() ? known->second : now;
            if (lost || now - since >= options_.resend) {
                auto sent =
                    co_await redis::publish(redis_, std::string(contracts::streams::kScaffolder), message_for(project));
                if (!sent) co_return std::unexpected(sent.error());
                since = now;
            }
            still[project.id] = since;
        }
        target = std::move(page->next);
    }
    sent_ = std::move(still);
    co_return Result<void>();
}

}  // namespace codegen::workflow

// Messages that somebody was told are taken: they stand in the API until the role that reads their queue has them in
// tables of its own, so that a Redis which loses everything loses none.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "shared/clients/api/api_client.hpp"

namespace codegen::clients {

inline constexpr std::string_view kPendingProvisionings = "/api/provisioner-messages";
inline constexpr std::string_view kPendingCommands = "/api/workflow-commands";

// Those that were made before `before`, oldest first: younger ones are on their way through their queue. `api` outlives
// the call. Errors are the client's.
template <class Message>
Task<Result<std::vector<Message>>> pending(ApiClient* api, std::string_view resource, Timestamp before) {
    std::vector<Message> out;
    std::optional<std::string> target = std::string(resource) + "?limit=500";
    while (target) {
        auto page = co_await api->page(std::move(*target));
        if (!page) co_return std::unexpected(page.error());
        auto list = json::parse_any(page->body);
        if (!list || !list->is_array())
            co_return fail(ErrorCategory::permanent, "invalid", "answer of the API: expected an array");
        for (const auto& item : list->get_array()) {
            auto message = json::from_value<Message>(item);
            if (!message) co_return std::unexpected(in_context(invalid(message.error()), "answer of the API"));
            if (message->timestamp < before) out.push_back(std::move(*message));
        }
        target = std::move(page->next);
    }
    co_return out;
}

// One that is not there is no error: most messages of other programs never were.
Task<Result<void>> forget_pending(ApiClient* api, std::string_view resource, std::string request_id);

}  // namespace codegen::clients

#include "packages/worker-wrapper/input_message.hpp"

#include <boost/json.hpp>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/result_store.hpp"
#include "shared/base/ids.hpp"
#include "shared/json/json.hpp"

namespace codegen::wrapper {

Result<Job> read_job(contracts::WorkerType type, const std::string& text) {
    Job job;
    if (type == contracts::WorkerType::po) {
        auto input = json::parse<contracts::POWorkerInput>(text);
        if (!input) return std::unexpected(invalid(input.error()));
        job.request_id = input->request_id;
        job.prompt = input->prompt;
        job.product_owner = std::move(*input);
    } else {
        auto input = json::parse<contracts::DeveloperWorkerInput>(text);
        if (!input) return std::unexpected(invalid(input.error()));
        job.request_id = input->request_id;
        job.prompt = input->prompt;
        job.timeout_seconds = input->timeout;
        if (input->timeout < 1 || input->timeout > 7 * 24 * 3600)
            return std::unexpected(invalid({{"timeout", std::to_string(input->timeout) + " s, expected 1 to 604800"}}));
        if (input->session_id && !is_uuid(*input->session_id))
            return std::unexpected(invalid({{"session_id", "\"" + *input->session_id + "\" is no uuid"}}));
        if (input->budget_usd && !(*input->budget_usd > 0))
            return std::unexpected(invalid({{"budget_usd", "expected a positive amount"}}));
        job.developer = std::move(*input);
    }
    if (!is_request_id(job.request_id))
        return std::unexpected(
            invalid({{"request_id",
                      "\"" + job.request_id + "\" is no id, expected 1 to 128 of letters, digits, '.', '_', '-'"}}));
    return job;
}

std::string dead_letter_context(const Error& error, const std::string& stream, const std::string& entry_id,
                                int attempts) {
    return boost::json::serialize(boost::json::object{{"error", valid_utf8(error.message)},
                                                      {"category", to_string(error.category)},
                                                      {"timestamp", format_timestamp(system_now())},
                                                      {"service", "worker-wrapper"},
                                                      {"attempts", attempts},
                                                      {"stream", stream},
                                                      {"entry_id", entry_id}});
}

}  // namespace codegen::wrapper

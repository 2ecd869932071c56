#include "services/workflow/upkeep.hpp"

#include "services/workflow/repository.hpp"
#include "shared/logging/log.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::workflow {

Task<void> keep_up(redis::Client* redis, std::vector<std::string> streams, std::filesystem::path repositories,
                   UpkeepOptions options) {
    for (;;) {
        if (const auto removed = remove_half_made(repositories, options.half_made_age); removed > 0)
            log::info("half-made repositories removed", {{"count", std::to_string(removed)}});
        for (const auto& stream : streams) {
            auto trimmed = co_await redis::trim_consumed(*redis, stream, options.keep_entries);
            if (!trimmed && trimmed.error().code != "cancelled")
                log::warning("stream not trimmed", {{"stream", stream}, {"error", trimmed.error().message}});
        }
        co_await async::sleep_for(options.interval);
    }
}

}  // namespace codegen::workflow
